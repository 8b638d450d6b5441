// Vectors of the widest kind that the translation unit was compiled for. Each kernel file is compiled once per
// instruction set, inside the namespace MOCHA_ISA, so that the copies never meet.
//
// The arithmetic is written with the vector extensions of GCC and Clang: a * b + c becomes a fused multiply-add where
// the machine has one, and plain code elsewhere.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#define MOCHA_ISA avx512
#define MOCHA_VECTOR_BYTES 64
#define MOCHA_REGISTERS 32
#elif defined(__AVX2__)
#include <immintrin.h>
#define MOCHA_ISA avx2
#define MOCHA_VECTOR_BYTES 32
#define MOCHA_REGISTERS 16
#else
#define MOCHA_ISA portable
#define MOCHA_VECTOR_BYTES 16
#define MOCHA_REGISTERS 16
#endif

#define MOCHA_INLINE inline __attribute__((always_inline))

namespace mocha::MOCHA_ISA {

template <class T>
struct VectorOf {
    typedef T type __attribute__((vector_size(MOCHA_VECTOR_BYTES)));
    typedef T anywhere __attribute__((vector_size(MOCHA_VECTOR_BYTES), aligned(sizeof(T)), may_alias));
};

// A vector of T.
template <class T>
using Vec = typename VectorOf<T>::type;

// A vector of T at any address that suits a T: for loads and stores only. Clang forgets that it is not aligned where
// it is a variable that is passed by reference.
template <class T>
using VecAnywhere = typename VectorOf<T>::anywhere;

// Elements of T in a vector.
template <class T>
constexpr int64_t lanes = MOCHA_VECTOR_BYTES / static_cast<int64_t>(sizeof(T));

template <class T>
MOCHA_INLINE Vec<T> load(const T* p) {
    return *reinterpret_cast<const VecAnywhere<T>*>(p);
}

template <class T>
MOCHA_INLINE void store(T* p, Vec<T> v) {
    *reinterpret_cast<VecAnywhere<T>*>(p) = v;
}

template <class T>
MOCHA_INLINE Vec<T> splat(T x) {
    return x - Vec<T>{};
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// The mask of the first n lanes is the eight words from mask_words + 8 - n on (for double, four pairs of words).
alignas(64) constexpr int32_t mask_words[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

template <class T>
MOCHA_INLINE __m256i first_mask(int64_t n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(mask_words + 8 - n * static_cast<int64_t>(sizeof(T) / 4)));
}
#endif

// The first n lanes, 0 <= n <= lanes; the others are 0. Touches no memory beyond them.
template <class T>
MOCHA_INLINE Vec<T> load_first(const T* p, int64_t n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
    else
        return (Vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p);
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm256_maskload_ps(p, first_mask<T>(n));
    else
        return (Vec<T>)_mm256_maskload_pd(p, first_mask<T>(n));
#else
    Vec<T> v{};
    std::memcpy(&v, p, static_cast<size_t>(n) * sizeof(T));
    return v;
#endif
}

template <class T>
MOCHA_INLINE void store_first(T* p, Vec<T> v, int64_t n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
    else
        _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), (__m512d)v);
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4)
        _mm256_maskstore_ps(p, first_mask<T>(n), (__m256)v);
    else
        _mm256_maskstore_pd(p, first_mask<T>(n), (__m256d)v);
#else
    std::memcpy(p, &v, static_cast<size_t>(n) * sizeof(T));
#endif
}

// The lanes added up, in a fixed order: the upper half onto the lower, down to one.
template <class T, class V>
MOCHA_INLINE T sum_halves(V v) {
    constexpr int n = sizeof(V) / sizeof(T);
    if constexpr (n == 16)
        return sum_halves<T>(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                             __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
    else if constexpr (n == 8)
        return sum_halves<T>(__builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7));
    else if constexpr (n == 4)
        return sum_halves<T>(__builtin_shufflevector(v, v, 0, 1) + __builtin_shufflevector(v, v, 2, 3));
    else
        return v[0] + v[1];
}

template <class T>
MOCHA_INLINE T sum(Vec<T> v) {
    return sum_halves<T>(v);
}

}  // namespace mocha::MOCHA_ISA
