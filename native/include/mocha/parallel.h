// How kernels share work among threads: contiguous, equal ranges, so that the same thread count gives the same bits.
#pragma once

#include <cstdint>

#include "mocha/simd.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace mocha::MOCHA_ISA {

// Calls body(thread, begin, end) on each of at most `threads` threads, with [0, n) cut into equal ranges that are
// multiples of `grain` long. Less work than one grain a thread uses fewer threads.
template <class Body>
MOCHA_INLINE void parallel_ranges(int threads, int64_t n, int64_t grain, const Body& body) {
    const int64_t grains = (n + grain - 1) / grain;
    const int64_t use = grains < threads ? grains : threads;
    if (use <= 1) {
        if (n > 0) body(0, int64_t{0}, n);
        return;
    }
#pragma omp parallel num_threads(static_cast<int>(use))
    {
#ifdef _OPENMP
        const int64_t real = omp_get_thread_num(), all = omp_get_num_threads();
#else
        const int64_t real = 0, all = 1;
#endif
        // the ranges depend on the threads asked for; should the system give fewer, each takes several
        for (int64_t me = real; me < use; me += all) {
            const int64_t begin = grains * me / use * grain, end = grains * (me + 1) / use * grain;
            if (begin < n) body(static_cast<int>(me), begin, end < n ? end : n);
        }
    }
}

MOCHA_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
MOCHA_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
MOCHA_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
MOCHA_INLINE int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace mocha::MOCHA_ISA
