// Stochastic pooling of images that lie channels last, (N, H, W, C), in vectors along the channels, without padding.
//
// ints as in mocha/windows.h, then the random stream
#include "mocha/philox.h"
#include "mocha/windows.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t drawn = 16;  // windows of a row that numbers are drawn for at once

// r = (word + 1) / 2^32 of the windows [ox, ox + n) of a row, n <= `drawn`, for `channels` channels from c on. Words
// are counted over (N, C, out h, out w).
template <class T>
void draw_row(const Geometry& g, const Draw& from, int64_t image, int64_t oy, int64_t ox, int64_t n, int64_t c,
              int64_t channels, T (&r)[drawn][lanes<T>]) {
    constexpr int64_t at_once = 4 * blocks_at_once;
    uint32_t words[(drawn + 3) / at_once * at_once + at_once];
    for (int64_t j = 0; j < channels; ++j) {
        const int64_t first = ((image * g.channels + c + j) * g.y.out + oy) * g.x.out + ox, skip = first % 4;
        for (int64_t k = 0; k < skip + n; k += at_once) draw(from, (first + k) / 4, words + k);
        for (int64_t i = 0; i < n; ++i) r[i][j] = static_cast<T>((words[skip + i] + 1.0) * 0x1p-32);
    }
}

// in = {x, seed, counter}, out = {y, winners}; seed and counter are numbers in double
template <class T, class W>
MOCHA_INLINE void take(const Step& step) {
    const Geometry g(step.ints);
    const Draw from{static_cast<uint32_t>(static_cast<int64_t>(input<double>(step, 1)[0])),
                    static_cast<uint32_t>(step.ints[13]), static_cast<uint64_t>(input<double>(step, 2)[0])};
    parallel_ranges(step.threads, g.n * g.y.out, forward_grain(g), [&](int, int64_t begin, int64_t end) {
        const Draw mine = from;
        const int64_t column = g.channels, line = g.x.size * column;
        for (int64_t row = begin; row < end; ++row) {
            const int64_t image = row / g.y.out, oy = row % g.y.out, rows = g.y.last(oy);
            const T* x = input<T>(step, 0) + (image * g.y.size + g.y.start(oy)) * line;
            by_channels<T>(g.channels, [&](int64_t c, auto some, int64_t) {
                T r[drawn][lanes<T>] = {};
                for (int64_t ox = 0; ox < g.x.out; ++ox) {
                    if (ox % drawn == 0)
                        draw_row<T>(g, mine, image, oy, ox, least(drawn, g.x.out - ox), c, some.n, r);
                    const int64_t at = (row * g.x.out + ox) * g.channels + c, columns = g.x.last(ox);
                    Vec<T> whole{}, running{}, taken{};
                    IntVec<T> winner{}, searching = splat_int<T>(-1);
                    if (rows > 0 && columns > 0) {
                        const T* cells = x + g.x.start(ox) * column + c;
                        for (int64_t i = 0; i < rows; ++i)
                            for (int64_t j = 0; j < columns; ++j) whole += some.load(cells + i * line + j * column);
                        const Vec<T> limit = load(r[ox % drawn]) * whole;
                        for (int64_t i = 0; i < rows; ++i)
                            for (int64_t j = 0; j < columns; ++j) {
                                const Vec<T> value = some.load(cells + i * line + j * column);
                                running += value;
                                // all are taken until the sum is reached, and the last of these stays
                                taken = searching ? value : taken;
                                winner = searching ? splat_int<T>(i * g.x.kernel + j) : winner;
                                searching &= ~(IntVec<T>)(running >= limit);
                            }
                    }
                    some.store(output<T>(step, 0) + at, taken);
                    store_winners<T>(output<W>(step, 1) + at, winner, some);
                }
            });
        }
    });
}

template <class T>
const char* stochastic_pool_forward(const Step& step) {
    if (step.ints[12] == 1)
        take<T, uint8_t>(step);
    else
        take<T, int32_t>(step);
    return nullptr;
}

// in = {x}, out = {y, sums of the windows}
template <class T>
const char* stochastic_mean_forward(const Step& step) {
    const Geometry g(step.ints);
    parallel_ranges(step.threads, g.n * g.y.out, forward_grain(g), [&](int, int64_t begin, int64_t end) {
        by_windows<T>(g, input<T>(step, 0), begin, end, [&](const Window<T>& w, int64_t, int64_t, int64_t at) {
            by_channels<T>(g.channels, [&](int64_t c, auto some, int64_t) {
                Vec<T> total{}, squares{};
                for (int64_t i = 0; i < w.rows; ++i)
                    for (int64_t j = 0; j < w.columns; ++j) {
                        const Vec<T> x = some.load(w.x + i * w.row_step + j * w.column_step + c);
                        total += x;
                        squares += x * x;
                    }
                const Vec<T> y = select<T>(total <= Vec<T>{}, Vec<T>{}, squares / total);
                some.store(output<T>(step, 0) + at + c, y);
                some.store(output<T>(step, 1) + at + c, total);
            });
        });
    });
    return nullptr;
}

// in = {x, y, sums, dy}, out = {dx}. Each row of x gathers from the windows that reach it.
template <class T>
const char* stochastic_mean_backward(const Step& step) {
    const Geometry g(step.ints);
    const int64_t line = g.x.size * g.channels;
    parallel_ranges(step.threads, g.n * g.y.size, ceil_div(worth, most(line, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const int64_t image = r / g.y.size, i = r % g.y.size;
            const T* x = input<T>(step, 0) + r * line;
            T* dx = output<T>(step, 0) + r * line;
            std::memset(dx, 0, static_cast<size_t>(line) * sizeof(T));
            for (int64_t oy = g.y.low(i), high = g.y.high(i); oy < high; ++oy)
                for (int64_t ox = 0; ox < g.x.out; ++ox) {
                    const int64_t at = ((image * g.y.out + oy) * g.x.out + ox) * g.channels;
                    by_vectors<T>(0, g.channels, [&](int64_t c, auto some) {
                        const Vec<T> total = some.load(input<T>(step, 2) + at + c);
                        const auto none = total <= Vec<T>{};
                        const Vec<T> y = some.load(input<T>(step, 1) + at + c);
                        const Vec<T> share = some.load(input<T>(step, 3) + at + c) / total;
                        for (int64_t j = g.x.start(ox), stop = j + g.x.last(ox); j < stop; ++j) {
                            const int64_t cell = j * g.channels + c;
                            const Vec<T> more = share * (some.load(x + cell) * T(2) - y);
                            some.store(dx + cell, some.load(dx + cell) + select<T>(none, Vec<T>{}, more));
                        }
                    });
                }
        }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel stochastic_pool_kernels[];
const Kernel stochastic_pool_kernels[] = {
    MOCHA_BOTH(stochastic_pool_forward),
    MOCHA_BOTH(stochastic_mean_forward),
    MOCHA_BOTH(stochastic_mean_backward),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
