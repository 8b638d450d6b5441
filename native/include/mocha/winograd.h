// The one-dimensional transforms of Winograd's minimal filtering on six points: a filter of r taps gives m = 7 - r
// outputs of six inputs by six products, where the plain sum takes m r. (S. Winograd, "Arithmetic Complexity of
// Computations", 1980; Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.)
//
//   outputs = collect( evaluate(filter) scaled  *  differences(inputs) )
//
// which is polynomial multiplication by values at the points 0, a, -a, b, -b and infinity, transposed. The points are
// chosen for small rounding errors (a b near 1, both far from each other and from 0), and are exact in binary: with
// 5/8 and 3/2 a single-precision result is about twice as far from the truth as the plain sum's for r = 3 and m = 4,
// and one and a half times for r = 5 and m = 2; the often seen 1 and 2 make that five and three times.
#pragma once

#include "mocha/simd.h"

namespace mocha::MOCHA_ISA {

constexpr int winograd_points = 6;

namespace winograd {

constexpr double a = 0.625, b = 1.5, a2 = a * a, b2 = b * b;

// What a filter's value at each point is multiplied by: one over the product of the distances to the other points.
constexpr double scale_zero = 1 / (a2 * b2), scale_a = 1 / (2 * a2 * (a2 - b2)), scale_b = 1 / (2 * b2 * (b2 - a2));

template <class T>
MOCHA_INLINE Vec<T> scaled(Vec<T> x, double by) {
    return x * splat(static_cast<T>(by));
}

// Six inputs to six values: the coefficients of the products of all (x - point) but one.
template <class T>
MOCHA_INLINE void differences(const Vec<T> (&d)[6], Vec<T> (&to)[6]) {
    const Vec<T> even_a = d[4] - scaled<T>(d[2], b2), odd_a = d[3] - scaled<T>(d[1], b2);
    const Vec<T> even_b = d[4] - scaled<T>(d[2], a2), odd_b = d[3] - scaled<T>(d[1], a2);
    to[0] = scaled<T>(d[0], a2 * b2) - scaled<T>(d[2], a2 + b2) + d[4];
    to[1] = even_a + scaled<T>(odd_a, a);
    to[2] = even_a - scaled<T>(odd_a, a);
    to[3] = even_b + scaled<T>(odd_b, b);
    to[4] = even_b - scaled<T>(odd_b, b);
    to[5] = scaled<T>(d[1], a2 * b2) - scaled<T>(d[3], a2 + b2) + d[5];
}

// The values of a polynomial of n coefficients, 2 to 5, at the six points.
template <class T, int n>
MOCHA_INLINE void evaluate(const Vec<T> (&c)[n], Vec<T> (&to)[6]) {
    Vec<T> even_a = c[0], even_b = c[0], odd_a = c[1], odd_b = c[1];
    if constexpr (n > 2) even_a += scaled<T>(c[2], a2), even_b += scaled<T>(c[2], b2);
    if constexpr (n > 3) odd_a += scaled<T>(c[3], a2), odd_b += scaled<T>(c[3], b2);
    if constexpr (n > 4) even_a += scaled<T>(c[4], a2 * a2), even_b += scaled<T>(c[4], b2 * b2);
    to[0] = c[0];
    to[1] = even_a + scaled<T>(odd_a, a);
    to[2] = even_a - scaled<T>(odd_a, a);
    to[3] = even_b + scaled<T>(odd_b, b);
    to[4] = even_b - scaled<T>(odd_b, b);
    to[5] = c[n - 1];
}

// The transpose of `evaluate`: six values to n.
template <class T, int n>
MOCHA_INLINE void collect(const Vec<T> (&v)[6], Vec<T> (&to)[n]) {
    const Vec<T> even_a = v[1] + v[2], even_b = v[3] + v[4];
    const Vec<T> odd_a = scaled<T>(v[1] - v[2], a), odd_b = scaled<T>(v[3] - v[4], b);
    to[0] = v[0] + even_a + even_b;
    to[1] = odd_a + odd_b;
    if constexpr (n > 2) to[2] = scaled<T>(even_a, a2) + scaled<T>(even_b, b2);
    if constexpr (n > 3) to[3] = scaled<T>(odd_a, a2) + scaled<T>(odd_b, b2);
    if constexpr (n > 4) to[4] = scaled<T>(even_a, a2 * a2) + scaled<T>(even_b, b2 * b2);
    to[n - 1] += v[5];
}

// The scale of each point's value.
template <class T>
MOCHA_INLINE void rescale(Vec<T> (&v)[6]) {
    v[0] = scaled<T>(v[0], scale_zero);
    v[1] = scaled<T>(v[1], scale_a);
    v[2] = scaled<T>(v[2], scale_a);
    v[3] = scaled<T>(v[3], scale_b);
    v[4] = scaled<T>(v[4], scale_b);
}

}  // namespace winograd

}  // namespace mocha::MOCHA_ISA
