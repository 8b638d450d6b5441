// What threads find out about an array, each for itself: sums, and what is wrong with the data.
#pragma once

#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {

// What one thread found, on a cache line of its own.
struct Finding {
    double total;
    int64_t bad;
    int64_t unused[6];
};

MOCHA_INLINE int64_t findings_bytes(int threads) { return threads * static_cast<int64_t>(sizeof(Finding)); }

// The scratch memory of a kernel that needs no other.
inline int64_t findings_scratch(const int64_t*, int threads) { return findings_bytes(threads); }

MOCHA_INLINE Finding* findings(const Step& step) {
    auto* found = reinterpret_cast<Finding*>(step.scratch);
    for (int t = 0; t < step.threads; ++t) found[t] = Finding{};
    return found;
}

// The findings added up in the order of the threads.
MOCHA_INLINE Finding joined(const Step& step, const Finding* found) {
    Finding all{};
    for (int t = 0; t < step.threads; ++t) {
        all.total += found[t].total;
        all.bad += found[t].bad;
    }
    return all;
}

MOCHA_INLINE float lane_log(float x) { return __builtin_logf(x); }
MOCHA_INLINE double lane_log(double x) { return __builtin_log(x); }

}  // namespace mocha::MOCHA_ISA
