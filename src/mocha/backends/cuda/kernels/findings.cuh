// What the threads of a launch find out about an array: a sum, and how many elements count.
//
// A call is one launch of a single block, `<name>_parts`, or of many; then each block leaves what it found in scratch
// memory and a second launch, `<name>`, of one block, joins that. launches/findings.py plans them.
#pragma once

#include "map.cuh"
#include "sums.cuh"

struct Found {
    double total, counted;
};

// The findings of all threads of a block, in all of them. All must come.
MOCHA_DEVICE Found found_by_block(Found mine) { return {block_sum(mine.total), block_sum(mine.counted)}; }

// The first launch's end: finish(all) is called by one thread if there is a single block.
template <class Finish>
MOCHA_DEVICE void leave(const Step& step, Found mine, const Finish& finish) {
    const Found all = found_by_block(mine);
    if (threadIdx.x != 0) return;
    if (gridDim.x == 1) return finish(all);
    Found* parts = reinterpret_cast<Found*>(step.scratch);
    if (blockIdx.x == 0) parts[0].counted = gridDim.x;
    parts[1 + blockIdx.x] = all;
}

// The second launch.
template <class Finish>
MOCHA_DEVICE void join_left(const Step& step, const Finish& finish) {
    const Found* parts = reinterpret_cast<const Found*>(step.scratch);
    const Index blocks = static_cast<Index>(parts[0].counted);
    Found mine{0, 0};
    for (Index b = static_cast<Index>(threadIdx.x); b < blocks; b += static_cast<Index>(blockDim.x)) {
        mine.total += parts[1 + b].total;
        mine.counted += parts[1 + b].counted;
    }
    const Found all = found_by_block(mine);
    if (threadIdx.x == 0) finish(all);
}

// A number of examples, or of what else a sum is divided by: 1 at least.
MOCHA_DEVICE double divisor_of(int64_t count) { return static_cast<double>(count > 1 ? count : 1); }

// -- positions that count

constexpr Index counted_by_each = 1024;  // positions that each block counts for itself; as in launches/findings.py

// How many of n positions are not left out, as far as this thread looks at them.
template <class LeftOut>
MOCHA_DEVICE double count(int64_t begin, Index n, int64_t stride, const LeftOut& is_left_out) {
    Index counted = 0;
    for (int64_t i = begin; i < n; i += stride) counted += !is_left_out(static_cast<Index>(i));
    return counted;
}

// A first launch that does nothing but count.
template <class LeftOut>
MOCHA_DEVICE void count_parts(const Step& step, Index n, const LeftOut& is_left_out) {
    const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
    const double mine = block_sum(count(first, n, stride, is_left_out));
    double* parts = reinterpret_cast<double*>(step.scratch);
    if (blockIdx.x == 0 && threadIdx.x == 0) parts[0] = gridDim.x;
    if (threadIdx.x == 0) parts[1 + blockIdx.x] = mine;
}

// What a sum over n positions is divided by: the number given, or, if that is 0, how many are not left out, 1 at least.
// If there are many of them, the launch before has counted. All threads of the block must come.
template <class LeftOut>
MOCHA_DEVICE double divisor(const Step& step, int64_t given, Index n, const LeftOut& is_left_out) {
    if (given) return static_cast<double>(given);
    double counted = 0;
    if (n <= counted_by_each) {
        counted = count(threadIdx.x, n, blockDim.x, is_left_out);
    } else {
        const double* parts = reinterpret_cast<const double*>(step.scratch);
        const Index blocks = static_cast<Index>(parts[0]);
        for (Index b = static_cast<Index>(threadIdx.x); b < blocks; b += static_cast<Index>(blockDim.x))
            counted += parts[1 + b];
    }
    counted = block_sum(counted);
    return counted > 1 ? counted : 1;
}

// The same where a launch has found it out with its sum.
MOCHA_DEVICE double divisor(int64_t given, Found all) {
    return given ? static_cast<double>(given) : all.counted > 1 ? all.counted : 1;
}

// -- pairs of elements

// The sum of term(a[i], b[i]) over this thread's part of n. Terms are added in their own type as many as are read at
// once, and these sums in double.
template <class T, class Term>
MOCHA_DEVICE double sum_of_pairs(Index n, const T* a, const T* b, const Term& term) {
    constexpr int size = Pack<T>::size;
    const Index packs = n / size;
    double total = 0;
    each(packs, [&](Index p) {
        const Pack<T> one = load_pack(a, p), two = load_pack(b, p);
        auto some = term(get(one.at[0]), get(two.at[0]));
#pragma unroll
        for (int k = 1; k < size; ++k) some += term(get(one.at[k]), get(two.at[k]));
        total += static_cast<double>(some);
    });
    each(n - packs * size, [&](Index rest) {
        const Index i = packs * size + rest;
        total += static_cast<double>(term(get(a[i]), get(b[i])));
    });
    return total;
}

// Both gradients, those that are wanted: da[i] = by_a(a[i], b[i]) and db[i] = by_b(a[i], b[i]) for i < n.
template <class T, class A, class B>
MOCHA_DEVICE void map_pairs(Index n, const T* a, const T* b, T* da, T* db, const A& by_a, const B& by_b) {
    constexpr int size = Pack<T>::size;
    const Index packs = n / size;
    each(packs, [&](Index p) {
        const Pack<T> one = load_pack(a, p), two = load_pack(b, p);
        Pack<T> result;
        if (da) {
#pragma unroll
            for (int k = 0; k < size; ++k) result.at[k] = put<T>(by_a(get(one.at[k]), get(two.at[k])));
            reinterpret_cast<Pack<T>*>(da)[p] = result;
        }
        if (db) {
#pragma unroll
            for (int k = 0; k < size; ++k) result.at[k] = put<T>(by_b(get(one.at[k]), get(two.at[k])));
            reinterpret_cast<Pack<T>*>(db)[p] = result;
        }
    });
    each(n - packs * size, [&](Index rest) {
        const Index i = packs * size + rest;
        const Real<T> x = get(a[i]), y = get(b[i]);
        if (da) da[i] = put<T>(by_a(x, y));
        if (db) db[i] = put<T>(by_b(x, y));
    });
}
