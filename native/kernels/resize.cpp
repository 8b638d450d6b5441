// Images that lie channels last, (N, H, W, C), made larger or smaller, in vectors along the channels.
//
// ints = {n, h, w, channels, out h, out w}
#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 8192;  // results worth a thread

// One axis. Place o of the result lies at o (size - 1) / (out - 1) of the image.
struct Axis {
    int64_t size, out;

    MOCHA_INLINE int64_t gaps() const { return most(out - 1, 1); }
    MOCHA_INLINE int64_t low(int64_t o) const { return o * (size - 1) / gaps(); }
    MOCHA_INLINE int64_t high(int64_t o) const { return least(low(o) + 1, size - 1); }
    template <class T>
    MOCHA_INLINE T part(int64_t o) const {
        return static_cast<T>(static_cast<double>(o * (size - 1) % gaps()) / static_cast<double>(gaps()));
    }
    // The places [begin, end) that may lie between cell i and a neighbour.
    MOCHA_INLINE int64_t begin(int64_t i) const { return size == 1 ? 0 : ceil_div(most(i - 1, 0) * gaps(), size - 1); }
    MOCHA_INLINE int64_t end(int64_t i) const {
        return size == 1 ? out : least(out, ceil_div((i + 1) * gaps(), size - 1) + 1);
    }
};

struct Geometry {
    int64_t n, channels;
    Axis y, x;

    MOCHA_INLINE explicit Geometry(const int64_t* i) : n(i[0]), channels(i[3]), y{i[1], i[4]}, x{i[2], i[5]} {}
    MOCHA_INLINE int64_t line() const { return x.size * channels; }     // of the image
    MOCHA_INLINE int64_t out_line() const { return x.out * channels; }  // of the result
    // Rows of the image, or of the result, that are worth a thread.
    MOCHA_INLINE int64_t grain() const {
        return ceil_div(worth, most(out_line() * most(y.out / most(y.size, 1), 1), 1));
    }
    MOCHA_INLINE int64_t out_grain() const { return ceil_div(worth, most(out_line(), 1)); }
};

// in = {x}, out = {y}
template <class T>
const char* resize_bilinear_forward(const Step& step) {
    const Geometry g(step.ints);
    parallel_ranges(step.threads, g.n * g.y.out, g.out_grain(), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const int64_t oy = r % g.y.out;
            const T* image = input<T>(step, 0) + r / g.y.out * g.y.size * g.line();
            const T *upper = image + g.y.low(oy) * g.line(), *lower = image + g.y.high(oy) * g.line();
            const T fy = g.y.part<T>(oy), gy = T(1) - fy;
            T* to = output<T>(step, 0) + r * g.out_line();
            for (int64_t ox = 0; ox < g.x.out; ++ox, to += g.channels) {
                const int64_t left = g.x.low(ox) * g.channels, right = g.x.high(ox) * g.channels;
                const T fx = g.x.part<T>(ox), gx = T(1) - fx;
                by_vectors<T>(0, g.channels, [&](int64_t c, auto some) {
                    const Vec<T> above = some.load(upper + left + c) * gx + some.load(upper + right + c) * fx;
                    const Vec<T> below = some.load(lower + left + c) * gx + some.load(lower + right + c) * fx;
                    some.store(to + c, above * gy + below * fy);
                });
            }
        }
    });
    return nullptr;
}

// in = {dy}, out = {dx}. Each row of the image gathers from the rows of the result that lie beside it.
template <class T>
const char* resize_bilinear_backward(const Step& step) {
    const Geometry g(step.ints);
    parallel_ranges(step.threads, g.n * g.y.size, g.grain(), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const int64_t i = r % g.y.size;
            T* dx = output<T>(step, 0) + r * g.line();
            std::memset(dx, 0, static_cast<size_t>(g.line()) * sizeof(T));
            for (int64_t oy = g.y.begin(i), stop = g.y.end(i); oy < stop; ++oy) {
                const bool upper = g.y.low(oy) == i, lower = g.y.high(oy) == i;
                if (!upper && !lower) continue;
                const T part = g.y.part<T>(oy);
                const T weight = (upper ? T(1) - part : T(0)) + (lower ? part : T(0));
                const T* from = input<T>(step, 0) + (r / g.y.size * g.y.out + oy) * g.out_line();
                for (int64_t ox = 0; ox < g.x.out; ++ox, from += g.channels) {
                    T *left = dx + g.x.low(ox) * g.channels, *right = dx + g.x.high(ox) * g.channels;
                    const T fx = g.x.part<T>(ox), gx = T(1) - fx;
                    by_vectors<T>(0, g.channels, [&](int64_t c, auto some) {
                        const Vec<T> dy = some.load(from + c) * weight;
                        some.store(left + c, some.load(left + c) + dy * gx);
                        some.store(right + c, some.load(right + c) + dy * fx);  // may be the same cell
                    });
                }
            }
        }
    });
    return nullptr;
}

// in = {x}, out = {y}; the sizes of the result are multiples of the image's
template <class T>
const char* upsample_nearest_forward(const Step& step) {
    const Geometry g(step.ints);
    const int64_t down = g.y.out / g.y.size, across = g.x.out / g.x.size;
    parallel_ranges(step.threads, g.n * g.y.size, g.grain(), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const T* x = input<T>(step, 0) + r * g.line();
            T* first = output<T>(step, 0) + r * down * g.out_line();
            T* to = first;
            for (int64_t j = 0; j < g.x.size; ++j, x += g.channels)
                for (int64_t k = 0; k < across; ++k, to += g.channels)
                    by_vectors<T>(0, g.channels, [&](int64_t c, auto some) { some.store(to + c, some.load(x + c)); });
            for (int64_t k = 1; k < down; ++k)
                std::memcpy(first + k * g.out_line(), first, static_cast<size_t>(g.out_line()) * sizeof(T));
        }
    });
    return nullptr;
}

// in = {dy}, out = {dx}
template <class T>
const char* upsample_nearest_backward(const Step& step) {
    const Geometry g(step.ints);
    const int64_t down = g.y.out / g.y.size, across = g.x.out / g.x.size;
    parallel_ranges(step.threads, g.n * g.y.size, g.grain(), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r)
            for (int64_t j = 0; j < g.x.size; ++j) {
                const T* dy = input<T>(step, 0) + r * down * g.out_line() + j * across * g.channels;
                T* dx = output<T>(step, 0) + r * g.line() + j * g.channels;
                by_vectors<T>(0, g.channels, [&](int64_t c, auto some) {
                    Vec<T> total{};
                    for (int64_t i = 0; i < down; ++i)
                        for (int64_t k = 0; k < across; ++k)
                            total += some.load(dy + i * g.out_line() + k * g.channels + c);
                    some.store(dx + c, total);
                });
            }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel resize_kernels[];
const Kernel resize_kernels[] = {
    MOCHA_BOTH(resize_bilinear_forward),
    MOCHA_BOTH(resize_bilinear_backward),
    MOCHA_BOTH(upsample_nearest_forward),
    MOCHA_BOTH(upsample_nearest_backward),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
