// Convolutions by plain sums, for what the libraries have no kernel for: float64, and odd geometries.
//
// Images lie channels last, filters (K, C / groups, kh, kw) as they are learned.
// ints = {N, C, H, W, K, kh, kw, stride h, stride w, pad h, pad w, dilation h, dilation w, groups, out H, out W}
#include "functions.cuh"

struct Geometry {
    Index n, c, h, w, k, kh, kw, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups, out_h, out_w;

    MOCHA_DEVICE explicit Geometry(const Step& s)
        : n(s.at(0)), c(s.at(1)), h(s.at(2)), w(s.at(3)), k(s.at(4)), kh(s.at(5)), kw(s.at(6)), stride_h(s.at(7)),
          stride_w(s.at(8)), pad_h(s.at(9)), pad_w(s.at(10)), dilation_h(s.at(11)), dilation_w(s.at(12)),
          groups(s.at(13)), out_h(s.at(14)), out_w(s.at(15)) {}

    MOCHA_DEVICE Index channels() const { return c / groups; }
    MOCHA_DEVICE Index filters() const { return k / groups; }
    MOCHA_DEVICE Index tap(Index f, Index channel, Index i, Index j) const {
        return ((f * channels() + channel) * kh + i) * kw + j;
    }
};

// ints = {geometry, 1 if there is a bias, activation}, reals = {its parameter}, in = {x, w[, bias]}, out = {y}
template <class T>
__device__ void conv_forward(const Step& step) {
    const Geometry g(step);
    const bool biased = step.at(16) != 0;
    const int activation = step.at(17);
    const Real<T> parameter = static_cast<Real<T>>(step.real(0));
    const T *x = step.in<T>(0), *w = step.in<T>(1);
    T* y = step.out<T>(0);
    each(g.n * g.out_h * g.out_w * g.k, [&](Index at) {
        const Index f = at % g.k, ox = at / g.k % g.out_w, oy = at / g.k / g.out_w % g.out_h;
        const Index image = at / g.k / g.out_w / g.out_h, first = f / g.filters() * g.channels();
        Real<T> total = biased ? step.in<Real<T>>(2)[f] : Real<T>(0);
        for (Index i = 0; i < g.kh; ++i) {
            const Index row = oy * g.stride_h - g.pad_h + i * g.dilation_h;
            if (row < 0 || row >= g.h) continue;
            for (Index j = 0; j < g.kw; ++j) {
                const Index column = ox * g.stride_w - g.pad_w + j * g.dilation_w;
                if (column < 0 || column >= g.w) continue;
                const T* from = x + ((image * g.h + row) * g.w + column) * g.c + first;
                for (Index channel = 0; channel < g.channels(); ++channel)
                    total += get(from[channel]) * get(w[g.tap(f, channel, i, j)]);
            }
        }
        if (activation == 1) total = relu(total, parameter);
        if (activation == 2) total = leaky_relu(total, parameter);
        y[at] = put<T>(total);
    });
}

// in = {w, dy}, out = {dx}
template <class T>
__device__ void conv_backward_data(const Step& step) {
    const Geometry g(step);
    const T *w = step.in<T>(0), *dy = step.in<T>(1);
    T* dx = step.out<T>(0);
    each(g.n * g.h * g.w * g.c, [&](Index at) {
        const Index c = at % g.c, column = at / g.c % g.w, row = at / g.c / g.w % g.h, image = at / g.c / g.w / g.h;
        const Index first = c / g.channels() * g.filters(), channel = c % g.channels();
        Real<T> total = 0;
        for (Index i = 0; i < g.kh; ++i) {
            const Index up = row + g.pad_h - i * g.dilation_h, oy = up / g.stride_h;
            if (up < 0 || up % g.stride_h || oy >= g.out_h) continue;
            for (Index j = 0; j < g.kw; ++j) {
                const Index left = column + g.pad_w - j * g.dilation_w, ox = left / g.stride_w;
                if (left < 0 || left % g.stride_w || ox >= g.out_w) continue;
                const T* from = dy + ((image * g.out_h + oy) * g.out_w + ox) * g.k + first;
                for (Index f = 0; f < g.filters(); ++f)
                    total += get(from[f]) * get(w[g.tap(first + f, channel, i, j)]);
            }
        }
        dx[at] = put<T>(total);
    });
}

// in = {x, dy}, out = {dw}
template <class T>
__device__ void conv_backward_filter(const Step& step) {
    const Geometry g(step);
    const T *x = step.in<T>(0), *dy = step.in<T>(1);
    T* dw = step.out<T>(0);
    each(g.k * g.channels() * g.kh * g.kw, [&](Index at) {
        const Index j = at % g.kw, i = at / g.kw % g.kh, channel = at / g.kw / g.kh % g.channels();
        const Index f = at / g.kw / g.kh / g.channels(), c = f / g.filters() * g.channels() + channel;
        double total = 0;
        for (Index image = 0; image < g.n; ++image) {
            for (Index oy = 0; oy < g.out_h; ++oy) {
                const Index row = oy * g.stride_h - g.pad_h + i * g.dilation_h;
                if (row < 0 || row >= g.h) continue;
                Real<T> along = 0;
                for (Index ox = 0; ox < g.out_w; ++ox) {
                    const Index column = ox * g.stride_w - g.pad_w + j * g.dilation_w;
                    if (column < 0 || column >= g.w) continue;
                    along += get(x[((image * g.h + row) * g.w + column) * g.c + c]) *
                             get(dy[((image * g.out_h + oy) * g.out_w + ox) * g.k + f]);
                }
                total += along;
            }
        }
        dw[at] = put<T>(static_cast<Real<T>>(total));
    });
}

MOCHA_PRECISE_KERNEL(conv_forward)
MOCHA_PRECISE_KERNEL(conv_backward_data)
MOCHA_PRECISE_KERNEL(conv_backward_filter)
