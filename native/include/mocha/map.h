// Functions of one element of each input. They read and write memory in order, whatever the layout, and an output may
// be the memory of an input: ints = {elements, ...}, out = {result}.
#pragma once

#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {

// Elements that are worth a thread of their own: of functions that wait for memory, and of those that compute.
constexpr int64_t light = 16384, heavy = 4096;

// y = f(x)
template <class T, class F>
MOCHA_INLINE const char* map(const Step& step, int64_t grain, const F& f) {
    parallel_ranges(step.threads, step.ints[0], grain, [&](int, int64_t begin, int64_t end) {
        const T* x = input<T>(step, 0);
        T* y = output<T>(step, 0);
        const F g = f;  // a copy of this thread's own, which stores to y cannot touch
        by_vectors<T>(begin, end, [&](int64_t i, auto some) { some.store(y + i, g(some.load(x + i))); });
    });
    return nullptr;
}

// y = f(a, b)
template <class T, class F>
MOCHA_INLINE const char* map_two(const Step& step, int64_t grain, const F& f) {
    parallel_ranges(step.threads, step.ints[0], grain, [&](int, int64_t begin, int64_t end) {
        const T *a = input<T>(step, 0), *b = input<T>(step, 1);
        T* y = output<T>(step, 0);
        const F g = f;
        by_vectors<T>(begin, end,
                      [&](int64_t i, auto some) { some.store(y + i, g(some.load(a + i), some.load(b + i))); });
    });
    return nullptr;
}

}  // namespace mocha::MOCHA_ISA
