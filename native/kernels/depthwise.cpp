// Convolution of each channel with a filter of its own, channels last. Vectors run along the channels.
//
// ints: N C H W K kh kw sh sw ph pw dh dw G Ho Wo with C = K = G, then for forward: has_bias, activation, packed (0)
// reals: for forward: the activation's parameter
// Blobs are (N, H, W, C); the filter is (C, 1, kh, kw) as it is learned and saved.
#include "mocha/matrix.h"
#include "mocha/transpose.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int side_by_side = 4;  // places whose sums are formed together, where neighbours are alike

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

// Vectors of channels that are worked on together, where so many channels are left: 1, 2 or 4.
template <class T>
int64_t vectors_from(int64_t channels) {
    const int64_t there = ceil_div(channels, lanes<T>);
    return there >= 4 && MOCHA_REGISTERS == 32 ? 4 : there >= 2 ? 2 : 1;
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

// Whether two places have the same taps, from places that are `distance` apart.
inline bool alike(const Pairs& pairs, int64_t i, int64_t j, int64_t distance) {
    const int64_t n = pairs.begin[i + 1] - pairs.begin[i];
    if (pairs.begin[j + 1] - pairs.begin[j] != n) return false;
    const Pair *a = pairs.pairs + pairs.begin[i], *b = pairs.pairs + pairs.begin[j];
    for (int64_t k = 0; k < n; ++k)
        if (a[k].tap != b[k].tap || a[k].place + distance != b[k].place) return false;
    return true;
}

// What a thread sums up: a stretch of places for one stretch of channels.
template <class T>
struct Gathering {
    const Pair *rows, *rows_end, *columns, *columns_end;  // what contributes to the first place
    int64_t row_step, column_step;                        // between places of `from`, in elements
    int64_t from_step, to_step;                           // between the places that are summed up together
    int64_t kernel, padded, last;                         // taps of a row; channels of the filters; lanes of the last vector
    const T *from, *filters, *bias;
    Finish<T> finish;
    T* to;
};

// The sums of P places for NV vectors of channels.
template <class T, int NV, int P>
void gather(const Gathering<T>& g) {
    constexpr int64_t end = (NV - 1) * lanes<T>;
    Vec<T> sums[P][NV];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sums[p][v] = g.bias ? load(g.bias + v * lanes<T>) : Vec<T>{};
    const bool whole = g.last == lanes<T>;
    for (const Pair* r = g.rows; r < g.rows_end; ++r)
        for (const Pair* c = g.columns; c < g.columns_end; ++c) {
            const T* x = g.from + r->place * g.row_step + c->place * g.column_step;
            const T* w = g.filters + (r->tap * g.kernel + c->tap) * g.padded;
            Vec<T> filter[NV];
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) filter[v] = load(w + v * lanes<T>);
#pragma GCC unroll 4
            for (int p = 0; p < P; ++p, x += g.from_step) {
#pragma GCC unroll 4
                for (int v = 0; v + 1 < NV; ++v) sums[p][v] += load(x + v * lanes<T>) * filter[v];
                sums[p][NV - 1] += (whole ? load(x + end) : load_first(x + end, g.last)) * filter[NV - 1];
            }
        }
    T* to = g.to;
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p, to += g.to_step) {
#pragma GCC unroll 4
        for (int v = 0; v + 1 < NV; ++v) store(to + v * lanes<T>, g.finish(sums[p][v]));
        store_first(to + end, g.finish(sums[p][NV - 1]), g.last);
    }
}

template <class T, int P>
void gather_vectors(int64_t vectors, const Gathering<T>& g) {
    switch (vectors) {
        case 1: return gather<T, 1, P>(g);
        case 2: return gather<T, 2, P>(g);
        default: return gather<T, 4, P>(g);
    }
}

// Forward and the gradient of the input alike: each place of `to` sums what contributes to it from `from`.
template <class T>
void gather_all(const Shape& s, bool back, const T* from, const T* filters, const T* bias, const Finish<T>& finish, T* to,
                char* scratch, int threads) {
    const Pairs rows(s.y, back, scratch);
    const Pairs columns(s.x, back, scratch + Pairs::bytes(s.y, back));
    const int64_t high = back ? s.y.in : s.y.out, wide = back ? s.x.in : s.x.out;
    const int64_t from_high = back ? s.y.out : s.y.in, from_wide = back ? s.x.out : s.x.in;
    // neighbours that meet the same taps: the next output, or the next input pixel that the stride reaches as this one
    const int64_t hop = back ? s.x.stride : 1, distance = back ? 1 : s.x.stride;
    parallel_ranges(threads, s.N * high, 1, [&](int, int64_t begin, int64_t end) {
        Gathering<T> g;
        g.row_step = from_wide * s.C;
        g.column_step = s.C;
        g.from_step = distance * s.C;
        g.to_step = hop * s.C;
        g.kernel = s.x.kernel;
        g.padded = padded_channels<T>(s);
        g.finish = finish;
        for (int64_t u = begin; u < end; ++u) {
            const int64_t n = u / high, i = u % high;
            g.rows = rows.pairs + rows.begin[i];
            g.rows_end = rows.pairs + rows.begin[i + 1];
            const T* image = from + n * from_high * from_wide * s.C;
            for (int64_t phase = 0; phase < least(hop, wide); ++phase)
                for (int64_t j = phase, many; j < wide; j += many * hop) {
                    many = 1;
                    while (many < side_by_side && j + many * hop < wide && alike(columns, j, j + many * hop, many * distance))
                        ++many;
                    if (many < side_by_side) many = 1;
                    g.columns = columns.pairs + columns.begin[j];
                    g.columns_end = columns.pairs + columns.begin[j + 1];
                    // all channels of these places, one stretch after the other: memory is read as it lies
                    for (int64_t c = 0, vectors; c < s.C; c += vectors * lanes<T>) {
                        vectors = vectors_from<T>(s.C - c);
                        const int64_t left = least(vectors * lanes<T>, s.C - c);
                        g.last = left - (vectors - 1) * lanes<T>;
                        g.from = image + c;
                        g.filters = filters + c;
                        g.bias = bias ? bias + c : nullptr;
                        g.to = to + (u * wide + j) * s.C + c;
                        if (many == side_by_side)
                            gather_vectors<T, side_by_side>(vectors, g);
                        else
                            gather_vectors<T, 1>(vectors, g);
                    }
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

// The sums of KX taps in a row for NV vectors of channels, over n places of an output row: dy times what lies under each
// tap, x being under the first one at the first place.
template <class T, int NV, int KX>
void add_row(const T* x, int64_t tap_step, int64_t x_step, const T* dy, int64_t dy_step, int64_t n, int64_t last, T* to,
             int64_t to_step) {
    constexpr int64_t end = (NV - 1) * lanes<T>;
    Vec<T> sums[KX][NV];
#pragma GCC unroll 3
    for (int k = 0; k < KX; ++k)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sums[k][v] = load(to + k * to_step + v * lanes<T>);
    const bool whole = last == lanes<T>;
    for (int64_t i = 0; i < n; ++i, x += x_step, dy += dy_step) {
        Vec<T> gradient[NV];
#pragma GCC unroll 4
        for (int v = 0; v + 1 < NV; ++v) gradient[v] = load(dy + v * lanes<T>);
        gradient[NV - 1] = whole ? load(dy + end) : load_first(dy + end, last);
#pragma GCC unroll 3
        for (int k = 0; k < KX; ++k) {
            const T* under = x + k * tap_step;
#pragma GCC unroll 4
            for (int v = 0; v + 1 < NV; ++v) sums[k][v] += load(under + v * lanes<T>) * gradient[v];
            sums[k][NV - 1] += (whole ? load(under + end) : load_first(under + end, last)) * gradient[NV - 1];
        }
    }
#pragma GCC unroll 3
    for (int k = 0; k < KX; ++k)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) store(to + k * to_step + v * lanes<T>, sums[k][v]);
}

// A stretch of channels in one row of outputs and one row of the input.
template <class T>
struct FilterRow {
    const Axis& axis;
    int64_t C, padded, last;
    int64_t vectors;         // of channels: 1, 2 or 4
    int64_t begin, stop;     // outputs that are asked for
    const T *x, *dy;         // at the first place of the rows
    T* sums;                 // of the row's first tap

    // Outputs [first, end), as far as they are among those asked for, and taps [tap, tap + many): 1 or 3 of them.
    void add(int64_t tap, int64_t many, int64_t first, int64_t end) const {
        first = most(first, begin);
        end = least(end, stop);
        if (first >= end) return;
        const T* under = x + axis.at(first, tap) * C;
        const T* gradient = dy + first * C;
        const int64_t tap_step = axis.dilation * C, x_step = axis.stride * C;
        const auto run = many == 3 ? (vectors == 1 ? add_row<T, 1, 3> : vectors == 2 ? add_row<T, 2, 3> : add_row<T, 4, 3>)
                                   : (vectors == 1 ? add_row<T, 1, 1> : vectors == 2 ? add_row<T, 2, 1> : add_row<T, 4, 1>);
        run(under, tap_step, x_step, gradient, C, end - first, last, sums + tap * padded, padded);
    }

    // All taps: three at a time over the outputs for which all are inside, and each by itself over what is left.
    void add_all() const {
        for (int64_t tap = 0; tap < axis.kernel;) {
            const int64_t many = axis.kernel - tap >= 3 ? 3 : 1;
            int64_t first = 0, end = axis.out;
            for (int64_t k = tap; k < tap + many; ++k) {
                first = most(first, axis.first(k));
                end = least(end, axis.end(k));
            }
            end = most(first, end);
            add(tap, many, first, end);
            for (int64_t k = tap; many > 1 && k < tap + many; ++k) {
                add(k, 1, axis.first(k), least(first, axis.end(k)));
                add(k, 1, most(end, axis.first(k)), axis.end(k));
            }
            tap += many;
        }
    }
};

constexpr int64_t outputs_at_once = 32;

// in = {x, dy}, out = {dw}. Each thread sums its rows of outputs into (tap, channel); the sums are added in a fixed order.
template <class T>
const char* backward_filter(const Step& step) {
    const Shape s(step.ints);
    const T* x = static_cast<const T*>(step.in[0]);
    const T* dy = static_cast<const T*>(step.in[1]);
    T* dw = static_cast<T*>(step.out[0]);
    const int64_t padded = padded_channels<T>(s), rows = s.N * s.y.out;
    const int64_t slice = aligned(s.taps() * padded * static_cast<int64_t>(sizeof(T)));
    std::memset(step.scratch, 0, static_cast<size_t>(slice * step.threads));
    parallel_ranges(step.threads, rows, 1, [&](int thread, int64_t begin, int64_t end) {
        T* sums = reinterpret_cast<T*>(step.scratch + thread * slice);
        for (int64_t u = begin; u < end; ++u) {
            const int64_t n = u / s.y.out, oy = u % s.y.out;
            // some outputs at a time, with all their channels: what lies under them stays in the cache
            for (int64_t ox = 0; ox < s.x.out; ox += outputs_at_once)
                for (int64_t c = 0, vectors; c < s.C; c += vectors * lanes<T>) {
                    vectors = vectors_from<T>(s.C - c);
                    const int64_t left = least(vectors * lanes<T>, s.C - c);
                    FilterRow<T> row{s.x, s.C, padded, left - (vectors - 1) * lanes<T>, vectors, ox, ox + outputs_at_once,
                                     nullptr, dy + u * s.x.out * s.C + c, nullptr};
                    for (int64_t ky = 0; ky < s.y.kernel; ++ky) {
                        const int64_t iy = s.y.at(oy, ky);
                        if (iy < 0 || iy >= s.y.in) continue;
                        row.x = x + (n * s.y.in + iy) * s.x.in * s.C + c;
                        row.sums = sums + ky * s.x.kernel * padded + c;
                        row.add_all();
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
