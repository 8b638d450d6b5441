// What the pointwise ops do with one element: used by their own kernels, and by kernels that are generated for chains
// of them. R is float or double; y is the op's result, dy the gradient of it.
#pragma once

#include "mocha.cuh"

template <class R>
MOCHA_DEVICE R relu(R x, R floor) {
    return x < floor ? floor : x;  // NaN passes
}
template <class R>
MOCHA_DEVICE R relu_back(R y, R dy, R floor) {
    return y > floor ? dy : R(0);
}
template <class R>
MOCHA_DEVICE R leaky_relu(R x, R slope) {
    return x > R(0) ? x : slope * x;
}
template <class R>
MOCHA_DEVICE R leaky_relu_back(R y, R dy, R slope) {
    return y > R(0) ? dy : slope * dy;
}
// Without overflow, for either sign of x.
template <class R>
MOCHA_DEVICE R sigmoid(R x) {
    const R e = exp(-fabs(x));
    return (x < R(0) ? e : R(1)) / (R(1) + e);
}
template <class R>
MOCHA_DEVICE R sigmoid_back(R y, R dy) {
    return dy * (y * (R(1) - y));
}
template <class R>
MOCHA_DEVICE R tanh_back(R y, R dy) {
    return dy * (R(1) - y * y);
}
template <class R>
MOCHA_DEVICE R sign(R x) {
    return x > R(0) ? R(1) : x < R(0) ? R(-1) : x;  // 0 and NaN stay
}
// The product is rounded before the shift is added, as in the reference: otherwise a base that is 0 there would be a
// little more or less here, and its power something else altogether.
MOCHA_DEVICE float rounded_product(float a, float b) { return __fmul_rn(a, b); }
MOCHA_DEVICE double rounded_product(double a, double b) { return __dmul_rn(a, b); }

// NumPy takes the root where the exponent is 1/2, which differs at minus infinity.
template <class R>
MOCHA_DEVICE R raised(R base, R exponent) {
    if (exponent == R(1)) return base;
    if (exponent == R(2)) return base * base;
    if (exponent == R(0.5)) return sqrt(base);
    return pow(base, exponent);
}

template <class R>
MOCHA_DEVICE R power(R x, R exponent, R scale, R shift) {
    return raised(rounded_product(x, scale) + shift, exponent);
}
template <class R>
MOCHA_DEVICE R power_back(R x, R dy, R exponent, R scale, R shift) {
    const R factor = exponent * scale;
    if (factor == R(0)) return R(0);
    if (exponent == R(1)) return dy * factor;
    return dy * (factor * raised(rounded_product(x, scale) + shift, exponent - R(1)));
}
template <class R>
MOCHA_DEVICE R elu(R x, R alpha) {
    return x > R(0) ? x : alpha * (exp(x > R(0) ? R(0) : x) - R(1));
}
template <class R>
MOCHA_DEVICE R elu_back(R y, R dy, R alpha) {
    return y > R(0) ? dy : dy * (y + alpha);
}
template <class R>
MOCHA_DEVICE R softplus(R x) {
    return (x < R(0) ? R(0) : x) + log1p(exp(-fabs(x)));
}
template <class R>
MOCHA_DEVICE R swish(R x, R beta) {
    return x * sigmoid(beta * x);
}
template <class R>
MOCHA_DEVICE R swish_back(R x, R dy, R beta) {
    const R s = sigmoid(beta * x), scaled = beta * (x * s);
    return dy * (scaled + s * (R(1) - scaled));
}
template <class R>
MOCHA_DEVICE R clip(R x, R low, R high) {
    const R raised = x < low ? low : x;  // NaN passes
    return raised > high ? high : raised;
}
template <class R>
MOCHA_DEVICE R clip_back(R x, R dy, R low, R high) {
    return x >= low && x <= high ? dy : R(0);
}
