// Inner product, forward: by dot products for a few examples, by panels of examples for many, and by panels of units
// where the weight was packed before.
//
// ints: N D K has_bias activation packed
// reals: the activation's parameter
// x is (N, D), the weight (K, D), y (N, K), all row-major. Where `packed`, the weight is as `dense_pack` has written it.
#include "mocha/matrix.h"
#include "mocha/transpose.h"

namespace mocha::MOCHA_ISA {
namespace {

// Panels of a wide matrix. Three vectors leave eight rows to a tile, which asks less of the second-level cache than six beside
// four; so they are taken where they come out even.
template <class T>
Panels<T> even_panels(int64_t columns) {
    const bool even = max_panel > 3 && ceil_div(columns, lanes<T>) % 3 == 0;
    return Panels<T>(columns, even ? 3 : max_panel);
}

// The rows of a matrix by panels of rows, transposed: [panel][column][NV lanes]. `panels` are of the rows.
template <class T>
void pack_rows_across(const Panels<T>& panels, int64_t columns, const T* from, T* packed, int threads) {
    parallel_ranges(threads, panels.vectors * ceil_div(columns, lanes<T>), 4, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const int64_t r = u % panels.vectors * lanes<T>, c = u / panels.vectors * lanes<T>, p = panels.holding(r);
            const int64_t across = panels.width(p) * lanes<T>;
            transpose_matrix(from + r * columns + c, columns, least(lanes<T>, panels.columns - r),
                             least(lanes<T>, columns - c),
                             packed + panels.at(p, columns) + c * across + r - panels.begin(p), across);
        }
    });
}

// --- forward of a few examples: dot products along D, a tile of examples by units at a time ---

constexpr int dot_rows = MOCHA_REGISTERS == 32 ? 4 : 3;    // examples in a tile
constexpr int dot_units_max = MOCHA_REGISTERS == 32 ? 6 : 4;   // units in a tile
constexpr int64_t dot_part = 512;                          // elements of D at a time: rows of both sides stay in L1

// Partial results of a tile between two parts of D: vectors that are not yet added up.
template <class T, int MR, int NR>
MOCHA_INLINE void dot_tile(const T* x, const T* w, int64_t D, int64_t d0, int64_t d1, T* held) {
    Vec<T> acc[MR][NR];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NR; ++j) acc[i][j] = d0 ? load(held + (i * dot_units_max + j) * lanes<T>) : Vec<T>{};
    const int64_t whole = (d1 - d0) / lanes<T>, rest = (d1 - d0) % lanes<T>;
    dot<T, MR, NR>(acc, x + d0, D, w + d0, D, whole);
    if (rest) {
        const int64_t at = d0 + whole * lanes<T>;
        for (int i = 0; i < MR; ++i) {
            const Vec<T> a = load_first(x + i * D + at, rest);
#pragma GCC unroll 8
            for (int j = 0; j < NR; ++j) acc[i][j] += a * load_first(w + j * D + at, rest);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NR; ++j) store(held + (i * dot_units_max + j) * lanes<T>, acc[i][j]);
}

template <class T, int NR>
__attribute__((noinline)) void dot_units_of(int64_t rows, const T* x, const T* w, int64_t D, int64_t d0, int64_t d1,
                                            T* held) {
    switch (rows) {
        case 1: return dot_tile<T, 1, NR>(x, w, D, d0, d1, held);
        case 2: return dot_tile<T, 2, NR>(x, w, D, d0, d1, held);
        case 3: return dot_tile<T, 3, NR>(x, w, D, d0, d1, held);
        default: return dot_tile<T, dot_rows, NR>(x, w, D, d0, d1, held);
    }
}

template <class T>
void dot_any(int64_t rows, int64_t units, const T* x, const T* w, int64_t D, int64_t d0, int64_t d1, T* held) {
    switch (units) {
        case 1: return dot_units_of<T, 1>(rows, x, w, D, d0, d1, held);
        case 2: return dot_units_of<T, 2>(rows, x, w, D, d0, d1, held);
        case 3: return dot_units_of<T, 3>(rows, x, w, D, d0, d1, held);
        case 4: return dot_units_of<T, 4>(rows, x, w, D, d0, d1, held);
#if MOCHA_REGISTERS == 32
        case 5: return dot_units_of<T, 5>(rows, x, w, D, d0, d1, held);
        default: return dot_units_of<T, 6>(rows, x, w, D, d0, d1, held);
#else
        default: return;
#endif
    }
}

// Vectors of one tile.
template <class T>
constexpr int64_t held_tile = dot_rows * dot_units_max * lanes<T>;

template <class T>
T finished(T v, const Finish<T>& finish) {
    if (finish.kind == Activation::relu) return v < finish.parameter ? finish.parameter : v;
    if (finish.kind == Activation::leaky) return v > T(0) ? v : v * finish.parameter;
    return v;
}

template <class T>
const char* forward_few(const Step& step) {
    const int64_t N = step.ints[0], D = step.ints[1], K = step.ints[2];
    const bool has_bias = step.ints[3];
    const Finish<T> finish{static_cast<Activation>(step.ints[4]), static_cast<T>(step.reals[0])};
    const T* x = static_cast<const T*>(step.in[0]);
    const T* w = static_cast<const T*>(step.in[1]);
    const T* b = has_bias ? static_cast<const T*>(step.in[2]) : nullptr;
    T* y = static_cast<T*>(step.out[0]);
    const int64_t tiles = ceil_div(N, dot_rows);
    const int64_t slice = aligned(tiles * held_tile<T> * static_cast<int64_t>(sizeof(T)));

    parallel_ranges(step.threads, K, dot_units_max, [&](int thread, int64_t k_begin, int64_t k_end) {
        T* held = reinterpret_cast<T*>(step.scratch + thread * slice);
        for (int64_t k = k_begin; k < k_end; k += dot_units_max) {
            const int64_t units = least(dot_units_max, k_end - k);
            for (int64_t d = 0; d < D || d == 0; d += dot_part)
                for (int64_t t = 0; t < tiles; ++t) {
                    const int64_t n = t * dot_rows;
                    dot_any(least(dot_rows, N - n), units, x + n * D, w + k * D, D, d, least(d + dot_part, D),
                            held + t * held_tile<T>);
                }
            for (int64_t n = 0; n < N; ++n)
                for (int64_t j = 0; j < units; ++j) {
                    const T* at = held + n / dot_rows * held_tile<T> + (n % dot_rows * dot_units_max + j) * lanes<T>;
                    y[n * K + k + j] = finished(sum<T>(load(at)) + (b ? b[k + j] : T(0)), finish);
                }
        }
    });
    return nullptr;
}

// --- forward of many examples: y^T = w x^T ---
//
// x is packed transposed, by panels of examples; the rows of the weight are read as they lie, one number at a time for
// a whole panel. A few examples that would leave most of a vector empty are done by dot products, while the rows of the
// weight are at hand.

constexpr int64_t many = 2 * lanes<float>;   // examples from which on this pays
constexpr int64_t part_bytes = 128 * 1024;   // of a packed panel that is used at a time
constexpr int64_t units_bytes = 256 * 1024;  // of the weight that is used at a time
constexpr int64_t row_unit = 24;             // a multiple of every number of rows that a tile may have

template <class T>
struct ManyPlan {
    int64_t dots, packed_examples;  // examples done by dot products, and the others
    int64_t units;                  // that are done at a time
    int64_t packed, result, slice, total;  // bytes of the packed examples; of a thread's results, and of all that it has

    ManyPlan(int64_t N, int64_t D, int threads) {
        dots = N % lanes<T> <= dot_rows ? N % lanes<T> : 0;
        packed_examples = N - dots;
        const Panels<T> panels(packed_examples);
        const int64_t bytes = sizeof(T);
        units = most(1, units_bytes / (D * bytes * row_unit)) * row_unit;
        packed = aligned(panels.packed(D) * bytes);
        result = aligned(units * panels.vectors * lanes<T> * bytes);
        slice = result + aligned(held_tile<T> * bytes);
        total = packed + threads * slice;
    }
};

// Units [k, k + units) of all packed examples: result[unit][example].
template <class T>
void multiply_units(const Panels<T>& panels, int64_t D, const T* packed, const T* w, int64_t units, T* result) {
    for (int64_t p = 0; p < panels.count; ++p) {
        const int64_t width = panels.width(p), across = width * lanes<T>, high = tile_rows(width);
        const int64_t part = part_bytes / (across * static_cast<int64_t>(sizeof(T)));
        for (int64_t d = 0; d < D; d += part) {
            const Run run{d, least(part, D - d)};
            TileArgs<T> t;
            const T* row[max_rows];
            t.row = row;
            t.runs = &run;
            t.n_runs = 1;
            t.panel = t.ahead = packed + panels.at(p, D) + d * across;
            t.out_step = panels.vectors * lanes<T>;
            t.last = lanes<T>;
            t.bias = nullptr;
            t.accumulate = d > 0;
            t.finish = {Activation::none, T(0)};
            for (int64_t k = 0; k < units; k += high) {
                t.rows = least(high, units - k);
                for (int64_t j = 0; j < t.rows; ++j) row[j] = w + (k + j) * D;
                t.out = result + k * t.out_step + panels.begin(p);
                run_tile(width, t);
            }
        }
    }
}

// Dot products of up to dot_rows examples with some units.
template <class T>
void dot_units(int64_t rows, int64_t D, int64_t K, const T* x, const T* w, const T* b, int64_t units,
               const Finish<T>& finish, T* held, T* y) {
    for (int64_t k = 0; k < units; k += dot_units_max) {
        const int64_t n = least(dot_units_max, units - k);
        dot_any(rows, n, x, w + k * D, D, int64_t{0}, D, held);
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < n; ++j)
                y[i * K + k + j] =
                    finished(sum<T>(load(held + (i * dot_units_max + j) * lanes<T>)) + (b ? b[k + j] : T(0)), finish);
    }
}

template <class T>
const char* forward_many(const Step& step) {
    const int64_t N = step.ints[0], D = step.ints[1], K = step.ints[2];
    const Finish<T> finish{static_cast<Activation>(step.ints[4]), static_cast<T>(step.reals[0])};
    const T* x = static_cast<const T*>(step.in[0]);
    const T* w = static_cast<const T*>(step.in[1]);
    const T* b = step.ints[3] ? static_cast<const T*>(step.in[2]) : nullptr;
    T* y = static_cast<T*>(step.out[0]);
    const ManyPlan<T> plan(N, D, step.threads);
    const Panels<T> panels(plan.packed_examples);
    T* packed = reinterpret_cast<T*>(step.scratch);
    pack_rows_across(panels, D, x, packed, step.threads);
    const int64_t padded = panels.vectors * lanes<T>;

    parallel_ranges(step.threads, K, max_rows, [&](int thread, int64_t begin, int64_t end) {
        char* own = step.scratch + plan.packed + thread * plan.slice;
        T* result = reinterpret_cast<T*>(own);
        for (int64_t k = begin; k < end; k += plan.units) {
            const int64_t units = least(plan.units, end - k);
            multiply_units(panels, D, packed, w + k * D, units, result);
            for (int64_t j = 0; j < units; j += lanes<T>) {
                const int64_t valid = least(lanes<T>, units - j);
                const Vec<T> bias = b ? load_first(b + k + j, valid) : Vec<T>{};
                for (int64_t n = 0; n < plan.packed_examples; n += lanes<T>) {
                    Vec<T> square[lanes<T>];
                    load_square(result + j * padded + n, padded, valid, lanes<T>, square);
                    transpose<T>(square);
                    for (int64_t i = 0; i < least(lanes<T>, plan.packed_examples - n); ++i)
                        store_first(y + (n + i) * K + k + j, finish(square[i] + bias), valid);
                }
            }
            const int64_t rest = plan.packed_examples;
            if (plan.dots)
                dot_units(plan.dots, D, K, x + rest * D, w + k * D, b ? b + k : nullptr, units, finish,
                          reinterpret_cast<T*>(own + plan.result), y + rest * K + k);
        }
    });
    return nullptr;
}

// --- forward with a weight that was packed before ---
//
// The examples are read as they lie, one number at a time for a panel of units: nothing is copied or turned round.

// Packs the weight once for many runs of forward. in: the weight; out: the packed one, of `packed_bytes` bytes.
template <class T>
const char* pack(const Step& step) {
    pack_rows_across(even_panels<T>(step.ints[2]), step.ints[1], static_cast<const T*>(step.in[0]),
                     static_cast<T*>(step.out[0]), step.threads);
    return nullptr;
}

// The size of what `dense_pack` writes, in bytes; asked for as its scratch, which it does not use.
template <class T>
int64_t packed_bytes(const int64_t* ints, int) {
    return aligned(even_panels<T>(ints[2]).packed(ints[1]) * static_cast<int64_t>(sizeof(T)));
}

template <class T>
int64_t padded_bias(int64_t K) {
    return aligned(even_panels<T>(K).vectors * lanes<T> * static_cast<int64_t>(sizeof(T)));
}

template <class T>
const char* forward_packed(const Step& step) {
    const int64_t N = step.ints[0], D = step.ints[1], K = step.ints[2];
    const bool has_bias = step.ints[3];
    const T* x = static_cast<const T*>(step.in[0]);
    const T* w = static_cast<const T*>(step.in[1]);
    T* y = static_cast<T*>(step.out[0]);
    T* bias = reinterpret_cast<T*>(step.scratch);
    const Finish<T> finish{static_cast<Activation>(step.ints[4]), static_cast<T>(step.reals[0])};
    const Panels<T> panels = even_panels<T>(K);
    if (has_bias) {
        std::memset(bias, 0, static_cast<size_t>(padded_bias<T>(K)));
        std::memcpy(bias, step.in[2], static_cast<size_t>(K) * sizeof(T));
    }
    // threads share the panels and blocks of examples, so that a few panels more or less do not leave one waiting
    const int64_t blocks = least(4, ceil_div(N, max_rows));
    parallel_ranges(step.threads, panels.count * blocks, 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin, together; u < end; u += together) {
            const int64_t p = u / blocks, width = panels.width(p), across = width * lanes<T>, high = tile_rows(width);
            together = least(end - u, blocks - u % blocks);  // blocks of one panel
            const int64_t tiles = ceil_div(N, high), first = tiles * (u % blocks) / blocks * high;
            const int64_t stop = least(N, tiles * (u % blocks + together) / blocks * high);
            const int64_t part = part_bytes / (across * static_cast<int64_t>(sizeof(T)));
            for (int64_t d = 0; d < D; d += part) {
                const Run run{d, least(part, D - d)};
                TileArgs<T> t;
                const T* row[max_rows];
                t.row = row;
                t.runs = &run;
                t.n_runs = 1;
                t.panel = w + panels.at(p, D) + d * across;
                t.out_step = K;
                t.last = panels.end(p) - panels.begin(p) - (width - 1) * lanes<T>;
                t.bias = has_bias ? bias + panels.begin(p) : nullptr;
                t.accumulate = d > 0;
                t.finish = d + part < D ? Finish<T>{Activation::none, T(0)} : finish;
                for (int64_t n = first; n < stop; n += high) {
                    t.rows = least(high, stop - n);
                    for (int64_t j = 0; j < t.rows; ++j) row[j] = x + (n + j) * D;
                    t.ahead = share_of_next((n - first) / high, width, run.length, t.panel + run.length * across, t.panel);
                    t.out = y + n * K + panels.begin(p);
                    run_tile(width, t);
                }
            }
        }
    });
    return nullptr;
}

template <class T>
const char* forward(const Step& step) {
    if (step.ints[5]) return forward_packed<T>(step);
    return step.ints[0] >= many ? forward_many<T>(step) : forward_few<T>(step);
}

template <class T>
int64_t forward_scratch(const int64_t* ints, int threads) {
    if (ints[5]) return padded_bias<T>(ints[2]);
    if (ints[0] >= many) return ManyPlan<T>(ints[0], ints[1], threads).total;
    return threads * aligned(ceil_div(ints[0], dot_rows) * held_tile<T> * static_cast<int64_t>(sizeof(T)));
}

}  // namespace

extern const Kernel dense_kernels[];
const Kernel dense_kernels[] = {
    {"dense_forward", 4, forward<float>, forward_scratch<float>},
    {"dense_forward", 8, forward<double>, forward_scratch<double>},
    {"dense_pack", 4, pack<float>, packed_bytes<float>},
    {"dense_pack", 8, pack<double>, packed_bytes<double>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
