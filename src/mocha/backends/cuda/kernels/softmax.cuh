// Softmax of a position, shared by the op itself and the losses that hold it; and what losses do to a probability.
#pragma once

#include "teams.cuh"

// A probability that has a logarithm and can be divided by: 1e-20 at least; NaN stays NaN.
template <class R>
MOCHA_DEVICE R at_least(R x) {
    const R low = static_cast<R>(1e-20);
    return x < low ? low : x;
}

template <class R>
struct Distribution {
    R max, total;  // of the scores; of e^(score - max)
};

// Calls emit(c, place, probability) for this thread's classes; the probabilities may be written over the scores. NaN
// and +infinity make all probabilities of a position NaN, and so does nothing but -infinity.
//
// A thread holds some scores at once. If those are all it has, they are read once; else once for maximum and total,
// which are brought up to date with each lot, and a second time for the results.
template <class T, class Emit>
MOCHA_DEVICE Distribution<Real<T>> softmax(const Team& team, const T* x, const Emit& emit) {
    typedef Real<T> R;
    constexpr int lot = 32 / sizeof(R);
    R held[lot], max = -infinity<R>(), total = 0;
    const bool all_held = team.extent <= lot * team.size;  // all threads of a block go the same way, to its barriers
    for (Index first = team.rank; first < team.classes; first += lot * team.size) {
        R higher = max;
#pragma unroll
        for (int k = 0; k < lot; ++k) {
            const Index c = first + k * team.size;
            held[k] = c < team.classes ? static_cast<R>(get(x[team.place(c)])) : -infinity<R>();
            higher = Larger<R>{}(held[k], higher);
        }
        if (!all_held && higher != -infinity<R>()) {
            total *= exp(max - higher);
#pragma unroll
            for (int k = 0; k < lot; ++k) total += exp(held[k] - higher);
        }
        max = higher;
    }
    const R own = max;
    max = team.max(own);
    if (all_held) {
#pragma unroll
        for (int k = 0; k < lot; ++k) {
            if (team.rank + k * team.size >= team.classes) break;
            total += held[k] = exp(held[k] - max);
        }
        total = team.sum(total);
        const R factor = R(1) / total;
#pragma unroll
        for (int k = 0; k < lot; ++k) {
            const Index c = team.rank + k * team.size;
            if (c >= team.classes) break;
            emit(c, team.place(c), held[k] * factor);
        }
    } else {
        total = team.sum(own == -infinity<R>() ? R(0) : total * exp(own - max));
        const R factor = R(1) / total;
        team.each_class([&](Index c, Index place) { emit(c, place, exp(get(x[place]) - max) * factor); });
    }
    return {max, total};
}
