// The contrastive loss of pairs.
#include "mocha/labels.h"
#include "mocha/sums.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t light = 8192;  // elements worth a thread

// Whether label i without its fraction is not 0.
template <class T>
MOCHA_INLINE bool is_similar(const void* labels, int64_t type, int64_t i) {
    if (type == 0) {
        const T label = static_cast<const T*>(labels)[i];
        return !(label > T(-1) && label < T(1));
    }
    if (type == 1) return static_cast<const int32_t*>(labels)[i] != 0;
    if (type == 2) return static_cast<const int64_t*>(labels)[i] != 0;
    return static_cast<const uint8_t*>(labels)[i] != 0;
}

// ints = {pairs, length of a vector, legacy, label type}, reals = {margin, weight}, in = {a, b, labels},
// out = {loss, squared distances}
template <class T>
const char* contrastive_forward(const Step& step) {
    const int64_t pairs = step.ints[0], length = step.ints[1], legacy = step.ints[2];
    const T margin = static_cast<T>(step.reals[0]);
    const T *a = input<T>(step, 0), *b = input<T>(step, 1);
    T* squares = output<T>(step, 1);
    Finding* found = findings(step);
    parallel_ranges(step.threads, pairs, ceil_div(light, most(length, 1)), [&](int thread, int64_t begin, int64_t end) {
        double total = 0;
        for (int64_t n = begin; n < end; ++n) {
            const T square = static_cast<T>(sum_of_squares<T>(a + n * length, b + n * length, length));
            squares[n] = square;
            T term = square;
            if (!is_similar<T>(step.in[2], step.ints[3], n)) {
                const T rest = margin - (legacy ? square : lane_sqrt(square));
                const T left = rest < T(0) ? T(0) : rest;
                term = legacy ? left : left * left;
            }
            total += static_cast<double>(term);
        }
        found[thread].total = total;
    });
    const auto examples = static_cast<double>(most(pairs, 1));
    output<T>(step, 0)[0] = static_cast<T>(step.reals[1] / (2 * examples) * joined(step, found).total);
    return nullptr;
}

// ints = {pairs, length of a vector, legacy, label type, da wanted, db wanted}, reals = {margin, weight, what is added
// to a distance}, in = {a, b, labels, squared distances, dloss}, out = {da, db}, those wanted
template <class T>
const char* contrastive_backward(const Step& step) {
    const int64_t pairs = step.ints[0], length = step.ints[1], legacy = step.ints[2];
    const T margin = static_cast<T>(step.reals[0]), apart = static_cast<T>(step.reals[2]);
    const T *a = input<T>(step, 0), *b = input<T>(step, 1), *squares = input<T>(step, 3);
    const T all = input<T>(step, 4)[0] * static_cast<T>(step.reals[1] / static_cast<double>(most(pairs, 1)));
    T* da = step.ints[4] ? output<T>(step, 0) : nullptr;
    T* db = step.ints[5] ? output<T>(step, step.ints[4] ? 1 : 0) : nullptr;
    parallel_ranges(step.threads, pairs, ceil_div(light, most(length, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
            T factor = all;
            if (!is_similar<T>(step.in[2], step.ints[3], n)) {
                const T distance = lane_sqrt(squares[n]), left = margin - (legacy ? squares[n] : distance);
                factor = left > T(0) ? -(legacy ? T(1) : left / (distance + apart)) * all : T(0);
            }
            by_vectors<T>(n * length, (n + 1) * length, [&](int64_t i, auto some) {
                const Vec<T> slope = factor == T(0) ? Vec<T>{} : (some.load(a + i) - some.load(b + i)) * factor;
                if (da) some.store(da + i, slope);
                if (db) some.store(db + i, -slope);
            });
        }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name, scratch) {#name, 4, name<float>, scratch}, {#name, 8, name<double>, scratch}

extern const Kernel contrastive_kernels[];
const Kernel contrastive_kernels[] = {
    MOCHA_BOTH(contrastive_forward, findings_scratch),
    MOCHA_BOTH(contrastive_backward, nullptr),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
