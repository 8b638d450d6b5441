// Teams of threads for the positions of arrays (outer, classes, inner): a team takes all classes of a position.
//
// Where the classes of a position lie side by side (inner is 1), a team is some lanes of a warp, or a block. Elsewhere
// neighbouring threads take neighbouring positions: each thread one by itself, or the warps of a block share the
// classes of 32. Which it is the launch says; see launches/teams.py.
#pragma once

#include "sums.cuh"

enum class Sort { lanes, block, alone, warps };

template <class R>
struct Lesser {
    MOCHA_DEVICE R operator()(R a, R b) const { return b < a ? b : a; }
};
template <class R>
struct Greater {
    MOCHA_DEVICE R operator()(R a, R b) const { return a < b ? b : a; }
};

// A thread's part in a team. A team without a position has no classes, and no thread that leads it.
struct Team {
    Sort sort;
    int size, rank;  // threads of the team, and which of them this one is
    bool leads;      // of each team with a position one thread does
    Index position, classes, inner, first;
    Index extent;  // the classes of any position, also where there is none: the same in all threads of a block

    // The place of an element.
    MOCHA_DEVICE Index place(Index c) const { return first + c * inner; }

    // Calls body(c, place) for this thread's classes.
    template <class Body>
    MOCHA_DEVICE void each_class(const Body& body) const {
#pragma unroll 4
        for (Index c = rank; c < classes; c += size) body(c, place(c));
    }

    // What `choose` makes of the values of all threads of the team, in all of them. All threads of the block must come.
    template <class R, class Choose>
    MOCHA_DEVICE R joined(R value, R neutral, const Choose& choose) const {
        if (sort == Sort::block) return block_choice(value, neutral, choose);
        if (sort == Sort::lanes)
#pragma unroll 1
            for (int distance = size / 2; distance > 0; distance /= 2)
                value = choose(value, __shfl_xor_sync(0xffffffffu, value, distance));
        if (sort == Sort::warps) {
            __shared__ R of_warps[32][warp_size];
            const int lane = threadIdx.x % warp_size;
            __syncthreads();  // the block may still be reading the last ones
            of_warps[rank][lane] = value;
            __syncthreads();
            value = of_warps[0][lane];
            for (int w = 1; w < size; ++w) value = choose(value, of_warps[w][lane]);
        }
        return value;
    }
    template <class R>
    MOCHA_DEVICE R sum(R value) const {
        return joined(value, R(0), Plus<R>{});
    }
    template <class R>
    MOCHA_DEVICE R max(R value) const {
        return joined(value, -infinity<R>(), Larger<R>{});
    }
};

// Inlined for each sort of teams by itself, so that what is not of this sort falls away.
template <class Body>
MOCHA_DEVICE void each_position_of(Sort sort, Index outer, Index classes, Index inner, int size, const Body& body) {
    const int thread = threadIdx.x, teams = blockDim.x / size;
    const Index positions = outer * inner;
    Team team;
    team.sort = sort;
    team.inner = inner;
    team.extent = classes;
    team.size = size;
    team.rank = sort == Sort::alone ? 0 : sort == Sort::warps ? thread / warp_size : thread % size;
    const int which = sort == Sort::alone ? thread : sort == Sort::warps ? thread % warp_size : thread / size;
    for (int64_t begin = static_cast<int64_t>(blockIdx.x) * teams; begin < positions;
         begin += static_cast<int64_t>(gridDim.x) * teams) {
        const bool there = begin + which < positions;
        team.position = there ? static_cast<Index>(begin) + which : 0;
        team.leads = there && team.rank == 0;
        team.classes = there ? classes : 0;
        team.first = inner == 1 ? team.position * classes
                                : team.position / inner * (classes * inner) + team.position % inner;
        body(team);
    }
}

// Calls body(team) for all positions, with as many teams at once as there are. All threads of a block come equally
// often. The launch's index is the number of a team's lanes; 0 for the whole block, -1 for its warps.
template <class Body>
MOCHA_DEVICE void each_position(const Step& step, Index outer, Index classes, Index inner, const Body& body) {
    const int lanes = static_cast<int>(step.index), threads = blockDim.x;
    if (lanes == 0) return each_position_of(Sort::block, outer, classes, 1, threads, body);
    if (lanes < 0) return each_position_of(Sort::warps, outer, classes, inner, threads / warp_size, body);
    if (inner == 1) return each_position_of(Sort::lanes, outer, classes, 1, lanes, body);
    each_position_of(Sort::alone, outer, classes, inner, 1, body);
}

// The same for the attributes ints = {outer, classes, inner}.
template <class Body>
MOCHA_DEVICE void each_position(const Step& step, const Body& body) {
    each_position(step, step.at(0), step.at(1), step.at(2), body);
}

// The same for the attributes ints = {rows, length}.
template <class Body>
MOCHA_DEVICE void each_row(const Step& step, const Body& body) {
    const int lanes = static_cast<int>(step.index);
    if (lanes == 0) return each_position_of(Sort::block, step.at(0), step.at(1), 1, blockDim.x, body);
    each_position_of(Sort::lanes, step.at(0), step.at(1), 1, lanes, body);
}

// The class of a position's largest score, in all threads of its team. Of equal ones the first counts; the first NaN
// counts as the largest.
template <class T>
MOCHA_DEVICE Index class_of_largest(const Team& team, const T* x) {
    typedef Real<T> R;
    constexpr Index none = 0x7fffffff;
    R best = -infinity<R>();
    Index winner = none;
    team.each_class([&](Index c, Index place) {
        const R score = get(x[place]);
        if (winner == none || (!(score <= best) && best == best)) {
            best = score;
            winner = c;
        }
    });
    const R largest = team.max(best);
    const bool is_largest = best == largest || (best != best && largest != largest);
    return team.joined(is_largest ? winner : none, none, Lesser<Index>{});
}
