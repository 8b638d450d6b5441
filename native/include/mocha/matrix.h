// Products of matrices by panels: the columns of one side are cut into panels of a few vectors, the rows of the other
// into tiles, and each tile of the result is computed in registers.
#pragma once

#include "mocha/kernel.h"
#include "mocha/parallel.h"
#include "mocha/tiles.h"

namespace mocha::MOCHA_ISA {

// What is done to a result before it is stored.
enum class Activation : int64_t { none = 0, relu = 1, leaky = 2 };

template <class T>
struct Finish {
    Activation kind;
    T parameter;  // floor of relu, slope of leaky

    MOCHA_INLINE Vec<T> operator()(Vec<T> x) const {
        if (kind == Activation::relu) {
            // written so that NaN passes, as in the reference
            const Vec<T> floor = splat(parameter);
            return x < floor ? floor : x;
        }
        if (kind == Activation::leaky) return x > Vec<T>{} ? x : x * splat(parameter);
        return x;
    }
};

// The widest panel, in vectors, and the rows that a tile has beside a panel of that width.
constexpr int64_t max_panel = MOCHA_REGISTERS == 32 ? 4 : 2;
constexpr int rows_beside(int nv) {
    if (MOCHA_REGISTERS == 32) return nv == 1 ? 12 : nv == 2 ? 12 : nv == 3 ? 8 : 6;
    return nv == 1 ? 8 : 6;
}

// n columns cut into panels as equal as can be.
template <class T>
struct Panels {
    int64_t columns, vectors, count;

    explicit Panels(int64_t n, int64_t widest = max_panel)
        : columns(n), vectors(ceil_div(n, lanes<T>)), count(ceil_div(ceil_div(n, lanes<T>), widest)) {}
    int64_t first(int64_t p) const { return vectors * p / count; }          // its first vector
    int64_t width(int64_t p) const { return first(p + 1) - first(p); }      // its number of vectors
    int64_t begin(int64_t p) const { return first(p) * lanes<T>; }          // its first column
    int64_t end(int64_t p) const { return least(first(p + 1) * lanes<T>, columns); }
    // the panel that holds a column
    int64_t holding(int64_t column) const { return ((column / lanes<T> + 1) * count - 1) / vectors; }
    // elements of a packed operand with `depth` rows, and where panel p starts in it
    int64_t packed(int64_t depth) const { return vectors * lanes<T> * depth; }
    int64_t at(int64_t p, int64_t depth) const { return first(p) * lanes<T> * depth; }
};

// One tile: MR rows by NV vectors. Rows beyond `rows` are computed from the last row and not stored.
template <class T>
struct TileArgs {
    const T* const* row;    // where each row of the left side starts
    int64_t rows;           // valid ones, 1 to MR
    const Run* runs;
    int64_t n_runs;
    const T* panel;
    const T* ahead;         // memory to call into the cache meanwhile: a vector a step
    T* out;                 // first element of the first row
    int64_t out_step;       // between rows
    int64_t last;           // valid lanes of the last vector
    const T* bias;          // padded to whole vectors, or null
    bool accumulate;        // start from what is in `out`
    Finish<T> finish;
};

template <class T, int MR, int NV>
__attribute__((noinline)) void tile(const TileArgs<T>& t) {
    Vec<T> acc[MR][NV];
    const T* rows[MR];
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) rows[i] = t.row[i < t.rows ? i : t.rows - 1];
    if (t.accumulate) {
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) {
            const T* from = t.out + (i < t.rows ? i : t.rows - 1) * t.out_step;
#pragma GCC unroll 8
            for (int v = 0; v + 1 < NV; ++v) acc[i][v] = load(from + v * lanes<T>);
            acc[i][NV - 1] = load_first(from + (NV - 1) * lanes<T>, t.last);
        }
    } else {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) {
            const Vec<T> start = t.bias ? load(t.bias + v * lanes<T>) : Vec<T>{};
#pragma GCC unroll 16
            for (int i = 0; i < MR; ++i) acc[i][v] = start;
        }
    }
    windows<T, MR, NV>(acc, rows, t.runs, t.n_runs, t.panel, t.ahead);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
        if (i >= t.rows) break;
        T* to = t.out + i * t.out_step;
#pragma GCC unroll 8
        for (int v = 0; v + 1 < NV; ++v) store(to + v * lanes<T>, t.finish(acc[i][v]));
        const Vec<T> end = t.finish(acc[i][NV - 1]);
        if (t.last == lanes<T>)
            store(to + (NV - 1) * lanes<T>, end);
        else
            store_first(to + (NV - 1) * lanes<T>, end, t.last);
    }
}

// What the tile of that number calls for, beside a panel of `width` vectors and `depth` rows: the first `width` tiles
// together the panel that comes next, the others nothing new.
template <class T>
MOCHA_INLINE const T* share_of_next(int64_t number, int64_t width, int64_t depth, const T* next, const T* panel) {
    return number < width ? next + number * depth * lanes<T> : panel;
}

// Runs a tile of NV vectors with the fewest rows that hold the valid ones.
template <class T, int NV>
MOCHA_INLINE void run_tile_of(const TileArgs<T>& t) {
    constexpr int most_rows = rows_beside(NV), some = most_rows == 12 ? 8 : most_rows == 8 ? 4 : 3;
    if (t.rows > some) return tile<T, most_rows, NV>(t);
    if constexpr (some == 8)
        if (t.rows <= 4) return tile<T, 4, NV>(t);
    if constexpr (some == 4)
        if (t.rows <= 2) return tile<T, 2, NV>(t);
    if constexpr (some == 3)
        if (t.rows == 1) return tile<T, 1, NV>(t);
    tile<T, some, NV>(t);
}

// Runs a tile of `width` vectors, at most max_panel.
template <class T>
MOCHA_INLINE void run_tile(int64_t width, const TileArgs<T>& t) {
    switch (width) {
        case 1: return run_tile_of<T, 1>(t);
        case 2: return run_tile_of<T, 2>(t);
#if MOCHA_REGISTERS == 32
        case 3: return run_tile_of<T, 3>(t);
        default: return run_tile_of<T, 4>(t);
#else
        default: return;
#endif
    }
}

MOCHA_INLINE int64_t tile_rows(int64_t width) {
    switch (width) {
        case 1: return rows_beside(1);
        case 2: return rows_beside(2);
        case 3: return rows_beside(3);
        default: return rows_beside(4);
    }
}

constexpr int max_rows = 12;

// A tile of `outer`, added to `out` (rows of it out_step apart, whole vectors stored).
template <class T>
struct OuterArgs {
    const T* a;
    int64_t a_step;
    const T* b;
    int64_t b_step;
    int64_t n;              // steps in a row
    int64_t rows;           // the reduction runs over `rows` rows of n steps each
    int64_t a_row, b_row;   // distance of the rows
    int64_t last;           // valid lanes of the last vector of b
    T* out;
    int64_t out_step;
    bool accumulate;
    bool whole;             // store the last vector whole, not only its valid lanes
};

template <class T, int MR, int NV, bool Partial>
__attribute__((noinline)) void outer_tile_of(const OuterArgs<T>& t) {
    Vec<T> acc[MR][NV];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) acc[i][v] = Vec<T>{};
    const T *a = t.a, *b = t.b;
    for (int64_t r = 0; r < t.rows; ++r, a += t.a_row, b += t.b_row)
        outer<T, MR, NV, Partial>(acc, a, t.a_step, b, t.b_step, t.n, t.last);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
        T* to = t.out + i * t.out_step;
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) {
            T* here = to + v * lanes<T>;
            if (Partial && v + 1 == NV && !t.whole)
                store_first(here, t.accumulate ? load_first(here, t.last) + acc[i][v] : acc[i][v], t.last);
            else
                store(here, t.accumulate ? load(here) + acc[i][v] : acc[i][v]);
        }
    }
}

template <class T, int MR, int NV>
MOCHA_INLINE void outer_tile(const OuterArgs<T>& t) {
    t.last == lanes<T> ? outer_tile_of<T, MR, NV, false>(t) : outer_tile_of<T, MR, NV, true>(t);
}

constexpr int64_t outer_rows = 6;

template <class T, int NV>
MOCHA_INLINE void run_outer_rows(int64_t mr, const OuterArgs<T>& t) {
    switch (mr) {
        case 1: return outer_tile<T, 1, NV>(t);
        case 2: return outer_tile<T, 2, NV>(t);
        case 3: return outer_tile<T, 3, NV>(t);
        case 4: return outer_tile<T, 4, NV>(t);
        case 5: return outer_tile<T, 5, NV>(t);
        default: return outer_tile<T, 6, NV>(t);
    }
}

// Runs a tile of mr rows, 1 to outer_rows, by nv vectors, 1 to max_panel.
template <class T>
MOCHA_INLINE void run_outer(int64_t mr, int64_t nv, const OuterArgs<T>& t) {
    switch (nv) {
        case 1: return run_outer_rows<T, 1>(mr, t);
        case 2: return run_outer_rows<T, 2>(mr, t);
#if MOCHA_REGISTERS == 32
        case 3: return run_outer_rows<T, 3>(mr, t);
        default: return run_outer_rows<T, 4>(mr, t);
#else
        default: return;
#endif
    }
}

}  // namespace mocha::MOCHA_ISA
