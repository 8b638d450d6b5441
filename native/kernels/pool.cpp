// Pooling of images that lie channels last, (N, H, W, C), in vectors along the channels.
//
// ints as in mocha/windows.h
#include "mocha/windows.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr float empty_max = -3.40282346638528859812e38f;  // of a window without a cell

// The maximum of a window and its tap, the first of equal ones; the last NaN beats all. ROWS and COLUMNS are the
// extents if known here, else 0.
template <class T, int ROWS, int COLUMNS, class Some>
MOCHA_INLINE void find_max(const Window<T>& window, int64_t c, Some some, Vec<T>& best, IntVec<T>& winner) {
    const int64_t rows = ROWS ? ROWS : window.rows, columns = COLUMNS ? COLUMNS : window.columns;
    best = some.load(window.x + c);
    winner = splat_int<T>(window.tap);
#pragma GCC unroll 3
    for (int64_t i = 0; i < rows; ++i) {
#pragma GCC unroll 3
        for (int64_t j = 0; j < columns; ++j) {
            if (i + j == 0) continue;
            const Vec<T> x = some.load(window.x + i * window.row_step + j * window.column_step + c);
            const auto better = (x > best) | (x != x);
            best = better ? x : best;
            winner = better ? splat_int<T>(window.tap + i * window.tap_row + j) : winner;
        }
    }
}

template <class T, int ROWS, int COLUMNS, class Some>
MOCHA_INLINE Vec<T> add_up(const Window<T>& window, int64_t c, Some some) {
    const int64_t rows = ROWS ? ROWS : window.rows, columns = COLUMNS ? COLUMNS : window.columns;
    Vec<T> total{};
#pragma GCC unroll 3
    for (int64_t i = 0; i < rows; ++i) {
#pragma GCC unroll 3
        for (int64_t j = 0; j < columns; ++j)
            total += some.load(window.x + i * window.row_step + j * window.column_step + c);
    }
    return total;
}

template <class T, class W, int ROWS, int COLUMNS>
MOCHA_INLINE void store_max(const Window<T>& window, int64_t channels, T* y, W* winners) {
    by_channels<T>(channels, [&](int64_t c, auto some, int64_t) {
        Vec<T> best;
        IntVec<T> winner;
        find_max<T, ROWS, COLUMNS>(window, c, some, best, winner);
        some.store(y + c, best);
        store_winners<T>(winners + c, winner, some);
    });
}

template <class T, class W>
MOCHA_INLINE void max_forward(const Step& step) {
    const Geometry g(step.ints);
    const int64_t rows = g.n * g.y.out;
    parallel_ranges(step.threads, rows, forward_grain(g), [&](int, int64_t begin, int64_t end) {
        T* y = output<T>(step, 0);
        W* winners = output<W>(step, 1);
        by_windows<T>(g, input<T>(step, 0), begin, end, [&](const Window<T>& window, int64_t, int64_t, int64_t at) {
            if (window.rows == 2 && window.columns == 2) {
                store_max<T, W, 2, 2>(window, g.channels, y + at, winners + at);
            } else if (window.rows == 3 && window.columns == 3) {
                store_max<T, W, 3, 3>(window, g.channels, y + at, winners + at);
            } else if (window.rows > 0 && window.columns > 0) {
                store_max<T, W, 0, 0>(window, g.channels, y + at, winners + at);
            } else {
                for (int64_t c = 0; c < g.channels; ++c) {
                    y[at + c] = static_cast<T>(empty_max);
                    winners[at + c] = static_cast<W>(window.tap);
                }
            }
        });
    });
}

// in = {x}, out = {y, winners}: the maximum of each window and the number of its tap in the window, row-major
template <class T>
const char* max_pool_forward(const Step& step) {
    if (step.ints[12] == 1)
        max_forward<T, uint8_t>(step);
    else
        max_forward<T, int32_t>(step);
    return nullptr;
}

// in = {x}, out = {y}
template <class T>
const char* mean_pool_forward(const Step& step) {
    const Geometry g(step.ints);
    const int64_t rows = g.n * g.y.out;
    parallel_ranges(step.threads, rows, forward_grain(g), [&](int, int64_t begin, int64_t end) {
        T* y = output<T>(step, 0);
        const auto body = [&](const Window<T>& window, int64_t oy, int64_t ox, int64_t at) {
            const bool empty = window.rows <= 0 || window.columns <= 0;
            const T share = empty ? T(0) : T(1) / static_cast<T>(g.y.cells(oy) * g.x.cells(ox));
            by_channels<T>(g.channels, [&](int64_t c, auto some, int64_t) {
                if (window.rows == 2 && window.columns == 2)
                    some.store(y + at + c, add_up<T, 2, 2>(window, c, some) * share);
                else if (window.rows == 3 && window.columns == 3)
                    some.store(y + at + c, add_up<T, 3, 3>(window, c, some) * share);
                else
                    some.store(y + at + c, empty ? Vec<T>{} : add_up<T, 0, 0>(window, c, some) * share);
            });
        };
        by_windows<T>(g, input<T>(step, 0), begin, end, body);
    });
    return nullptr;
}

// A row of taps: each cell gets what the window gives to its tap, or is overwritten by it. COLUMNS as above.
template <class T, bool ADD, int COLUMNS, class Given, class Some>
MOCHA_INLINE void give_row(T* cell, int64_t cell_step, int64_t n, int64_t tap, const Given& given, Some some) {
    const int64_t columns = COLUMNS ? COLUMNS : n;
#pragma GCC unroll 3
    for (int64_t j = 0; j < columns; ++j) {
        const Vec<T> share = given.at(tap + j);
        some.store(cell + j * cell_step, ADD ? some.load(cell + j * cell_step) + share : share);
    }
}

// The gradient of x where windows overlap, for the rows [begin, end) of x, so that no two threads meet: each row
// gathers from the rows of windows that reach it. given(out row, out column, place, stretch, mask) is what a window
// gives, as far as the mask lets it.
//
// Channels outside, windows inside: cells that two windows share are then read long after they were written.
template <class T, class Gather>
MOCHA_INLINE void gather_rows(const Geometry& g, int64_t begin, int64_t end, T* dx, const Gather& given) {
    const int64_t channels = g.channels, width = g.x.size * channels;
    for (int64_t r = begin; r < end; ++r) {
        const int64_t image = r / g.y.size, i = r % g.y.size;
        T* row = dx + r * width;
        std::memset(row, 0, static_cast<size_t>(width) * sizeof(T));
        by_channels<T>(channels, [&](int64_t c, auto some, int64_t fresh) {
            const IntVec<T> is_fresh = lanes_between<T>(fresh, lanes<T>);
            for (int64_t oy = g.y.low(i), high = g.y.high(i); oy < high; ++oy) {
                const int64_t tap_row = (i - g.y.start(oy)) * g.x.kernel;
                int64_t at = (image * g.y.out + oy) * g.x.out * channels + c;
                for (int64_t ox = 0; ox < g.x.out; ++ox, at += channels) {
                    const int64_t first = g.x.first(ox), columns = g.x.last(ox) - first;
                    T* cell = row + (g.x.start(ox) + first) * channels + c;
                    const auto what = given(oy, ox, at, some, is_fresh);
                    if (columns == 3)
                        give_row<T, true, 3>(cell, channels, 3, tap_row + first, what, some);
                    else
                        give_row<T, true, 0>(cell, channels, columns, tap_row + first, what, some);
                }
            }
        });
    }
}

// The gradient of x where they do not, for the rows [begin, end) of windows. Each owns its rows of x, those up to the
// next one, and writes them once.
template <class T, class Gather>
MOCHA_INLINE void give_windows(const Geometry& g, int64_t begin, int64_t end, T* dx, const Gather& given) {
    const int64_t channels = g.channels, width = g.x.size * channels;
    const IntVec<T> all = lanes_between<T>(0, lanes<T>);
    const bool gaps = g.y.gaps() || g.x.gaps();
    for (int64_t r = begin; r < end; ++r) {
        const int64_t oy = r % g.y.out, first_row = g.y.first(oy), rows = g.y.last(oy) - first_row;
        T* image = dx + r / g.y.out * g.y.size * width;
        if (gaps) {
            const int64_t own = oy == 0 ? 0 : least(g.y.start(oy), g.y.size);
            const int64_t next = oy + 1 == g.y.out ? g.y.size : least(g.y.start(oy + 1), g.y.size);
            std::memset(image + own * width, 0, static_cast<size_t>((next - own) * width) * sizeof(T));
        }
        for (int64_t ox = 0; ox < g.x.out; ++ox) {
            const int64_t first = g.x.first(ox), columns = g.x.last(ox) - first;
            T* cell = image + (g.y.start(oy) + first_row) * width + (g.x.start(ox) + first) * channels;
            const int64_t tap = first_row * g.x.kernel + first, at = (r * g.x.out + ox) * channels;
            by_channels<T>(channels, [&](int64_t c, auto some, int64_t) {
                const auto what = given(oy, ox, at + c, some, all);
                if (rows == 2 && columns == 2) {
                    give_row<T, false, 2>(cell + c, channels, 2, tap, what, some);
                    give_row<T, false, 2>(cell + c + width, channels, 2, tap + g.x.kernel, what, some);
                } else {
                    T* to = cell + c;
                    for (int64_t i = 0; i < rows; ++i, to += width)
                        give_row<T, false, 0>(to, channels, columns, tap + i * g.x.kernel, what, some);
                }
            });
        }
    }
}

template <class T, class Gather>
MOCHA_INLINE void backward(const Step& step, const Geometry& g, const Gather& given) {
    const int64_t row = most(g.x.size * g.channels, 1);
    if (g.y.kernel > g.y.stride || g.x.kernel > g.x.stride) {
        parallel_ranges(step.threads, g.n * g.y.size, ceil_div(worth, row), [&](int, int64_t begin, int64_t end) {
            gather_rows<T>(g, begin, end, output<T>(step, 0), given);
        });
    } else {
        const int64_t grain = ceil_div(worth, row * g.y.stride);
        parallel_ranges(step.threads, g.n * g.y.out, grain, [&](int, int64_t begin, int64_t end) {
            give_windows<T>(g, begin, end, output<T>(step, 0), given);
        });
    }
}

// The lanes that a mask of all bits or none lets pass, 0 in the others.
template <class T>
MOCHA_INLINE Vec<T> masked(Vec<T> x, IntVec<T> mask) {
    return (Vec<T>)((IntVec<T>)x & mask);
}

template <class T>
struct GivenToWinner {
    Vec<T> dy;
    IntVec<T> winner;
    MOCHA_INLINE Vec<T> at(int64_t tap) const { return select<T>(winner == splat_int<T>(tap), dy, Vec<T>{}); }
};

template <class T>
struct GivenToAll {
    Vec<T> share;
    MOCHA_INLINE Vec<T> at(int64_t) const { return share; }
};

template <class T, class W>
MOCHA_INLINE void max_backward(const Step& step) {
    const Geometry g(step.ints);
    const W* winners = input<W>(step, 0);
    const T* dy = input<T>(step, 1);
    backward<T>(step, g, [=](int64_t, int64_t, int64_t at, auto some, IntVec<T> mask) {
        return GivenToWinner<T>{masked<T>(some.load(dy + at), mask), load_winners<T>(winners + at, some)};
    });
}

// in = {winners, dy}, out = {dx}
template <class T>
const char* max_pool_backward(const Step& step) {
    if (step.ints[12] == 1)
        max_backward<T, uint8_t>(step);
    else
        max_backward<T, int32_t>(step);
    return nullptr;
}

template <class T, class W>
MOCHA_INLINE void find_places(const Step& step) {
    const Geometry g(step.ints);
    const int64_t grain = ceil_div(worth, most(g.x.out * g.channels, 1));
    parallel_ranges(step.threads, g.n * g.y.out, grain, [&](int, int64_t begin, int64_t end) {
        const W* winners = input<W>(step, 0);
        T* y = output<T>(step, 0);
        for (int64_t r = begin; r < end; ++r) {
            const int64_t top = g.y.start(r % g.y.out);
            for (int64_t ox = 0; ox < g.x.out; ++ox) {
                const int64_t left = g.x.start(ox), at = (r * g.x.out + ox) * g.channels;
                const bool empty = top >= g.y.size || left >= g.x.size;
                for (int64_t c = at; c < at + g.channels; ++c) {
                    const int64_t tap = winners[c];
                    const int64_t place = (top + tap / g.x.kernel) * g.x.size + left + tap % g.x.kernel;
                    y[c] = static_cast<T>(empty ? -1 : place);
                }
            }
        }
    });
}

// in = {winners}, out = {for each the number of its cell in the image, row-major, or -1 for a window without a cell}
template <class T>
const char* winner_places(const Step& step) {
    if (step.ints[12] == 1)
        find_places<T, uint8_t>(step);
    else
        find_places<T, int32_t>(step);
    return nullptr;
}

// in = {dy}, out = {dx}
template <class T>
const char* mean_pool_backward(const Step& step) {
    const Geometry g(step.ints);
    const T* dy = input<T>(step, 0);
    backward<T>(step, g, [=](int64_t oy, int64_t ox, int64_t at, auto some, IntVec<T> mask) {
        return GivenToAll<T>{masked<T>(some.load(dy + at), mask) / static_cast<T>(g.y.cells(oy) * g.x.cells(ox))};
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel pool_kernels[];
const Kernel pool_kernels[] = {
    MOCHA_BOTH(max_pool_forward),
    MOCHA_BOTH(max_pool_backward),
    MOCHA_BOTH(winner_places),
    MOCHA_BOTH(mean_pool_forward),
    MOCHA_BOTH(mean_pool_backward),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
