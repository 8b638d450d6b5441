// Convolution by Winograd's minimal filtering, channels last: square filters of 3 or 5 taps a side, moved by one,
// without dilation. The same sums as conv.cpp's in another order, with a fraction of the products: 36 for 16 results of
// a 3 x 3 filter instead of 144, and 36 for 4 results of a 5 x 5 filter instead of 100.
//
// The image is cut into tiles of 6 x 6 that overlap by r - 1; each becomes 36 values (`winograd.h`), and for each of the
// 36 there is one matrix product over the channels.
//
// ints, reals and blobs as in conv.cpp, `winograd_pack` in the place of `conv_pack`.
#include "mocha/matrix.h"
#include "mocha/winograd.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t points = winograd_points * winograd_points;

// What the transformed tiles of a block may take, in bytes, of a second-level cache; and a block's fewest tiles,
// which share one reading of the filters.
constexpr int64_t block_bytes = 384 * 1024;
constexpr int64_t least_block = 48;
// A multiple of every number of rows that a tile of the product may have.
constexpr int64_t row_unit = 24;

// A convolution by tiles: from (N, H, W, C) to (N, Ho, Wo, K), `top` and `left` empty rows and columns before.
struct Tiling {
    int64_t N, C, H, W, K, Ho, Wo, top, left, G, r, m, down, across, tiles;

    static Tiling forward(const int64_t* i) {
        return Tiling(i[0], i[1], i[2], i[3], i[4], i[14], i[15], i[9], i[10], i[13], i[5]);
    }
    // The gradient of the input is a convolution of the output's gradient with the filter turned round.
    static Tiling backward(const int64_t* i) {
        return Tiling(i[0], i[4], i[14], i[15], i[1], i[2], i[3], i[5] - 1 - i[9], i[6] - 1 - i[10], i[13], i[5]);
    }

    int64_t Cg() const { return C / G; }
    int64_t Kg() const { return K / G; }

private:
    Tiling(int64_t n, int64_t c, int64_t h, int64_t w, int64_t k, int64_t ho, int64_t wo, int64_t ph, int64_t pw,
           int64_t g, int64_t taps)
        : N(n), C(c), H(h), W(w), K(k), Ho(ho), Wo(wo), top(ph), left(pw), G(g), r(taps), m(winograd_points + 1 - taps),
          down(ceil_div(ho, m)), across(ceil_div(wo, m)), tiles(n * down * across) {}
};

// Where a tile lies.
struct Place {
    int64_t n, y, x;  // image, and tile down and across

    Place(const Tiling& s, int64_t tile) : n(tile / (s.down * s.across)), y(tile / s.across % s.down), x(tile % s.across) {}
};

// Elements of a row of transformed channels, and of a matrix of such rows. The 36 matrices of a block are written side by
// side: an odd number of cache lines between them spreads them over the cache.
template <class T>
int64_t row_step(int64_t channels) {
    return ceil_div(channels, lanes<T>) * lanes<T>;
}
template <class T>
int64_t matrix_step(int64_t rows, int64_t row) {
    constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
    return (ceil_div(rows * row, line) | 1) * line;
}

// Elements that stand for the six columns of a row outside the image.
int64_t zeros_length(const Tiling& s) { return 6 * s.C; }

// --- the transforms of a tile ---

// 36 values of a vector of channels of one tile of the input, to the same row of 36 matrices. `columns`: a bit for each
// column inside the image. Where not Whole, only n channels are there.
template <class T, bool Whole>
MOCHA_INLINE void cut_channels(const T* const (&rows)[6], int64_t C, int64_t columns, int64_t n, T* to, int64_t step) {
    Vec<T> held[6][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
        Vec<T> d[6] = {}, e[6];
        if (columns >> j & 1) {
#pragma GCC unroll 6
            for (int i = 0; i < 6; ++i) d[i] = Whole ? load(rows[i] + j * C) : load_first(rows[i] + j * C, n);
        }
        winograd::differences<T>(d, e);
#pragma GCC unroll 6
        for (int i = 0; i < 6; ++i) held[i][j] = e[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
        Vec<T> e[6];
        winograd::differences<T>(held[i], e);
#pragma GCC unroll 6
        for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * step, e[j]);
    }
}

// 36 values of one tile of the input, channels of group g; `zeros` stands for a row outside the image.
template <class T>
void cut(const Tiling& s, const T* x, const T* zeros, int64_t g, int64_t tile, T* to, int64_t step) {
    const Place p(s, tile);
    const int64_t iy = p.y * s.m - s.top, ix = p.x * s.m - s.left, Cg = s.Cg();
    const T* rows[6];
    int64_t columns = 0;
    for (int64_t i = 0; i < 6; ++i) {
        const bool inside = iy + i >= 0 && iy + i < s.H;
        rows[i] = inside ? x + ((p.n * s.H + iy + i) * s.W + ix) * s.C + g * Cg : zeros;
        columns |= int64_t{ix + i >= 0 && ix + i < s.W} << i;
    }
    for (int64_t c = 0; c < Cg; c += lanes<T>) {
        const int64_t n = least(lanes<T>, Cg - c);
        if (n == lanes<T>)
            cut_channels<T, true>(rows, s.C, columns, n, to + c, step);
        else
            cut_channels<T, false>(rows, s.C, columns, n, to + c, step);
        for (int64_t i = 0; i < 6; ++i) rows[i] += lanes<T>;
    }
}

// 36 values of the m x m results of one tile, as they meet the filter's gradient, to the same row of 36 matrices.
template <class T, int m>
void spread(const Tiling& s, const T* y, int64_t g, int64_t tile, T* to, int64_t step) {
    const Place p(s, tile);
    const int64_t oy = p.y * m, ox = p.x * m, Kg = s.Kg();
    for (int64_t k = 0; k < Kg; k += lanes<T>) {
        const int64_t n = least(lanes<T>, Kg - k);
        const T* from = y + ((p.n * s.Ho + oy) * s.Wo + ox) * s.K + g * Kg + k;
        Vec<T> held[6][m];
#pragma GCC unroll 4
        for (int j = 0; j < m; ++j) {
            Vec<T> d[m], e[6];
#pragma GCC unroll 4
            for (int i = 0; i < m; ++i)
                d[i] = load_first(from + (i * s.Wo + j) * s.K, oy + i < s.Ho && ox + j < s.Wo ? n : 0);
            winograd::evaluate<T, m>(d, e);
#pragma GCC unroll 6
            for (int i = 0; i < 6; ++i) held[i][j] = e[i];
        }
#pragma GCC unroll 6
        for (int i = 0; i < 6; ++i) {
            Vec<T> e[6];
            winograd::evaluate<T, m>(held[i], e);
#pragma GCC unroll 6
            for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * step + k, e[j]);
        }
    }
}

// The m x m results of a tile from its row of 36 matrices, for one vector of filters, of which n lanes are valid.
template <class T, int m>
MOCHA_INLINE void paste(const Tiling& s, const T* from, int64_t step, Vec<T> bias, const Finish<T>& finish, int64_t tile,
                        int64_t n, T* y) {
    const Place p(s, tile);
    const int64_t oy = p.y * m, ox = p.x * m;
    const int64_t rows = least(m, s.Ho - oy), columns = least(m, s.Wo - ox);
    T* to = y + ((p.n * s.Ho + oy) * s.Wo + ox) * s.K;
    Vec<T> held[m][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
        Vec<T> d[6], e[m];
#pragma GCC unroll 6
        for (int i = 0; i < 6; ++i) d[i] = load(from + (i * 6 + j) * step);
        winograd::collect<T, m>(d, e);
#pragma GCC unroll 4
        for (int i = 0; i < m; ++i) held[i][j] = e[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < m; ++i) {
        if (i >= rows) break;
        Vec<T> e[m];
        winograd::collect<T, m>(held[i], e);
#pragma GCC unroll 4
        for (int j = 0; j < m; ++j)
            if (j < columns) store_first(to + (i * s.Wo + j) * s.K, finish(e[j] + bias), n);
    }
}

// --- the filters ---

// How the numbers of a filter lie for a product: distances between results, between channels, and between taps.
struct FilterOrder {
    int64_t result, channel, first_tap, tap;

    static FilterOrder forward(const Tiling& s) { return {s.Cg() * s.r * s.r, s.r * s.r, 0, 1}; }
    static FilterOrder backward(const Tiling& s) { return {s.r * s.r, s.Kg() * s.r * s.r, s.r * s.r - 1, -1}; }
};

// The transformed filters by panels: [group][panel][point][channel][NV lanes].
template <class T>
struct FilterPanels : Panels<T> {
    int64_t channels;

    explicit FilterPanels(const Tiling& s) : Panels<T>(s.Kg()), channels(s.Cg()) {}
    int64_t across(int64_t p) const { return this->width(p) * lanes<T>; }
    int64_t point(int64_t p) const { return matrix_step<T>(channels, across(p)); }  // elements between points
    // elements of a group, and where panel p starts in it; each panel has room for the odd lines
    int64_t group() const { return start(this->count); }
    int64_t start(int64_t p) const { return points * (this->first(p) * lanes<T> * channels + p * 64 / int64_t{sizeof(T)}); }
};

template <class T, int r>
void pack_filters(const Tiling& s, const FilterOrder& order, const T* w, T* packed, int threads) {
    const FilterPanels<T> panels(s);
    const int64_t Cg = s.Cg(), Kg = s.Kg();
    parallel_ranges(threads, s.G * panels.vectors * Cg, 16, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const int64_t g = u / Cg / panels.vectors, vector = u / Cg % panels.vectors, c = u % Cg;
            const int64_t k = vector * lanes<T>, n = least(lanes<T>, Kg - k);
            int64_t p = vector * panels.count / panels.vectors;
            while (panels.first(p + 1) <= vector) ++p;
            const T* from = w + g * Kg * Cg * r * r + k * order.result + c * order.channel + order.first_tap;
            T taps[r * r][lanes<T>] = {};
            for (int64_t i = 0; i < n; ++i)
                for (int t = 0; t < r * r; ++t) taps[t][i] = from[i * order.result + t * order.tap];
            Vec<T> held[6][r];
#pragma GCC unroll 5
            for (int j = 0; j < r; ++j) {
                Vec<T> d[r], e[6];
#pragma GCC unroll 5
                for (int i = 0; i < r; ++i) d[i] = load(taps[i * r + j]);
                winograd::evaluate<T, r>(d, e);
                winograd::rescale<T>(e);
#pragma GCC unroll 6
                for (int i = 0; i < 6; ++i) held[i][j] = e[i];
            }
            const int64_t step = panels.point(p);
            T* to = packed + g * panels.group() + panels.start(p) + c * panels.across(p) +
                    (vector - panels.first(p)) * lanes<T>;
#pragma GCC unroll 6
            for (int i = 0; i < 6; ++i) {
                Vec<T> e[6];
                winograd::evaluate<T, r>(held[i], e);
                winograd::rescale<T>(e);
#pragma GCC unroll 6
                for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * step, e[j]);
            }
        }
    });
}

// --- forward, and the gradient of the input ---

// c = a b for a tile of MR rows: a's rows `a_step` apart, b a panel of NV vectors.
template <class T, int MR, int NV>
__attribute__((noinline)) void multiply_tile(const T* a, int64_t a_step, int64_t depth, const T* panel, const T* ahead,
                                             T* c) {
    Vec<T> acc[MR][NV];
    const T* rows[MR];
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
        rows[i] = a + i * a_step;
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) acc[i][v] = Vec<T>{};
    }
    const Run run{0, depth};
    windows<T, MR, NV>(acc, rows, &run, 1, panel, ahead);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) store(c + (i * NV + v) * lanes<T>, acc[i][v]);
}

// c = a b; rows of both may be touched up to the next multiple of the tile's.
template <class T, int NV>
void multiply_of(const T* a, int64_t a_step, int64_t rows, int64_t depth, const T* panel, const T* next, T* c) {
    constexpr int high = rows_beside(NV);
    for (int64_t i = 0, number = 0; i < rows; i += high, ++number) {
        const T* ahead = share_of_next(number, NV, depth, next, panel);
        const auto run = rows - i > high / 2 ? multiply_tile<T, high, NV> : multiply_tile<T, high / 2, NV>;
        run(a + i * a_step, a_step, depth, panel, ahead, c + i * NV * lanes<T>);
    }
}

template <class T>
void multiply(int64_t width, const T* a, int64_t a_step, int64_t rows, int64_t depth, const T* panel, const T* next, T* c) {
    switch (width) {
        case 1: return multiply_of<T, 1>(a, a_step, rows, depth, panel, next, c);
        case 2: return multiply_of<T, 2>(a, a_step, rows, depth, panel, next, c);
#if MOCHA_REGISTERS == 32
        case 3: return multiply_of<T, 3>(a, a_step, rows, depth, panel, next, c);
        default: return multiply_of<T, 4>(a, a_step, rows, depth, panel, next, c);
#else
        default: return;
#endif
    }
}

// How the tiles are shared: blocks whose transformed tiles stay in the cache, and, where that leaves threads idle,
// groups of panels.
template <class T>
struct Blocks {
    int64_t size, count, groups;      // tiles in a block, blocks, groups of panels
    int64_t cut_step, result_step;    // elements between the 36 matrices of transformed input and of results
    int64_t bytes;                    // of both, for a thread

    Blocks(const Tiling& s, int threads) {
        const Panels<T> panels(s.Kg());
        const int64_t row = row_step<T>(s.Cg()), result = least(panels.vectors, max_panel) * lanes<T>;
        const int64_t fit = block_bytes / (points * (row + result) * static_cast<int64_t>(sizeof(T)));
        size = most(least_block, fit / row_unit * row_unit);
        size = least(size, ceil_div(s.tiles, threads));
        count = ceil_div(s.tiles, most(size, 1));
        groups = 1;
        while (groups < panels.count && count * groups < threads) ++groups;
        const int64_t rows = ceil_div(size, row_unit) * row_unit;
        cut_step = matrix_step<T>(rows, row);
        result_step = matrix_step<T>(rows, result);
        bytes = aligned((points * (cut_step + result_step) + zeros_length(s)) * int64_t{sizeof(T)});
    }
};

template <class T, int r>
void convolve(const Tiling& s, const T* x, const T* filters, const T* bias, const Finish<T>& finish, T* y,
              char* scratch, int threads) {
    const FilterPanels<T> panels(s);
    const Blocks<T> blocks(s, threads);
    const int64_t Cg = s.Cg(), row = row_step<T>(Cg);
    parallel_ranges(threads, blocks.count * blocks.groups, 1, [&](int thread, int64_t begin, int64_t end) {
        T* own = reinterpret_cast<T*>(scratch + thread * blocks.bytes);
        T* results = own + points * blocks.cut_step;
        T* zeros = results + points * blocks.result_step;
        std::memset(zeros, 0, static_cast<size_t>(zeros_length(s)) * sizeof(T));
        for (int64_t u = begin; u < end; ++u) {
            const int64_t block = u / blocks.groups, group = u % blocks.groups;
            const int64_t tile = s.tiles * block / blocks.count, n = s.tiles * (block + 1) / blocks.count - tile;
            for (int64_t g = 0; g < s.G; ++g) {
                for (int64_t i = 0; i < n; ++i) cut(s, x, zeros, g, tile + i, own + i * row, blocks.cut_step);
                const int64_t beyond = ceil_div(n, row_unit) * row_unit - n;  // rows that a tile of the product may read
                for (int64_t q = 0; q < points && beyond; ++q)
                    std::memset(own + q * blocks.cut_step + n * row, 0, static_cast<size_t>(beyond * row) * sizeof(T));
                const int64_t p_end = panels.count * (group + 1) / blocks.groups;
                for (int64_t p = panels.count * group / blocks.groups; p < p_end; ++p) {
                    const int64_t width = panels.width(p), across = panels.across(p), k = panels.begin(p);
                    const T* panel = filters + g * panels.group() + panels.start(p);
                    for (int64_t q = 0; q < points; ++q)
                        multiply(width, own + q * blocks.cut_step, row, n, Cg, panel + q * panels.point(p),
                                 panel + (q + 1) * panels.point(p), results + q * blocks.result_step);
                    for (int64_t v = 0; v < width; ++v) {
                        const int64_t at = k + v * lanes<T>, valid = least(lanes<T>, s.Kg() - at);
                        const Vec<T> start = bias ? load_first(bias + g * s.Kg() + at, valid) : Vec<T>{};
                        for (int64_t i = 0; i < n; ++i)
                            paste<T, 7 - r>(s, results + i * across + v * lanes<T>, blocks.result_step, start, finish,
                                            tile + i, valid, y + g * s.Kg() + at);
                    }
                }
            }
        }
    });
}

template <class T>
int64_t filters_bytes(const Tiling& s) {
    return aligned(s.G * FilterPanels<T>(s).group() * static_cast<int64_t>(sizeof(T)));
}

template <class T>
int64_t convolve_scratch(const Tiling& s, int threads, bool packed) {
    return (packed ? 0 : filters_bytes<T>(s)) + threads * Blocks<T>(s, threads).bytes;
}

// Packs the filters unless they are, and convolves.
template <class T, int r>
void run_convolution(const Tiling& s, const FilterOrder& order, const T* x, const T* w, bool packed, const T* bias,
                     const Finish<T>& finish, T* y, const Step& step) {
    char* scratch = step.scratch;
    if (!packed) {
        T* filters = reinterpret_cast<T*>(scratch);
        pack_filters<T, r>(s, order, w, filters, step.threads);
        w = filters;
        scratch += filters_bytes<T>(s);
    }
    convolve<T, r>(s, x, w, bias, finish, y, scratch, step.threads);
}

template <class T>
const char* forward(const Step& step) {
    const Tiling s = Tiling::forward(step.ints);
    const Finish<T> finish{static_cast<Activation>(step.ints[17]), static_cast<T>(step.reals[0])};
    const T* bias = step.ints[16] ? static_cast<const T*>(step.in[2]) : nullptr;
    const auto run = s.r == 3 ? run_convolution<T, 3> : run_convolution<T, 5>;
    run(s, FilterOrder::forward(s), static_cast<const T*>(step.in[0]), static_cast<const T*>(step.in[1]), step.ints[18],
        bias, finish, static_cast<T*>(step.out[0]), step);
    return nullptr;
}

template <class T>
int64_t forward_scratch(const int64_t* ints, int threads) {
    return convolve_scratch<T>(Tiling::forward(ints), threads, ints[18]);
}

// Packs the filter once for many runs of forward. in: the filter; out: the packed one, of `packed_bytes` bytes.
template <class T>
const char* pack(const Step& step) {
    const Tiling s = Tiling::forward(step.ints);
    const auto run = s.r == 3 ? pack_filters<T, 3> : pack_filters<T, 5>;
    run(s, FilterOrder::forward(s), static_cast<const T*>(step.in[0]), static_cast<T*>(step.out[0]), step.threads);
    return nullptr;
}

// The size of what `winograd_pack` writes; asked for as its scratch, which it does not use.
template <class T>
int64_t packed_bytes(const int64_t* ints, int) {
    return filters_bytes<T>(Tiling::forward(ints));
}

template <class T>
const char* backward_data(const Step& step) {
    const Tiling s = Tiling::backward(step.ints);
    const Finish<T> nothing{Activation::none, T(0)};
    const auto run = s.r == 3 ? run_convolution<T, 3> : run_convolution<T, 5>;
    run(s, FilterOrder::backward(s), static_cast<const T*>(step.in[1]), static_cast<const T*>(step.in[0]), false, nullptr,
        nothing, static_cast<T*>(step.out[0]), step);
    return nullptr;
}

template <class T>
int64_t data_scratch(const int64_t* ints, int threads) {
    return convolve_scratch<T>(Tiling::backward(ints), threads, false);
}

// --- the gradient of the filter ---
//
// At each point, the sum over all tiles of the transformed input times the spread gradient, a matrix of (channels,
// filters); `collect` brings the 36 back to the taps. Where these matrices are small, each thread has its own and takes
// its share of the tiles; else the threads transform a block of tiles together and share the points.

constexpr int64_t own_bytes = 1024 * 1024;          // of the matrices that a thread has for itself
constexpr int64_t common_bytes = 12 * 1024 * 1024;  // of a block of tiles that all threads work on together

template <class T>
struct FilterBlocks {
    bool alone;                  // each thread by itself
    int64_t size;                // tiles of a block
    int64_t zeros;               // bytes of a row outside the image
    int64_t cut_row, cut_step, spread_row, spread_step, sum_step;
    int64_t sums, tiles, total;  // bytes of the sums, of a block's transformed tiles, and of all

    FilterBlocks(const Tiling& s, int threads) {
        const int64_t bytes = sizeof(T);
        cut_row = row_step<T>(s.Cg());
        spread_row = row_step<T>(s.Kg());
        sum_step = matrix_step<T>(s.Cg(), spread_row);
        sums = aligned(points * sum_step * bytes);
        alone = sums <= own_bytes && s.tiles >= threads;
        const int64_t row = points * (cut_row + spread_row) * bytes;
        size = most(least_block, (alone ? block_bytes : common_bytes) / row);
        size = most(1, least(size, alone ? ceil_div(s.tiles, threads) : s.tiles));
        cut_step = matrix_step<T>(size, cut_row);
        spread_step = matrix_step<T>(size, spread_row);
        tiles = aligned(points * (cut_step + spread_step) * bytes);
        zeros = aligned(zeros_length(s) * bytes);
        total = zeros + (alone ? threads : 1) * (sums + tiles);
    }
};

// Channels [begin, end) of the sums at one point, n tiles more.
template <class T>
void add_products(const FilterBlocks<T>& plan, const T* cuts, const T* spreads, int64_t n, int64_t begin, int64_t end,
                  bool fresh, T* sums) {
    const int64_t vectors = plan.spread_row / lanes<T>, panels = ceil_div(vectors, max_panel);
    const int64_t row_tiles = ceil_div(end - begin, outer_rows);
    for (int64_t p = 0; p < panels; ++p) {
        const int64_t v = vectors * p / panels, nv = vectors * (p + 1) / panels - v;
        for (int64_t row = 0; row < row_tiles; ++row) {
            const int64_t c = begin + (end - begin) * row / row_tiles;
            OuterArgs<T> t;
            t.a = cuts + c;
            t.a_step = plan.cut_row;
            t.b = spreads + v * lanes<T>;
            t.b_step = plan.spread_row;
            t.n = n;
            t.rows = 1;
            t.a_row = t.b_row = 0;
            t.last = lanes<T>;
            t.out = sums + c * plan.spread_row + v * lanes<T>;
            t.out_step = plan.spread_row;
            t.accumulate = !fresh;
            t.whole = true;
            run_outer(begin + (end - begin) * (row + 1) / row_tiles - c, nv, t);
        }
    }
}

// The filters' gradient of a group from `copies` of the sums, `distance` bytes apart.
template <class T, int r>
void collect_filters(const Tiling& s, const FilterBlocks<T>& plan, int64_t g, const char* sums, int64_t copies,
                     int64_t distance, T* dw, int threads) {
    const int64_t Cg = s.Cg(), Kg = s.Kg(), vectors = plan.spread_row / lanes<T>;
    parallel_ranges(threads, vectors * Cg, 16, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const int64_t k = u / Cg * lanes<T>, c = u % Cg, n = least(lanes<T>, Kg - k);
            Vec<T> held[r][6];
#pragma GCC unroll 6
            for (int j = 0; j < 6; ++j) {
                Vec<T> d[6], e[r];
#pragma GCC unroll 6
                for (int i = 0; i < 6; ++i) {
                    const char* at = sums + ((i * 6 + j) * plan.sum_step + c * plan.spread_row + k) * int64_t{sizeof(T)};
                    d[i] = load(reinterpret_cast<const T*>(at));
                    for (int64_t copy = 1; copy < copies; ++copy)
                        d[i] += load(reinterpret_cast<const T*>(at + copy * distance));
                }
                winograd::rescale<T>(d);
                winograd::collect<T, r>(d, e);
#pragma GCC unroll 5
                for (int i = 0; i < r; ++i) held[i][j] = e[i];
            }
            T taps[r * r][lanes<T>];
#pragma GCC unroll 5
            for (int i = 0; i < r; ++i) {
                Vec<T> e[r];
                winograd::rescale<T>(held[i]);
                winograd::collect<T, r>(held[i], e);
#pragma GCC unroll 5
                for (int j = 0; j < r; ++j) store(taps[i * r + j], e[j]);
            }
            for (int64_t i = 0; i < n; ++i)
                for (int t = 0; t < r * r; ++t) dw[((g * Kg + k + i) * Cg + c) * r * r + t] = taps[t][i];
        }
    });
}

template <class T, int r>
void filter_gradient(const Tiling& s, const T* x, const T* dy, T* dw, char* scratch, int threads) {
    const FilterBlocks<T> plan(s, threads);
    const int64_t Cg = s.Cg();
    const T* zeros = reinterpret_cast<T*>(scratch);
    std::memset(scratch, 0, static_cast<size_t>(plan.zeros));
    scratch += plan.zeros;
    const auto transform = [&](int64_t g, int64_t first, int64_t begin, int64_t end, T* cuts, T* spreads) {
        for (int64_t i = begin; i < end; ++i) {
            cut(s, x, zeros, g, first + i, cuts + i * plan.cut_row, plan.cut_step);
            spread<T, 7 - r>(s, dy, g, first + i, spreads + i * plan.spread_row, plan.spread_step);
        }
    };
    for (int64_t g = 0; g < s.G; ++g) {
        if (plan.alone) {
            parallel_ranges(threads, s.tiles, 1, [&](int thread, int64_t begin, int64_t end) {
                char* own = scratch + thread * (plan.sums + plan.tiles);
                T* sums = reinterpret_cast<T*>(own);
                T* cuts = reinterpret_cast<T*>(own + plan.sums);
                T* spreads = cuts + points * plan.cut_step;
                const int64_t blocks = ceil_div(end - begin, plan.size);
                for (int64_t b = 0; b < blocks; ++b) {
                    const int64_t tile = begin + (end - begin) * b / blocks;
                    const int64_t n = begin + (end - begin) * (b + 1) / blocks - tile;
                    transform(g, tile, 0, n, cuts, spreads);
                    for (int64_t q = 0; q < points; ++q)
                        add_products(plan, cuts + q * plan.cut_step, spreads + q * plan.spread_step, n, 0, Cg, b == 0,
                                     sums + q * plan.sum_step);
                }
            });
            collect_filters<T, r>(s, plan, g, scratch, threads, plan.sums + plan.tiles, dw, threads);
            continue;
        }
        T* sums = reinterpret_cast<T*>(scratch);
        T* cuts = reinterpret_cast<T*>(scratch + plan.sums);
        T* spreads = cuts + points * plan.cut_step;
        const int64_t blocks = ceil_div(s.tiles, plan.size), parts = ceil_div(Cg, 8 * outer_rows);
        for (int64_t b = 0; b < blocks; ++b) {
            const int64_t tile = s.tiles * b / blocks, n = s.tiles * (b + 1) / blocks - tile;
            parallel_ranges(threads, n, 1, [&](int, int64_t begin, int64_t end) {
                transform(g, tile, begin, end, cuts, spreads);
            });
            parallel_ranges(threads, points * parts, 1, [&](int, int64_t begin, int64_t end) {
                for (int64_t u = begin; u < end; ++u) {
                    const int64_t q = u / parts, part = u % parts;
                    add_products(plan, cuts + q * plan.cut_step, spreads + q * plan.spread_step, n, Cg * part / parts,
                                 Cg * (part + 1) / parts, b == 0, sums + q * plan.sum_step);
                }
            });
        }
        collect_filters<T, r>(s, plan, g, scratch, 1, 0, dw, threads);
    }
}

template <class T>
const char* backward_filter(const Step& step) {
    const Tiling s = Tiling::forward(step.ints);
    const auto run = s.r == 3 ? filter_gradient<T, 3> : filter_gradient<T, 5>;
    run(s, static_cast<const T*>(step.in[0]), static_cast<const T*>(step.in[1]), static_cast<T*>(step.out[0]),
        step.scratch, step.threads);
    return nullptr;
}

template <class T>
int64_t filter_scratch(const int64_t* ints, int threads) {
    return FilterBlocks<T>(Tiling::forward(ints), threads).total;
}

}  // namespace

// Single precision alone: double precision is for checking, and takes the plain sums.
extern const Kernel winograd_kernels[];
const Kernel winograd_kernels[] = {
    {"winograd_forward", 4, forward<float>, forward_scratch<float>},
    {"winograd_pack", 4, pack<float>, packed_bytes<float>},
    {"winograd_backward_data", 4, backward_data<float>, data_scratch<float>},
    {"winograd_backward_filter", 4, backward_filter<float>, filter_scratch<float>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
