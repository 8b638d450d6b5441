// What the kernels share that bring gradients into parameters. A call may hold many parameters ("tensors"): all their
// elements are shared out evenly among the threads, so that small ones cost nothing of their own.
//
// Norms, rates and momenta are numbers in double, read when the step runs.
#pragma once

#include "mocha/sums.h"

namespace mocha::MOCHA_ISA {

constexpr int64_t worth = 8192;  // elements worth a thread

// Calls body(thread, tensor, first element, end element) for stretches of the tensors; ints = {tensors, elements of
// each}.
template <class Body>
MOCHA_INLINE void by_tensors(const Step& step, const Body& body) {
    const int64_t count = step.ints[0];
    int64_t total = 0;
    for (int64_t t = 0; t < count; ++t) total += step.ints[1 + t];
    parallel_ranges(step.threads, total, worth, [&](int thread, int64_t begin, int64_t end) {
        int64_t start = 0;
        for (int64_t t = 0; t < count && start < end; ++t) {
            const int64_t size = step.ints[1 + t], first = most(begin - start, 0), last = least(end - start, size);
            if (first < last) body(thread, t, first, last);
            start += size;
        }
    });
}

// What is done to a gradient first, from four reals: the norm above which it is clipped (0: never), the weights of an
// L2 and of an L1 penalty, and the parameter's own multiple of the learning rate.
constexpr int64_t reals_each = 4;

template <class T>
struct Treatment {
    Vec<T> clip, l2, l1;
    const T *l2_of, *l1_of;  // the parameters that the penalties are on

    MOCHA_INLINE Treatment(const double* reals, const void* norm, const void* l2_on, const void* l1_on)
        : clip(splat(T(1))),
          l2(splat(static_cast<T>(2 * reals[1]))),
          l1(splat(static_cast<T>(reals[2]))),
          l2_of(reals[1] != 0 ? static_cast<const T*>(l2_on) : nullptr),
          l1_of(reals[2] != 0 ? static_cast<const T*>(l1_on) : nullptr) {
        const double length = reals[0] > 0 ? *static_cast<const double*>(norm) : 0;
        if (length > reals[0]) clip = splat(static_cast<T>(reals[0] / length));
    }

    template <class Some>
    MOCHA_INLINE Vec<T> of(const T* g, int64_t i, Some some) const {
        Vec<T> x = some.load(g + i) * clip;
        if (l2_of) x += l2 * some.load(l2_of + i);
        if (l1_of) x += l1 * sign<T>(some.load(l1_of + i));
        return x;
    }
};

}  // namespace mocha::MOCHA_ISA
