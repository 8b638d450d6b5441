// Convolution by Winograd's minimal filtering, channels last: square filters of 3 or 5 taps a side, moved by one,
// without dilation. The same sums as conv.cpp's in another order, with a fraction of the products: 36 for 16 results of
// a 3 x 3 filter instead of 144, and 36 for 4 results of a 5 x 5 filter instead of 100.
//
// The image is cut into tiles of 6 x 6 that overlap by r - 1; each becomes 36 values (`winograd.h`), and for each of the
// 36 there is one matrix product over the channels.
//
// NaN and infinity would spread over a tile here. Where a result is not finite, all is computed again by the plain sums,
// which leave them where they belong; so are numbers so large that the detour alone made them overflow.
//
// ints, reals and blobs as in conv.cpp, `winograd_pack` in the place of `conv_pack`. Where `packed`, forward gets the
// filter as it lies too, as its last input.
#include "mocha/matrix.h"
#include "mocha/tiling.h"

namespace mocha::MOCHA_ISA {
namespace {

// A multiple of every number of rows that a tile of the product may have.
constexpr int64_t row_unit = 24;

// --- the transform of a tile of results ---

// The m x m results of a tile from its row of 36 matrices, for one vector of filters, of which n lanes are valid.
template <class T, int m>
MOCHA_INLINE void paste(const Tiling& s, const T* from, int64_t step, Vec<T> bias, const Finish<T>& finish, int64_t tile,
                        int64_t n, T* y, Trouble<T>& trouble) {
    const TilePlace p(s, tile);
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
        Vec<T> e[m], all = bias;
        winograd::collect<T, m>(held[i], e);
#pragma GCC unroll 4
        for (int j = 0; j < m; ++j) all += e[j];
        trouble.look_at(all);
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
    // elements of a group, and where panel p starts in it: `point` adds up to two cache lines
    int64_t group() const { return start(this->count); }
    int64_t start(int64_t p) const {
        constexpr int64_t lines = 2 * 64 / static_cast<int64_t>(sizeof(T));
        return points * (this->first(p) * lanes<T> * channels + p * lines);
    }
};

template <class T, int r>
void pack_filters(const Tiling& s, const FilterOrder& order, const T* w, T* packed, int threads) {
    const FilterPanels<T> panels(s);
    const int64_t Cg = s.Cg(), Kg = s.Kg();
    parallel_ranges(threads, s.G * panels.vectors * Cg, 16, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const int64_t g = u / Cg / panels.vectors, vector = u / Cg % panels.vectors, c = u % Cg;
            const int64_t k = vector * lanes<T>, n = least(lanes<T>, Kg - k), p = panels.holding(k);
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

// Returns whether all results are finite.
template <class T, int r>
bool convolve(const Tiling& s, const T* x, const T* filters, const T* bias, const Finish<T>& finish, T* y,
              char* scratch, int threads) {
    const FilterPanels<T> panels(s);
    const Blocks<T> blocks(s, threads);
    const int64_t Cg = s.Cg(), row = row_step<T>(Cg);
    int failed = 0;
    parallel_ranges(threads, blocks.count * blocks.groups, 1, [&](int thread, int64_t begin, int64_t end) {
        T* own = reinterpret_cast<T*>(scratch + thread * blocks.bytes);
        T* results = own + points * blocks.cut_step;
        T* zeros = results + points * blocks.result_step;
        std::memset(zeros, 0, static_cast<size_t>(zeros_length(s)) * sizeof(T));
        Trouble<T> trouble;
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
                                            tile + i, valid, y + g * s.Kg() + at, trouble);
                    }
                }
            }
        }
        trouble.report(failed);
    });
    return !failed;
}

template <class T>
int64_t filters_bytes(const Tiling& s) {
    return aligned(s.G * FilterPanels<T>(s).group() * static_cast<int64_t>(sizeof(T)));
}

template <class T>
int64_t convolve_scratch(const Tiling& s, int threads, bool packed) {
    return (packed ? 0 : filters_bytes<T>(s)) + threads * Blocks<T>(s, threads).bytes;
}

// Packs the filters unless they are, and convolves. Returns whether all results are finite.
template <class T, int r>
bool run_convolution(const Tiling& s, const FilterOrder& order, const T* x, const T* w, bool packed, const T* bias,
                     const Finish<T>& finish, T* y, const Step& step) {
    char* scratch = step.scratch;
    if (!packed) {
        T* filters = reinterpret_cast<T*>(scratch);
        pack_filters<T, r>(s, order, w, filters, step.threads);
        w = filters;
        scratch += filters_bytes<T>(s);
    }
    return convolve<T, r>(s, x, w, bias, finish, y, scratch, step.threads);
}

constexpr int forward_ints = 19;

template <class T>
const char* forward(const Step& step) {
    const Tiling s = Tiling::forward(step.ints);
    const bool has_bias = step.ints[16], packed = step.ints[18];
    const Finish<T> finish{static_cast<Activation>(step.ints[17]), static_cast<T>(step.reals[0])};
    const T* bias = has_bias ? static_cast<const T*>(step.in[2]) : nullptr;
    const auto run = s.r == 3 ? run_convolution<T, 3> : run_convolution<T, 5>;
    if (run(s, FilterOrder::forward(s), static_cast<const T*>(step.in[0]), static_cast<const T*>(step.in[1]), packed, bias,
            finish, static_cast<T*>(step.out[0]), step))
        return nullptr;
    int64_t ints[forward_ints];
    std::memcpy(ints, step.ints, sizeof(ints));
    ints[18] = 0;
    void* const in[] = {step.in[0], packed ? step.in[has_bias ? 3 : 2] : step.in[1], has_bias ? step.in[2] : nullptr};
    return plain_kernel("conv_forward").run({ints, step.reals, in, step.out, step.scratch, step.threads});
}

template <class T>
int64_t forward_scratch(const int64_t* given, int threads) {
    int64_t ints[forward_ints];
    std::memcpy(ints, given, sizeof(ints));
    ints[18] = 0;
    return most(convolve_scratch<T>(Tiling::forward(ints), threads, given[18]),
                plain_kernel("conv_forward").scratch(ints, threads));
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
    if (run(s, FilterOrder::backward(s), static_cast<const T*>(step.in[1]), static_cast<const T*>(step.in[0]), false,
            nullptr, nothing, static_cast<T*>(step.out[0]), step))
        return nullptr;
    return plain_kernel("conv_backward_data").run(step);
}

template <class T>
int64_t data_scratch(const int64_t* ints, int threads) {
    return most(convolve_scratch<T>(Tiling::backward(ints), threads, false),
                plain_kernel("conv_backward_data").scratch(ints, threads));
}

}  // namespace

// Single precision alone: double precision is for checking, and takes the plain sums.
extern const Kernel winograd_kernels[];
const Kernel winograd_kernels[] = {
    {"winograd_forward", 4, forward<float>, forward_scratch<float>},
    {"winograd_pack", 4, pack<float>, packed_bytes<float>},
    {"winograd_backward_data", 4, backward_data<float>, data_scratch<float>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
