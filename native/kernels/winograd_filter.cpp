// The gradient of the filter by the tiles of winograd.cpp, with the same ints and blobs as conv.cpp.
//
// At each point, the sum over all tiles of the transformed input times the spread gradient, a matrix of (channels,
// filters); `collect` brings the 36 back to the taps. Where these matrices are small, each thread has its own and takes
// its share of the tiles; else the threads transform a block of tiles together and share the points.
#include "mocha/matrix.h"
#include "mocha/tiling.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t own_bytes = 1024 * 1024;          // of the matrices that a thread has for itself
constexpr int64_t common_bytes = 12 * 1024 * 1024;  // of a block of tiles that all threads work on together

// 36 values of the m x m results of one tile, as they meet the filter's gradient, to the same row of 36 matrices.
template <class T, int m>
void spread(const Tiling& s, const T* y, int64_t g, int64_t tile, T* to, int64_t step) {
    const TilePlace p(s, tile);
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

// How the work is shared, and the scratch memory.
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

// The filters' gradient of a group from `copies` of the sums, `distance` bytes apart. Returns whether all is finite.
template <class T, int r>
bool collect_filters(const Tiling& s, const FilterBlocks<T>& plan, int64_t g, const char* sums, int64_t copies,
                     int64_t distance, T* dw, int threads) {
    const int64_t Cg = s.Cg(), Kg = s.Kg(), vectors = plan.spread_row / lanes<T>;
    int failed = 0;
    parallel_ranges(threads, vectors * Cg, 16, [&](int, int64_t begin, int64_t end) {
        Trouble<T> trouble;
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
                Vec<T> e[r], all{};
                winograd::rescale<T>(held[i]);
                winograd::collect<T, r>(held[i], e);
#pragma GCC unroll 5
                for (int j = 0; j < r; ++j) {
                    store(taps[i * r + j], e[j]);
                    all += e[j];
                }
                trouble.look_at(all);
            }
            for (int64_t i = 0; i < n; ++i)
                for (int t = 0; t < r * r; ++t) dw[((g * Kg + k + i) * Cg + c) * r * r + t] = taps[t][i];
        }
        trouble.report(failed);
    });
    return !failed;
}

// Returns whether all is finite.
template <class T, int r>
bool filter_gradient(const Tiling& s, const T* x, const T* dy, T* dw, char* scratch, int threads) {
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
            if (!collect_filters<T, r>(s, plan, g, scratch, threads, plan.sums + plan.tiles, dw, threads)) return false;
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
        if (!collect_filters<T, r>(s, plan, g, scratch, 1, 0, dw, threads)) return false;
    }
    return true;
}

template <class T>
const char* backward_filter(const Step& step) {
    const Tiling s = Tiling::forward(step.ints);
    const auto run = s.r == 3 ? filter_gradient<T, 3> : filter_gradient<T, 5>;
    if (run(s, static_cast<const T*>(step.in[0]), static_cast<const T*>(step.in[1]), static_cast<T*>(step.out[0]),
            step.scratch, step.threads))
        return nullptr;
    return plain_kernel("conv_backward_filter").run(step);
}

template <class T>
int64_t filter_scratch(const int64_t* ints, int threads) {
    return most(FilterBlocks<T>(Tiling::forward(ints), threads).total,
                plain_kernel("conv_backward_filter").scratch(ints, threads));
}

}  // namespace

extern const Kernel winograd_filter_kernels[];
const Kernel winograd_filter_kernels[] = {
    {"winograd_backward_filter", 4, backward_filter<float>, filter_scratch<float>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
