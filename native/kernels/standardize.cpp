// Normalisation of each row by its own statistics: mean and deviation, or length.
#include "mocha/channels.h"
#include "mocha/sums.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 8192;  // elements worth a thread
constexpr int64_t strip = 64;    // positions behind the axis that are walked along together

// ints = {rows, elements of a row, whether to divide}, reals = {eps}, in = {x}, out = {y, divisors}; y may be x's
// memory
template <class T>
const char* standardize_forward(const Step& step) {
    const int64_t n = step.ints[1];
    parallel_ranges(step.threads, step.ints[0], ceil_div(worth, most(n, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const T* x = input<T>(step, 0) + r * n;
            T *y = output<T>(step, 0) + r * n, *divisor = output<T>(step, 1) + r;
            Moments all{};
            row_moments<T>(x, n, all);
            const T mean = static_cast<T>(all.sum / all.count);
            *divisor = T(1);
            if (step.ints[2])
                *divisor = lane_sqrt(static_cast<T>(all.spread / all.count)) + static_cast<T>(step.reals[0]);
            const T inverse = T(1) / *divisor;
            by_vectors<T>(0, n, [&](int64_t i, auto some) { some.store(y + i, (some.load(x + i) - mean) * inverse); });
        }
    });
    return nullptr;
}

// ints = {rows, elements of a row, whether it was divided}, in = {y, divisors, dy} or {dy}, out = {dx}; dx may be dy's
// memory
template <class T>
const char* standardize_backward(const Step& step) {
    const int64_t n = step.ints[1];
    const bool scaled = step.ints[2] != 0;
    parallel_ranges(step.threads, step.ints[0], ceil_div(worth, most(n, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const T* dy = input<T>(step, scaled ? 2 : 0) + r * n;
            const T* y = scaled ? input<T>(step, 0) + r * n : dy;
            T* dx = output<T>(step, 0) + r * n;
            double sums[2] = {};
            row_products<T>(dy, y, n, sums, Product{});
            const T mean = static_cast<T>(sums[0] / static_cast<double>(n));
            const T slope = static_cast<T>(sums[1] / static_cast<double>(n));
            const T inverse = scaled ? T(1) / input<T>(step, 1)[r] : T(1);
            by_vectors<T>(0, n, [&](int64_t i, auto some) {
                const Vec<T> centred = some.load(dy + i) - mean;
                some.store(dx + i, scaled ? (centred - some.load(y + i) * slope) * inverse : centred);
            });
        }
    });
    return nullptr;
}

// Calls body(place of the first element, positions, place of the first length) for strips of positions behind an axis.
template <class Body>
MOCHA_INLINE void by_strips(const Step& step, const Body& body) {
    const int64_t extent = step.ints[1], inner = step.ints[2];
    const int64_t strips = ceil_div(inner, strip), grain = ceil_div(worth, most(extent * least(inner, strip), 1));
    parallel_ranges(step.threads, step.ints[0] * strips, grain, [&](int, int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end; ++at) {
            const int64_t o = at / strips, first = at % strips * strip;
            body(o * extent * inner + first, least(strip, inner - first), o * inner + first);
        }
    });
}

// ints = {outer, extent, inner}, reals = {eps}, in = {x}, out = {y, lengths (outer, inner)}; y may be x's memory
template <class T>
const char* l2_normalize_forward(const Step& step) {
    const int64_t extent = step.ints[1], inner = step.ints[2];
    by_strips(step, [&](int64_t at, int64_t n, int64_t place) {
        const T* x = input<T>(step, 0) + at;
        T *y = output<T>(step, 0) + at, *length = output<T>(step, 1) + place;
        if (inner == 1) {
            *length = static_cast<T>(lane_sqrt(sum_of_squares<T>(x, nullptr, extent) + step.reals[0]));
            const Vec<T> divisor = splat(*length);
            by_vectors<T>(0, extent, [&](int64_t i, auto some) { some.store(y + i, some.load(x + i) / divisor); });
            return;
        }
        double total[strip] = {};
        for (int64_t c = 0; c < extent; ++c)
            for (int64_t i = 0; i < n; ++i) {
                const auto v = static_cast<double>(x[c * inner + i]);
                total[i] += v * v;
            }
        for (int64_t i = 0; i < n; ++i) length[i] = static_cast<T>(lane_sqrt(total[i] + step.reals[0]));
        for (int64_t c = 0; c < extent; ++c)
            by_vectors<T>(0, n, [&](int64_t i, auto some) {
                some.store(y + c * inner + i, some.load(x + c * inner + i) / some.load_or(length + i, T(1)));
            });
    });
    return nullptr;
}

// ints = {outer, extent, inner}, in = {y, lengths, dy}, out = {dx}; dx may be dy's memory
template <class T>
const char* l2_normalize_backward(const Step& step) {
    const int64_t extent = step.ints[1], inner = step.ints[2];
    by_strips(step, [&](int64_t at, int64_t n, int64_t place) {
        const T *y = input<T>(step, 0) + at, *length = input<T>(step, 1) + place, *dy = input<T>(step, 2) + at;
        T* dx = output<T>(step, 0) + at;
        if (inner == 1) {
            double sums[2] = {};
            row_products<T>(dy, y, extent, sums, Product{});
            const Vec<T> along = splat(static_cast<T>(sums[1])), divisor = splat(*length);
            by_vectors<T>(0, extent, [&](int64_t i, auto some) {
                some.store(dx + i, (some.load(dy + i) - some.load(y + i) * along) / divisor);
            });
            return;
        }
        double total[strip] = {};
        for (int64_t c = 0; c < extent; ++c)
            for (int64_t i = 0; i < n; ++i) total[i] += static_cast<double>(dy[c * inner + i] * y[c * inner + i]);
        T along[strip];
        for (int64_t i = 0; i < n; ++i) along[i] = static_cast<T>(total[i]);
        for (int64_t c = 0; c < extent; ++c)
            by_vectors<T>(0, n, [&](int64_t i, auto some) {
                const int64_t e = c * inner + i;
                some.store(dx + e, (some.load(dy + e) - some.load(y + e) * some.load(along + i)) /
                                       some.load_or(length + i, T(1)));
            });
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel standardize_kernels[];
const Kernel standardize_kernels[] = {
    MOCHA_BOTH(standardize_forward),   MOCHA_BOTH(standardize_backward), MOCHA_BOTH(l2_normalize_forward),
    MOCHA_BOTH(l2_normalize_backward), {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
