// Class numbers: the places of the largest elements along an axis, and the way back.
#define MOCHA_MOST_THREADS 1024
#include "labels.cuh"
#include "teams.cuh"

// ints = {outer, extent >= 1, inner}, in = {x}, out = {places (outer, inner)}. Of equal elements the first counts; the
// first NaN counts as the largest.
template <class T>
__device__ void argmax(const Step& step) {
    const T* x = step.in<T>(0);
    T* places = step.out<T>(0);
    each_position(step, [&](const Team& team) {
        const Index winner = class_of_largest(team, x);
        if (team.leads) places[team.position] = static_cast<T>(winner);
    });
}

// Whether element x at place p comes before element y at place q: it is larger, or NaN and the other is none; of equal
// ones that with the larger place comes first.
template <class T>
MOCHA_DEVICE bool before(T x, Index p, T y, Index q) {
    if (x > y || x < y) return x > y;
    const bool x_nan = x != x, y_nan = y != y;
    return x_nan == y_nan ? p > q : x_nan;
}

// ints = {outer, extent, inner, k}, 1 <= k <= extent, in = {x}, out = {y, places}, both (outer, k, inner).
// For few: a team looks k times for the first of those that come after the last one found.
template <class T>
__device__ void top_k_forward(const Step& step) {
    const Index k = step.at(3), inner = step.at(2);
    const T* x = step.in<T>(0);
    T *y = step.out<T>(0), *places = step.out<T>(1);
    each_position(step, [&](const Team& team) {
        const Index to = team.position / inner * (k * inner) + team.position % inner;
        constexpr Index none = -1;
        T last = 0;
        Index last_place = none;
        for (Index n = 0; n < k; ++n) {
            T best = -infinity<T>();
            Index best_place = none;
            team.each_class([&](Index c, Index place) {
                const T value = x[place];
                const bool is_left = last_place == none || before(last, last_place, value, c);
                if (is_left && (best_place == none || before(value, c, best, best_place))) {
                    best = value;
                    best_place = c;
                }
            });
            last = team.max(best);
            const bool is_last = best == last || (best != best && last != last);
            last_place = team.joined(is_last ? best_place : none, none, Greater<Index>{});
            if (team.leads) {
                y[to + n * inner] = last;
                places[to + n * inner] = static_cast<T>(last_place);
            }
        }
    });
}

// For many: each thread counts how many elements come before its own.
template <class T>
__device__ void top_k_forward_ranks(const Step& step) {
    constexpr Index at_once = 8;
    const Index extent = step.at(1), inner = step.at(2), k = step.at(3);
    const T* x = step.in<T>(0);
    T *y = step.out<T>(0), *places = step.out<T>(1);
    each(step.at(0) * extent * inner, [&](Index i) {
        const Index c = i / inner % extent, o = i / inner / extent;
        const T own = x[i];
        const T* other = x + i - c * inner;
        Index rank = 0, d = 0;
        for (; d + at_once <= extent && rank < k; d += at_once)
#pragma unroll
            for (Index e = 0; e < at_once; ++e) rank += before(other[(d + e) * inner], d + e, own, c);
        for (; d < extent && rank < k; ++d) rank += before(other[d * inner], d, own, c);
        if (rank >= k) return;
        const Index to = (o * k + rank) * inner + i % inner;
        y[to] = own;
        places[to] = static_cast<T>(c);
    });
}

// ints as in `top_k_forward`, in = {places, dy}, out = {dx}. The first launch clears dx.
template <class T>
__device__ void top_k_backward_parts(const Step& step) {
    T* dx = step.out<T>(0);
    each(step.at(0) * step.at(1) * step.at(2), [&](Index i) { dx[i] = 0; });
}

template <class T>
__device__ void top_k_backward(const Step& step) {
    const Index extent = step.at(1), inner = step.at(2), k = step.at(3);
    const T *places = step.in<T>(0), *dy = step.in<T>(1);
    T* dx = step.out<T>(0);
    each(step.at(0) * k * inner, [&](Index i) {
        const Index c = class_of_number(places[i], extent);
        if (c < 0) return step.refuse();
        dx[(i / (k * inner) * extent + c) * inner + i % inner] = dy[i];
    });
}

// ints = {outer, classes, inner}, in = {x (outer, inner)}, out = {y}
template <class T>
__device__ void one_hot(const Step& step) {
    const Index classes = step.at(1), inner = step.at(2);
    const T* numbers = step.in<T>(0);
    T* y = step.out<T>(0);
    each(step.at(0) * classes * inner, [&](Index i) {
        const Index c = i / inner % classes;
        const Index number = class_of_number(numbers[i / inner / classes * inner + i % inner], classes);
        if (number == no_class && c == 0) step.refuse();
        y[i] = number == c ? T(1) : T(0);
    });
}

MOCHA_PRECISE_KERNEL(argmax)
MOCHA_PRECISE_KERNEL(top_k_forward)
MOCHA_PRECISE_KERNEL(top_k_forward_ranks)
MOCHA_PRECISE_KERNEL(top_k_backward_parts)
MOCHA_PRECISE_KERNEL(top_k_backward)
MOCHA_PRECISE_KERNEL(one_hot)
