// Sums over arrays, in an order that depends on their extents alone. Long sums are made of sums of some elements each,
// so that they round less.
#pragma once

#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {

// As many elements of T as a vector of double has lanes, as double.
typedef float HalfVec __attribute__((vector_size(MOCHA_VECTOR_BYTES / 2), aligned(4), may_alias));

MOCHA_INLINE Vec<double> widened(const float* p) {
    return __builtin_convertvector(*reinterpret_cast<const HalfVec*>(p), Vec<double>);
}
MOCHA_INLINE Vec<double> widened(const double* p) { return load(p); }

MOCHA_INLINE void store_narrowed(float* p, Vec<double> v) {
    *reinterpret_cast<HalfVec*>(p) = __builtin_convertvector(v, HalfVec);
}

// A sum in double of numbers that come in vectors of T.
template <class T>
struct WideSum {
    Vec<double> total{};

    MOCHA_INLINE void add(Vec<T> v) {
        T part[lanes<T>];
        store(part, v);
        for (int64_t k = 0; k < lanes<T>; k += lanes<double>) total += widened(part + k);
    }
    MOCHA_INLINE double value() const { return sum<double>(total); }
};

// The sum of (a - b)^2, or of a^2 without b, over n elements: differences in T, the sum in double.
template <class T>
MOCHA_INLINE double sum_of_squares(const T* a, const T* b, int64_t n) {
    constexpr int64_t step = 4 * lanes<double>;
    Vec<double> total[4] = {};
    int64_t i = 0;
    for (; i + step <= n; i += step) {
        T d[step];
        if (b)
            for (int64_t k = 0; k < step; ++k) d[k] = a[i + k] - b[i + k];
        for (int k = 0; k < 4; ++k) {
            const Vec<double> v = widened((b ? d : a + i) + k * lanes<double>);
            total[k] += v * v;
        }
    }
    double rest = 0;
    for (; i < n; ++i) {
        const double d = static_cast<double>(b ? a[i] - b[i] : a[i]);
        rest += d * d;
    }
    return sum<double>((total[0] + total[1]) + (total[2] + total[3])) + rest;
}

// What is summed: the elements, or their squares.
struct Plain {
    template <class T>
    MOCHA_INLINE Vec<T> of(Vec<T> x) const { return x; }
};

struct Squared {
    template <class T>
    MOCHA_INLINE Vec<T> of(Vec<T> x) const { return x * x; }
};

// The sum of f over n neighbours.
template <class T, class F>
MOCHA_INLINE T sum_row(const T* x, int64_t n, F f) {
    constexpr int64_t some_elements = 4096;
    T result = 0;
    for (int64_t begin = 0; begin < n; begin += some_elements) {
        const int64_t end = least(begin + some_elements, n);
        Vec<T> total[4] = {};
        int64_t i = begin;
        for (; i + 4 * lanes<T> <= end; i += 4 * lanes<T>)
            for (int k = 0; k < 4; ++k) total[k] += f.template of<T>(load(x + i + k * lanes<T>));
        by_vectors<T>(i, end, [&](int64_t at, auto some) { total[0] += f.template of<T>(some.load(x + at)); });
        result += sum<T>((total[0] + total[1]) + (total[2] + total[3]));
    }
    return result;
}

// y[c] += the sum of f over column c of x, which has rows `pitch` elements apart.
template <class T, class F>
MOCHA_INLINE void add_rows(const T* x, int64_t rows, int64_t columns, int64_t pitch, T* y, F f) {
    constexpr int64_t some_rows = 256;
    for (int64_t r = 0; r < rows; r += some_rows) {
        const int64_t last = least(r + some_rows, rows);
        int64_t c = 0;
        for (; c + 4 * lanes<T> <= columns; c += 4 * lanes<T>) {
            Vec<T> total[4] = {};
            for (int64_t i = r; i < last; ++i)
                for (int k = 0; k < 4; ++k) total[k] += f.template of<T>(load(x + i * pitch + c + k * lanes<T>));
            for (int k = 0; k < 4; ++k) store(y + c + k * lanes<T>, load(y + c + k * lanes<T>) + total[k]);
        }
        by_vectors<T>(c, columns, [&](int64_t at, auto some) {
            Vec<T> even{}, odd{};
            int64_t i = r;
            for (; i + 1 < last; i += 2) {
                even += f.template of<T>(some.load(x + i * pitch + at));
                odd += f.template of<T>(some.load(x + (i + 1) * pitch + at));
            }
            if (i < last) even += f.template of<T>(some.load(x + i * pitch + at));
            some.store(y + at, some.load(y + at) + (even + odd));
        });
    }
}

}  // namespace mocha::MOCHA_ISA
