// Functions of one element of each input. They read and write memory in order, whatever the layout, and an output may
// be the memory of an input.
//
// Arguments, unless a kernel's comment says otherwise: ints = {elements}, out = {result}.
#include "mocha/map.h"
#include "mocha/sums.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {
namespace {

// in = {x}, reals = {floor}. NaN passes.
template <class T>
const char* relu_forward(const Step& step) {
    const Vec<T> floor = splat(static_cast<T>(step.reals[0]));
    return map<T>(step, light, [=](Vec<T> x) { return select<T>(x < floor, floor, x); });
}

// in = {y, dy}, reals = {floor}
template <class T>
const char* relu_backward(const Step& step) {
    const Vec<T> floor = splat(static_cast<T>(step.reals[0]));
    return map_two<T>(step, light, [=](Vec<T> y, Vec<T> dy) { return select<T>(y > floor, dy, Vec<T>{}); });
}

// in = {x}, reals = {slope}
template <class T>
const char* leaky_relu_forward(const Step& step) {
    const Vec<T> slope = splat(static_cast<T>(step.reals[0]));
    return map<T>(step, light, [=](Vec<T> x) { return select<T>(x > Vec<T>{}, x, slope * x); });
}

// in = {y, dy}, reals = {slope}
template <class T>
const char* leaky_relu_backward(const Step& step) {
    const Vec<T> slope = splat(static_cast<T>(step.reals[0]));
    return map_two<T>(step, light, [=](Vec<T> y, Vec<T> dy) { return select<T>(y > Vec<T>{}, dy, slope * dy); });
}

// in = {x}
template <class T>
const char* sigmoid_forward(const Step& step) {
    return map<T>(step, heavy, [](Vec<T> x) { return vsigmoid<T>(x); });
}

// in = {y, dy}
template <class T>
const char* sigmoid_backward(const Step& step) {
    return map_two<T>(step, light, [](Vec<T> y, Vec<T> dy) { return dy * (y * (T(1) - y)); });
}

// in = {x}
template <class T>
const char* tanh_forward(const Step& step) {
    return map<T>(step, heavy, [](Vec<T> x) { return vtanh<T>(x); });
}

// in = {y, dy}
template <class T>
const char* tanh_backward(const Step& step) {
    return map_two<T>(step, light, [](Vec<T> y, Vec<T> dy) { return dy * (T(1) - y * y); });
}

// in = {x}
template <class T>
const char* exp_forward(const Step& step) {
    return map<T>(step, heavy, [](Vec<T> x) { return vexp<T>(x); });
}

// in = {x}
template <class T>
const char* log_forward(const Step& step) {
    return map<T>(step, heavy, [](Vec<T> x) { return vlog<T>(x); });
}

// in = {x, dy}
template <class T>
const char* log_backward(const Step& step) {
    return map_two<T>(step, light, [](Vec<T> x, Vec<T> dy) { return dy / x; });
}

// in = {x}
template <class T>
const char* abs_forward(const Step& step) {
    const IntVec<T> all_but_sign = ~(IntVec<T>)splat(T(-0.0));
    return map<T>(step, light, [=](Vec<T> x) { return (Vec<T>)((IntVec<T>)x & all_but_sign); });
}

// in = {x, dy}
template <class T>
const char* abs_backward(const Step& step) {
    return map_two<T>(step, light, [](Vec<T> x, Vec<T> dy) { return dy * sign<T>(x); });
}

// in = {x}, reals = {power, scale, shift}. The product is rounded before the shift is added, as in the reference:
// otherwise a base that is 0 there would be a little more or less here, and its power something else altogether.
template <class T>
const char* power_forward(const Step& step) {
    const T power = static_cast<T>(step.reals[0]);
    const Vec<T> scale = splat(static_cast<T>(step.reals[1])), shift = splat(static_cast<T>(step.reals[2]));
    if (step.reals[0] == 1) return map<T>(step, light, [=](Vec<T> x) { return rounded<T>(x * scale) + shift; });
    if (step.reals[0] == 2) {
        return map<T>(step, light, [=](Vec<T> x) {
            const Vec<T> base = rounded<T>(x * scale) + shift;
            return base * base;
        });
    }
    return map<T>(step, heavy, [=](Vec<T> x) { return vpow<T>(rounded<T>(x * scale) + shift, power); });
}

// in = {x, dy}, reals = {power, scale, shift}
template <class T>
const char* power_backward(const Step& step) {
    const T power = static_cast<T>(step.reals[0] - 1);
    const Vec<T> scale = splat(static_cast<T>(step.reals[1])), shift = splat(static_cast<T>(step.reals[2]));
    const T slope = static_cast<T>(step.reals[0] * step.reals[1]);
    const Vec<T> factor = splat(slope);
    if (slope == T(0)) return map_two<T>(step, light, [](Vec<T>, Vec<T>) { return Vec<T>{}; });
    if (step.reals[0] == 1) return map_two<T>(step, light, [=](Vec<T>, Vec<T> dy) { return dy * factor; });
    if (step.reals[0] == 2) {
        return map_two<T>(step, light, [=](Vec<T> x, Vec<T> dy) {
            return dy * (factor * (rounded<T>(x * scale) + shift));
        });
    }
    return map_two<T>(step, heavy, [=](Vec<T> x, Vec<T> dy) {
        return dy * (factor * vpow<T>(rounded<T>(x * scale) + shift, power));
    });
}

// in = {x}, reals = {factor}
template <class T>
const char* scale(const Step& step) {
    const Vec<T> factor = splat(static_cast<T>(step.reals[0]));
    return map<T>(step, light, [=](Vec<T> x) { return x * factor; });
}

// in = {a, b}
template <class T>
const char* add(const Step& step) {
    return map_two<T>(step, light, [](Vec<T> a, Vec<T> b) { return a + b; });
}

// in = {a, b}
template <class T>
const char* subtract(const Step& step) {
    return map_two<T>(step, light, [](Vec<T> a, Vec<T> b) { return a - b; });
}

// in = {a, b}
template <class T>
const char* multiply(const Step& step) {
    return map_two<T>(step, light, [](Vec<T> a, Vec<T> b) { return a * b; });
}

// in = {a, b}
template <class T>
const char* divide(const Step& step) {
    return map_two<T>(step, light, [](Vec<T> a, Vec<T> b) { return a / b; });
}

// Both gradients of a b: in = {a, b, dy}, out = {da, db}; da may be dy's memory.
template <class T>
const char* multiply_backward(const Step& step) {
    parallel_ranges(step.threads, step.ints[0], light, [&](int, int64_t begin, int64_t end) {
        const T *a = input<T>(step, 0), *b = input<T>(step, 1), *dy = input<T>(step, 2);
        T *da = output<T>(step, 0), *db = output<T>(step, 1);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            const Vec<T> g = some.load(dy + i), by_a = g * some.load(b + i), by_b = g * some.load(a + i);
            some.store(da + i, by_a);
            some.store(db + i, by_b);
        });
    });
    return nullptr;
}

// The gradients of a / b = y: ints = {elements, da wanted}, in = {b, y, dy}, out = {da, db} or {db}; da may be dy's
// memory.
template <class T>
const char* divide_backward(const Step& step) {
    parallel_ranges(step.threads, step.ints[0], light, [&](int, int64_t begin, int64_t end) {
        const T *b = input<T>(step, 0), *y = input<T>(step, 1), *dy = input<T>(step, 2);
        T *da = step.ints[1] ? output<T>(step, 0) : nullptr, *db = output<T>(step, step.ints[1] ? 1 : 0);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            const Vec<T> by_a = some.load(dy + i) / some.load(b + i), by_b = -by_a * some.load(y + i);
            if (da) some.store(da + i, by_a);
            some.store(db + i, by_b);
        });
    });
    return nullptr;
}

// ints = {elements, inputs}, in = {x1, x2, ...}, added from left to right
template <class T>
const char* sum_forward(const Step& step) {
    parallel_ranges(step.threads, step.ints[0], light, [&](int, int64_t begin, int64_t end) {
        const int64_t inputs = step.ints[1];
        void* const* in = step.in;
        T* y = output<T>(step, 0);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            Vec<T> total = some.load(static_cast<const T*>(in[0]) + i);
            for (int64_t k = 1; k < inputs; ++k) total += some.load(static_cast<const T*>(in[k]) + i);
            some.store(y + i, total);
        });
    });
    return nullptr;
}

// x (outer, channels, inner) + b (channels): ints = {outer, channels, inner}, in = {x, b}
template <class T>
const char* bias_forward(const Step& step) {
    const int64_t outer = step.ints[0], channels = step.ints[1], inner = step.ints[2];
    const int64_t row = inner == 1 ? channels : inner, rows = inner == 1 ? outer : outer * channels;
    const int64_t grain = ceil_div(light, most(row, 1));
    parallel_ranges(step.threads, rows, grain, [&](int, int64_t begin, int64_t end) {
        const T *x = input<T>(step, 0), *b = input<T>(step, 1);
        T* y = output<T>(step, 0);
        for (int64_t r = begin; r < end; ++r) {
            const T* from = x + r * row;
            T* to = y + r * row;
            if (inner == 1) {
                by_vectors<T>(0, row, [&](int64_t i, auto some) {
                    some.store(to + i, some.load(from + i) + some.load(b + i));
                });
            } else {
                const Vec<T> spread = splat(b[r % channels]);
                by_vectors<T>(0, row, [&](int64_t i, auto some) { some.store(to + i, some.load(from + i) + spread); });
            }
        }
    });
    return nullptr;
}

template <class T>
int64_t bias_backward_scratch(const int64_t* ints, int threads) {
    return threads * aligned(ints[1] * static_cast<int64_t>(sizeof(T)));
}

// db, the sum of dy (outer, channels, inner) around the channels: ints = {outer, channels, inner}, in = {dy},
// out = {db}. Each thread sums a stretch of dy into a row of its own; then the rows are added in order.
template <class T>
const char* bias_backward(const Step& step) {
    const int64_t outer = step.ints[0], channels = step.ints[1], inner = step.ints[2];
    const int64_t row = inner == 1 ? channels : inner, rows = inner == 1 ? outer : outer * channels;
    const int64_t pitch = aligned(channels * static_cast<int64_t>(sizeof(T)));
    const int64_t grain = ceil_div(light, most(row, 1));
    const int64_t used = most(least(step.threads, ceil_div(rows, grain)), 1);
    std::memset(step.scratch, 0, static_cast<size_t>(used * pitch));
    parallel_ranges(step.threads, rows, grain, [&](int thread, int64_t begin, int64_t end) {
        const T* dy = input<T>(step, 0);
        T* mine = reinterpret_cast<T*>(step.scratch + thread * pitch);
        if (inner == 1)
            add_rows<T>(dy + begin * channels, end - begin, channels, channels, mine, Plain{});
        else
            for (int64_t r = begin; r < end; ++r) mine[r % channels] += sum_row<T>(dy + r * inner, inner, Plain{});
    });
    T* db = output<T>(step, 0);
    for (int64_t c = 0; c < channels; ++c) {
        T total = 0;
        for (int64_t t = 0; t < used; ++t) total += reinterpret_cast<const T*>(step.scratch + t * pitch)[c];
        db[c] = total;
    }
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel pointwise_kernels[];
const Kernel pointwise_kernels[] = {
    MOCHA_BOTH(relu_forward),
    MOCHA_BOTH(relu_backward),
    MOCHA_BOTH(leaky_relu_forward),
    MOCHA_BOTH(leaky_relu_backward),
    MOCHA_BOTH(sigmoid_forward),
    MOCHA_BOTH(sigmoid_backward),
    MOCHA_BOTH(tanh_forward),
    MOCHA_BOTH(tanh_backward),
    MOCHA_BOTH(exp_forward),
    MOCHA_BOTH(log_forward),
    MOCHA_BOTH(log_backward),
    MOCHA_BOTH(abs_forward),
    MOCHA_BOTH(abs_backward),
    MOCHA_BOTH(power_forward),
    MOCHA_BOTH(power_backward),
    MOCHA_BOTH(scale),
    MOCHA_BOTH(add),
    MOCHA_BOTH(subtract),
    MOCHA_BOTH(multiply),
    MOCHA_BOTH(multiply_backward),
    MOCHA_BOTH(divide),
    MOCHA_BOTH(divide_backward),
    MOCHA_BOTH(sum_forward),
    MOCHA_BOTH(bias_forward),
    {"bias_backward", 4, bias_backward<float>, bias_backward_scratch<float>},
    {"bias_backward", 8, bias_backward<double>, bias_backward_scratch<double>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
