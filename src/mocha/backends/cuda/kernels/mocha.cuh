// What all kernels share: the arguments of a step, the types of elements, and how work is shared out.
//
// One source, two compilers: NVRTC makes machine code for a GPU of it, and g++ a library for tests, by way of
// emulation.h. So a kernel file includes nothing but files of this folder, and uses only what emulation.h has too.
//
// A kernel is a template over the type T of its elements, `template <class T> __device__ void name(const Step& step)`,
// entered in its file's last lines with MOCHA_KERNEL(name). A comment above it says what its attributes and arrays are:
// the same as those of the native library's kernel of that name. How many blocks of how many threads it is started with
// is said in launches/<family>.py.
#pragma once

#ifdef MOCHA_EMULATION
#include "emulation.h"
#else
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#endif

#define MOCHA_DEVICE __device__ __forceinline__

// Places in arrays. No array has 2^31 elements: the adapter refuses such.
typedef int32_t Index;

// The arguments of one step, passed by value. The lists stand here as far as they fit; one that is longer stands in
// device memory as a whole.
constexpr int most_ints = 24, most_reals = 8, most_arrays = 10;

struct Step {
    int64_t short_ints[most_ints];
    double short_reals[most_reals];
    void* short_in[most_arrays];
    void* short_out[most_arrays];
    const int64_t* long_ints;  // null where the list is short
    const double* long_reals;
    void* const* long_in;
    void* const* long_out;
    char* scratch;      // as many bytes as the launch asked for; what one launch of a call leaves there the next one finds
    int64_t* trouble;   // 0, or 1 + the number of the first step that refused its data
    int64_t number;     // of this step
    int64_t index;      // of this launch, where a plan numbers the launches of a call

    // Whole-number attribute k: as a place or a size, and as it is.
    MOCHA_DEVICE Index at(int k) const { return static_cast<Index>(whole(k)); }
    MOCHA_DEVICE int64_t whole(int k) const { return long_ints ? long_ints[k] : short_ints[k]; }
    // Other attributes.
    MOCHA_DEVICE double real(int k) const { return long_reals ? long_reals[k] : short_reals[k]; }
    // Arrays.
    template <class T>
    MOCHA_DEVICE const T* in(int k) const {
        return static_cast<const T*>(in_device_memory(long_in ? long_in[k] : short_in[k]));
    }
    template <class T>
    MOCHA_DEVICE T* out(int k) const {
        return static_cast<T*>(in_device_memory(long_out ? long_out[k] : short_out[k]));
    }
    // A pointer of which the compiler knows that it does not lead to shared or local memory.
    static MOCHA_DEVICE void* in_device_memory(void* pointer) {
#ifndef MOCHA_EMULATION
        __builtin_assume(__isGlobal(pointer));
#endif
        return pointer;
    }
    // Says that the data are wrong. The step goes on, and must not read or write beyond its arrays.
    MOCHA_DEVICE void refuse() const {
        atomicCAS(reinterpret_cast<unsigned long long*>(trouble), 0ull, static_cast<unsigned long long>(number + 1));
    }
};

// -- elements: float and double, and two types of 16 bits that are computed with in float

struct half {
    uint16_t bits;
};

struct bfloat {
    uint16_t bits;
};

template <class T>
struct RealOf {
    typedef T type;
};
template <>
struct RealOf<half> {
    typedef float type;
};
template <>
struct RealOf<bfloat> {
    typedef float type;
};

// What elements of type T are computed with, and what numbers beside them are kept in: biases, means, slopes.
template <class T>
using Real = typename RealOf<T>::type;

MOCHA_DEVICE float get(float x) { return x; }
MOCHA_DEVICE double get(double x) { return x; }
MOCHA_DEVICE float get(bfloat x) { return __uint_as_float(static_cast<uint32_t>(x.bits) << 16); }
MOCHA_DEVICE float get(half x) {
#ifdef MOCHA_EMULATION
    return emulation::from_half(x.bits);
#else
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
#endif
}

// The element nearest to a number; of two, the even one.
template <class T>
MOCHA_DEVICE T put(Real<T> x) {
    return x;
}
template <>
MOCHA_DEVICE bfloat put<bfloat>(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    bfloat y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
#else
    const uint32_t bits = __float_as_uint(x);
    if (x != x) return bfloat{static_cast<uint16_t>(bits >> 16 | 0x40)};
    return bfloat{static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
#endif
}
template <>
MOCHA_DEVICE half put<half>(float x) {
#ifdef MOCHA_EMULATION
    return half{emulation::to_half(x)};
#else
    half y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
#endif
}

template <class T>
MOCHA_DEVICE T least(T a, T b) {
    return b < a ? b : a;
}
template <class T>
MOCHA_DEVICE T most(T a, T b) {
    return a < b ? b : a;
}
MOCHA_DEVICE Index ceil_div(Index a, Index b) { return a / b + (a % b != 0); }

// Not a number, and infinity.
template <class T>
MOCHA_DEVICE T not_a_number() {
    return static_cast<T>(__uint_as_float(0x7fc00000u));
}
template <class T>
MOCHA_DEVICE T infinity() {
    return static_cast<T>(__uint_as_float(0x7f800000u));
}

// -- sharing out

// Calls body(i) for all i < n, each thread of the grid for its own.
template <class Body>
MOCHA_DEVICE void each(Index n, const Body& body) {
    const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride)
        body(static_cast<Index>(i));
}

// Calls body(i) for all i < n, each block for its own: all threads of a block come with the same i.
template <class Body>
MOCHA_DEVICE void each_block(Index n, const Body& body) {
    for (Index i = static_cast<Index>(blockIdx.x); i < n; i += static_cast<Index>(gridDim.x)) body(i);
}

// -- entries

// The most threads that a block of this file's kernels is started with; a file that needs more says so before it
// includes this one. The fewer, the more registers each may have.
#ifndef MOCHA_MOST_THREADS
#define MOCHA_MOST_THREADS 256
#endif

#ifdef MOCHA_EMULATION
#define MOCHA_MAKE_ENTRY(name, suffix, T)                                                                  \
    extern "C" const char* name##_##suffix(const Step* step, int blocks, int threads, int backwards) {     \
        if (threads > MOCHA_MOST_THREADS) return "more threads than its file says";                        \
        return emulation::run(blocks, threads, backwards, [step] { name<T>(*step); });                     \
    }
#else
#define MOCHA_MAKE_ENTRY(name, suffix, T)                                                                  \
    extern "C" __global__ void __launch_bounds__(MOCHA_MOST_THREADS)                                       \
        name##_##suffix(const __grid_constant__ Step step) {                                               \
        name<T>(step);                                                                                     \
    }
#endif

// An entry is made if the compiler was asked for all types, or for this one: MOCHA_ONLY is the suffix's number.
#define MOCHA_NUMBER_f32 1
#define MOCHA_NUMBER_f64 2
#define MOCHA_NUMBER_f16 3
#define MOCHA_NUMBER_bf16 4
#if !defined(MOCHA_ONLY) || MOCHA_ONLY == MOCHA_NUMBER_f32
#define MOCHA_ENTRY_f32(name, T) MOCHA_MAKE_ENTRY(name, f32, T)
#else
#define MOCHA_ENTRY_f32(name, T)
#endif
#if !defined(MOCHA_ONLY) || MOCHA_ONLY == MOCHA_NUMBER_f64
#define MOCHA_ENTRY_f64(name, T) MOCHA_MAKE_ENTRY(name, f64, T)
#else
#define MOCHA_ENTRY_f64(name, T)
#endif
#if !defined(MOCHA_ONLY) || MOCHA_ONLY == MOCHA_NUMBER_f16
#define MOCHA_ENTRY_f16(name, T) MOCHA_MAKE_ENTRY(name, f16, T)
#else
#define MOCHA_ENTRY_f16(name, T)
#endif
#if !defined(MOCHA_ONLY) || MOCHA_ONLY == MOCHA_NUMBER_bf16
#define MOCHA_ENTRY_bf16(name, T) MOCHA_MAKE_ENTRY(name, bf16, T)
#else
#define MOCHA_ENTRY_bf16(name, T)
#endif
#define MOCHA_ENTRY_1(name, T) MOCHA_MAKE_ENTRY(name, 1, T)
#define MOCHA_ENTRY_4(name, T) MOCHA_MAKE_ENTRY(name, 4, T)
#define MOCHA_ENTRY_8(name, T) MOCHA_MAKE_ENTRY(name, 8, T)
#define MOCHA_ENTRY(name, suffix, T) MOCHA_ENTRY_##suffix(name, T)

// A kernel of floats and doubles.
#define MOCHA_PRECISE_KERNEL(name) \
    MOCHA_ENTRY(name, f32, float)  \
    MOCHA_ENTRY(name, f64, double)
// A kernel of all types of elements.
#define MOCHA_KERNEL(name)        \
    MOCHA_PRECISE_KERNEL(name)    \
    MOCHA_ENTRY(name, f16, half)  \
    MOCHA_ENTRY(name, bf16, bfloat)
