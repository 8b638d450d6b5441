// Softmax along one axis of (outer, classes, inner).
#include "mocha/softmax.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t light = 8192, heavy = 2048;  // elements worth a thread

// ints = {outer, classes, inner}, in = {x}, out = {y}; y may be x's memory
template <class T>
const char* softmax_forward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const T* x = input<T>(step, 0);
    T* y = output<T>(step, 0);
    if (inner == 1) {
        parallel_ranges(step.threads, outer, ceil_div(heavy, most(classes, 1)), [&](int, int64_t begin, int64_t end) {
            T max, total;
            for (int64_t o = begin; o < end; ++o) softmax_row<T>(x + o * classes, y + o * classes, classes, max, total);
        });
        return nullptr;
    }
    const int64_t units = outer * ceil_div(inner, lanes<T>), grain = ceil_div(heavy, most(classes, 1) * lanes<T>);
    parallel_ranges(step.threads, units, grain, [&](int, int64_t begin, int64_t end) {
        by_columns<T>(begin, end, inner, [&](int64_t o, int64_t i, auto some) {
            Vec<T> max, total;
            const int64_t at = o * classes * inner + i;
            softmax_columns<T>(x + at, y + at, classes, inner, some, max, total);
        });
    });
    return nullptr;
}

// ints = {outer, classes, inner}, in = {y, dy}, out = {dx}; dx may be dy's memory
template <class T>
const char* softmax_backward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const T *y = input<T>(step, 0), *dy = input<T>(step, 1);
    T* dx = output<T>(step, 0);
    if (inner == 1) {
        parallel_ranges(step.threads, outer, ceil_div(light, most(classes, 1)), [&](int, int64_t begin, int64_t end) {
            for (int64_t o = begin * classes; o < end * classes; o += classes) {
                Vec<T> sums{};
                by_vectors<T>(0, classes, [&](int64_t i, auto some) {
                    sums += some.load(dy + o + i) * some.load(y + o + i);
                });
                const T total = sum<T>(sums);
                by_vectors<T>(0, classes, [&](int64_t i, auto some) {
                    some.store(dx + o + i, some.load(y + o + i) * (some.load(dy + o + i) - total));
                });
            }
        });
        return nullptr;
    }
    const int64_t units = outer * ceil_div(inner, lanes<T>), grain = ceil_div(light, most(classes, 1) * lanes<T>);
    parallel_ranges(step.threads, units, grain, [&](int, int64_t begin, int64_t end) {
        by_columns<T>(begin, end, inner, [&](int64_t o, int64_t i, auto some) {
            const int64_t first = o * classes * inner + i, last = first + classes * inner;
            Vec<T> total{};
            for (int64_t at = first; at < last; at += inner) total += some.load(dy + at) * some.load(y + at);
            for (int64_t at = first; at < last; at += inner)
                some.store(dx + at, some.load(y + at) * (some.load(dy + at) - total));
        });
    });
    return nullptr;
}

}  // namespace

extern const Kernel softmax_kernels[];
const Kernel softmax_kernels[] = {
    {"softmax_forward", 4, softmax_forward<float>, nullptr},
    {"softmax_forward", 8, softmax_forward<double>, nullptr},
    {"softmax_backward", 4, softmax_backward<float>, nullptr},
    {"softmax_backward", 8, softmax_backward<double>, nullptr},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
