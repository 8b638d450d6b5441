// Batch normalisation of x (outer, channels, inner), and the scaling of channels that follows it.
//
// ints = {outer, channels, inner}, unless a kernel says otherwise. Means, variances and scales, one a channel, are
// Real<T>, and so are their gradients.
#include "channels.cuh"

template <class R>
MOCHA_DEVICE R inverse_deviation(R variance, R eps) {
    return R(1) / sqrt(variance + eps);
}

// Normalisation by the statistics of this batch: reals = {eps}, in = {x}, out = {y, mean, variance}; y may be x's
// memory. Behind the sums in scratch memory: one over each channel's deviation.
template <class T>
__device__ void batch_norm_train_forward_parts(const Step& step) {
    moments_of_parts(step, Extent(step), step.in<T>(0));
}

template <class T>
__device__ void batch_norm_train_forward_join(const Step& step) {
    typedef Real<T> R;
    const Extent e(step);
    const R eps = static_cast<R>(step.real(0));
    R *means = step.out<R>(1), *variances = step.out<R>(2), *inverses = behind_sums<R>(step, e, 2);
    join_moments<T>(step, e, [=](Index c, double mean, double variance) {
        means[c] = static_cast<R>(mean);
        variances[c] = static_cast<R>(variance);
        inverses[c] = inverse_deviation(static_cast<R>(variance), eps);
    });
}

template <class T>
__device__ void batch_norm_train_forward(const Step& step) {
    typedef Real<T> R;
    const Extent e(step);
    const R *means = step.out<R>(1), *inverses = behind_sums<R>(step, e, 2);
    const T* const from[1] = {step.in<T>(0)};
    map_channels<T, 2>(
        e, from, step.out<T>(0),
        [=](Index c, R* of) {
            of[0] = means[c];
            of[1] = inverses[c];
        },
        [](const R* x, const R* of) { return (x[0] - of[0]) * of[1]; });
}

// reals = {eps}, in = {y, variance, dy}, out = {dx}; dx may be dy's memory. Behind the sums of dy and of dy y in
// scratch memory: their means, and one over each channel's deviation.
template <class T>
__device__ void batch_norm_train_backward_parts(const Step& step) {
    typedef Real<T> R;
    const T* const from[2] = {step.in<T>(2), step.in<T>(0)};
    sum_parts<T, 2>(step, Extent(step), from, [](R* sums, const R* x) {
        sums[0] += x[0];
        sums[1] += x[0] * x[1];
    });
}

template <class T>
__device__ void batch_norm_train_backward_join(const Step& step) {
    typedef Real<T> R;
    const Extent e(step);
    const R* variances = step.in<R>(1);
    const R eps = static_cast<R>(step.real(0));
    R* numbers = behind_sums<R>(step, e, 2);
    const double count = static_cast<double>(e.count());
    join_parts<2>(step, e, [=](Index c, const double* sums) {
        numbers[3 * c] = static_cast<R>(sums[0] / count);
        numbers[3 * c + 1] = static_cast<R>(sums[1] / count);
        numbers[3 * c + 2] = inverse_deviation(variances[c], eps);
    });
}

template <class T>
__device__ void batch_norm_train_backward(const Step& step) {
    typedef Real<T> R;
    const Extent e(step);
    const R* numbers = behind_sums<R>(step, e, 2);
    const T* const from[2] = {step.in<T>(2), step.in<T>(0)};
    map_channels<T, 3>(
        e, from, step.out<T>(0),
        [=](Index c, R* of) {
#pragma unroll
            for (int k = 0; k < 3; ++k) of[k] = numbers[3 * c + k];
        },
        [](const R* x, const R* of) { return (x[0] - of[0] - x[1] * of[1]) * of[2]; });
}

// reals = {eps}, in = {x, mean, variance}, out = {y}; y may be x's memory
template <class T>
__device__ void batch_norm_test_forward(const Step& step) {
    typedef Real<T> R;
    const R *means = step.in<R>(1), *variances = step.in<R>(2);
    const R eps = static_cast<R>(step.real(0));
    const T* const from[1] = {step.in<T>(0)};
    map_channels<T, 2>(
        Extent(step), from, step.out<T>(0),
        [=](Index c, R* of) {
            of[0] = means[c];
            of[1] = inverse_deviation(variances[c], eps);
        },
        [](const R* x, const R* of) { return (x[0] - of[0]) * of[1]; });
}

// reals = {eps}, in = {variance, dy}, out = {dx}; dx may be dy's memory
template <class T>
__device__ void batch_norm_test_backward(const Step& step) {
    typedef Real<T> R;
    const R *variances = step.in<R>(0), eps = static_cast<R>(step.real(0));
    const T* const from[1] = {step.in<T>(1)};
    map_channels<T, 1>(
        Extent(step), from, step.out<T>(0), [=](Index c, R* of) { of[0] = inverse_deviation(variances[c], eps); },
        [](const R* x, const R* of) { return x[0] * of[0]; });
}

// ints = {elements}, reals = {fraction, factor}, in = {state, new}, out = {state}, the same memory as in
template <class T>
__device__ void moving_average(const Step& step) {
    const T fraction = static_cast<T>(step.real(0)), factor = static_cast<T>(step.real(1));
    map_two<T>(step, [=](T state, T fresh) { return fraction * state + factor * fresh; });
}

// in = {x, s}, out = {y}; y may be x's memory. Also dx, of dy and s.
template <class T>
__device__ void scale_channels(const Step& step) {
    typedef Real<T> R;
    const R* scale = step.in<R>(1);
    const T* const from[1] = {step.in<T>(0)};
    map_channels<T, 1>(
        Extent(step), from, step.out<T>(0), [=](Index c, R* of) { of[0] = scale[c]; },
        [](const R* x, const R* of) { return x[0] * of[0]; });
}

// in = {x, dy}, out = {ds}
template <class T>
__device__ void scale_channels_backward_parts(const Step& step) {
    typedef Real<T> R;
    const T* const from[2] = {step.in<T>(0), step.in<T>(1)};
    sum_parts<T, 1>(step, Extent(step), from, [](R* sums, const R* x) { sums[0] += x[0] * x[1]; });
}

template <class T>
__device__ void scale_channels_backward(const Step& step) {
    Real<T>* ds = step.out<Real<T>>(0);
    join_parts<1>(step, Extent(step), [=](Index c, const double* sums) { ds[c] = static_cast<Real<T>>(sums[0]); });
}

MOCHA_KERNEL(batch_norm_train_forward_parts)
MOCHA_KERNEL(batch_norm_train_forward_join)
MOCHA_KERNEL(batch_norm_train_forward)
MOCHA_KERNEL(batch_norm_train_backward_parts)
MOCHA_KERNEL(batch_norm_train_backward_join)
MOCHA_KERNEL(batch_norm_train_backward)
MOCHA_KERNEL(batch_norm_test_forward)
MOCHA_KERNEL(batch_norm_test_backward)
MOCHA_PRECISE_KERNEL(moving_average)
MOCHA_KERNEL(scale_channels)
MOCHA_KERNEL(scale_channels_backward_parts)
MOCHA_KERNEL(scale_channels_backward)
