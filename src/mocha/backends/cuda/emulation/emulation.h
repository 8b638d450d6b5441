// The part of CUDA that the kernels use, for g++: blocks, threads, barriers, shuffles, shared memory.
//
// A kernel runs block after block and, in a block, thread after thread. A thread that comes to a barrier is suspended
// there and the next one begins; when all have come, they go on one after the other. So a barrier that not all threads
// reach is found, and a kernel that forgets one gives different answers when its threads run backwards, which
// `backwards` asks for. Accesses that collide without a barrier's help otherwise are not found here.
#pragma once

#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include <ucontext.h>

#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static

using std::abs;
using std::exp;
using std::expm1;
using std::fabs;
using std::floor;
using std::fma;
using std::log;
using std::log1p;
using std::pow;
using std::sqrt;
using std::tanh;

struct Dimension {
    unsigned x = 0;
};

static Dimension threadIdx, blockIdx, blockDim, gridDim;

namespace emulation {

constexpr int warp = 32;
constexpr size_t stack_bytes = 64 << 10;

// A thread of control that may be suspended. It runs threads of the block one after the other until one is suspended.
struct Fiber {
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    ucontext_t context;
    jmp_buf there;
    unsigned thread = 0;
    enum { idle, at_block, at_warp, ready } state = idle;
};

struct Machine {
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<Fiber*> active, spare;  // suspended with a thread each; without one
    Fiber* current = nullptr;
    jmp_buf scheduler;
    unsigned begun = 0, threads = 0;
    bool backwards = false;
    uint64_t slots[1024];
    void (*body)(const void*) = nullptr;
    const void* what = nullptr;
};

static Machine machine;

inline void run_threads() {
    for (;;) {
        Fiber* self = machine.current;
        while (machine.begun < machine.threads) {
            const unsigned number = machine.begun++;
            threadIdx.x = self->thread = machine.backwards ? machine.threads - 1 - number : number;
            machine.body(machine.what);
            self = machine.current;
        }
        self->state = Fiber::idle;
        if (!_setjmp(self->there)) _longjmp(machine.scheduler, 1);
    }
}

inline void resume(Fiber* fiber, bool fresh) {
    machine.current = fiber;
    threadIdx.x = fiber->thread;
    if (_setjmp(machine.scheduler)) return;
    if (!fresh) _longjmp(fiber->there, 1);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = stack_bytes;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, run_threads, 0);
    setcontext(&fiber->context);
}

// Suspends the running thread.
inline void wait(decltype(Fiber::state) where) {
    Fiber* self = machine.current;
    self->state = where;
    if (!_setjmp(self->there)) _longjmp(machine.scheduler, 1);
    threadIdx.x = self->thread;
}

inline void begin_fiber() {
    Fiber* fiber;
    bool fresh = machine.spare.empty();
    if (fresh) {
        machine.fibers.emplace_back(new Fiber);
        fiber = machine.fibers.back().get();
    } else {
        fiber = machine.spare.back();
        machine.spare.pop_back();
    }
    resume(fiber, fresh);
    (fiber->state == Fiber::idle ? machine.spare : machine.active).push_back(fiber);
}

// Lets go on whoever may; null, or what is wrong.
inline const char* release() {
    unsigned at_block = 0;
    unsigned at_warp[1024 / warp] = {};
    for (Fiber* fiber : machine.active) {
        at_block += fiber->state == Fiber::at_block;
        if (fiber->state == Fiber::at_warp) ++at_warp[fiber->thread / warp];
    }
    bool any = false;
    if (at_block == machine.threads) {
        for (Fiber* fiber : machine.active) fiber->state = Fiber::ready;
        any = true;
    }
    for (Fiber* fiber : machine.active) {
        const unsigned first = fiber->thread / warp * warp, left = machine.threads - first;
        if (fiber->state == Fiber::at_warp && at_warp[first / warp] == (left < warp ? left : warp)) {
            fiber->state = Fiber::ready;
            any = true;
        }
    }
    return any ? nullptr : "not all threads reach a barrier";
}

inline const char* run_block() {
    machine.begun = 0;
    while (machine.begun < machine.threads) begin_fiber();
    while (!machine.active.empty()) {
        if (const char* wrong = release()) {
            machine.fibers.clear();
            machine.active.clear();
            machine.spare.clear();
            return wrong;
        }
        std::vector<Fiber*> now;
        now.swap(machine.active);
        for (Fiber* fiber : now) {
            if (fiber->state == Fiber::ready) resume(fiber, false);
            (fiber->state == Fiber::idle ? machine.spare : machine.active).push_back(fiber);
        }
    }
    return nullptr;
}

// Runs a kernel; null, or what is wrong with it.
template <class Body>
const char* run(int blocks, int threads, int backwards, const Body& body) {
    if (blocks < 1 || threads < 1 || threads > 1024) return "a grid that no GPU would start";
    gridDim.x = static_cast<unsigned>(blocks);
    blockDim.x = machine.threads = static_cast<unsigned>(threads);
    machine.backwards = backwards;
    machine.what = &body;
    machine.body = [](const void* what) { (*static_cast<const Body*>(what))(); };
    for (int i = 0; i < blocks; ++i) {
        blockIdx.x = static_cast<unsigned>(backwards ? blocks - 1 - i : i);
        if (const char* wrong = run_block()) return wrong;
    }
    return nullptr;
}

inline float from_half(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float value = exponent == 31   ? (fraction ? NAN : INFINITY)
                  : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                  : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
    return bits & 0x8000 ? -value : value;
}

inline uint16_t to_half(float x) {
    const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
    const float size = std::fabs(x);
    if (x != x) return sign | 0x7e00;
    if (size >= 65520.0f) return sign | 0x7c00;  // what is nearer to 2^16 than to the largest number
    if (size < std::ldexp(1.0f, -14)) return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(size, 24))));
    int exponent;
    const float fraction = std::frexp(size, &exponent);  // in [1/2, 1)
    const int rounded = static_cast<int>(std::nearbyint(std::ldexp(fraction, 11)));  // 1024 to 2048
    return static_cast<uint16_t>(sign | (((exponent + 14) << 10) + (rounded - 1024)));
}

}  // namespace emulation

inline void __syncthreads() { emulation::wait(emulation::Fiber::at_block); }
inline void __syncwarp() { emulation::wait(emulation::Fiber::at_warp); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int lanes) {
    auto& slots = emulation::machine.slots;
    const unsigned self = threadIdx.x, other = self ^ static_cast<unsigned>(lanes);
    static_assert(sizeof(T) <= sizeof(slots[0]), "too wide to be shuffled");
    std::memcpy(&slots[self], &value, sizeof(T));
    __syncwarp();
    if (other < blockDim.x) std::memcpy(&value, &slots[other], sizeof(T));
    __syncwarp();
    return value;
}

inline unsigned long long atomicCAS(unsigned long long* at, unsigned long long expected, unsigned long long value) {
    const unsigned long long old = *at;
    if (old == expected) *at = value;
    return old;
}

inline int atomicExch(int* at, int value) {
    const int old = *at;
    *at = value;
    return old;
}

inline float __uint_as_float(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof(x));
    return x;
}

inline uint32_t __float_as_uint(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    return bits;
}

inline int __popc(uint32_t bits) { return __builtin_popcount(bits); }

inline uint32_t __umulhi(uint32_t a, uint32_t b) { return static_cast<uint32_t>(uint64_t{a} * b >> 32); }

inline float __fmul_rn(float a, float b) {
    const volatile float product = a * b;
    return product;
}

inline double __dmul_rn(double a, double b) {
    const volatile double product = a * b;
    return product;
}
