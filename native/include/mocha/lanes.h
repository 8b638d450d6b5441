// What the kernels that are no matrix products share: walks over arrays in vectors, choices lane by lane, and bytes
// beside lanes.
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

// Bytes beside the lanes of a vector of T, as whole numbers.
template <class T>
MOCHA_INLINE IntVec<T> load_bytes(const uint8_t* p, Whole<T>) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (IntVec<T>)_mm512_maskz_cvtepu8_epi32(0xffff, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    else
        return (IntVec<T>)_mm512_maskz_cvtepu8_epi64(0xff, _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4) {
        return (IntVec<T>)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    } else {
        int32_t four;
        std::memcpy(&four, p, sizeof(four));
        return (IntVec<T>)_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
    }
#else
    IntVec<T> v{};
    for (int i = 0; i < lanes<T>; ++i) v[i] = p[i];
    return v;
#endif
}

template <class T>
MOCHA_INLINE IntVec<T> load_bytes(const uint8_t* p, Part<T> some) {
    IntVec<T> v{};
    for (int64_t i = 0; i < some.n; ++i) v[i] = p[i];
    return v;
}

// The low byte of each lane.
template <class T>
MOCHA_INLINE void store_bytes(uint8_t* p, IntVec<T> v, Whole<T>) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_cvtepi32_storeu_epi8(p, 0xffff, (__m512i)v);
    else
        _mm512_mask_cvtepi64_storeu_epi8(p, 0xff, (__m512i)v);
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4) {
        const __m256i low = _mm256_set1_epi32(0x0c080400), fours = _mm256_shuffle_epi8((__m256i)v, low);
        const __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), both);
    } else {
        for (int i = 0; i < lanes<T>; ++i) p[i] = static_cast<uint8_t>(v[i]);
    }
#else
    for (int i = 0; i < lanes<T>; ++i) p[i] = static_cast<uint8_t>(v[i]);
#endif
}

template <class T>
MOCHA_INLINE void store_bytes(uint8_t* p, IntVec<T> v, Part<T> some) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_cvtepi32_storeu_epi8(p, static_cast<__mmask16>((1u << some.n) - 1), (__m512i)v);
    else
        _mm512_mask_cvtepi64_storeu_epi8(p, static_cast<__mmask8>((1u << some.n) - 1), (__m512i)v);
#else
    for (int64_t i = 0; i < some.n; ++i) p[i] = static_cast<uint8_t>(v[i]);
#endif
}

}  // namespace mocha::MOCHA_ISA
