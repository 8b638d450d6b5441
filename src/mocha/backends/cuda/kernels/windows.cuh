// Windows over images that lie channels last, (N, H, W, C): where they lie, and which of them hold a cell.
//
// ints = {n, h, w, channels, out h, out w, kernel h, kernel w, stride h, stride w, pad h, pad w, bytes of a winner}
#pragma once

#include "pixels.cuh"

struct Axis {
    Index size, out, kernel, stride, pad;
    Divisor by_stride;

    MOCHA_DEVICE Axis(Index size, Index out, Index kernel, Index stride, Index pad)
        : size(size), out(out), kernel(kernel), stride(stride), pad(pad), by_stride(stride) {}

    MOCHA_DEVICE Index start(Index o) const { return o * stride - pad; }
    // The cells [begin, end) of window o that lie in the image; none if end <= begin.
    MOCHA_DEVICE Index begin(Index o) const { return most(start(o), 0); }
    MOCHA_DEVICE Index end(Index o) const { return least(start(o) + kernel, size); }
    // The windows [low, high) that hold cell i.
    MOCHA_DEVICE Index low(Index i) const {
        const Index beyond = i + pad - kernel;  // the last start that does not reach the cell
        return beyond < 0 ? 0 : by_stride.quotient(beyond) + 1;
    }
    MOCHA_DEVICE Index high(Index i) const { return least(out, by_stride.quotient(i + pad) + 1); }
    // Cells of window o that lie in the image or its padding, which is what a mean is divided by.
    MOCHA_DEVICE Index cells(Index o) const { return least(start(o) + kernel, size + pad) - start(o); }
};

struct Geometry {
    Index n, channels;
    Axis y, x;

    MOCHA_DEVICE explicit Geometry(const Step& step)
        : n(step.at(0)), channels(step.at(3)), y(step.at(1), step.at(4), step.at(6), step.at(8), step.at(10)),
          x(step.at(2), step.at(5), step.at(7), step.at(9), step.at(11)) {}

    // The packs of the image, and of the result.
    template <int N>
    MOCHA_DEVICE Pixels<N> cells() const {
        return Pixels<N>(n, y.size, x.size, channels);
    }
    template <int N>
    MOCHA_DEVICE Pixels<N> windows() const {
        return Pixels<N>(n, y.out, x.out, channels);
    }
    // The place of an element in the image, and in the result.
    MOCHA_DEVICE Index cell(Index image, Index row, Index column, Index c) const {
        return ((image * y.size + row) * x.size + column) * channels + c;
    }
    MOCHA_DEVICE Index window(Index image, Index oy, Index ox, Index c) const {
        return ((image * y.out + oy) * x.out + ox) * channels + c;
    }
};

// A gradient of x: each cell, N neighbouring channels of it, gathers from the windows that hold it, in their order.
// `add(sums, cell, at, oy, ox, from)` adds to sums[N] what window (oy, ox) gives, whose numbers begin at `from`.
template <class T, int N, class Add>
MOCHA_DEVICE void gather(const Geometry& g, T* dx, const Add& add) {
    const Pixels<N> cells = g.cells<N>();
    each(cells.count, [&](Index cell) {
        const Place at = cells.place(cell);
        const Index low = g.x.low(at.x), high = g.x.high(at.x), y_high = g.y.high(at.y);
        Real<T> sums[N] = {};
        for (Index oy = g.y.low(at.y); oy < y_high; ++oy)
            for (Index ox = low; ox < high; ++ox) add(sums, cell, at, oy, ox, g.window(at.image, oy, ox, at.c));
        put_few<T, N>(dx + cell * N, sums);
    });
}
