// Softmax along one axis of (outer, classes, inner), shared by the op itself and the losses that hold it; and what
// losses do to a probability.
#pragma once

#include "mocha/parallel.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {

// A probability that has a logarithm and can be divided by: 1e-20 at least; NaN stays NaN.
template <class T>
MOCHA_INLINE Vec<T> at_least(Vec<T> x) {
    const Vec<T> low = splat(T(1e-20));
    return x < low ? low : x;
}

// y = e^(x - max) / total over n classes that are neighbours; y may be x. NaN and +infinity make every y NaN.
template <class T>
MOCHA_INLINE void softmax_row(const T* x, T* y, int64_t n, T& max, T& total) {
    Vec<T> top = splat(T(-__builtin_inf()));
    by_vectors<T>(0, n, [&](int64_t i, auto some) { top = larger<T>(some.load_or(x + i, T(-__builtin_inf())), top); });
    max = largest<T>(top);
    Vec<T> sums{};
    by_vectors<T>(0, n, [&](int64_t i, auto some) {
        const Vec<T> e = vexp<T>(some.load(x + i) - max);
        sums += some.only(e);
        some.store(y + i, e);
    });
    total = sum<T>(sums);
    by_vectors<T>(0, n, [&](int64_t i, auto some) { some.store(y + i, some.load(y + i) / total); });
}

// The same for a vector of positions that are neighbours, or the first of them; their classes are `stride` apart.
template <class T, class Some>
MOCHA_INLINE void softmax_columns(const T* x, T* y, int64_t n, int64_t stride, Some some, Vec<T>& max, Vec<T>& total) {
    max = some.load(x);
    for (int64_t c = 1; c < n; ++c) max = larger<T>(some.load(x + c * stride), max);
    total = Vec<T>{};
    for (int64_t c = 0; c < n; ++c) {
        const Vec<T> e = vexp<T>(some.load(x + c * stride) - max);
        total += e;
        some.store(y + c * stride, e);
    }
    for (int64_t c = 0; c < n; ++c) some.store(y + c * stride, some.load(y + c * stride) / total);
}

// Calls body(outer index, first inner position, stretch) for the vectors of positions numbered [begin, end). There are
// ceil(inner / lanes) to each outer index.
template <class T, class Body>
MOCHA_INLINE void by_columns(int64_t begin, int64_t end, int64_t inner, const Body& body) {
    const int64_t blocks = ceil_div(inner, lanes<T>);
    for (int64_t b = begin; b < end; ++b) {
        const int64_t o = b / blocks, i = b % blocks * lanes<T>;
        if (i + lanes<T> <= inner)
            body(o, i, Whole<T>{});
        else
            body(o, i, Part<T>{inner - i});
    }
}

}  // namespace mocha::MOCHA_ISA
