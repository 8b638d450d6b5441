// The cross entropy of sigmoids. The loss is found as findings.cuh says.
#define MOCHA_MOST_THREADS 1024
#include "findings.cuh"
#include "functions.cuh"

// The targets that are ignored: those which without their fraction are one whole number. The attributes from k on are
// {1 if there are any, which}.
template <class T>
struct Ignored {
    T low, high;  // they lie between these
    bool with_low, with_high;

    MOCHA_DEVICE Ignored(const Step& step, int k) {
        const int64_t which = step.whole(k + 1);
        const T number = static_cast<T>(which);
        // that far from 0 there are no fractions, and what is 1 away may be the number itself
        with_low = which > 0 || number - T(1) == number;
        with_high = which < 0 || number + T(1) == number;
        low = !step.at(k) ? infinity<T>() : with_low ? number : number - T(1);
        high = !step.at(k) ? -infinity<T>() : with_high ? number : number + T(1);
    }
    MOCHA_DEVICE bool holds(T t) const { return (with_low ? t >= low : t > low) && (with_high ? t <= high : t < high); }
};

// ints = {elements, 1 if a target is ignored, which, divisor or 0 for the elements not ignored}, reals = {weight},
// in = {x, t}, out = {loss}
template <class T>
MOCHA_DEVICE void finish_sigmoid_loss(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(step.real(0) / divisor(step.whole(3), all) * all.total);
}

template <class T>
__device__ void sigmoid_loss_forward_parts(const Step& step) {
    const Ignored<T> ignored(step, 1);
    Index counted = 0;
    const double total = sum_of_pairs(step.at(0), step.in<T>(0), step.in<T>(1), [&](T x, T t) {
        if (ignored.holds(t)) return T(0);
        ++counted;
        return log(T(1) + exp(-fabs(x))) - x * (t - (x >= T(0) ? T(1) : T(0)));
    });
    leave(step, {total, static_cast<double>(counted)}, [&](Found all) { finish_sigmoid_loss<T>(step, all); });
}

template <class T>
__device__ void sigmoid_loss_forward(const Step& step) {
    join_left(step, [&](Found all) { finish_sigmoid_loss<T>(step, all); });
}

// ints and reals as before, in = {x, t, dloss}, out = {dx}; dx is no input's memory. The first launch counts the
// targets that are not ignored, if there are many and nobody knows.
template <class T>
__device__ void sigmoid_loss_backward_parts(const Step& step) {
    const Ignored<T> ignored(step, 1);
    const T* t = step.in<T>(1);
    count_parts(step, step.at(0), [&](Index i) { return ignored.holds(t[i]); });
}

template <class T>
__device__ void sigmoid_loss_backward(const Step& step) {
    const Ignored<T> ignored(step, 1);
    const T* t = step.in<T>(1);
    const double by = divisor(step, step.whole(3), step.at(0), [&](Index i) { return ignored.holds(t[i]); });
    const T factor = step.in<T>(2)[0] * static_cast<T>(step.real(0) / by);
    map(step.at(0), step.in<T>(0), t, step.out<T>(0),
        [=](T score, T target) { return ignored.holds(target) ? T(0) : (sigmoid(score) - target) * factor; });
}

MOCHA_PRECISE_KERNEL(sigmoid_loss_forward_parts)
MOCHA_PRECISE_KERNEL(sigmoid_loss_forward)
MOCHA_PRECISE_KERNEL(sigmoid_loss_backward_parts)
MOCHA_PRECISE_KERNEL(sigmoid_loss_backward)
