// Inner product, backward: the gradients of the input and of the weight.
//
// ints: N D K
// x is (N, D), the weight (K, D), dy (N, K), all row-major.
#include "mocha/matrix.h"
#include "mocha/transpose.h"

namespace mocha::MOCHA_ISA {
namespace {

// --- the gradient of the input: dx = dy w ---
//
// Some rows of the weight are packed into panels along D, which are then used for all examples and added to dx. The
// weight is read once, in stretches of its rows that are long enough to be foreseen by the hardware.

constexpr int64_t columns_at_once = 512;    // of the weight, elements
constexpr int64_t rows_bytes = 256 * 1024;  // of packed rows

template <class T>
struct DataPlan {
    int64_t panels, rows, slice;  // panels and rows that are packed at a time, and their bytes

    explicit DataPlan(int64_t D) {
        const int64_t vectors = least(ceil_div(D, lanes<T>), columns_at_once / lanes<T>), bytes = sizeof(T);
        panels = ceil_div(vectors, max_panel);
        rows = rows_bytes / (panels * max_panel * lanes<T> * bytes);
        slice = aligned(rows * panels * max_panel * lanes<T> * bytes);
    }
};

// Rows [0, rows) of panels [p0, p1) of a matrix with D columns: [panel][row][NV lanes], panels `apart` from each other.
template <class T>
void pack_rows(const Panels<T>& panels, int64_t p0, int64_t p1, int64_t D, int64_t rows, const T* from, int64_t apart,
               T* to) {
    constexpr int64_t rows_ahead = 4;  // of the prefetch: what begins each row is not foreseen
    for (int64_t i = 0; i < rows; ++i, from += D)
        for (int64_t p = p0; p < p1; ++p) {
            const int64_t width = panels.width(p), at = (width - 1) * lanes<T>, d = panels.begin(p);
            T* here = to + (p - p0) * apart + i * width * lanes<T>;
            for (int64_t v = 0; v <= at; v += lanes<T>) __builtin_prefetch(from + rows_ahead * D + d + v, 0, 3);
            for (int64_t v = 0; v < at; v += lanes<T>) store(here + v, load(from + d + v));
            store(here + at, load_first(from + d + at, panels.end(p) - d - at));
        }
}

template <class T>
const char* backward_data(const Step& step) {
    const int64_t N = step.ints[0], D = step.ints[1], K = step.ints[2];
    const T* w = static_cast<const T*>(step.in[0]);
    const T* dy = static_cast<const T*>(step.in[1]);
    T* dx = static_cast<T*>(step.out[0]);
    const Panels<T> panels(D);
    const DataPlan<T> plan(D);
    const int64_t apart = plan.rows * max_panel * lanes<T>;
    // threads share the panels, each cut into blocks of examples so that none waits for another's last panel
    const int64_t blocks = least(4, ceil_div(N, max_rows));

    parallel_ranges(step.threads, panels.count * blocks, 1, [&](int thread, int64_t begin, int64_t end) {
        T* packed = reinterpret_cast<T*>(step.scratch + thread * plan.slice);
        const int64_t p_end = ceil_div(end, blocks);
        for (int64_t p0 = begin / blocks, p1; p0 < p_end; p0 = p1) {
            p1 = least(p0 + plan.panels, p_end);
            for (int64_t k = 0; k < K || k == 0; k += plan.rows) {
                const Run run{0, least(plan.rows, K - k)};
                pack_rows(panels, p0, p1, D, run.length, w + k * D, apart, packed);
                for (int64_t p = p0; p < p1; ++p) {
                    const int64_t width = panels.width(p), high = tile_rows(width), tiles = ceil_div(N, high);
                    const int64_t first = tiles * most(0, begin - p * blocks) / blocks * high;
                    const int64_t stop = least(N, tiles * least(blocks, end - p * blocks) / blocks * high);
                    TileArgs<T> t;
                    const T* row[max_rows];
                    t.row = row;
                    t.runs = &run;
                    t.n_runs = 1;
                    t.panel = t.ahead = packed + (p - p0) * apart;
                    t.out_step = D;
                    t.last = panels.end(p) - panels.begin(p) - (width - 1) * lanes<T>;
                    t.bias = nullptr;
                    t.accumulate = k > 0;
                    t.finish = {Activation::none, T(0)};
                    for (int64_t n = first; n < stop; n += high) {
                        t.rows = least(high, stop - n);
                        for (int64_t j = 0; j < t.rows; ++j) row[j] = dy + (n + j) * K + k;
                        t.out = dx + n * D + panels.begin(p);
                        run_tile(width, t);
                    }
                }
            }
        }
    });
    return nullptr;
}

template <class T>
int64_t data_scratch(const int64_t* ints, int threads) {
    return threads * DataPlan<T>(ints[1]).slice;
}

// --- the gradient of the weight: dw = dy^T x ---
//
// dy is turned round and x packed into panels along D, so that both lie together where the reduction over the examples
// reads them. The gradient is written row by row, over as many panels as stay in the cache.

constexpr int64_t examples_at_once = 1024;
constexpr int64_t examples_bytes = 1280 * 1024;  // of packed x that a second-level cache of today holds beside the rest

template <class T>
struct WeightPlan {
    int64_t turned, packed;  // bytes of dy turned round and of x packed
    int64_t step;            // elements between rows of the former
    int64_t panels;          // of x that are used for all units before the next ones

    WeightPlan(int64_t N, int64_t D, int64_t K) {
        const int64_t bytes = sizeof(T), n = least(N, examples_at_once);
        step = ceil_div(n, lanes<T>) * lanes<T>;
        turned = aligned(K * step * bytes);
        packed = aligned(Panels<T>(D).packed(n) * bytes);
        panels = most(1, examples_bytes / most(1, n * max_panel * lanes<T> * bytes));
    }
};

template <class T>
const char* backward_weight(const Step& step) {
    const int64_t N = step.ints[0], D = step.ints[1], K = step.ints[2];
    const T* x = static_cast<const T*>(step.in[0]);
    const T* dy = static_cast<const T*>(step.in[1]);
    T* dw = static_cast<T*>(step.out[0]);
    const Panels<T> panels(D);
    const WeightPlan<T> plan(N, D, K);
    T* turned = reinterpret_cast<T*>(step.scratch);
    T* packed = reinterpret_cast<T*>(step.scratch + plan.turned);
    for (int64_t first = 0; first < N || first == 0; first += examples_at_once) {
        const int64_t n = least(examples_at_once, N - first);
        parallel_ranges(step.threads, ceil_div(K, lanes<T>), 4, [&](int, int64_t begin, int64_t end) {
            const int64_t k = begin * lanes<T>;
            transpose_matrix(dy + first * K + k, K, n, least(end * lanes<T>, K) - k, turned + k * plan.step, plan.step);
        });
        parallel_ranges(step.threads, panels.count, 1, [&](int, int64_t begin, int64_t end) {
            for (int64_t p = begin; p < end; ++p)
                pack_rows(panels, p, p + 1, D, n, x + first * D, int64_t{0}, packed + panels.at(p, n));
        });
        // rows of a tile beside the widest panel, which is the last one
        const int64_t high = tile_rows(panels.width(panels.count - 1));
        const auto multiply = [&](int64_t k0, int64_t k1, int64_t p0, int64_t p1) {
            const Run run{0, n};
            for (int64_t k = k0; k < k1; k += high)
                for (int64_t p = p0; p < p1; ++p) {
                    const int64_t width = panels.width(p);
                    TileArgs<T> t;
                    const T* row[max_rows];
                    t.row = row;
                    t.rows = least(high, k1 - k);
                    for (int64_t j = 0; j < t.rows; ++j) row[j] = turned + (k + j) * plan.step;
                    t.runs = &run;
                    t.n_runs = 1;
                    t.panel = t.ahead = packed + panels.at(p, n);
                    t.out = dw + k * D + panels.begin(p);
                    t.out_step = D;
                    t.last = panels.end(p) - panels.begin(p) - (width - 1) * lanes<T>;
                    t.bias = nullptr;
                    t.accumulate = first > 0;
                    t.finish = {Activation::none, T(0)};
                    run_tile(width, t);
                }
        };
        if (ceil_div(K, high) >= 2 * step.threads)
            parallel_ranges(step.threads, K, high, [&](int, int64_t begin, int64_t end) {
                for (int64_t p = 0; p < panels.count; p += plan.panels)
                    multiply(begin, end, p, least(p + plan.panels, panels.count));
            });
        else
            parallel_ranges(step.threads, panels.count, 1, [&](int, int64_t begin, int64_t end) {
                multiply(0, K, begin, end);
            });
    }
    return nullptr;
}

template <class T>
int64_t weight_scratch(const int64_t* ints, int) {
    const WeightPlan<T> plan(ints[0], ints[1], ints[2]);
    return plan.turned + plan.packed;
}

}  // namespace

extern const Kernel dense_back_kernels[];
const Kernel dense_back_kernels[] = {
    {"dense_backward_data", 4, backward_data<float>, data_scratch<float>},
    {"dense_backward_data", 8, backward_data<double>, data_scratch<double>},
    {"dense_backward_weight", 4, backward_weight<float>, weight_scratch<float>},
    {"dense_backward_weight", 8, backward_weight<double>, weight_scratch<double>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
