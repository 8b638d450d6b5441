// More functions of one element: activations, bounds and steps. Arguments, unless a kernel's comment says otherwise:
// ints = {elements}, out = {result}; the result may be the memory of an input.
#include "mocha/channels.h"
#include "mocha/map.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {
namespace {

// in = {x}, reals = {alpha}
template <class T>
const char* elu_forward(const Step& step) {
    const Vec<T> alpha = splat(static_cast<T>(step.reals[0]));
    return map<T>(step, heavy, [=](Vec<T> x) {
        const Vec<T> curve = alpha * (vexp<T>(x > Vec<T>{} ? Vec<T>{} : x) - T(1));
        return select<T>(x > Vec<T>{}, x, curve);
    });
}

// in = {y, dy}, reals = {alpha}
template <class T>
const char* elu_backward(const Step& step) {
    const Vec<T> alpha = splat(static_cast<T>(step.reals[0]));
    return map_two<T>(step, light, [=](Vec<T> y, Vec<T> dy) {
        return select<T>(y > Vec<T>{}, dy, dy * (y + alpha));
    });
}

// e^-|x|
template <class T>
MOCHA_INLINE Vec<T> falling(Vec<T> x) {
    return vexp<T>(x > Vec<T>{} ? -x : x);
}

// in = {x}. ln(1 + e) is made of the logarithm of u = 1 + e as rounded, times e / (u - 1), which mends the rounding.
template <class T>
const char* softplus_forward(const Step& step) {
    return map<T>(step, heavy, [](Vec<T> x) {
        const Vec<T> e = falling<T>(x), u = e + T(1), added = u - T(1);
        const Vec<T> rest = select<T>(added == Vec<T>{}, e, vlog<T>(u) * (e / added));
        return (x < Vec<T>{} ? Vec<T>{} : x) + rest;
    });
}

// in = {x, dy}
template <class T>
const char* softplus_backward(const Step& step) {
    return map_two<T>(step, heavy, [](Vec<T> x, Vec<T> dy) {
        const Vec<T> e = falling<T>(x);
        return dy * (select<T>(x > Vec<T>{}, splat(T(1)), e) / (T(1) + e));
    });
}

// in = {x}, reals = {beta}
template <class T>
const char* swish_forward(const Step& step) {
    const Vec<T> beta = splat(static_cast<T>(step.reals[0]));
    return map<T>(step, heavy, [=](Vec<T> x) { return x * vsigmoid<T>(beta * x); });
}

// in = {x, dy}, reals = {beta}
template <class T>
const char* swish_backward(const Step& step) {
    const Vec<T> beta = splat(static_cast<T>(step.reals[0]));
    return map_two<T>(step, heavy, [=](Vec<T> x, Vec<T> dy) {
        const Vec<T> s = vsigmoid<T>(beta * x), scaled = beta * (x * s);
        return dy * (scaled + s * (T(1) - scaled));
    });
}

// in = {x}, reals = {low, high}. NaN passes.
template <class T>
const char* clip_forward(const Step& step) {
    const Vec<T> low = splat(static_cast<T>(step.reals[0])), high = splat(static_cast<T>(step.reals[1]));
    return map<T>(step, light, [=](Vec<T> x) {
        const Vec<T> raised = x < low ? low : x;
        return raised > high ? high : raised;
    });
}

// in = {x, dy}, reals = {low, high}
template <class T>
const char* clip_backward(const Step& step) {
    const Vec<T> low = splat(static_cast<T>(step.reals[0])), high = splat(static_cast<T>(step.reals[1]));
    return map_two<T>(step, light, [=](Vec<T> x, Vec<T> dy) {
        return select<T>((IntVec<T>)(x >= low) & (IntVec<T>)(x <= high), dy, Vec<T>{});
    });
}

// in = {x}, reals = {threshold}
template <class T>
const char* threshold(const Step& step) {
    const Vec<T> bar = splat(static_cast<T>(step.reals[0]));
    return map<T>(step, light, [=](Vec<T> x) { return select<T>(x > bar, splat(T(1)), Vec<T>{}); });
}

// ints = {outer, channels, inner}, in = {x, slope (channels)}, out = {y}
template <class T>
const char* prelu_forward(const Step& step) {
    const T *x = input<T>(step, 0), *slope = input<T>(step, 1);
    T* y = output<T>(step, 0);
    by_elements<T>(step.threads, Extent(step.ints), [=](int64_t at, auto some, auto of) {
        const Vec<T> v = some.load(x + at);
        some.store(y + at, select<T>(v > Vec<T>{}, v, of(slope) * v));
    });
    return nullptr;
}

// ints = {outer, channels, inner}, in = {x, slope (channels), dy}, out = {dx}; dx may be dy's memory
template <class T>
const char* prelu_backward(const Step& step) {
    const T *x = input<T>(step, 0), *slope = input<T>(step, 1), *dy = input<T>(step, 2);
    T* dx = output<T>(step, 0);
    by_elements<T>(step.threads, Extent(step.ints), [=](int64_t at, auto some, auto of) {
        const Vec<T> g = some.load(dy + at);
        some.store(dx + at, select<T>(some.load(x + at) > Vec<T>{}, g, of(slope) * g));
    });
    return nullptr;
}

// dy x where x is not positive.
struct Shrunk {
    template <class T>
    MOCHA_INLINE Vec<T> of(Vec<T> dy, Vec<T> x) const { return select<T>(x > Vec<T>{}, Vec<T>{}, dy * x); }
};

template <class T>
int64_t prelu_slope_scratch(const int64_t* ints, int threads) {
    return Room<T, double[2]>(ints, threads).lines_at;
}

// ints = {outer, channels, inner}, in = {x, dy}, out = {dslope (channels)}
template <class T>
const char* prelu_slope(const Step& step) {
    const Extent e(step.ints);
    const Room<T, double[2]> room(step.ints, step.threads);
    sum_products<T>(step, e, input<T>(step, 1), input<T>(step, 0), room, Shrunk{});
    T* ds = output<T>(step, 0);
    for (int64_t c = 0; c < e.channels; ++c) ds[c] = static_cast<T>(joined<T>(step, room, c, 1));
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel activation_kernels[];
const Kernel activation_kernels[] = {
    MOCHA_BOTH(elu_forward),
    MOCHA_BOTH(elu_backward),
    MOCHA_BOTH(softplus_forward),
    MOCHA_BOTH(softplus_backward),
    MOCHA_BOTH(swish_forward),
    MOCHA_BOTH(swish_backward),
    MOCHA_BOTH(clip_forward),
    MOCHA_BOTH(clip_backward),
    MOCHA_BOTH(threshold),
    MOCHA_BOTH(prelu_forward),
    MOCHA_BOTH(prelu_backward),
    {"prelu_slope", 4, prelu_slope<float>, prelu_slope_scratch<float>},
    {"prelu_slope", 8, prelu_slope<double>, prelu_slope_scratch<double>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
