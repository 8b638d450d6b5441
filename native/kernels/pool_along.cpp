// Pooling along one axis of an array (outer, extent, inner). The whole-number attributes of all kernels here:
// ints = {outer, extent, inner, windows, kernel, stride, padding in front}.
#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 8192;  // taps worth a thread
constexpr int64_t strip = 64;    // positions behind the axis that are walked along together

struct Windows {
    int64_t outer, extent, inner, count, kernel, stride, front;
    MOCHA_INLINE explicit Windows(const int64_t* ints)
        : outer(ints[0]), extent(ints[1]), inner(ints[2]), count(ints[3]), kernel(ints[4]), stride(ints[5]),
          front(ints[6]) {}
    MOCHA_INLINE int64_t begin(int64_t i) const { return most(i * stride - front, 0); }
    MOCHA_INLINE int64_t end(int64_t i) const { return least(i * stride - front + kernel, extent); }
};

// Calls body(outer index, first position, positions) for all strips of positions, shared among the threads.
template <class Body>
MOCHA_INLINE void by_strips(const Step& step, const Windows& w, const Body& body) {
    const int64_t strips = ceil_div(w.inner, strip), taps = w.count * w.kernel * least(w.inner, strip);
    parallel_ranges(step.threads, w.outer * strips, ceil_div(worth, most(taps, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end; ++at) {
            const int64_t first = at % strips * strip;
            body(at / strips, first, least(strip, w.inner - first));
        }
    });
}

// in = {x}, out = {maxima, their places on the axis as int32}. Of equal elements the first wins; so does the first NaN.
template <class T>
const char* max_forward(const Step& step) {
    const Windows w(step.ints);
    by_strips(step, w, [&](int64_t o, int64_t first, int64_t n) {
        const T* x = input<T>(step, 0) + o * w.extent * w.inner + first;
        for (int64_t i = 0; i < w.count; ++i) {
            const int64_t begin = w.begin(i), end = w.end(i), to = (o * w.count + i) * w.inner + first;
            T best[strip];
            int32_t place[strip];
            for (int64_t k = 0; k < n; ++k) {
                best[k] = x[begin * w.inner + k];
                place[k] = static_cast<int32_t>(begin);
            }
            for (int64_t c = begin + 1; c < end; ++c)
                for (int64_t k = 0; k < n; ++k) {
                    const T candidate = x[c * w.inner + k];
                    const bool better = !(candidate <= best[k]) && best[k] == best[k];
                    best[k] = better ? candidate : best[k];
                    place[k] = better ? static_cast<int32_t>(c) : place[k];
                }
            std::memcpy(output<T>(step, 0) + to, best, static_cast<size_t>(n) * sizeof(T));
            std::memcpy(output<int32_t>(step, 1) + to, place, static_cast<size_t>(n) * sizeof(int32_t));
        }
    });
    return nullptr;
}

// in = {places, dy}, out = {dx}
template <class T>
const char* max_backward(const Step& step) {
    const Windows w(step.ints);
    by_strips(step, w, [&](int64_t o, int64_t first, int64_t n) {
        T* dx = output<T>(step, 0) + o * w.extent * w.inner + first;
        for (int64_t c = 0; c < w.extent; ++c) std::memset(dx + c * w.inner, 0, static_cast<size_t>(n) * sizeof(T));
        for (int64_t i = 0; i < w.count; ++i) {
            const int64_t from = (o * w.count + i) * w.inner + first;
            const int32_t* place = input<int32_t>(step, 0) + from;
            const T* dy = input<T>(step, 1) + from;
            for (int64_t k = 0; k < n; ++k) dx[place[k] * w.inner + k] += dy[k];
        }
    });
    return nullptr;
}

// in = {x}, out = {y}
template <class T>
const char* mean_forward(const Step& step) {
    const Windows w(step.ints);
    by_strips(step, w, [&](int64_t o, int64_t first, int64_t n) {
        const T* x = input<T>(step, 0) + o * w.extent * w.inner + first;
        for (int64_t i = 0; i < w.count; ++i) {
            T total[strip] = {};
            for (int64_t c = w.begin(i); c < w.end(i); ++c)
                for (int64_t k = 0; k < n; ++k) total[k] += x[c * w.inner + k];
            T* y = output<T>(step, 0) + (o * w.count + i) * w.inner + first;
            for (int64_t k = 0; k < n; ++k) y[k] = total[k] / static_cast<T>(w.kernel);
        }
    });
    return nullptr;
}

// in = {dy}, out = {dx}
template <class T>
const char* mean_backward(const Step& step) {
    const Windows w(step.ints);
    by_strips(step, w, [&](int64_t o, int64_t first, int64_t n) {
        T* dx = output<T>(step, 0) + o * w.extent * w.inner + first;
        for (int64_t c = 0; c < w.extent; ++c) std::memset(dx + c * w.inner, 0, static_cast<size_t>(n) * sizeof(T));
        for (int64_t i = 0; i < w.count; ++i) {
            const T* dy = input<T>(step, 0) + (o * w.count + i) * w.inner + first;
            T share[strip];
            for (int64_t k = 0; k < n; ++k) share[k] = dy[k] / static_cast<T>(w.kernel);
            for (int64_t c = w.begin(i); c < w.end(i); ++c)
                for (int64_t k = 0; k < n; ++k) dx[c * w.inner + k] += share[k];
        }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name, function) {#name, 4, function<float>, nullptr}, {#name, 8, function<double>, nullptr}

extern const Kernel pool_along_kernels[];
const Kernel pool_along_kernels[] = {
    MOCHA_BOTH(max_pool_along_forward, max_forward),
    MOCHA_BOTH(max_pool_along_backward, max_backward),
    MOCHA_BOTH(mean_pool_along_forward, mean_forward),
    MOCHA_BOTH(mean_pool_along_backward, mean_backward),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
