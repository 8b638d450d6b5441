// The cross entropy of sigmoids.
#include "mocha/labels.h"
#include "mocha/sums.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t heavy = 2048;  // elements worth a thread

// The targets that are ignored: those which without their fraction are one whole number.
// ints = {1 if there are any, which}.
template <class T>
struct Ignored {
    T low, high;      // they lie between these
    bool with_low, with_high;

    MOCHA_INLINE explicit Ignored(const int64_t* ints) {
        const T number = static_cast<T>(ints[1]);
        // that far from 0 there are no fractions, and what is 1 away may be the number itself
        with_low = ints[1] > 0 || number - T(1) == number;
        with_high = ints[1] < 0 || number + T(1) == number;
        low = !ints[0] ? T(__builtin_inf()) : with_low ? number : number - T(1);
        high = !ints[0] ? T(-__builtin_inf()) : with_high ? number : number + T(1);
    }
    MOCHA_INLINE bool holds(T t) const { return (with_low ? t >= low : t > low) && (with_high ? t <= high : t < high); }
    // y, and 0 where the target is ignored
    MOCHA_INLINE Vec<T> without(Vec<T> t, Vec<T> y) const {
        const Vec<T> zero{}, at_low = splat(low), at_high = splat(high);
        const Vec<T> above = with_low ? select<T>(t >= at_low, zero, y) : select<T>(t > at_low, zero, y);
        return with_high ? select<T>(t <= at_high, above, y) : select<T>(t < at_high, above, y);
    }
};

// ints = {elements, 1 if a target is ignored, which, divisor or 0 for the elements not ignored}, reals = {weight},
// in = {x, t}, out = {loss}
template <class T>
const char* sigmoid_loss_forward(const Step& step) {
    const T *x = input<T>(step, 0), *t = input<T>(step, 1);
    const Ignored<T> ignored(step.ints + 1);
    Finding* found = findings(step);
    const double by = divisor(step, found, step.ints[3], step.ints[0], [&](int64_t i) { return ignored.holds(t[i]); });
    parallel_ranges(step.threads, step.ints[0], heavy, [&](int thread, int64_t begin, int64_t end) {
        const Ignored<T> left_out = ignored;
        WideSum<T> mine;
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            const Vec<T> score = some.load(x + i), target = some.load(t + i), zero{};
            const Vec<T> e = vexp<T>(select<T>(score < zero, score, -score));
            const Vec<T> step_at_0 = select<T>(score >= zero, splat(T(1)), zero);
            const Vec<T> term = vlog<T>(T(1) + e) - score * (target - step_at_0);
            mine.add(some.only(left_out.without(target, term)));
        });
        found[thread].total = mine.value();
    });
    output<T>(step, 0)[0] = static_cast<T>(step.reals[0] / by * joined(step, found).total);
    return nullptr;
}

// ints and reals as before, in = {x, t, dloss}, out = {dx}; dx is no input's memory
template <class T>
const char* sigmoid_loss_backward(const Step& step) {
    const T *x = input<T>(step, 0), *t = input<T>(step, 1);
    const Ignored<T> ignored(step.ints + 1);
    const double by = divisor(step, findings(step), step.ints[3], step.ints[0],
                              [&](int64_t i) { return ignored.holds(t[i]); });
    const T factor = input<T>(step, 2)[0] * static_cast<T>(step.reals[0] / by);
    T* dx = output<T>(step, 0);
    parallel_ranges(step.threads, step.ints[0], heavy, [&](int, int64_t begin, int64_t end) {
        const Ignored<T> left_out = ignored;
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            const Vec<T> target = some.load(t + i);
            some.store(dx + i, left_out.without(target, (vsigmoid<T>(some.load(x + i)) - target) * factor));
        });
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name, scratch) {#name, 4, name<float>, scratch}, {#name, 8, name<double>, scratch}

extern const Kernel sigmoid_loss_kernels[];
const Kernel sigmoid_loss_kernels[] = {
    MOCHA_BOTH(sigmoid_loss_forward, findings_scratch),
    MOCHA_BOTH(sigmoid_loss_backward, findings_scratch),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
