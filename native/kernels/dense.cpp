// Inner product: forward, and the gradients of the input and of the weight. In training the weight is used as it lies: no
// kernel makes a transposed copy of it.
//
// ints: N D K, then for forward: has_bias, activation, packed
// reals: for forward: the activation's parameter
// x is (N, D), the weight (K, D), y (N, K), all row-major. Where `packed`, forward gets the weight as `dense_pack` has
// written it.
#include "mocha/matrix.h"

namespace mocha::MOCHA_ISA {
namespace {

// --- forward of a few examples: dot products along D, a tile of examples by units at a time ---

constexpr int dot_rows = MOCHA_REGISTERS == 32 ? 4 : 3;    // examples in a tile
constexpr int dot_units = MOCHA_REGISTERS == 32 ? 6 : 4;   // units in a tile
constexpr int64_t dot_part = 512;                          // elements of D at a time: rows of both sides stay in L1

// Partial results of a tile between two parts of D: vectors that are not yet added up.
template <class T, int MR, int NR>
MOCHA_INLINE void dot_tile(const T* x, const T* w, int64_t D, int64_t d0, int64_t d1, T* held) {
    Vec<T> acc[MR][NR];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NR; ++j) acc[i][j] = d0 ? load(held + (i * dot_units + j) * lanes<T>) : Vec<T>{};
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
        for (int j = 0; j < NR; ++j) store(held + (i * dot_units + j) * lanes<T>, acc[i][j]);
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
constexpr int64_t held_tile = dot_rows * dot_units * lanes<T>;

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

    parallel_ranges(step.threads, K, dot_units, [&](int thread, int64_t k_begin, int64_t k_end) {
        T* held = reinterpret_cast<T*>(step.scratch + thread * slice);
        for (int64_t k = k_begin; k < k_end; k += dot_units) {
            const int64_t units = least(dot_units, k_end - k);
            for (int64_t d = 0; d < D || d == 0; d += dot_part)
                for (int64_t t = 0; t < tiles; ++t) {
                    const int64_t n = t * dot_rows;
                    dot_any(least(dot_rows, N - n), units, x + n * D, w + k * D, D, d, least(d + dot_part, D),
                            held + t * held_tile<T>);
                }
            for (int64_t n = 0; n < N; ++n)
                for (int64_t j = 0; j < units; ++j) {
                    const T* at = held + n / dot_rows * held_tile<T> + (n % dot_rows * dot_units + j) * lanes<T>;
                    y[n * K + k + j] = finished(sum<T>(load(at)) + (b ? b[k + j] : T(0)), finish);
                }
        }
    });
    return nullptr;
}

// --- forward of many examples: y^T = w x^T ---
//
// x is packed transposed, by panels of examples; the rows of the weight are read as they lie, one number at a time for
// a whole panel.

constexpr int64_t many = 2 * lanes<float>;  // examples from which on this pays
constexpr int64_t part_bytes = 128 * 1024;  // of a packed panel that is used at a time

template <class T>
struct ManyScratch {
    int64_t packed, result, slice, total;  // slice: of each thread, (units of the thread, padded examples)

    ManyScratch(int64_t N, int64_t D, int64_t K, int threads) {
        const Panels<T> panels(N);
        packed = aligned(panels.packed(D) * static_cast<int64_t>(sizeof(T)));
        const int64_t grains = ceil_div(K, max_rows);
        result = ceil_div(grains, least(grains, threads)) * max_rows;
        slice = aligned(result * panels.vectors * lanes<T> * static_cast<int64_t>(sizeof(T)));
        total = packed + threads * slice;
    }
};

// x by panels of examples: [panel][D][NV lanes].
template <class T>
void pack_examples(int64_t N, int64_t D, const T* x, T* packed, int threads) {
    const Panels<T> panels(N);
    constexpr int64_t block = 16;
    parallel_ranges(threads, D, block, [&](int, int64_t begin, int64_t end) {
        for (int64_t p = 0; p < panels.count; ++p) {
            const int64_t n0 = panels.begin(p), n = panels.end(p) - n0, across = panels.width(p) * lanes<T>;
            T* to = packed + panels.at(p, D);
            for (int64_t d = begin; d < end; d += block) {
                const int64_t stop = least(d + block, end);
                for (int64_t i = 0; i < n; ++i)
                    for (int64_t j = d; j < stop; ++j) to[j * across + i] = x[(n0 + i) * D + j];
                for (int64_t i = n; i < across; ++i)
                    for (int64_t j = d; j < stop; ++j) to[j * across + i] = T(0);
            }
        }
    });
}

template <class T>
const char* forward_many(const Step& step) {
    const int64_t N = step.ints[0], D = step.ints[1], K = step.ints[2];
    const bool has_bias = step.ints[3];
    const Finish<T> finish{static_cast<Activation>(step.ints[4]), static_cast<T>(step.reals[0])};
    const T* x = static_cast<const T*>(step.in[0]);
    const T* w = static_cast<const T*>(step.in[1]);
    const T* b = has_bias ? static_cast<const T*>(step.in[2]) : nullptr;
    T* y = static_cast<T*>(step.out[0]);
    const Panels<T> panels(N);
    const ManyScratch<T> need(N, D, K, step.threads);
    T* packed = reinterpret_cast<T*>(step.scratch);
    pack_examples(N, D, x, packed, step.threads);
    const int64_t padded = panels.vectors * lanes<T>;

    parallel_ranges(step.threads, K, max_rows, [&](int thread, int64_t k_begin, int64_t k_end) {
        T* result = reinterpret_cast<T*>(step.scratch + need.packed + thread * need.slice);
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
                t.out_step = padded;
                t.last = lanes<T>;
                t.bias = nullptr;
                t.accumulate = d > 0;
                t.finish = {Activation::none, T(0)};
                for (int64_t k = k_begin; k < k_end; k += high) {
                    t.rows = least(high, k_end - k);
                    for (int64_t j = 0; j < t.rows; ++j) row[j] = w + (k + j) * D;
                    t.out = result + (k - k_begin) * padded + panels.begin(p);
                    run_tile(width, t);
                }
            }
        }
        constexpr int64_t block = 16;
        for (int64_t k = k_begin; k < k_end; k += block)
            for (int64_t n = 0; n < N; ++n)
                for (int64_t j = k; j < least(k + block, k_end); ++j)
                    y[n * K + j] = finished(result[(j - k_begin) * padded + n] + (b ? b[j] : T(0)), finish);
    });
    return nullptr;
}

// --- forward with a weight that was packed before ---
//
// The examples are read as they lie, one number at a time for a panel of units: nothing is copied or turned round.

// Panels of units. Three vectors leave eight rows to a tile, which asks less of the second-level cache than six beside
// four; so they are taken where they come out even.
template <class T>
Panels<T> unit_panels(int64_t K) {
    const bool even = max_panel > 3 && ceil_div(K, lanes<T>) % 3 == 0;
    return Panels<T>(K, even ? 3 : max_panel);
}

template <class T>
void pack_units(int64_t D, int64_t K, const T* w, T* packed, int threads) {
    const Panels<T> panels = unit_panels<T>(K);
    constexpr int64_t block = 16;
    parallel_ranges(threads, panels.count * ceil_div(D, block), 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const int64_t p = u % panels.count, d0 = u / panels.count * block, d1 = least(d0 + block, D);
            const int64_t k0 = panels.begin(p), n = panels.end(p) - k0, across = panels.width(p) * lanes<T>;
            T* to = packed + panels.at(p, D);
            for (int64_t j = 0; j < across; ++j)
                for (int64_t d = d0; d < d1; ++d) to[d * across + j] = j < n ? w[(k0 + j) * D + d] : T(0);
        }
    });
}

// Packs the weight once for many runs of forward. in: the weight; out: the packed one, of `packed_bytes` bytes.
template <class T>
const char* pack(const Step& step) {
    pack_units(step.ints[1], step.ints[2], static_cast<const T*>(step.in[0]), static_cast<T*>(step.out[0]), step.threads);
    return nullptr;
}

// The size of what `dense_pack` writes, in bytes; asked for as its scratch, which it does not use.
template <class T>
int64_t packed_bytes(const int64_t* ints, int) {
    return aligned(unit_panels<T>(ints[2]).packed(ints[1]) * static_cast<int64_t>(sizeof(T)));
}

template <class T>
int64_t padded_bias(int64_t K) {
    return aligned(unit_panels<T>(K).vectors * lanes<T> * static_cast<int64_t>(sizeof(T)));
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
    const Panels<T> panels = unit_panels<T>(K);
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
    if (ints[0] >= many) return ManyScratch<T>(ints[0], ints[1], ints[2], threads).total;
    return threads * aligned(ceil_div(ints[0], dot_rows) * held_tile<T> * static_cast<int64_t>(sizeof(T)));
}

// --- the gradient of the input: dx = dy w ---
//
// Panels of a few vectors along D, in parts along K that are packed so that all examples can use them from the cache.

constexpr int64_t depth_part = 384;  // units at a time

template <class T>
const char* backward_data(const Step& step) {
    const int64_t N = step.ints[0], D = step.ints[1], K = step.ints[2];
    const T* w = static_cast<const T*>(step.in[0]);
    const T* dy = static_cast<const T*>(step.in[1]);
    T* dx = static_cast<T*>(step.out[0]);
    const Panels<T> panels(D);
    const int64_t slice = aligned(depth_part * max_panel * lanes<T> * static_cast<int64_t>(sizeof(T)));

    parallel_ranges(step.threads, panels.count, 1, [&](int thread, int64_t begin, int64_t end) {
        T* packed = reinterpret_cast<T*>(step.scratch + thread * slice);
        for (int64_t p = begin; p < end; ++p) {
            const int64_t width = panels.width(p), across = width * lanes<T>, high = tile_rows(width);
            const int64_t d0 = panels.begin(p), last = panels.end(p) - d0 - (width - 1) * lanes<T>;
            for (int64_t k = 0; k < K || k == 0; k += depth_part) {
                const int64_t depth = least(depth_part, K - k);
                for (int64_t i = 0; i < depth; ++i) {
                    const T* from = w + (k + i) * D + d0;
                    T* to = packed + i * across;
                    // the next panel of these rows, while this one is worked on: their pages lie far apart
                    for (int64_t v = 0; v < width; ++v) __builtin_prefetch(from + across + v * lanes<T>, 0, 2);
                    for (int64_t v = 0; v + 1 < width; ++v) store(to + v * lanes<T>, load(from + v * lanes<T>));
                    store(to + (width - 1) * lanes<T>, load_first(from + (width - 1) * lanes<T>, last));
                }
                const Run run{0, depth};
                TileArgs<T> t;
                const T* row[max_rows];
                t.row = row;
                t.runs = &run;
                t.n_runs = 1;
                t.panel = t.ahead = packed;
                t.out_step = D;
                t.last = last;
                t.bias = nullptr;
                t.accumulate = k > 0;
                t.finish = {Activation::none, T(0)};
                for (int64_t n = 0; n < N; n += high) {
                    t.rows = least(high, N - n);
                    for (int64_t j = 0; j < t.rows; ++j) row[j] = dy + (n + j) * K + k;
                    t.out = dx + n * D + d0;
                    run_tile(width, t);
                }
            }
        }
    });
    return nullptr;
}

template <class T>
int64_t data_scratch(const int64_t*, int threads) {
    return threads * aligned(depth_part * max_panel * lanes<T> * static_cast<int64_t>(sizeof(T)));
}

// --- the gradient of the weight: dw = dy^T x ---

constexpr int64_t examples_bytes = 1280 * 1024;  // of x, that a second-level cache of today holds beside the rest

template <class T>
const char* backward_weight(const Step& step) {
    const int64_t N = step.ints[0], D = step.ints[1], K = step.ints[2];
    const T* x = static_cast<const T*>(step.in[0]);
    const T* dy = static_cast<const T*>(step.in[1]);
    T* dw = static_cast<T*>(step.out[0]);
    const Panels<T> panels(D);
    const int64_t tiles = ceil_div(K, outer_rows);
    const auto tile = [&](int64_t row, int64_t p) {
        const int64_t k = K * row / tiles, d0 = panels.begin(p), width = panels.width(p);
        OuterArgs<T> t;
        t.a = dy + k;
        t.a_step = K;
        t.b = x + d0;
        t.b_step = D;
        t.n = N;
        t.rows = 1;
        t.a_row = t.b_row = 0;
        t.last = panels.end(p) - d0 - (width - 1) * lanes<T>;
        t.out = dw + k * D + d0;
        t.out_step = D;
        t.accumulate = false;
        t.whole = false;
        run_outer(K * (row + 1) / tiles - k, width, t);
    };
    if (N * D * static_cast<int64_t>(sizeof(T)) <= examples_bytes && tiles >= 2 * step.threads) {
        // all examples stay in the cache: the gradient is written row by row
        parallel_ranges(step.threads, tiles, 1, [&](int, int64_t begin, int64_t end) {
            for (int64_t row = begin; row < end; ++row)
                for (int64_t p = 0; p < panels.count; ++p) tile(row, p);
        });
        return nullptr;
    }
    // work is shared by panels of D and, where these are few, by blocks of units too
    const int64_t blocks = panels.count >= 2 * step.threads ? 1 : least(tiles, ceil_div(2 * step.threads, panels.count));
    parallel_ranges(step.threads, panels.count * blocks, 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u)
            for (int64_t row = tiles * (u % blocks) / blocks; row < tiles * (u % blocks + 1) / blocks; ++row)
                tile(row, u / blocks);
    });
    return nullptr;
}

}  // namespace

extern const Kernel dense_kernels[];
const Kernel dense_kernels[] = {
    {"dense_forward", 4, forward<float>, forward_scratch<float>},
    {"dense_forward", 8, forward<double>, forward_scratch<double>},
    {"dense_pack", 4, pack<float>, packed_bytes<float>},
    {"dense_pack", 8, pack<double>, packed_bytes<double>},
    {"dense_backward_data", 4, backward_data<float>, data_scratch<float>},
    {"dense_backward_data", 8, backward_data<double>, data_scratch<double>},
    {"dense_backward_weight", 4, backward_weight<float>, nullptr},
    {"dense_backward_weight", 8, backward_weight<double>, nullptr},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
