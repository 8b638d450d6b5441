// Arrays (outer, channels, inner) with numbers that stand for a whole channel: functions of their elements, and sums
// over each channel.
//
// How a pass over an array is shared out. What a thread takes at once is 16 bytes wide, if the channels that lie side
// by side (or, where they do not, the `inner` elements of one) are a multiple of that, else one element: that is the
// width of a position. A block of 256 threads has a group of channels and a part of the positions: where channels lie
// side by side, as many lanes as the group is wide, at most 32, and under each of them rows of threads, one position
// each; otherwise the group is one channel, and all threads are rows. So a thread keeps to its channels.
//
// Sums take two launches of one call. The first, `<name>_parts`, leaves what it found in each part of a channel in
// scratch memory, as double; the second has a block for each channel that joins the parts. Threads sum in the elements'
// own type, at most a few hundred of them; all that is joined is double. The first goes from the end of the array to
// its beginning: what was written last may still be near, and what it read last is near for the pass that follows.
#pragma once

#include "batches.cuh"
#include "sums.cuh"

struct Extent {
    Index outer, channels, inner;

    // ints = {outer, channels, inner}
    MOCHA_DEVICE explicit Extent(const Step& step) : Extent(step.at(0), step.at(1), step.at(2)) {}
    // A single channel is one long row.
    MOCHA_DEVICE Extent(Index outer, Index channels, Index inner)
        : outer(channels == 1 ? 1 : outer), channels(channels), inner(channels == 1 ? outer * inner : inner) {}

    MOCHA_DEVICE Index size() const { return outer * channels * inner; }
    MOCHA_DEVICE bool channels_last() const { return inner == 1; }
    // The channel of an element, and how many elements a channel has.
    MOCHA_DEVICE Index channel(Index i) const { return (channels_last() ? i : i / inner) % channels; }
    MOCHA_DEVICE Index count() const { return outer * inner; }
};

// -- sharing out

// As in launches/channels.py: the size of a block, positions of a thread, blocks, and the width that parts are computed
// with, whatever the type.
constexpr int block_threads = 256, most_lanes = 32;
constexpr int few_positions = 8, most_positions = 128;
constexpr int enough_blocks = 1024, width_for_parts = 4;

// A block's lanes and rows, if positions are at most so wide.
struct Rows {
    bool last;            // channels lie side by side
    Index width;          // elements of a position
    Index columns;        // positions that lie side by side, of different channels
    Index groups, lanes;  // in how many groups they are taken, and the positions in one
    Index rows;           // positions of the same channels that a block takes at once
    Index positions;      // of a channel

    MOCHA_DEVICE Rows(const Extent& e, Index widest)
        : last(e.channels_last()),
          width((last ? e.channels : e.inner) % widest ? 1 : widest),
          columns(last ? e.channels / width : e.channels),
          groups(last ? ceil_div(columns, most_lanes) : columns),
          lanes(ceil_div(columns, groups)),
          rows(block_threads / lanes),
          positions(last ? e.outer : e.outer * (e.inner / width)) {}
};

// In how many parts the positions are taken; the same for all types of elements.
MOCHA_DEVICE Index parts_of(const Extent& e) {
    const Rows r(e, width_for_parts);
    const Index wanted = least(ceil_div(r.positions, few_positions * r.rows), ceil_div(enough_blocks, r.groups));
    return most(most(wanted, ceil_div(r.positions, most_positions * r.rows)), 1);
}

struct Shares : Rows {
    Index parts;

    MOCHA_DEVICE Shares(const Extent& e, Index widest) : Rows(e, widest), parts(parts_of(e)) {}

    // The first position of a part, and how many there are.
    MOCHA_DEVICE Index begin(Index part) const {
        return part * (positions / parts) + least(part, positions % parts);
    }
    MOCHA_DEVICE Index size(Index part) const { return positions / parts + (part < positions % parts); }
};

// What a thread does of a block's share: of its part, the positions row, row + rows, ... before the end.
struct Seat {
    Index part, channel, begin, size, row, end;
    Index channels, inner, along;  // of the array; positions in a stretch of a channel
    Index width;

    MOCHA_DEVICE Seat(const Extent& e, const Shares& s, Index share)
        : part(share / s.groups),
          begin(s.begin(part)),
          size(s.size(part)),
          row(static_cast<Index>(threadIdx.x) / s.lanes),
          channels(e.channels),
          inner(e.inner),
          along(e.inner / s.width),
          width(s.width) {
        const Index column = share % s.groups * s.lanes + static_cast<Index>(threadIdx.x) % s.lanes;
        channel = s.last ? column * width : column;
        end = row < s.rows && column < s.columns ? size : 0;
    }

    // The place of the first element of a position of the part. LAST: whether channels lie side by side.
    template <bool LAST>
    MOCHA_DEVICE Index place(Index position) const {
        const Index p = begin + position;
        return LAST ? p * channels + channel : (p / along * channels + channel) * inner + p % along * width;
    }
};

// Elements at the same place of N arrays.
template <class T, int WIDTH, int N>
struct Read {
    Few<T, WIDTH> of[N];

    MOCHA_DEVICE void values(int w, Real<T> (&x)[N]) const {
#pragma unroll
        for (int k = 0; k < N; ++k) x[k] = get(of[k].at[w]);
    }
};

template <int WIDTH, class T, int N>
MOCHA_DEVICE Read<T, WIDTH, N> read_few(const T* const (&from)[N], Index place) {
    Read<T, WIDTH, N> read;
#pragma unroll
    for (int k = 0; k < N; ++k) read.of[k] = load_few<WIDTH>(from[k] + place);
    return read;
}

// -- functions of elements and of the numbers of their channel

// to[i] = f(x, numbers) for all elements, where x[k] is that of from[k], and of(c, numbers) gives K numbers of a
// channel. `to` may be one of the arrays: a thread reads what it needs of them first.
template <class T, int K, int N, class Of, class F>
MOCHA_DEVICE void map_channels(const Extent& e, const T* const (&from)[N], T* to, const Of& of, const F& f) {
    typedef Real<T> R;
    constexpr int width = Pack<T>::size;
    if (e.channels_last() && e.channels % width == 0) {
        const Shares shares(e, width);
        each_block(shares.groups * shares.parts, [&](Index share) {
            const Seat seat(e, shares, share);
            if (seat.row >= seat.end) return;
            R numbers[width][K];
#pragma unroll
            for (int w = 0; w < width; ++w) of(seat.channel + w, numbers[w]);
            in_batches<4 / N>(
                seat.row, seat.end, shares.rows,
                [&](Index p) { return read_few<width>(from, seat.template place<true>(p)); },
                [&](Index p, const Read<T, width, N>& read) {
                    Few<T, width> made;
#pragma unroll
                    for (int w = 0; w < width; ++w) {
                        R x[N];
                        read.values(w, x);
                        made.at[w] = put<T>(f(x, numbers[w]));
                    }
                    store_few(to + seat.template place<true>(p), made);
                });
        });
        return;
    }
    // Packs of what lies side by side, whatever its channels are.
    const Index packs = e.size() / width;
    each(packs, [&](Index pack) {
        const Index first = pack * width, stretch = first / e.inner;
        Index c = stretch % e.channels, left = (stretch + 1) * e.inner - first;  // elements of that channel
        const Read<T, width, N> read = read_few<width>(from, first);
        Few<T, width> made;
        R numbers[K];
        of(c, numbers);
#pragma unroll
        for (int w = 0; w < width; ++w) {
            R x[N];
            read.values(w, x);
            made.at[w] = put<T>(f(x, numbers));
            if (w + 1 < width && --left == 0) {
                left = e.inner;
                c = c + 1 < e.channels ? c + 1 : 0;
                of(c, numbers);
            }
        }
        store_few(to + first, made);
    });
    each(e.size() - packs * width, [&](Index rest) {
        const Index i = packs * width + rest;
        R x[N], numbers[K];
        read_few<1>(from, i).values(0, x);
        of(e.channel(i), numbers);
        to[i] = put<T>(f(x, numbers));
    });
}

// -- sums of any kind

// Calls add(tally, read, w) for all that a thread reads, w = 0, 1, ... for the elements of a position. Where channels
// lie side by side, there is a tally for each of these; otherwise they go together into one.
template <int WIDTH, bool TOGETHER, int BATCH, class Tally, class Load, class Add>
MOCHA_DEVICE void add_up(const Seat& seat, Index rows, Tally (&tallies)[TOGETHER ? 1 : WIDTH], const Load& load,
                         const Add& add) {
    typedef decltype(load(Index(0))) Loaded;
    in_batches<BATCH>(
        seat.row, seat.end, rows,
        [&](Index p) { return load(seat.template place<!TOGETHER>(seat.size - 1 - p)); },
        [&](Index, const Loaded& read) {
#pragma unroll
            for (int w = 0; w < WIDTH; ++w) add(tallies[TOGETHER ? 0 : w], read, w);
        });
}

// What the threads of a block found for a group of channels that lie side by side: K numbers for each of their WIDTH
// channels.
template <class R, int WIDTH, int K>
struct Found {
    R of[WIDTH][K][block_threads + 8];  // 8: so that different channels are in different banks

    // Calls take(channel, w, first thread) for each channel of the group; it belongs to that thread and those `lanes`,
    // 2 lanes, ... behind it.
    template <class Take>
    MOCHA_DEVICE void each_channel(const Shares& s, Index share, const Take& take) const {
        const Index lane = static_cast<Index>(threadIdx.x) % s.lanes, w = static_cast<Index>(threadIdx.x) / s.lanes;
        const Index column = share % s.groups * s.lanes + lane;
        if (w < WIDTH && column < s.columns) take(column * WIDTH + w, w, lane);
    }
};

// Where the first launch leaves sum k of each part of a channel.
MOCHA_DEVICE double* sums_of(const Step& step, const Extent& e, Index parts, int k, Index c) {
    return reinterpret_cast<double*>(step.scratch) + (static_cast<int64_t>(k) * e.channels + c) * parts;
}

// Room for numbers of each channel, behind K sums of each part.
template <class N>
MOCHA_DEVICE N* behind_sums(const Step& step, const Extent& e, int k) {
    return reinterpret_cast<N*>(sums_of(step, e, parts_of(e), k, 0));
}

// -- plain sums

template <class R, int K>
struct Sums {
    R of[K] = {};
};

// Adds what was read to sums.
template <class T, int K, class Add>
struct Adder {
    const Add& add;

    template <int WIDTH, int N>
    MOCHA_DEVICE void operator()(Sums<Real<T>, K>& sums, const Read<T, WIDTH, N>& read, int w) const {
        Real<T> x[N];
        read.values(w, x);
        add(sums.of, x);
    }
};

// One share of the first launch.
template <int WIDTH, bool TOGETHER, int BATCH, class R, int K, class Load, class Add>
MOCHA_DEVICE void sum_share(const Step& step, const Extent& e, const Shares& shares, Index share,
                            Found<R, WIDTH, K>& found, const Load& load, const Add& add) {
    const Seat seat(e, shares, share);
    Sums<R, K> sums[TOGETHER ? 1 : WIDTH];
    add_up<WIDTH, TOGETHER, BATCH>(seat, shares.rows, sums, load, add);
    if (TOGETHER) {
#pragma unroll
        for (int k = 0; k < K; ++k) {
            const double total = block_sum(static_cast<double>(sums[0].of[k]));
            if (threadIdx.x == 0) sums_of(step, e, shares.parts, k, seat.channel)[seat.part] = total;
        }
        return;
    }
    __syncthreads();  // the block may still be reading the last ones
#pragma unroll
    for (int w = 0; w < (TOGETHER ? 1 : WIDTH); ++w)
#pragma unroll
        for (int k = 0; k < K; ++k) found.of[w][k][threadIdx.x] = sums[w].of[k];
    __syncthreads();
    found.each_channel(shares, share, [&](Index c, Index w, Index first) {
#pragma unroll
        for (int k = 0; k < K; ++k) {
            double total = 0;
            for (Index r = 0; r < shares.rows; ++r)
                total += static_cast<double>(found.of[w][k][first + r * shares.lanes]);
            sums_of(step, e, shares.parts, k, c)[seat.part] = total;
        }
    });
}

// The first launch: `add(sums, x)` adds an element of each array, x[k] of from[k], to sums[K].
template <class T, int K, int N, class Add>
MOCHA_DEVICE void sum_parts(const Step& step, const Extent& e, const T* const (&from)[N], const Add& add) {
    typedef Real<T> R;
    constexpr int width = Pack<T>::size;
    __shared__ Found<R, width, K> found;
    __shared__ Found<R, 1, K> found_one;
    const Shares shares(e, width);
    const Adder<T, K, Add> element{add};
    const auto pack = [&](Index place) { return read_few<width>(from, place); };
    const auto one = [&](Index place) { return read_few<1>(from, place); };
    each_block(shares.groups * shares.parts, [&](Index block) {
        const Index share = shares.groups * shares.parts - 1 - block;
        if (shares.last && shares.width == width)
            sum_share<width, false, 4 / N>(step, e, shares, share, found, pack, element);
        else if (shares.last)
            sum_share<1, false, 4 / N>(step, e, shares, share, found_one, one, element);
        else if (shares.width == width)
            sum_share<width, true, 4 / N>(step, e, shares, share, found, pack, element);
        else
            sum_share<1, true, 4 / N>(step, e, shares, share, found_one, one, element);
    });
}

// The second launch: `take(c, sums)` gets the sums[K] of each channel, in one thread.
template <int K, class Take>
MOCHA_DEVICE void join_parts(const Step& step, const Extent& e, const Take& take) {
    const Index parts = parts_of(e);
    each_block(e.channels, [&](Index c) {
        double sums[K];
#pragma unroll
        for (int k = 0; k < K; ++k) {
            const double* from = sums_of(step, e, parts, k, c);
            double mine = 0;
            for (Index part = static_cast<Index>(threadIdx.x); part < parts; part += static_cast<Index>(blockDim.x))
                mine += from[part];
            sums[k] = block_sum(mine);
        }
        if (threadIdx.x == 0) take(c, sums);
    });
}

// -- mean and variance, in one pass
//
// A thread sums the distances from its first element, and their squares: so a channel of equal elements has exactly
// their mean and no spread, and what is far from 0 loses nothing. What was found of some elements is kept as their mean
// and their spread, the sum of squares of the distances from it; and where such are joined, means are taken as
// distances too.

template <class R>
MOCHA_DEVICE R finite_or_zero(R x) {
    return x - x == R(0) ? x : R(0);
}

template <class R>
struct Distances {
    R origin, sum, squares;

    MOCHA_DEVICE void add(R x) {
        const R distance = x - origin;
        sum += distance;
        squares += distance * distance;
    }
};

struct Moments {
    double mean, spread;

    // of_each: 1 over the number of elements
    template <class R>
    MOCHA_DEVICE Moments(const Distances<R>& of, double of_each) {
        const double sum = static_cast<double>(of.sum);
        mean = static_cast<double>(of.origin) + sum * of_each;
        spread = static_cast<double>(of.squares) - sum * sum * of_each;
        if (spread < 0) spread = 0;  // NaN stays
    }
    // What is added to the spread if the mean is another one.
    MOCHA_DEVICE double apart(double count, double from) const { return count * (mean - from) * (mean - from); }
};

// Leaves what was found of a part of a channel.
MOCHA_DEVICE void leave(const Step& step, const Extent& e, const Shares& s, Index c, Index part, double mean,
                        double spread) {
    sums_of(step, e, s.parts, 0, c)[part] = mean;
    sums_of(step, e, s.parts, 1, c)[part] = spread;
}

// One share of the first launch.
template <int WIDTH, bool TOGETHER, class T>
MOCHA_DEVICE void moments_share(const Step& step, const Extent& e, const Shares& shares, Index share,
                                Found<Real<T>, WIDTH, 3>& found, const T* const (&from)[1]) {
    typedef Real<T> R;
    const Seat seat(e, shares, share);
    Distances<R> mine[TOGETHER ? 1 : WIDTH] = {};
    if (seat.row < seat.end) {
        const auto first = load_few<WIDTH>(from[0] + seat.template place<!TOGETHER>(seat.size - 1 - seat.row));
#pragma unroll
        for (int w = 0; w < (TOGETHER ? 1 : WIDTH); ++w) mine[w].origin = finite_or_zero(get(first.at[w]));
    }
    add_up<WIDTH, TOGETHER, 4>(seat, shares.rows, mine, [&](Index place) { return read_few<WIDTH>(from, place); },
                               [](Distances<R>& distances, const Read<T, WIDTH, 1>& read, int w) {
                                   R x[1];
                                   read.values(w, x);
                                   distances.add(x[0]);
                               });
    // Of `size` positions each row has as many as the others, or one more.
    const Index fewer = seat.size / shares.rows, rest = seat.size % shares.rows;
    const double one = TOGETHER ? WIDTH : 1, all = one * static_cast<double>(seat.size);
    const double few = one * static_cast<double>(fewer), many = one * static_cast<double>(fewer + 1);
    const double of_few = fewer ? 1 / few : 0, of_many = 1 / many;
    if (TOGETHER) {
        __shared__ double base;
        const double count = seat.row < rest ? many : few;
        const Moments found_here(mine[0], seat.row < rest ? of_many : of_few);
        __syncthreads();  // the block may still be reading the last one
        if (threadIdx.x == 0) base = finite_or_zero(found_here.mean);
        __syncthreads();
        const double moved = block_sum(count > 0 ? count * (found_here.mean - base) : 0);
        const double mean = all > 0 ? base + moved / all : 0;
        const double spread = block_sum(count > 0 ? found_here.spread + found_here.apart(count, mean) : 0);
        if (threadIdx.x == 0) leave(step, e, shares, seat.channel, seat.part, mean, spread);
        return;
    }
    __syncthreads();  // the block may still be reading the last ones
#pragma unroll
    for (int w = 0; w < (TOGETHER ? 1 : WIDTH); ++w) {
        found.of[w][0][threadIdx.x] = mine[w].origin;
        found.of[w][1][threadIdx.x] = mine[w].sum;
        found.of[w][2][threadIdx.x] = mine[w].squares;
    }
    __syncthreads();
    found.each_channel(shares, share, [&](Index c, Index w, Index first) {
        const auto of_row = [&](Index r) {
            const Index thread = first + r * shares.lanes;
            const Distances<R> row = {found.of[w][0][thread], found.of[w][1][thread], found.of[w][2][thread]};
            return Moments(row, r < rest ? of_many : of_few);
        };
        const Index taken = least(seat.size, shares.rows);
        const double base = taken ? finite_or_zero(of_row(0).mean) : 0;
        double moved = 0, spread = 0;
        for (Index r = 0; r < taken; ++r) moved += (r < rest ? many : few) * (of_row(r).mean - base);
        const double mean = taken ? base + moved / all : 0;
        for (Index r = 0; r < taken; ++r) {
            const Moments row = of_row(r);
            spread += row.spread + row.apart(r < rest ? many : few, mean);
        }
        leave(step, e, shares, c, seat.part, mean, spread);
    });
}

// The first launch: two numbers of each part of a channel.
template <class T>
MOCHA_DEVICE void moments_of_parts(const Step& step, const Extent& e, const T* x) {
    constexpr int width = Pack<T>::size;
    __shared__ Found<Real<T>, width, 3> found;
    __shared__ Found<Real<T>, 1, 3> found_one;
    const Shares shares(e, width);
    const T* const from[1] = {x};
    each_block(shares.groups * shares.parts, [&](Index block) {
        const Index share = shares.groups * shares.parts - 1 - block;
        if (shares.last && shares.width == width)
            moments_share<width, false>(step, e, shares, share, found, from);
        else if (shares.last)
            moments_share<1, false>(step, e, shares, share, found_one, from);
        else if (shares.width == width)
            moments_share<width, true>(step, e, shares, share, found, from);
        else
            moments_share<1, true>(step, e, shares, share, found_one, from);
    });
}

// The sum of of_part(part, its elements) over the parts of a channel that have any, by all threads of a block.
template <class Of>
MOCHA_DEVICE double sum_over_parts(const Shares& shares, const Of& of_part) {
    const double one = shares.last ? 1 : shares.width;
    double mine = 0;
    for (Index p = static_cast<Index>(threadIdx.x); p < shares.parts; p += static_cast<Index>(blockDim.x)) {
        const Index size = shares.size(p);
        if (size > 0) mine += of_part(p, one * static_cast<double>(size));
    }
    return block_sum(mine);
}

// The second launch: `take(c, mean, variance)` for each channel, in one thread; both are NaN for no elements.
template <class T, class Take>
MOCHA_DEVICE void join_moments(const Step& step, const Extent& e, const Take& take) {
    const Shares shares(e, Pack<T>::size);
    const double all = static_cast<double>(e.count());
    each_block(e.channels, [&](Index c) {
        const double *means = sums_of(step, e, shares.parts, 0, c), *spreads = sums_of(step, e, shares.parts, 1, c);
        const double base = finite_or_zero(means[0]);
        const double moved = sum_over_parts(shares, [=](Index p, double count) { return count * (means[p] - base); });
        const double mean = base + moved / all;
        const double spread = sum_over_parts(shares, [=](Index p, double count) {
            const double distance = means[p] - mean;
            return spreads[p] + count * distance * distance;
        });
        if (threadIdx.x == 0) take(c, mean, spread / all);
    });
}
