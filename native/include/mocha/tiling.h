// Images cut into the tiles of Winograd's minimal filtering: what the passes of a convolution by tiles share.
#pragma once

#include "mocha/kernel.h"
#include "mocha/parallel.h"
#include "mocha/winograd.h"

namespace mocha::MOCHA_ISA {

extern const Kernel conv_kernels[];

// The kernel of plain sums that computes the same.
inline const Kernel& plain_kernel(const char* name) {
    const Kernel* kernel = conv_kernels;
    while (kernel->bytes != 4 || std::strcmp(kernel->name, name) != 0) ++kernel;
    return *kernel;
}

// NaN in the lanes where any number so far was not finite, 0 in the others.
template <class T>
struct Trouble {
    Vec<T> seen{};

    MOCHA_INLINE void look_at(Vec<T> x) { seen += x - x; }
    // Raises the flag, which threads share.
    void report(int& flag) const {
        if (sum<T>(seen) != T(0)) __atomic_store_n(&flag, 1, __ATOMIC_RELAXED);
    }
};

// Products that a tile is made of.
constexpr int64_t points = winograd_points * winograd_points;

// What the transformed tiles of a block may take, in bytes, of a second-level cache; and a block's fewest tiles,
// which share one reading of the filters.
constexpr int64_t block_bytes = 384 * 1024;
constexpr int64_t least_block = 48;

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
struct TilePlace {
    int64_t n, y, x;  // image, and tile down and across

    TilePlace(const Tiling& s, int64_t tile) : n(tile / (s.down * s.across)), y(tile / s.across % s.down), x(tile % s.across) {}
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
inline int64_t zeros_length(const Tiling& s) { return 6 * s.C; }

// --- the transform of a tile of the input ---

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
    const TilePlace p(s, tile);
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

}  // namespace mocha::MOCHA_ISA
