// The windows of images (N, C, H, W) written out, one channel of the result for each channel and tap.
//
// ints = {N, C, H, W, kernel h, kernel w, stride h, stride w, pad h, pad w, dilation h, dilation w, out h, out w}
#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 16384;  // elements of the result worth a thread

// One axis of the windows.
struct Axis {
    int64_t size, kernel, stride, pad, dilation, out;

    // The cell under tap t of window o, if it is there.
    MOCHA_INLINE int64_t at(int64_t o, int64_t t) const { return o * stride - pad + t * dilation; }
    // The windows [first, end) whose tap t is in the image; none if end <= first.
    MOCHA_INLINE int64_t first(int64_t t) const { return least(out, ceil_div(most(0, pad - t * dilation), stride)); }
    MOCHA_INLINE int64_t end(int64_t t) const {
        const int64_t room = size - 1 + pad - t * dilation;
        return room < 0 ? 0 : least(out, room / stride + 1);
    }
};

struct Geometry {
    int64_t planes;  // images times channels
    Axis y, x;

    MOCHA_INLINE explicit Geometry(const int64_t* i)
        : planes(i[0] * i[1]), y{i[2], i[4], i[6], i[8], i[10], i[12]}, x{i[3], i[5], i[7], i[9], i[11], i[13]} {}
    MOCHA_INLINE int64_t taps() const { return y.kernel * x.kernel; }
    MOCHA_INLINE int64_t places() const { return y.out * x.out; }
};

template <class T>
MOCHA_INLINE void zero(T* p, int64_t n) {
    if (n > 0) std::memset(p, 0, static_cast<size_t>(n) * sizeof(T));
}

// in = {x}, out = {y}
template <class T>
const char* unfold_forward(const Step& step) {
    const Geometry g(step.ints);
    const int64_t grain = ceil_div(worth, most(g.places(), 1));
    parallel_ranges(step.threads, g.planes * g.taps(), grain, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const int64_t ky = u % g.taps() / g.x.kernel, kx = u % g.x.kernel;
            const T* image = input<T>(step, 0) + u / g.taps() * g.y.size * g.x.size;
            T* to = output<T>(step, 0) + u * g.places();
            const int64_t first = g.x.first(kx), stop = most(first, g.x.end(kx)), n = stop - first;
            for (int64_t oy = 0; oy < g.y.out; ++oy, to += g.x.out) {
                const int64_t iy = g.y.at(oy, ky);
                if (iy < 0 || iy >= g.y.size || n == 0) {
                    zero(to, g.x.out);
                    continue;
                }
                const T* from = image + iy * g.x.size + g.x.at(first, kx);
                zero(to, first);
                if (g.x.stride == 1)
                    std::memcpy(to + first, from, static_cast<size_t>(n) * sizeof(T));
                else
                    for (int64_t i = 0; i < n; ++i) to[first + i] = from[i * g.x.stride];
                zero(to + stop, g.x.out - stop);
            }
        }
    });
    return nullptr;
}

// in = {dy}, out = {dx}
template <class T>
const char* unfold_backward(const Step& step) {
    const Geometry g(step.ints);
    const int64_t plane = g.y.size * g.x.size, grain = ceil_div(worth, most(g.places() * g.taps(), 1));
    parallel_ranges(step.threads, g.planes, grain, [&](int, int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
            T* image = output<T>(step, 0) + c * plane;
            const T* from = input<T>(step, 0) + c * g.taps() * g.places();
            zero(image, plane);
            for (int64_t t = 0; t < g.taps(); ++t, from += g.places()) {
                const int64_t ky = t / g.x.kernel, kx = t % g.x.kernel;
                const int64_t first = g.x.first(kx), n = most(0, g.x.end(kx) - first);
                if (n == 0) continue;
                for (int64_t oy = g.y.first(ky), stop = g.y.end(ky); oy < stop; ++oy) {
                    const T* dy = from + oy * g.x.out + first;
                    T* to = image + g.y.at(oy, ky) * g.x.size + g.x.at(first, kx);
                    if (g.x.stride == 1)
                        by_vectors<T>(0, n, [&](int64_t i, auto some) {
                            some.store(to + i, some.load(to + i) + some.load(dy + i));
                        });
                    else
                        for (int64_t i = 0; i < n; ++i) to[i * g.x.stride] += dy[i];
                }
            }
        }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel unfold_kernels[];
const Kernel unfold_kernels[] = {
    MOCHA_BOTH(unfold_forward),
    MOCHA_BOTH(unfold_backward),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
