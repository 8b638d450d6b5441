// The windows of images (N, C, H, W) written out, one channel of the result for each channel and tap. Neighbouring
// threads have neighbouring columns.
//
// ints = {N, C, H, W, kernel h, kernel w, stride h, stride w, pad h, pad w, dilation h, dilation w, out h, out w}
#include "pixels.cuh"

// One axis of the windows.
struct Slide {
    Index size, kernel, stride, pad, dilation, out;
    Divisor by_stride;

    MOCHA_DEVICE Slide(const Step& step, int axis)
        : size(step.at(2 + axis)), kernel(step.at(4 + axis)), stride(step.at(6 + axis)), pad(step.at(8 + axis)),
          dilation(step.at(10 + axis)), out(step.at(12 + axis)), by_stride(stride) {}

    // The cell under tap t of window o.
    MOCHA_DEVICE Index cell(Index o, Index t) const { return o * stride - pad + t * dilation; }
    // The window whose tap t lies on a cell, or -1.
    MOCHA_DEVICE Index window(Index cell, Index t) const {
        const Index start = cell + pad - t * dilation;
        if (start < 0) return -1;
        Index rest;
        const Index o = by_stride.split(start, rest);
        return rest == 0 && o < out ? o : -1;
    }
};

// in = {x}, out = {y}
template <class T>
__device__ void unfold_forward(const Step& step) {
    const Slide down(step, 0), across(step, 1);
    const Divisor columns(across.out), rows(down.out), taps_across(across.kernel), taps_down(down.kernel);
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    const Index size = step.at(0) * step.at(1) * down.kernel * across.kernel * down.out * across.out;
    each(size, [&](Index i) {
        Index oy, ox, ky, kx;
        const Index channel = rows.split(columns.split(i, ox), oy);
        const Index plane = taps_down.split(taps_across.split(channel, kx), ky);
        const Index row = down.cell(oy, ky), column = across.cell(ox, kx);
        const bool is_inside = row >= 0 && row < down.size && column >= 0 && column < across.size;
        y[i] = is_inside ? x[(plane * down.size + row) * across.size + column] : put<T>(Real<T>(0));
    });
}

// in = {dy}, out = {dx}
template <class T>
__device__ void unfold_backward(const Step& step) {
    const Slide down(step, 0), across(step, 1);
    const Divisor columns(across.size), rows(down.size);
    const T* dy = step.in<T>(0);
    T* dx = step.out<T>(0);
    const Index places = down.out * across.out;
    each(step.at(0) * step.at(1) * down.size * across.size, [&](Index i) {
        Index row, column;
        const Index plane = rows.split(columns.split(i, column), row);
        const T* given = dy + plane * down.kernel * across.kernel * places;
        Real<T> sum = 0;
        for (Index ky = 0; ky < down.kernel; ++ky) {
            const Index oy = down.window(row, ky);
            if (oy < 0) continue;
            for (Index kx = 0; kx < across.kernel; ++kx) {
                const Index ox = across.window(column, kx);
                if (ox >= 0) sum += get(given[(ky * across.kernel + kx) * places + oy * across.out + ox]);
            }
        }
        dx[i] = put<T>(sum);
    });
}

MOCHA_PRECISE_KERNEL(unfold_forward)
MOCHA_PRECISE_KERNEL(unfold_backward)
