// The three register-blocked products that all matrix work is made of. Each holds a tile of results in registers while
// it runs along the reduction. MR and NV are the tile: MR rows, NV vectors (or, for `dot`, NR rows of the other side).
//
//   windows  c[i][:] += sum over r of row_i[offset(r)] b[r][:]     rows anywhere in memory, b a packed panel
//   outer    c[i][:] += sum over p of a[p][i] b[p][:]              both sides contiguous across the tile
//   dot      c[i][j] += sum over d of a[i][d] b[j][d]              both sides contiguous along the reduction
#pragma once

#include "mocha/simd.h"

namespace mocha::MOCHA_ISA {

// A stretch of the reduction in which the rows are read from consecutive addresses.
struct Run {
    int64_t offset;  // from each row's pointer, in elements
    int64_t length;
};

// The result of `windows`: acc[i][v] += sum over the runs. `panel` advances by NV vectors a step. Each step calls one vector
// of `ahead` into the second-level cache: memory that is wanted later.
template <class T, int MR, int NV>
MOCHA_INLINE void windows(Vec<T> (&acc)[MR][NV], const T* const (&rows)[MR], const Run* runs, int64_t n_runs,
                          const T* panel, const T* ahead) {
    for (int64_t s = 0; s < n_runs; ++s) {
        const T* row[MR];
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) row[i] = rows[i] + runs[s].offset;
        const int64_t length = runs[s].length;
        for (int64_t r = 0; r < length; ++r) {
            __builtin_prefetch(ahead, 0, 2);
            ahead += lanes<T>;
            Vec<T> b[NV];
#pragma GCC unroll 8
            for (int v = 0; v < NV; ++v) b[v] = load(panel + v * lanes<T>);
            panel += NV * lanes<T>;
#pragma GCC unroll 16
            for (int i = 0; i < MR; ++i) {
                const Vec<T> a = splat(row[i][r]);
#pragma GCC unroll 8
                for (int v = 0; v < NV; ++v) acc[i][v] += a * b[v];
            }
        }
    }
}

// acc[i][v] += sum over p < n of a[p * a_step + i] b[p * b_step + v lanes]. Where `Partial`, the last vector of b has
// only `last` lanes.
template <class T, int MR, int NV, bool Partial>
MOCHA_INLINE void outer(Vec<T> (&acc)[MR][NV], const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t n,
                        int64_t last) {
    for (int64_t p = 0; p < n; ++p, a += a_step, b += b_step) {
        Vec<T> y[NV];
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v)
            y[v] = Partial && v == NV - 1 ? load_first(b + v * lanes<T>, last) : load(b + v * lanes<T>);
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) {
            const Vec<T> x = splat(a[i]);
#pragma GCC unroll 8
            for (int v = 0; v < NV; ++v) acc[i][v] += x * y[v];
        }
    }
}

// acc[i][j] += the lane-wise products of rows a_i and b_j over n full vectors.
template <class T, int MR, int NR>
MOCHA_INLINE void dot(Vec<T> (&acc)[MR][NR], const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t n) {
    for (int64_t d = 0; d < n; ++d, a += lanes<T>, b += lanes<T>) {
        Vec<T> x[MR];
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i) x[i] = load(a + i * a_step);
#pragma GCC unroll 8
        for (int j = 0; j < NR; ++j) {
            const Vec<T> y = load(b + j * b_step);
#pragma GCC unroll 8
            for (int i = 0; i < MR; ++i) acc[i][j] += x[i] * y;
        }
    }
}

}  // namespace mocha::MOCHA_ISA
