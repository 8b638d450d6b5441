// Stochastic pooling of images that lie channels last, (N, H, W, C), in packs along the channels, without padding.
//
// ints as in windows.cuh, then the random stream
#include "philox.cuh"
#include "windows.cuh"

// A window at one place: its cells [y0, y1) x [x0, x1) in the image.
struct Window {
    Index y0, y1, x0, x1;

    MOCHA_DEVICE Window(const Geometry& g, const Place& at)
        : y0(g.y.begin(at.y)), y1(g.y.end(at.y)), x0(g.x.begin(at.x)), x1(g.x.end(at.x)) {}
};

// A thread draws for N channels of a window. What is drawn depends on sums of the elements' own type, in row-major
// order.
template <class T, class W, int N>
MOCHA_DEVICE void take(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const Pixels<N> windows = g.windows<N>();
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    W* winners = step.out<W>(1);
    const Draw draw(step.in<double>(1)[0], step.whole(13), step.in<double>(2)[0]);
    each(windows.count, [&](Index p) {
        const Place at = windows.place(p);
        const Window w(g, at);
        R limit[N] = {}, running[N] = {};
        Few<T, N> taken;
        Few<W, N> winner;
        bool searching[N];
        for (Index i = w.y0; i < w.y1; ++i)
            for (Index j = w.x0; j < w.x1; ++j) {
                const Few<T, N> cells = load_few<N>(x + g.cell(at.image, i, j, at.c));
#pragma unroll
                for (int k = 0; k < N; ++k) limit[k] += get(cells.at[k]);
            }
#pragma unroll
        for (int k = 0; k < N; ++k) {
            // words are counted over (N, C, out h, out w); a word w makes (w + 1) / 2^32
            const Index place = ((at.image * g.channels + at.c + k) * g.y.out + at.y) * g.x.out + at.x;
            const uint64_t word = draw.word(static_cast<uint64_t>(place));
            limit[k] *= static_cast<R>(word + 1) * R(1.0 / 4294967296.0);
            taken.at[k] = put<T>(R(0));
            winner.at[k] = 0;
            searching[k] = true;
        }
        for (Index i = w.y0; i < w.y1; ++i)
            for (Index j = w.x0; j < w.x1; ++j) {
                const Few<T, N> cells = load_few<N>(x + g.cell(at.image, i, j, at.c));
                const W tap = static_cast<W>((i - w.y0) * g.x.kernel + j - w.x0);
#pragma unroll
                for (int k = 0; k < N; ++k) {
                    running[k] += get(cells.at[k]);
                    // all are taken until the sum is reached, and the last of these stays
                    if (searching[k]) {
                        taken.at[k] = cells.at[k];
                        winner.at[k] = tap;
                    }
                    searching[k] = searching[k] && !(running[k] >= limit[k]);
                }
            }
        store_few(y + p * N, taken);
        store_few(winners + p * N, winner);
    });
}

// in = {x, seed, counter}, out = {y, winners}; seed and counter are numbers in double
template <class T>
__device__ void stochastic_pool_forward(const Step& step) {
    if (step.at(12) != 1)
        take<T, int32_t, 1>(step);
    else if (!packs_fit<T>(step.at(3)))
        take<T, uint8_t, 1>(step);
    else
        take<T, uint8_t, Pack<T>::size>(step);
}

template <class T, int N>
MOCHA_DEVICE void find_means(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const Pixels<N> windows = g.windows<N>();
    const T* x = step.in<T>(0);
    T *y = step.out<T>(0), *totals = step.out<T>(1);
    each(windows.count, [&](Index p) {
        const Place at = windows.place(p);
        const Window w(g, at);
        R total[N] = {}, squares[N] = {};
        for (Index i = w.y0; i < w.y1; ++i)
            for (Index j = w.x0; j < w.x1; ++j) {
                const Few<T, N> cells = load_few<N>(x + g.cell(at.image, i, j, at.c));
#pragma unroll
                for (int k = 0; k < N; ++k) {
                    const R value = get(cells.at[k]);
                    total[k] += value;
                    squares[k] += value * value;
                }
            }
#pragma unroll
        for (int k = 0; k < N; ++k) squares[k] = total[k] <= R(0) ? R(0) : squares[k] / total[k];
        put_few<T, N>(y + p * N, squares);
        put_few<T, N>(totals + p * N, total);
    });
}

// in = {x}, out = {y, sums of the windows}
template <class T>
__device__ void stochastic_mean_forward(const Step& step) {
    if (packs_fit<T>(step.at(3)))
        find_means<T, Pack<T>::size>(step);
    else
        find_means<T, 1>(step);
}

// Each cell gathers from the windows that hold it.
template <class T, int N>
MOCHA_DEVICE void give_shares(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const T *x = step.in<T>(0), *y = step.in<T>(1), *totals = step.in<T>(2), *dy = step.in<T>(3);
    gather<T, N>(g, step.out<T>(0), [&](R* sums, Index cell, const Place&, Index, Index, Index from) {
        const Few<T, N> own = load_few<N>(x + cell * N), total = load_few<N>(totals + from);
        const Few<T, N> mean = load_few<N>(y + from), given = load_few<N>(dy + from);
#pragma unroll
        for (int k = 0; k < N; ++k) {
            const R sum = get(total.at[k]), more = R(2) * get(own.at[k]) - get(mean.at[k]);
            sums[k] += sum <= R(0) ? R(0) : get(given.at[k]) / sum * more;
        }
    });
}

// in = {x, y, sums, dy}, out = {dx}
template <class T>
__device__ void stochastic_mean_backward(const Step& step) {
    if (packs_fit<T>(step.at(3)))
        give_shares<T, Pack<T>::size>(step);
    else
        give_shares<T, 1>(step);
}

MOCHA_KERNEL(stochastic_pool_forward)
MOCHA_KERNEL(stochastic_mean_forward)
MOCHA_KERNEL(stochastic_mean_backward)
