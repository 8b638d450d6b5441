// Functions of one element of each input. Arguments, unless a kernel's comment says otherwise: ints = {elements},
// out = {result}; the result may be the memory of an input.
#include "channels.cuh"
#include "functions.cuh"
#include "map.cuh"

// in = {x}, reals = {floor}
template <class T>
__device__ void relu_forward(const Step& step) {
    const Real<T> floor = static_cast<Real<T>>(step.real(0));
    map_one<T>(step, [=](Real<T> x) { return relu(x, floor); });
}

// in = {y, dy}, reals = {floor}
template <class T>
__device__ void relu_backward(const Step& step) {
    const Real<T> floor = static_cast<Real<T>>(step.real(0));
    map_two<T>(step, [=](Real<T> y, Real<T> dy) { return relu_back(y, dy, floor); });
}

// in = {x}, reals = {slope}
template <class T>
__device__ void leaky_relu_forward(const Step& step) {
    const Real<T> slope = static_cast<Real<T>>(step.real(0));
    map_one<T>(step, [=](Real<T> x) { return leaky_relu(x, slope); });
}

// in = {y, dy}, reals = {slope}
template <class T>
__device__ void leaky_relu_backward(const Step& step) {
    const Real<T> slope = static_cast<Real<T>>(step.real(0));
    map_two<T>(step, [=](Real<T> y, Real<T> dy) { return leaky_relu_back(y, dy, slope); });
}

// in = {x}
template <class T>
__device__ void sigmoid_forward(const Step& step) {
    map_one<T>(step, [](Real<T> x) { return sigmoid(x); });
}

// in = {y, dy}
template <class T>
__device__ void sigmoid_backward(const Step& step) {
    map_two<T>(step, [](Real<T> y, Real<T> dy) { return sigmoid_back(y, dy); });
}

// in = {x}
template <class T>
__device__ void tanh_forward(const Step& step) {
    map_one<T>(step, [](Real<T> x) { return tanh(x); });
}

// in = {y, dy}
template <class T>
__device__ void tanh_backward(const Step& step) {
    map_two<T>(step, [](Real<T> y, Real<T> dy) { return tanh_back(y, dy); });
}

// in = {x}
template <class T>
__device__ void exp_forward(const Step& step) {
    map_one<T>(step, [](Real<T> x) { return exp(x); });
}

// in = {x}
template <class T>
__device__ void log_forward(const Step& step) {
    map_one<T>(step, [](Real<T> x) { return log(x); });
}

// in = {x, dy}
template <class T>
__device__ void log_backward(const Step& step) {
    map_two<T>(step, [](Real<T> x, Real<T> dy) { return dy / x; });
}

// in = {x}
template <class T>
__device__ void abs_forward(const Step& step) {
    map_one<T>(step, [](Real<T> x) { return fabs(x); });
}

// in = {x, dy}
template <class T>
__device__ void abs_backward(const Step& step) {
    map_two<T>(step, [](Real<T> x, Real<T> dy) { return dy * sign(x); });
}

// in = {x}, reals = {power, scale, shift}
template <class T>
__device__ void power_forward(const Step& step) {
    typedef Real<T> R;
    const R exponent = static_cast<R>(step.real(0)), scale = static_cast<R>(step.real(1));
    const R shift = static_cast<R>(step.real(2));
    map_one<T>(step, [=](R x) { return power(x, exponent, scale, shift); });
}

// in = {x, dy}, reals = {power, scale, shift}
template <class T>
__device__ void power_backward(const Step& step) {
    typedef Real<T> R;
    const R exponent = static_cast<R>(step.real(0)), scale = static_cast<R>(step.real(1));
    const R shift = static_cast<R>(step.real(2));
    map_two<T>(step, [=](R x, R dy) { return power_back(x, dy, exponent, scale, shift); });
}

// in = {x}, reals = {factor}
template <class T>
__device__ void scale(const Step& step) {
    const Real<T> factor = static_cast<Real<T>>(step.real(0));
    map_one<T>(step, [=](Real<T> x) { return x * factor; });
}

// in = {a, b}
template <class T>
__device__ void add(const Step& step) {
    map_two<T>(step, [](Real<T> a, Real<T> b) { return a + b; });
}

// in = {a, b}
template <class T>
__device__ void subtract(const Step& step) {
    map_two<T>(step, [](Real<T> a, Real<T> b) { return a - b; });
}

// in = {a, b}
template <class T>
__device__ void multiply(const Step& step) {
    map_two<T>(step, [](Real<T> a, Real<T> b) { return a * b; });
}

// in = {a, b}
template <class T>
__device__ void divide(const Step& step) {
    map_two<T>(step, [](Real<T> a, Real<T> b) { return a / b; });
}

// Both gradients of a b: in = {a, b, dy}, out = {da, db}; da may be dy's memory.
template <class T>
__device__ void multiply_backward(const Step& step) {
    const T *a = step.in<T>(0), *b = step.in<T>(1), *dy = step.in<T>(2);
    T *da = step.out<T>(0), *db = step.out<T>(1);
    each(step.at(0), [&](Index i) {
        const Real<T> g = get(dy[i]), by_a = g * get(b[i]), by_b = g * get(a[i]);
        da[i] = put<T>(by_a);
        db[i] = put<T>(by_b);
    });
}

// The gradients of a / b = y: ints = {elements, da wanted}, in = {b, y, dy}, out = {da, db} or {db}; da may be dy's
// memory.
template <class T>
__device__ void divide_backward(const Step& step) {
    const T *b = step.in<T>(0), *y = step.in<T>(1), *dy = step.in<T>(2);
    T *da = step.at(1) ? step.out<T>(0) : nullptr, *db = step.out<T>(step.at(1) ? 1 : 0);
    each(step.at(0), [&](Index i) {
        const Real<T> by_a = get(dy[i]) / get(b[i]), by_b = -by_a * get(y[i]);
        if (da) da[i] = put<T>(by_a);
        db[i] = put<T>(by_b);
    });
}

// ints = {elements, inputs}, in = {x1, x2, ...}, added from left to right
template <class T>
__device__ void sum_forward(const Step& step) {
    const int inputs = step.at(1);
    T* y = step.out<T>(0);
    each(step.at(0), [&](Index i) {
        Real<T> total = get(step.in<T>(0)[i]);
        for (int k = 1; k < inputs; ++k) total += get(step.in<T>(k)[i]);
        y[i] = put<T>(total);
    });
}

// x (outer, channels, inner) + b (channels): ints = {outer, channels, inner}, in = {x, b}; b is Real<T>
template <class T>
__device__ void bias_forward(const Step& step) {
    typedef Real<T> R;
    const R* b = step.in<R>(1);
    const T* const from[1] = {step.in<T>(0)};
    map_channels<T, 1>(
        Extent(step), from, step.out<T>(0), [=](Index c, R* of) { of[0] = b[c]; },
        [](const R* x, const R* of) { return x[0] + of[0]; });
}

// db, the sum of dy (outer, channels, inner) around the channels: ints = {outer, channels, inner}, in = {dy},
// out = {db}, which is Real<T>
template <class T>
__device__ void bias_backward_parts(const Step& step) {
    typedef Real<T> R;
    const T* const from[1] = {step.in<T>(0)};
    sum_parts<T, 1>(step, Extent(step), from, [](R* sums, const R* x) { sums[0] += x[0]; });
}

template <class T>
__device__ void bias_backward(const Step& step) {
    Real<T>* db = step.out<Real<T>>(0);
    join_parts<1>(step, Extent(step), [=](Index c, const double* sums) { db[c] = static_cast<Real<T>>(sums[0]); });
}

MOCHA_KERNEL(relu_forward)
MOCHA_KERNEL(relu_backward)
MOCHA_KERNEL(leaky_relu_forward)
MOCHA_KERNEL(leaky_relu_backward)
MOCHA_KERNEL(sigmoid_forward)
MOCHA_KERNEL(sigmoid_backward)
MOCHA_KERNEL(tanh_forward)
MOCHA_KERNEL(tanh_backward)
MOCHA_KERNEL(exp_forward)
MOCHA_KERNEL(log_forward)
MOCHA_KERNEL(log_backward)
MOCHA_KERNEL(abs_forward)
MOCHA_KERNEL(abs_backward)
MOCHA_KERNEL(power_forward)
MOCHA_KERNEL(power_backward)
MOCHA_KERNEL(scale)
MOCHA_KERNEL(add)
MOCHA_KERNEL(subtract)
MOCHA_KERNEL(multiply)
MOCHA_KERNEL(multiply_backward)
MOCHA_KERNEL(divide)
MOCHA_KERNEL(divide_backward)
MOCHA_KERNEL(sum_forward)
MOCHA_KERNEL(bias_forward)
MOCHA_KERNEL(bias_backward_parts)
MOCHA_KERNEL(bias_backward)
