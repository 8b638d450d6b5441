// Batch normalisation of x (outer, channels, inner), and the scaling of channels that follows it.
//
// ints = {outer, channels, inner}, unless a kernel says otherwise
#include "mocha/channels.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {
namespace {

template <class T>
MOCHA_INLINE T inverse_deviation(T variance, double eps) {
    return T(1) / lane_sqrt(variance + static_cast<T>(eps));
}

template <class T>
int64_t batch_norm_train_scratch(const int64_t* ints, int threads) {
    const Room<T, Moments> room(ints, threads);
    return room.lines_at + room.line;
}

// reals = {eps}, in = {x}, out = {y, mean, variance}; y may be x's memory
template <class T>
const char* batch_norm_train_forward(const Step& step) {
    const Extent e(step.ints);
    const Room<T, Moments> room(step.ints, step.threads);
    const T* x = input<T>(step, 0);
    T *y = output<T>(step, 0), *mean = output<T>(step, 1), *variance = output<T>(step, 2);
    room.clear(step);
    parallel_ranges(step.threads, e.rows(), e.grain(), [&](int thread, int64_t begin, int64_t end) {
        Moments* mine = room.of(step, thread);
        if (e.channels_last())
            column_moments<T>(x, e.channels, begin, end, mine);
        else
            for (int64_t r = begin; r < end; ++r) row_moments<T>(x + r * e.inner, e.inner, mine[r % e.channels]);
    });
    T* inverse = room.channels(step, 0);
    for (int64_t c = 0; c < e.channels; ++c) {
        Moments all{};
        for (int64_t t = 0; t < step.threads; ++t) {
            const Moments& found = room.of(step, t)[c];
            if (found.count > 0) all.add(found.count, found.sum, found.spread);
        }
        mean[c] = static_cast<T>(all.sum / all.count);
        variance[c] = static_cast<T>(all.spread / all.count);
        inverse[c] = inverse_deviation(variance[c], step.reals[0]);
    }
    by_elements<T>(step.threads, e, [=](int64_t at, auto some, auto of) {
        some.store(y + at, (some.load(x + at) - of(mean)) * of(inverse));
    });
    return nullptr;
}

template <class T>
int64_t batch_norm_train_backward_scratch(const int64_t* ints, int threads) {
    const Room<T, double[2]> room(ints, threads);
    return room.lines_at + 3 * room.line;
}

// reals = {eps}, in = {y, variance, dy}, out = {dx}; dx may be dy's memory
template <class T>
const char* batch_norm_train_backward(const Step& step) {
    const Extent e(step.ints);
    const Room<T, double[2]> room(step.ints, step.threads);
    const T *y = input<T>(step, 0), *variance = input<T>(step, 1), *dy = input<T>(step, 2);
    T* dx = output<T>(step, 0);
    sum_products<T>(step, e, dy, y, room, Product{});
    T *mean = room.channels(step, 0), *slope = room.channels(step, 1), *inverse = room.channels(step, 2);
    const double count = static_cast<double>(e.outer * e.inner);
    for (int64_t c = 0; c < e.channels; ++c) {
        mean[c] = static_cast<T>(joined<T>(step, room, c, 0) / count);
        slope[c] = static_cast<T>(joined<T>(step, room, c, 1) / count);
        inverse[c] = inverse_deviation(variance[c], step.reals[0]);
    }
    by_elements<T>(step.threads, e, [=](int64_t at, auto some, auto of) {
        some.store(dx + at, (some.load(dy + at) - of(mean) - some.load(y + at) * of(slope)) * of(inverse));
    });
    return nullptr;
}

template <class T>
int64_t one_line_scratch(const int64_t* ints, int) {
    return Room<T, T>(ints, 0).line;
}

template <class T>
MOCHA_INLINE const T* inverse_deviations(const Step& step, const T* variance) {
    T* inverse = reinterpret_cast<T*>(step.scratch);
    for (int64_t c = 0; c < step.ints[1]; ++c) inverse[c] = inverse_deviation(variance[c], step.reals[0]);
    return inverse;
}

// reals = {eps}, in = {x, mean, variance}, out = {y}; y may be x's memory
template <class T>
const char* batch_norm_test_forward(const Step& step) {
    const T *x = input<T>(step, 0), *mean = input<T>(step, 1), *inverse = inverse_deviations(step, input<T>(step, 2));
    T* y = output<T>(step, 0);
    by_elements<T>(step.threads, Extent(step.ints), [=](int64_t at, auto some, auto of) {
        some.store(y + at, (some.load(x + at) - of(mean)) * of(inverse));
    });
    return nullptr;
}

// reals = {eps}, in = {variance, dy}, out = {dx}; dx may be dy's memory
template <class T>
const char* batch_norm_test_backward(const Step& step) {
    const T *inverse = inverse_deviations(step, input<T>(step, 0)), *dy = input<T>(step, 1);
    T* dx = output<T>(step, 0);
    by_elements<T>(step.threads, Extent(step.ints), [=](int64_t at, auto some, auto of) {
        some.store(dx + at, some.load(dy + at) * of(inverse));
    });
    return nullptr;
}

// ints = {elements}, reals = {fraction, factor}, in = {state, new}, out = {state}, the same memory as in
template <class T>
const char* moving_average(const Step& step) {
    const Vec<T> fraction = splat(static_cast<T>(step.reals[0])), factor = splat(static_cast<T>(step.reals[1]));
    parallel_ranges(step.threads, step.ints[0], channels_worth, [&](int, int64_t begin, int64_t end) {
        const T *state = input<T>(step, 0), *fresh = input<T>(step, 1);
        T* to = output<T>(step, 0);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            some.store(to + i, fraction * some.load(state + i) + factor * some.load(fresh + i));
        });
    });
    return nullptr;
}

// in = {x, s}, out = {y}; y may be x's memory. Also dx, of dy and s.
template <class T>
const char* scale_channels(const Step& step) {
    const T *x = input<T>(step, 0), *s = input<T>(step, 1);
    T* y = output<T>(step, 0);
    by_elements<T>(step.threads, Extent(step.ints), [=](int64_t at, auto some, auto of) {
        some.store(y + at, some.load(x + at) * of(s));
    });
    return nullptr;
}

template <class T>
int64_t scale_channels_backward_scratch(const int64_t* ints, int threads) {
    return Room<T, double[2]>(ints, threads).lines_at;
}

// in = {x, dy}, out = {ds}
template <class T>
const char* scale_channels_backward(const Step& step) {
    const Extent e(step.ints);
    const Room<T, double[2]> room(step.ints, step.threads);
    sum_products<T>(step, e, input<T>(step, 1), input<T>(step, 0), room, Product{});
    T* ds = output<T>(step, 0);
    for (int64_t c = 0; c < e.channels; ++c) ds[c] = static_cast<T>(joined<T>(step, room, c, 1));
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name, scratch) {#name, 4, name<float>, scratch<float>}, {#name, 8, name<double>, scratch<double>}

extern const Kernel batch_norm_kernels[];
const Kernel batch_norm_kernels[] = {
    MOCHA_BOTH(batch_norm_train_forward, batch_norm_train_scratch),
    MOCHA_BOTH(batch_norm_train_backward, batch_norm_train_backward_scratch),
    MOCHA_BOTH(batch_norm_test_forward, one_line_scratch),
    MOCHA_BOTH(batch_norm_test_backward, one_line_scratch),
    MOCHA_BOTH(scale_channels_backward, scale_channels_backward_scratch),
    {"scale_channels", 4, scale_channels<float>, nullptr},
    {"scale_channels", 8, scale_channels<double>, nullptr},
    {"moving_average", 4, moving_average<float>, nullptr},
    {"moving_average", 8, moving_average<double>, nullptr},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
