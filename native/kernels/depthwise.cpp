// Convolution of each channel with a filter of its own, channels last. Vectors run along the channels.
//
// ints: N C H W K kh kw sh sw ph pw dh dw G Ho Wo with C = K = G, then for forward: has_bias, activation, packed (0)
// reals: for forward: the activation's parameter
// Blobs are (N, H, W, C); the filter is (C, 1, kh, kw) as it is learned and saved.
#include "mocha/matrix.h"
#include "mocha/transpose.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int together = 4;  // vectors of channels that a thread works on at a time: as many sums hide the adder's delay

// One axis of a convolution.
struct Axis {
    int64_t in, out, kernel, stride, pad, dilation;

    // The position of the input under tap t of output o, if it is there.
    int64_t at(int64_t o, int64_t t) const { return o * stride - pad + t * dilation; }
    // Outputs [first, end) whose tap t is inside the input.
    int64_t first(int64_t t) const { return most(0, ceil_div(most(0, pad - t * dilation), stride)); }
    int64_t end(int64_t t) const {
        const int64_t room = in - 1 + pad - t * dilation;
        return room < 0 ? 0 : least(out, room / stride + 1);
    }
};

struct Shape {
    int64_t N, C;
    Axis y, x;

    explicit Shape(const int64_t* i)
        : N(i[0]), C(i[1]), y{i[2], i[14], i[5], i[7], i[9], i[11]}, x{i[3], i[15], i[6], i[8], i[10], i[12]} {}
    int64_t taps() const { return y.kernel * x.kernel; }
};

template <class T>
int64_t padded_channels(const Shape& s) {
    return ceil_div(s.C, lanes<T>) * lanes<T>;
}

// A place that contributes to another one, through a tap.
struct Pair {
    int64_t tap, place;
};

// For each place along an axis, the pairs that contribute to it: of an output those of the input, or the other way.
struct Pairs {
    int64_t* begin;  // of place i: pairs [begin[i], begin[i + 1])
    Pair* pairs;

    static int64_t bytes(const Axis& a, bool back) {
        const int64_t places = back ? a.in : a.out;
        return aligned((places + 1) * int64_t{sizeof(int64_t)}) + aligned(places * a.kernel * int64_t{sizeof(Pair)});
    }

    Pairs(const Axis& a, bool back, char* memory) {
        const int64_t places = back ? a.in : a.out;
        begin = reinterpret_cast<int64_t*>(memory);
        pairs = reinterpret_cast<Pair*>(memory + aligned((places + 1) * int64_t{sizeof(int64_t)}));
        int64_t n = 0;
        for (int64_t i = 0; i < places; ++i) {
            begin[i] = n;
            for (int64_t t = 0; t < a.kernel; ++t) {
                const int64_t from = back ? i + a.pad - t * a.dilation : a.at(i, t);
                if (back ? from >= 0 && from % a.stride == 0 && from / a.stride < a.out : from >= 0 && from < a.in)
                    pairs[n++] = {t, back ? from / a.stride : from};
            }
        }
        begin[places] = n;
    }
};

// The sums of one place for NV vectors of channels, the last of which has `last` lanes.
template <class T, int NV>
void gather(const Pair* rows, const Pair* rows_end, const Pair* columns, const Pair* columns_end,
                         int64_t row_step, int64_t kernel, int64_t C, const T* from, const T* filters, int64_t padded,
                         int64_t last, const T* bias, const Finish<T>& finish, T* to) {
    Vec<T> sums[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) sums[v] = bias ? load(bias + v * lanes<T>) : Vec<T>{};
    for (const Pair* r = rows; r < rows_end; ++r)
        for (const Pair* c = columns; c < columns_end; ++c) {
            const T* x = from + r->place * row_step + c->place * C;
            const T* w = filters + (r->tap * kernel + c->tap) * padded;
#pragma GCC unroll 4
            for (int v = 0; v + 1 < NV; ++v) sums[v] += load(x + v * lanes<T>) * load(w + v * lanes<T>);
            constexpr int64_t end = (NV - 1) * lanes<T>;
            sums[NV - 1] += load_first(x + end, last) * load(w + end);
        }
#pragma GCC unroll 4
    for (int v = 0; v + 1 < NV; ++v) store(to + v * lanes<T>, finish(sums[v]));
    store_first(to + (NV - 1) * lanes<T>, finish(sums[NV - 1]), last);
}

// Forward and the gradient of the input alike: each place of `to` sums what contributes to it from `from`.
template <class T>
void gather_all(const Shape& s, bool back, const T* from, const T* filters, const T* bias, const Finish<T>& finish, T* to,
                char* scratch, int threads) {
    const Pairs rows(s.y, back, scratch);
    const Pairs columns(s.x, back, scratch + Pairs::bytes(s.y, back));
    const int64_t high = back ? s.y.in : s.y.out, wide = back ? s.x.in : s.x.out;
    const int64_t from_high = back ? s.y.out : s.y.in, from_wide = back ? s.x.out : s.x.in;
    const int64_t padded = padded_channels<T>(s), chunk = together * lanes<T>;
    parallel_ranges(threads, s.N * high, 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const int64_t n = u / high, i = u % high;
            const T* image = from + n * from_high * from_wide * s.C;
            const Pair *r0 = rows.pairs + rows.begin[i], *r1 = rows.pairs + rows.begin[i + 1];
            for (int64_t c = 0; c < s.C; c += chunk) {
                const int64_t left = least(chunk, s.C - c), vectors = ceil_div(left, lanes<T>);
                const int64_t last = left - (vectors - 1) * lanes<T>;
                const auto run = vectors == 1 ? gather<T, 1>
                                 : vectors == 2 ? gather<T, 2>
                                 : vectors == 3 ? gather<T, 3>
                                                : gather<T, 4>;
                for (int64_t j = 0; j < wide; ++j)
                    run(r0, r1, columns.pairs + columns.begin[j], columns.pairs + columns.begin[j + 1], from_wide * s.C,
                        s.x.kernel, s.C, image + c, filters + c, padded, last, bias ? bias + c : nullptr, finish,
                        to + (u * wide + j) * s.C + c);
            }
        }
    });
}

// Scratch of a gathering pass: filters turned round, padded bias, and the tables.
template <class T>
struct GatherScratch {
    int64_t filters, bias, tables;

    GatherScratch(const Shape& s, bool back) {
        filters = aligned(s.taps() * padded_channels<T>(s) * static_cast<int64_t>(sizeof(T)));
        bias = aligned(padded_channels<T>(s) * static_cast<int64_t>(sizeof(T)));
        tables = Pairs::bytes(s.y, back) + Pairs::bytes(s.x, back);
    }
    int64_t total() const { return filters + bias + tables; }
};

// The filter as (tap, channel), channels padded to whole vectors.
template <class T>
void turn_filters(const Shape& s, const T* w, T* to) {
    transpose_matrix(w, s.taps(), s.C, s.taps(), to, padded_channels<T>(s));
}

template <class T>
const char* forward(const Step& step) {
    const Shape s(step.ints);
    const GatherScratch<T> need(s, false);
    T* filters = reinterpret_cast<T*>(step.scratch);
    T* bias = reinterpret_cast<T*>(step.scratch + need.filters);
    turn_filters(s, static_cast<const T*>(step.in[1]), filters);
    const bool has_bias = step.ints[16];
    if (has_bias) {
        std::memset(bias, 0, static_cast<size_t>(need.bias));
        std::memcpy(bias, step.in[2], static_cast<size_t>(s.C) * sizeof(T));
    }
    const Finish<T> finish{static_cast<Activation>(step.ints[17]), static_cast<T>(step.reals[0])};
    gather_all(s, false, static_cast<const T*>(step.in[0]), filters, has_bias ? bias : nullptr, finish,
               static_cast<T*>(step.out[0]), step.scratch + need.filters + need.bias, step.threads);
    return nullptr;
}

template <class T>
int64_t forward_scratch(const int64_t* ints, int) {
    return GatherScratch<T>(Shape(ints), false).total();
}

template <class T>
const char* backward_data(const Step& step) {
    const Shape s(step.ints);
    const GatherScratch<T> need(s, true);
    T* filters = reinterpret_cast<T*>(step.scratch);
    turn_filters(s, static_cast<const T*>(step.in[0]), filters);
    const Finish<T> nothing{Activation::none, T(0)};
    gather_all<T>(s, true, static_cast<const T*>(step.in[1]), filters, nullptr, nothing, static_cast<T*>(step.out[0]),
                  step.scratch + need.filters + need.bias, step.threads);
    return nullptr;
}

template <class T>
int64_t data_scratch(const int64_t* ints, int) {
    return GatherScratch<T>(Shape(ints), true).total();
}

// --- the gradient of the filter ---

// sums[v] over n places of an output row times what lies under them.
template <class T, int NV>
void add_row(const T* x, int64_t x_step, const T* dy, int64_t dy_step, int64_t n, int64_t last, T* to) {
    Vec<T> sums[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) sums[v] = load(to + v * lanes<T>);
    for (int64_t i = 0; i < n; ++i, x += x_step, dy += dy_step) {
#pragma GCC unroll 4
        for (int v = 0; v + 1 < NV; ++v) sums[v] += load(x + v * lanes<T>) * load(dy + v * lanes<T>);
        constexpr int64_t end = (NV - 1) * lanes<T>;
        sums[NV - 1] += load_first(x + end, last) * load_first(dy + end, last);
    }
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) store(to + v * lanes<T>, sums[v]);
}

// in = {x, dy}, out = {dw}. Each thread sums its rows of outputs into (tap, channel); the sums are added in a fixed order.
template <class T>
const char* backward_filter(const Step& step) {
    const Shape s(step.ints);
    const T* x = static_cast<const T*>(step.in[0]);
    const T* dy = static_cast<const T*>(step.in[1]);
    T* dw = static_cast<T*>(step.out[0]);
    const int64_t padded = padded_channels<T>(s), chunk = together * lanes<T>, rows = s.N * s.y.out;
    const int64_t slice = aligned(s.taps() * padded * static_cast<int64_t>(sizeof(T)));
    std::memset(step.scratch, 0, static_cast<size_t>(slice * step.threads));
    parallel_ranges(step.threads, rows, 1, [&](int thread, int64_t begin, int64_t end) {
        T* sums = reinterpret_cast<T*>(step.scratch + thread * slice);
        for (int64_t u = begin; u < end; ++u) {
            const int64_t n = u / s.y.out, oy = u % s.y.out;
            for (int64_t c = 0; c < s.C; c += chunk) {
                const int64_t left = least(chunk, s.C - c), vectors = ceil_div(left, lanes<T>);
                const int64_t last = left - (vectors - 1) * lanes<T>;
                const auto run = vectors == 1 ? add_row<T, 1>
                                 : vectors == 2 ? add_row<T, 2>
                                 : vectors == 3 ? add_row<T, 3>
                                                : add_row<T, 4>;
                for (int64_t ky = 0; ky < s.y.kernel; ++ky) {
                    const int64_t iy = s.y.at(oy, ky);
                    if (iy < 0 || iy >= s.y.in) continue;
                    for (int64_t kx = 0; kx < s.x.kernel; ++kx) {
                        const int64_t first = s.x.first(kx), stop = s.x.end(kx);
                        if (first >= stop) continue;
                        run(x + ((n * s.y.in + iy) * s.x.in + s.x.at(first, kx)) * s.C + c, s.x.stride * s.C,
                            dy + (u * s.x.out + first) * s.C + c, s.C, stop - first, last,
                            sums + (ky * s.x.kernel + kx) * padded + c);
                    }
                }
            }
        }
    });
    for (int64_t c = 0; c < s.C; ++c)
        for (int64_t t = 0; t < s.taps(); ++t) {
            T total = T(0);
            for (int thread = 0; thread < step.threads; ++thread)
                total += reinterpret_cast<const T*>(step.scratch + thread * slice)[t * padded + c];
            dw[c * s.taps() + t] = total;
        }
    return nullptr;
}

template <class T>
int64_t filter_scratch(const int64_t* ints, int threads) {
    const Shape s(ints);
    return threads * aligned(s.taps() * padded_channels<T>(s) * static_cast<int64_t>(sizeof(T)));
}

}  // namespace

#define MOCHA_BOTH(name, run, scratch) {name, 4, run<float>, scratch<float>}, {name, 8, run<double>, scratch<double>}

extern const Kernel depthwise_kernels[];
const Kernel depthwise_kernels[] = {
    MOCHA_BOTH("depthwise_forward", forward, forward_scratch),
    MOCHA_BOTH("depthwise_backward_data", backward_data, data_scratch),
    MOCHA_BOTH("depthwise_backward_filter", backward_filter, filter_scratch),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
