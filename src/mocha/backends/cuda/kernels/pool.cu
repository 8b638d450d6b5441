// Pooling of images that lie channels last, (N, H, W, C), in packs along the channels.
//
// ints as in windows.cuh
#include "windows.cuh"

// -- maxima

// The maxima of windows and their taps, the first of equal ones; the last NaN beats all. A thread has N channels of a
// window. SIDE is the extent of the windows, down and across, if it is known here, else 0.
template <class T, class W, int N, int SIDE>
MOCHA_DEVICE void find_maxima(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const Pixels<N> windows = g.windows<N>();
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    W* winners = step.out<W>(1);
    each(windows.count, [&](Index p) {
        const Place at = windows.place(p);
        const Index top = g.y.start(at.y), y0 = g.y.begin(at.y), y1 = g.y.end(at.y);
        const Index left = g.x.start(at.x), x0 = g.x.begin(at.x), x1 = g.x.end(at.x);
        R best[N];
        int winner[N];
#pragma unroll
        for (int k = 0; k < N; ++k) {
            best[k] = -infinity<R>();  // of a window of these the first tap wins
            winner[k] = (y0 - top) * g.x.kernel + x0 - left;
        }
        const auto meet = [&](const Few<T, N>& cells, int tap) {
#pragma unroll
            for (int k = 0; k < N; ++k) {
                const R value = get(cells.at[k]);
                const bool better = value > best[k] || value != value;
                best[k] = better ? value : best[k];
                winner[k] = better ? tap : winner[k];
            }
        };
        if constexpr (SIDE > 0) {
            // a row at a time: more would not fit into registers
#pragma unroll 1
            for (Index i = y0; i < y1; ++i) {
                const T* line = x + g.cell(at.image, i, 0, at.c);
                Few<T, N> row[SIDE];
#pragma unroll
                for (int j = 0; j < SIDE; ++j)
                    if (left + j >= x0 && left + j < x1)
                        row[j] = load_few<N>(line + (left + j) * g.channels);
                    else
#pragma unroll
                        for (int k = 0; k < N; ++k) row[j].at[k] = put<T>(-infinity<R>());
#pragma unroll
                for (int j = 0; j < SIDE; ++j) meet(row[j], (i - top) * SIDE + j);
            }
        } else {
            for (Index i = y0; i < y1; ++i)
                for (Index j = x0; j < x1; ++j)
                    meet(load_few<N>(x + g.cell(at.image, i, j, at.c)), (i - top) * g.x.kernel + j - left);
        }
        Few<W, N> taps;
#pragma unroll
        for (int k = 0; k < N; ++k) {
            if (y1 <= y0 || x1 <= x0) best[k] = R(-3.40282346638528859812e38);  // of a window without a cell
            taps.at[k] = static_cast<W>(winner[k]);
        }
        put_few<T, N>(y + p * N, best);
        store_few(winners + p * N, taps);
    });
}

// in = {x}, out = {y, winners}: the maximum of each window and the number of its tap in the window, row-major
template <class T>
__device__ void max_pool_forward(const Step& step) {
    constexpr int wide = Pack<T>::size;
    const Index rows = step.at(6), columns = step.at(7);
    if (step.at(12) != 1)
        find_maxima<T, int32_t, 1, 0>(step);
    else if (!packs_fit<T>(step.at(3)))
        find_maxima<T, uint8_t, 1, 0>(step);
    else if (rows == 2 && columns == 2)
        find_maxima<T, uint8_t, wide, 2>(step);
    else if (rows == 3 && columns == 3)
        find_maxima<T, uint8_t, wide, 3>(step);
    else
        find_maxima<T, uint8_t, wide, 0>(step);
}

// Each cell gets what the windows give that it won.
template <class T, class W, int N>
MOCHA_DEVICE void give_to_winners(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const W* winners = step.in<W>(0);
    const T* dy = step.in<T>(1);
    gather<T, N>(g, step.out<T>(0), [&](R* sums, Index, const Place& at, Index oy, Index ox, Index from) {
        const Few<W, N> winner = load_few<N>(winners + from);
        const Few<T, N> given = load_few<N>(dy + from);
        const int tap = (at.y - g.y.start(oy)) * g.x.kernel + at.x - g.x.start(ox);
#pragma unroll
        for (int k = 0; k < N; ++k) sums[k] += winner.at[k] == tap ? get(given.at[k]) : R(0);
    });
}

// in = {winners, dy}, out = {dx}
template <class T>
__device__ void max_pool_backward(const Step& step) {
    if (step.at(12) != 1)
        give_to_winners<T, int32_t, 1>(step);
    else if (!packs_fit<T>(step.at(3)))
        give_to_winners<T, uint8_t, 1>(step);
    else
        give_to_winners<T, uint8_t, Pack<T>::size>(step);
}

template <class T, class W>
MOCHA_DEVICE void find_places(const Step& step) {
    const Geometry g(step);
    const Pixels<1> windows = g.windows<1>();
    const Divisor columns(g.x.kernel);
    const W* winners = step.in<W>(0);
    T* y = step.out<T>(0);
    each(windows.count, [&](Index i) {
        const Place at = windows.place(i);
        const Index top = g.y.start(at.y), left = g.x.start(at.x);
        Index column;
        const Index row = columns.split(winners[i], column), place = (top + row) * g.x.size + left + column;
        y[i] = static_cast<T>(top >= g.y.size || left >= g.x.size ? -1 : place);
    });
}

// in = {winners}, out = {for each the number of its cell in the image, row-major, or -1 for a window without a cell}
template <class T>
__device__ void winner_places(const Step& step) {
    if (step.at(12) != 1)
        find_places<T, int32_t>(step);
    else
        find_places<T, uint8_t>(step);
}

// -- means

constexpr Index long_window = 4;  // what is worth cutting, down or across; as in launches/pool.py

template <class T, int N>
MOCHA_DEVICE void find_means(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const Pixels<N> windows = g.windows<N>();
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    const bool by_rows = g.y.kernel >= g.x.kernel;
    const auto add = [&](Index p, Index first, Index by, R* sums) {
        const Place at = windows.place(p);
        const Index y1 = g.y.end(at.y), x0 = g.x.begin(at.x) + (by_rows ? 0 : first), x1 = g.x.end(at.x);
        for (Index i = g.y.begin(at.y) + (by_rows ? first : 0); i < y1; i += by_rows ? by : 1)
            for (Index j = x0; j < x1; j += by_rows ? 1 : by) {
                const Few<T, N> cells = load_few<N>(x + g.cell(at.image, i, j, at.c));
#pragma unroll
                for (int k = 0; k < N; ++k) sums[k] += get(cells.at[k]);
            }
    };
    const auto take = [&](Index p, R* sums) {
        const Place at = windows.place(p);
        const bool is_empty = g.y.start(at.y) >= g.y.size || g.x.start(at.x) >= g.x.size;
        const R share = is_empty ? R(0) : R(1) / static_cast<R>(g.y.cells(at.y) * g.x.cells(at.x));
#pragma unroll
        for (int k = 0; k < N; ++k) sums[k] *= share;
        put_few<T, N>(y + p * N, sums);
    };
    sum_packs<T, N>(windows.count, most(g.y.kernel, g.x.kernel) >= long_window, add, take);
}

// in = {x}, out = {y}
template <class T>
__device__ void mean_pool_forward(const Step& step) {
    if (packs_fit<T>(step.at(3)))
        find_means<T, Pack<T>::size>(step);
    else
        find_means<T, 1>(step);
}

// Each cell gets a share of what the windows that hold it give.
template <class T, int N>
MOCHA_DEVICE void give_to_all(const Step& step) {
    typedef Real<T> R;
    const Geometry g(step);
    const T* dy = step.in<T>(0);
    gather<T, N>(g, step.out<T>(0), [&](R* sums, Index, const Place&, Index oy, Index ox, Index from) {
        const Few<T, N> given = load_few<N>(dy + from);
        const R share = R(1) / static_cast<R>(g.y.cells(oy) * g.x.cells(ox));
#pragma unroll
        for (int k = 0; k < N; ++k) sums[k] += get(given.at[k]) * share;
    });
}

// in = {dy}, out = {dx}
template <class T>
__device__ void mean_pool_backward(const Step& step) {
    if (packs_fit<T>(step.at(3)))
        give_to_all<T, Pack<T>::size>(step);
    else
        give_to_all<T, 1>(step);
}

MOCHA_KERNEL(max_pool_forward)
MOCHA_KERNEL(max_pool_backward)
MOCHA_KERNEL(mean_pool_forward)
MOCHA_KERNEL(mean_pool_backward)
MOCHA_PRECISE_KERNEL(winner_places)
