// Windows over images that lie channels last, (N, H, W, C): where they lie, and walks over them.
//
// ints = {n, h, w, channels, out h, out w, kernel h, kernel w, stride h, stride w, pad h, pad w, bytes of a winner}
#pragma once

#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 8192;  // taps worth a thread

struct Axis {
    int64_t size, out, kernel, stride, pad;

    MOCHA_INLINE int64_t start(int64_t o) const { return o * stride - pad; }
    // The taps [first, last) of window o that lie in the image.
    MOCHA_INLINE int64_t first(int64_t o) const { return most(-start(o), 0); }
    MOCHA_INLINE int64_t last(int64_t o) const { return least(kernel, size - start(o)); }
    // The windows [low, high) that hold cell i.
    MOCHA_INLINE int64_t low(int64_t i) const {
        const int64_t beyond = i + pad - kernel;  // the last start that does not reach the cell
        return beyond < 0 ? 0 : beyond / stride + 1;
    }
    MOCHA_INLINE int64_t high(int64_t i) const { return least(out, (i + pad) / stride + 1); }
    // Whether some cell lies in no window, given that no cell lies in two.
    MOCHA_INLINE bool gaps() const { return kernel < stride || start(out - 1) + kernel < size; }
    // Cells of window o that lie in the image or its padding, which is what a mean is divided by.
    MOCHA_INLINE int64_t cells(int64_t o) const { return least(start(o) + kernel, size + pad) - start(o); }
};

struct Geometry {
    int64_t n, channels;
    Axis y, x;

    MOCHA_INLINE explicit Geometry(const int64_t* i)
        : n(i[0]), channels(i[3]), y{i[1], i[4], i[6], i[8], i[10]}, x{i[2], i[5], i[7], i[9], i[11]} {}
};

// Winners beside a vector of T: bytes, or int32 for kernels of many taps.
template <class T, class Some>
MOCHA_INLINE IntVec<T> load_winners(const uint8_t* p, Some some) {
    return load_bytes<T>(p, some);
}

template <class T, class Some>
MOCHA_INLINE IntVec<T> load_winners(const int32_t* p, Some some) {
    IntVec<T> v{};
    for (int64_t i = 0; i < some.n; ++i) v[i] = p[i];
    return v;
}

template <class T, class Some>
MOCHA_INLINE void store_winners(uint8_t* p, IntVec<T> v, Some some) {
    store_bytes<T>(p, v, some);
}

template <class T, class Some>
MOCHA_INLINE void store_winners(int32_t* p, IntVec<T> v, Some some) {
    for (int64_t i = 0; i < some.n; ++i) p[i] = static_cast<int32_t>(v[i]);
}

// Calls body(c, stretch, fresh) for the channels in whole vectors. The last one overlaps the one before, and only the
// lanes from `fresh` on are new. Fewer channels than a vector has lanes are a part of one.
template <class T, class Body>
MOCHA_INLINE void by_channels(int64_t channels, const Body& body) {
    if (channels < lanes<T>) {
        body(int64_t{0}, Part<T>{channels}, int64_t{0});
        return;
    }
    for (int64_t c = 0; c < channels; c += lanes<T>) {
        const int64_t at = least(c, channels - lanes<T>);
        body(at, Whole<T>{}, c - at);
    }
}

// A window at one place: its cells in the image, from `x` on, and the number of its first tap there.
template <class T>
struct Window {
    const T* x;
    int64_t rows, columns, row_step, column_step, tap, tap_row;
};

// Calls body(window, out row, out column, place in the result) for all windows of the rows [begin, end) of all images.
template <class T, class Body>
MOCHA_INLINE void by_windows(const Geometry& g, const T* x, int64_t begin, int64_t end, const Body& body) {
    const int64_t row_step = g.x.size * g.channels;
    for (int64_t r = begin; r < end; ++r) {
        const int64_t oy = r % g.y.out, y0 = g.y.first(oy), rows = g.y.last(oy) - y0;
        const T* row = x + (r / g.y.out * g.y.size + g.y.start(oy) + y0) * row_step;
        for (int64_t ox = 0; ox < g.x.out; ++ox) {
            const int64_t x0 = g.x.first(ox), columns = g.x.last(ox) - x0;
            const Window<T> window{row + (g.x.start(ox) + x0) * g.channels, rows, columns, row_step, g.channels,
                                   y0 * g.x.kernel + x0, g.x.kernel};
            body(window, oy, ox, (r * g.x.out + ox) * g.channels);
        }
    }
}

// Rows of windows that are worth a thread.
MOCHA_INLINE int64_t forward_grain(const Geometry& g) {
    return ceil_div(worth, most(g.x.out * g.channels * g.y.kernel * g.x.kernel, 1));
}

}  // namespace
}  // namespace mocha::MOCHA_ISA
