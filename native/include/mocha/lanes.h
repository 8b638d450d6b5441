// What the kernels that are no matrix products share: walks over arrays in vectors, choices lane by lane, wide sums.
#pragma once

#include <cstdint>
#include <cstring>

#include "mocha/kernel.h"
#include "mocha/simd.h"

namespace mocha::MOCHA_ISA {

template <class T>
MOCHA_INLINE const T* input(const Step& step, int64_t i) {
    return static_cast<const T*>(step.in[i]);
}

template <class T>
MOCHA_INLINE T* output(const Step& step, int64_t i) {
    return static_cast<T*>(step.out[i]);
}

// Whole numbers as wide as a T, and a vector of them: bits, masks, indices.
template <class T>
struct IntOf;
template <>
struct IntOf<float> {
    using type = int32_t;
    using bits = uint32_t;
};
template <>
struct IntOf<double> {
    using type = int64_t;
    using bits = uint64_t;
};
template <class T>
using Int = typename IntOf<T>::type;

template <class T>
struct IntVectorOf {
    typedef Int<T> type __attribute__((vector_size(MOCHA_VECTOR_BYTES)));
    typedef typename IntOf<T>::bits bits __attribute__((vector_size(MOCHA_VECTOR_BYTES)));
};
template <class T>
using IntVec = typename IntVectorOf<T>::type;
template <class T>
using BitVec = typename IntVectorOf<T>::bits;

// W for each lane of a vector of T: what the winners of a pooling are stored as.
template <class T, class W>
struct NarrowVectorOf {
    typedef W type __attribute__((vector_size(lanes<T> * static_cast<int64_t>(sizeof(W)))));
};

template <class T>
MOCHA_INLINE IntVec<T> splat_int(int64_t x) {
    return IntVec<T>{} + static_cast<Int<T>>(x);
}

template <class T, class M>
MOCHA_INLINE Vec<T> select(M mask, Vec<T> yes, Vec<T> no) {
    return mask ? yes : no;
}

// All bits set in the lanes from `begin` on and before `end`, none in the others.
template <class T>
MOCHA_INLINE IntVec<T> lanes_between(int64_t begin, int64_t end) {
    IntVec<T> index{};
    for (int i = 0; i < lanes<T>; ++i) index[i] = i;
    return (IntVec<T>)(index >= splat_int<T>(begin)) & (IntVec<T>)(index < splat_int<T>(end));
}

// The larger one, lane by lane; that of `b` where `a` is NaN.
template <class T>
MOCHA_INLINE Vec<T> larger(Vec<T> a, Vec<T> b) {
    return a > b ? a : b;
}

template <class T>
MOCHA_INLINE T largest(Vec<T> v) {
    T part[lanes<T>];
    std::memcpy(part, &v, sizeof(part));
    for (int64_t half = lanes<T> / 2; half; half /= 2)
        for (int64_t i = 0; i < half; ++i) part[i] = part[i] > part[i + half] ? part[i] : part[i + half];
    return part[0];
}

// -1, 0 or 1, and NaN for NaN.
template <class T>
MOCHA_INLINE Vec<T> sign(Vec<T> x) {
    return x > Vec<T>{} ? splat(T(1)) : (x < Vec<T>{} ? splat(T(-1)) : x);
}

// A product that the compiler must round before it is added to anything.
template <class T>
MOCHA_INLINE Vec<T> rounded(Vec<T> x) {
#if defined(__AVX512F__)
    asm("" : "+v"(x));
#elif defined(__x86_64__)
    asm("" : "+x"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#else
    asm("" : "+m"(x));
#endif
    return x;
}

// How a stretch of an array is read and written: a whole vector, or the first n elements of one.
template <class T>
struct Whole {
    static constexpr int64_t n = lanes<T>;
    MOCHA_INLINE Vec<T> load(const T* p) const { return mocha::MOCHA_ISA::load(p); }
    MOCHA_INLINE Vec<T> load_or(const T* p, T) const { return mocha::MOCHA_ISA::load(p); }
    MOCHA_INLINE void store(T* p, Vec<T> v) const { mocha::MOCHA_ISA::store(p, v); }
    MOCHA_INLINE Vec<T> only(Vec<T> v) const { return v; }
};

template <class T>
struct Part {
    int64_t n;
    MOCHA_INLINE Vec<T> load(const T* p) const { return load_first(p, n); }
    // The lanes without an element hold `rest`.
    MOCHA_INLINE Vec<T> load_or(const T* p, T rest) const {
        return select<T>(lanes_between<T>(0, n), load_first(p, n), splat(rest));
    }
    MOCHA_INLINE void store(T* p, Vec<T> v) const { store_first(p, v, n); }
    // 0 in the lanes without an element.
    MOCHA_INLINE Vec<T> only(Vec<T> v) const { return select<T>(lanes_between<T>(0, n), v, Vec<T>{}); }
};

// Calls body(i, stretch) for [begin, end) in vectors, the last of them perhaps a part of one.
template <class T, class Body>
MOCHA_INLINE void by_vectors(int64_t begin, int64_t end, const Body& body) {
    int64_t i = begin;
    for (; i + lanes<T> <= end; i += lanes<T>) body(i, Whole<T>{});
    if (i < end) body(i, Part<T>{end - i});
}

// As many elements of T as a vector of double has lanes, as double.
typedef float HalfVec __attribute__((vector_size(MOCHA_VECTOR_BYTES / 2), aligned(4), may_alias));

MOCHA_INLINE Vec<double> widened(const float* p) {
    return __builtin_convertvector(*reinterpret_cast<const HalfVec*>(p), Vec<double>);
}
MOCHA_INLINE Vec<double> widened(const double* p) { return load(p); }

MOCHA_INLINE void store_narrowed(float* p, Vec<double> v) {
    *reinterpret_cast<HalfVec*>(p) = __builtin_convertvector(v, HalfVec);
}

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

}  // namespace mocha::MOCHA_ISA
