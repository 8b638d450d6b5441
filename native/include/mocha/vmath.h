// Exponential, logarithm, hyperbolic tangent and powers of vectors, with the limits of the C library: overflow gives
// infinity, underflow passes through the subnormal numbers to 0, NaN stays NaN.
//
// Accuracy: 1.3 units of the last place; 4 for float powers of -3/4 and -7/4.
#pragma once

#include "mocha/sums.h"

namespace mocha::MOCHA_ISA {

template <class T>
struct Format;  // of a floating-point number

template <>
struct Format<float> {
    static constexpr int mantissa = 23;
    static constexpr int32_t bias = 127, one = 0x3f800000, half_root = 0x3f3504f3;
    static constexpr float shift = 8388608.f;  // 2^mantissa
    static constexpr float least_normal = 1.17549435e-38f;
    static constexpr float exp_low = -105.f, exp_high = 89.f;
    static constexpr float exp_hi = 0.693359375f, exp_lo = -2.12194440e-4f;
    static constexpr float log_hi = 6.9313812256e-01f, log_lo = 9.0580006145e-06f;
};

template <>
struct Format<double> {
    static constexpr int mantissa = 52;
    static constexpr int64_t bias = 1023, one = 0x3ff0000000000000, half_root = 0x3fe6a09e00000000;
    static constexpr double shift = 4503599627370496.;
    static constexpr double least_normal = 2.2250738585072014e-308;
    static constexpr double exp_low = -746., exp_high = 710.;
    static constexpr double exp_hi = 6.93145751953125e-1, exp_lo = 1.42860682030941723212e-6;
    static constexpr double log_hi = 6.93147180369123816490e-01, log_lo = 1.90821492927058770002e-10;
};

// The polynomial with these coefficients, that of the highest power first.
template <class T, int N>
MOCHA_INLINE Vec<T> polynomial(Vec<T> x, const T (&coefficients)[N]) {
    Vec<T> y = splat(coefficients[0]);
#pragma GCC unroll 16
    for (int i = 1; i < N; ++i) y = y * x + splat(coefficients[i]);
    return y;
}

// 2^k for whole numbers k for which that is a normal number. They are negative modulo 2^32 or 2^64.
template <class T>
MOCHA_INLINE Vec<T> power_of_two(BitVec<T> k) {
    return (Vec<T>)((BitVec<T>)(k + Format<T>::bias) << Format<T>::mantissa);
}

// e^x = 2^n e^r with |r| <= ln 2 / 2.
template <class T>
MOCHA_INLINE Vec<T> vexp(Vec<T> x) {
    using F = Format<T>;
    x = x > F::exp_high ? splat(F::exp_high) : x;
    x = x < F::exp_low ? splat(F::exp_low) : x;
    // adding 1.5 * 2^mantissa rounds to a whole number, which then stands in the low bits
    const Vec<T> magic = splat(T(1.5) * F::shift);
    const Vec<T> moved = x * T(1.44269504088896340736) + magic;
    const Vec<T> whole = moved - magic;
    const BitVec<T> n = (BitVec<T>)moved - (BitVec<T>)magic;
    const Vec<T> r = (x - whole * F::exp_hi) - whole * F::exp_lo;
    Vec<T> p;
    if constexpr (sizeof(T) == 4) {
        constexpr float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                               4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
        p = polynomial<T>(r, c);
    } else {
        constexpr double c[] = {1.6059043836821613e-10, 2.0876756987868099e-09, 2.5052108385441720e-08,
                                2.7557319223985888e-07, 2.7557319223985893e-06, 2.4801587301587302e-05,
                                1.9841269841269841e-04, 1.3888888888888889e-03, 8.3333333333333332e-03,
                                4.1666666666666664e-02, 1.6666666666666666e-01, 0.5};
        p = polynomial<T>(r, c);
    }
    p = p * (r * r) + r + T(1);
    // two factors, because 2^n itself may be out of range where the result is not
    const BitVec<T> half = ((n + 4096) >> 1) - 2048;
    return p * power_of_two<T>(half) * power_of_two<T>(n - half);
}

// ln x = k ln 2 + ln(1 + f) with 1 + f between the roots of 1/2 and 2 (the method of FreeBSD's e_log.c).
template <class T>
MOCHA_INLINE Vec<T> vlog(Vec<T> x) {
    using F = Format<T>;
    const Vec<T> zero{}, infinity = splat(T(__builtin_inf()));
    const auto tiny = x < F::least_normal;
    const Vec<T> normal = tiny ? x * (4 * F::shift) : x;
    const BitVec<T> bits = (BitVec<T>)normal + (BitVec<T>)splat_int<T>(F::one - F::half_root);
    const IntVec<T> fraction = (IntVec<T>)bits & ((Int<T>(1) << F::mantissa) - 1);
    const Vec<T> f = (Vec<T>)(fraction + F::half_root) - T(1);
    // the biased exponent as a number, by way of the low bits of 2^mantissa
    const Vec<T> biased = (Vec<T>)((IntVec<T>)(bits >> F::mantissa) | (IntVec<T>)splat(F::shift));
    const Vec<T> k = biased - (tiny ? splat(F::shift + T(F::bias + F::mantissa + 2)) : splat(F::shift + T(F::bias)));
    const Vec<T> s = f / (f + T(2)), z = s * s;
    Vec<T> r;
    if constexpr (sizeof(T) == 4) {
        constexpr float c[] = {0.24279078841f, 0.28498786688f, 0.40000972152f, 0.66666662693f};
        r = z * polynomial<T>(z, c);
    } else {
        constexpr double c[] = {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                                2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                                6.666666666666735130e-01};
        r = z * polynomial<T>(z, c);
    }
    const Vec<T> square = T(0.5) * f * f;
    const Vec<T> y = k * F::log_hi - ((square - (s * (square + r) + k * F::log_lo)) - f);
    const Vec<T> finite = x < infinity ? y : x;
    return x > zero ? finite : (x == zero ? -infinity : splat(T(__builtin_nan(""))));
}

// x + x^3 p(x^2) near 0, 1 - 2 / (e^2|x| + 1) with the sign of x elsewhere (the method of Cephes).
template <class T>
MOCHA_INLINE Vec<T> vtanh(Vec<T> x) {
    const IntVec<T> sign_bit = (IntVec<T>)splat(T(-0.0));
    const Vec<T> a = (Vec<T>)((IntVec<T>)x & ~sign_bit), z = x * x;
    const Vec<T> far = T(1) - T(2) / (vexp<T>(a + a) + T(1));
    Vec<T> p;
    if constexpr (sizeof(T) == 4) {
        constexpr float c[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                               -3.33332819422e-1f};
        p = polynomial<T>(z, c);
    } else {
        constexpr double c[] = {-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3};
        constexpr double d[] = {1., 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3};
        p = polynomial<T>(z, c) / polynomial<T>(z, d);
    }
    const Vec<T> near = x + x * z * p;
    const Vec<T> signed_far = (Vec<T>)((IntVec<T>)far | ((IntVec<T>)x & sign_bit));
    return a < T(0.625) ? near : signed_far;
}

// 1 / (1 + e^-x) by way of tanh, as the reference has it.
template <class T>
MOCHA_INLINE Vec<T> vsigmoid(Vec<T> x) {
    return T(0.5) * vtanh<T>(T(0.5) * x) + T(0.5);
}

MOCHA_INLINE float lane_sqrt(float x) { return __builtin_sqrtf(x); }
MOCHA_INLINE double lane_sqrt(double x) { return __builtin_sqrt(x); }

template <class T>
MOCHA_INLINE Vec<T> vsqrt(Vec<T> x) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
    else
        return (Vec<T>)_mm512_maskz_sqrt_pd(0xff, (__m512d)x);
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4)
        return (Vec<T>)_mm256_sqrt_ps((__m256)x);
    else
        return (Vec<T>)_mm256_sqrt_pd((__m256d)x);
#else
    for (int i = 0; i < lanes<T>; ++i) x[i] = lane_sqrt(x[i]);
    return x;
#endif
}

MOCHA_INLINE float lane_pow(float x, float p) { return __builtin_powf(x, p); }
MOCHA_INLINE double lane_pow(double x, double p) { return __builtin_pow(x, p); }

MOCHA_INLINE bool all_positive_and_finite(const float* p) {
    int32_t bits, wrong = 0;
    for (int64_t i = 0; i < lanes<float>; ++i) {
        std::memcpy(&bits, p + i, sizeof(bits));
        wrong |= (bits < 1) | (bits > 0x7f7fffff);  // as whole numbers, bits are in the order of the numbers
    }
    return wrong == 0;
}

// x^p. Positive float bases go through the logarithm in double; all else asks the C library, lane by lane. The power
// 1/2 is a square root, as in NumPy: NaN, and not infinity, at -infinity.
template <class T>
MOCHA_INLINE Vec<T> vpow(Vec<T> x, T p) {
    if (p == T(0.5)) return vsqrt<T>(x);
    T each[lanes<T>];
    std::memcpy(each, &x, sizeof(each));
    if constexpr (sizeof(T) == 4) {
        if (p - p == T(0) && all_positive_and_finite(each)) {
            // the powers of local response normalisation and of its gradient
            if (p == T(-0.75)) return T(1) / (vsqrt<T>(x) * vsqrt<T>(vsqrt<T>(x)));
            if (p == T(-1.75)) return T(1) / (vsqrt<T>(x) * vsqrt<T>(vsqrt<T>(x))) / x;
            for (int64_t i = 0; i < lanes<T>; i += lanes<double>) {
                const Vec<double> y = vexp<double>(vlog<double>(widened(each + i)) * static_cast<double>(p));
                store_narrowed(each + i, y);
            }
            return load(each);
        }
    }
    for (int64_t i = 0; i < lanes<T>; ++i) each[i] = lane_pow(each[i], p);
    return load(each);
}

}  // namespace mocha::MOCHA_ISA
