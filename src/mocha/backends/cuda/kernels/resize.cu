// Images that lie channels last, (N, H, W, C), made larger or smaller, in packs along the channels.
//
// ints = {n, h, w, channels, out h, out w}
#include "pixels.cuh"

// One axis of an interpolation. Place o of the result lies at o (size - 1) / (out - 1) of the image.
struct Axis {
    Index size, out, gaps;
    bool is_short;  // whether products of places and sizes are less than 2^31
    Divisor by_gaps, by_steps;

    MOCHA_DEVICE Axis(Index size, Index out)
        : size(size), out(out), gaps(most(out - 1, 1)), is_short(int64_t{size} * out + size + out < (1ll << 31)),
          by_gaps(gaps), by_steps(most(size - 1, 1)) {}

    // a b / by, and the rest
    MOCHA_DEVICE Index ratio(Index a, Index b, const Divisor& by, Index& rest) const {
        if (is_short) return by.split(a * b, rest);
        const int64_t product = int64_t{a} * b;
        rest = static_cast<Index>(product % by.by);
        return static_cast<Index>(product / by.by);
    }
    MOCHA_DEVICE Index ratio_up(Index a, Index b, const Divisor& by) const {
        Index rest;
        const Index below = ratio(a, b, by, rest);
        return below + (rest > 0 ? 1 : 0);
    }
    // The cell at or before place o, and how far beyond it the place is.
    template <class R>
    MOCHA_DEVICE Index low(Index o, R& part) const {
        Index rest;
        const Index cell = ratio(o, size - 1, by_gaps, rest);
        part = static_cast<R>(rest) / static_cast<R>(gaps);
        return cell;
    }
    MOCHA_DEVICE Index high(Index low) const { return least(low + 1, size - 1); }
    // The places [begin, end) that may lie between cell i and a neighbour.
    MOCHA_DEVICE Index begin(Index i) const { return size == 1 ? 0 : ratio_up(most(i - 1, 0), gaps, by_steps); }
    MOCHA_DEVICE Index end(Index i) const { return size == 1 ? out : least(out, ratio_up(i + 1, gaps, by_steps) + 1); }
    // How much of place o comes from cell i; false if nothing.
    template <class R>
    MOCHA_DEVICE bool weight(Index o, Index i, R& weight) const {
        R part;
        const Index before = low(o, part);
        const bool is_low = before == i, is_high = high(before) == i;
        weight = (is_low ? R(1) - part : R(0)) + (is_high ? part : R(0));
        return is_low || is_high;
    }
};

// Rows of the result for one of the image that are worth cutting; as in launches/resize.py.
constexpr Index long_column = 4;

struct Geometry {
    Index n, height, width, channels, out_height, out_width;

    MOCHA_DEVICE explicit Geometry(const Step& step)
        : n(step.at(0)), height(step.at(1)), width(step.at(2)), channels(step.at(3)), out_height(step.at(4)),
          out_width(step.at(5)) {}

    template <int N>
    MOCHA_DEVICE Pixels<N> cells() const {
        return Pixels<N>(n, height, width, channels);
    }
    template <int N>
    MOCHA_DEVICE Pixels<N> results() const {
        return Pixels<N>(n, out_height, out_width, channels);
    }
    MOCHA_DEVICE Index cell(Index image, Index row, Index column, Index c) const {
        return ((image * height + row) * width + column) * channels + c;
    }
    MOCHA_DEVICE Index result(Index image, Index row, Index column, Index c) const {
        return ((image * out_height + row) * out_width + column) * channels + c;
    }
    MOCHA_DEVICE bool has_long_columns() const { return out_height / height >= long_column; }
};

// -- bilinear

template <class T, int N>
MOCHA_DEVICE void interpolate(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const Pixels<N> results = g.results<N>();
    const Axis down(g.height, g.out_height), across(g.width, g.out_width);
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    each(results.count, [&](Index p) {
        const Place at = results.place(p);
        R below, behind;  // the weights of the lower and of the right pixels
        const Index top = down.low(at.y, below), left = across.low(at.x, behind);
        const Index bottom = down.high(top), right = across.high(left);
        const Few<T, N> a = load_few<N>(x + g.cell(at.image, top, left, at.c));
        const Few<T, N> b = load_few<N>(x + g.cell(at.image, top, right, at.c));
        const Few<T, N> c = load_few<N>(x + g.cell(at.image, bottom, left, at.c));
        const Few<T, N> d = load_few<N>(x + g.cell(at.image, bottom, right, at.c));
        R found[N];
#pragma unroll
        for (int k = 0; k < N; ++k) {
            const R upper = get(a.at[k]) * (R(1) - behind) + get(b.at[k]) * behind;
            const R lower = get(c.at[k]) * (R(1) - behind) + get(d.at[k]) * behind;
            found[k] = upper * (R(1) - below) + lower * below;
        }
        put_few<T, N>(y + p * N, found);
    });
}

// in = {x}, out = {y}
template <class T>
__device__ void resize_bilinear_forward(const Step& step) {
    if (packs_fit<T>(step.at(3)))
        interpolate<T, Pack<T>::size>(step);
    else
        interpolate<T, 1>(step);
}

// Each pixel gathers from the results around it.
template <class T, int N>
MOCHA_DEVICE void gather(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const Pixels<N> cells = g.cells<N>();
    const Axis down(g.height, g.out_height), across(g.width, g.out_width);
    const T* dy = step.in<T>(0);
    T* dx = step.out<T>(0);
    const auto add = [&](Index p, Index first, Index by, R* sums) {
        const Place at = cells.place(p);
        const Index bottom = down.end(at.y), left = across.begin(at.x), right = across.end(at.x);
#pragma unroll 1
        for (Index oy = down.begin(at.y) + first; oy < bottom; oy += by) {
            R of_row, of_column;
            if (!down.weight(oy, at.y, of_row)) continue;
#pragma unroll 1
            for (Index ox = left; ox < right; ++ox) {
                if (!across.weight(ox, at.x, of_column)) continue;
                const Few<T, N> given = load_few<N>(dy + g.result(at.image, oy, ox, at.c));
                const R weight = of_row * of_column;
#pragma unroll
                for (int k = 0; k < N; ++k) sums[k] += get(given.at[k]) * weight;
            }
        }
    };
    sum_packs<T, N>(cells.count, g.has_long_columns(), add, [&](Index p, R* sums) { put_few<T, N>(dx + p * N, sums); });
}

// in = {dy}, out = {dx}
template <class T>
__device__ void resize_bilinear_backward(const Step& step) {
    if (packs_fit<T>(step.at(3)))
        gather<T, Pack<T>::size>(step);
    else
        gather<T, 1>(step);
}

// -- nearest: the sizes of the result are multiples of the image's

template <class T, int N>
MOCHA_DEVICE void repeat(const Step& step) {
    const Geometry g(step);
    const Pixels<N> results = g.results<N>();
    const Divisor down(g.out_height / g.height), across(g.out_width / g.width);
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    each(results.count, [&](Index p) {
        const Place at = results.place(p);
        store_few(y + p * N, load_few<N>(x + g.cell(at.image, down.quotient(at.y), across.quotient(at.x), at.c)));
    });
}

// in = {x}, out = {y}
template <class T>
__device__ void upsample_nearest_forward(const Step& step) {
    if (packs_fit<T>(step.at(3)))
        repeat<T, Pack<T>::size>(step);
    else
        repeat<T, 1>(step);
}

template <class T, int N>
MOCHA_DEVICE void sum_blocks(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const Pixels<N> cells = g.cells<N>();
    const Index down = g.out_height / g.height, across = g.out_width / g.width;
    const T* dy = step.in<T>(0);
    T* dx = step.out<T>(0);
    const auto add = [&](Index p, Index first, Index by, R* sums) {
        const Place at = cells.place(p);
        for (Index i = first; i < down; i += by)
            for (Index j = 0; j < across; ++j) {
                const Index from = g.result(at.image, at.y * down + i, at.x * across + j, at.c);
                const Few<T, N> given = load_few<N>(dy + from);
#pragma unroll
                for (int k = 0; k < N; ++k) sums[k] += get(given.at[k]);
            }
    };
    sum_packs<T, N>(cells.count, g.has_long_columns(), add, [&](Index p, R* sums) { put_few<T, N>(dx + p * N, sums); });
}

// in = {dy}, out = {dx}
template <class T>
__device__ void upsample_nearest_backward(const Step& step) {
    if (packs_fit<T>(step.at(3)))
        sum_blocks<T, Pack<T>::size>(step);
    else
        sum_blocks<T, 1>(step);
}

MOCHA_KERNEL(resize_bilinear_forward)
MOCHA_KERNEL(resize_bilinear_backward)
MOCHA_KERNEL(upsample_nearest_forward)
MOCHA_KERNEL(upsample_nearest_backward)
