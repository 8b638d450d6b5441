// More functions of one element: activations, bounds and steps. Arguments, unless a kernel's comment says otherwise:
// ints = {elements}, out = {result}; the result may be the memory of an input.
#include "channels.cuh"
#include "functions.cuh"
#include "map.cuh"

// in = {x}, reals = {alpha}
template <class T>
__device__ void elu_forward(const Step& step) {
    const Real<T> alpha = static_cast<Real<T>>(step.real(0));
    map_one<T>(step, [=](Real<T> x) { return elu(x, alpha); });
}

// in = {y, dy}, reals = {alpha}
template <class T>
__device__ void elu_backward(const Step& step) {
    const Real<T> alpha = static_cast<Real<T>>(step.real(0));
    map_two<T>(step, [=](Real<T> y, Real<T> dy) { return elu_back(y, dy, alpha); });
}

// in = {x}
template <class T>
__device__ void softplus_forward(const Step& step) {
    map_one<T>(step, [](Real<T> x) { return softplus(x); });
}

// in = {x, dy}
template <class T>
__device__ void softplus_backward(const Step& step) {
    map_two<T>(step, [](Real<T> x, Real<T> dy) { return dy * sigmoid(x); });
}

// in = {x}, reals = {beta}
template <class T>
__device__ void swish_forward(const Step& step) {
    const Real<T> beta = static_cast<Real<T>>(step.real(0));
    map_one<T>(step, [=](Real<T> x) { return swish(x, beta); });
}

// in = {x, dy}, reals = {beta}
template <class T>
__device__ void swish_backward(const Step& step) {
    const Real<T> beta = static_cast<Real<T>>(step.real(0));
    map_two<T>(step, [=](Real<T> x, Real<T> dy) { return swish_back(x, dy, beta); });
}

// in = {x}, reals = {low, high}
template <class T>
__device__ void clip_forward(const Step& step) {
    const Real<T> low = static_cast<Real<T>>(step.real(0)), high = static_cast<Real<T>>(step.real(1));
    map_one<T>(step, [=](Real<T> x) { return clip(x, low, high); });
}

// in = {x, dy}, reals = {low, high}
template <class T>
__device__ void clip_backward(const Step& step) {
    const Real<T> low = static_cast<Real<T>>(step.real(0)), high = static_cast<Real<T>>(step.real(1));
    map_two<T>(step, [=](Real<T> x, Real<T> dy) { return clip_back(x, dy, low, high); });
}

// in = {x}, reals = {threshold}
template <class T>
__device__ void threshold(const Step& step) {
    typedef Real<T> R;
    const R bar = static_cast<R>(step.real(0));
    map_one<T>(step, [=](R x) { return x > bar ? R(1) : R(0); });
}

// ints = {outer, channels, inner}, in = {x, slope (channels)}, out = {y}; slopes and their gradient are Real<T>
template <class T>
__device__ void prelu_forward(const Step& step) {
    typedef Real<T> R;
    const R* slope = step.in<R>(1);
    const T* const from[1] = {step.in<T>(0)};
    map_channels<T, 1>(
        Extent(step), from, step.out<T>(0), [=](Index c, R* of) { of[0] = slope[c]; },
        [](const R* x, const R* of) { return leaky_relu(x[0], of[0]); });
}

// ints = {outer, channels, inner}, in = {x, slope (channels), dy}, out = {dx}; dx may be dy's memory
template <class T>
__device__ void prelu_backward(const Step& step) {
    typedef Real<T> R;
    const R* slope = step.in<R>(1);
    const T* const from[2] = {step.in<T>(0), step.in<T>(2)};
    map_channels<T, 1>(
        Extent(step), from, step.out<T>(0), [=](Index c, R* of) { of[0] = slope[c]; },
        [](const R* x, const R* of) { return leaky_relu_back(x[0], x[1], of[0]); });
}

// The sum of dy x where x is not positive: ints = {outer, channels, inner}, in = {x, dy}, out = {dslope (channels)}
template <class T>
__device__ void prelu_slope_parts(const Step& step) {
    typedef Real<T> R;
    const T* const from[2] = {step.in<T>(0), step.in<T>(1)};
    sum_parts<T, 1>(step, Extent(step), from, [](R* sums, const R* x) { sums[0] += x[0] > R(0) ? R(0) : x[1] * x[0]; });
}

template <class T>
__device__ void prelu_slope(const Step& step) {
    Real<T>* slope = step.out<Real<T>>(0);
    join_parts<1>(step, Extent(step), [=](Index c, const double* sums) { slope[c] = static_cast<Real<T>>(sums[0]); });
}

MOCHA_KERNEL(elu_forward)
MOCHA_KERNEL(elu_backward)
MOCHA_KERNEL(softplus_forward)
MOCHA_KERNEL(softplus_backward)
MOCHA_KERNEL(swish_forward)
MOCHA_KERNEL(swish_backward)
MOCHA_KERNEL(clip_forward)
MOCHA_KERNEL(clip_backward)
MOCHA_KERNEL(threshold)
MOCHA_KERNEL(prelu_forward)
MOCHA_KERNEL(prelu_backward)
MOCHA_KERNEL(prelu_slope_parts)
MOCHA_KERNEL(prelu_slope)
