// Recurrent networks over whole sequences, and one step of long short-term memory.
//
// T steps, B sequences, D units; the weight is (G D, D), with G = 4 gates in the order i, f, o, g, or G = 1 for a
// simple network. All arrays are row-major.
#include "mocha/lanes.h"
#include "mocha/parallel.h"
#include "mocha/transpose.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {

extern const Kernel dense_kernels[];
extern const Kernel dense_back_kernels[];

namespace {

constexpr int64_t heavy = 1024;  // units worth a thread

template <class T>
const Kernel& kernel_of(const Kernel* table, const char* name) {
    while (table->bytes != static_cast<int>(sizeof(T)) || std::strcmp(table->name, name) != 0) ++table;
    return *table;
}

template <class T>
int64_t array_bytes(int64_t elements) {
    return aligned(elements * static_cast<int64_t>(sizeof(T)));
}

// y = x w^T again and again with one weight: y (N, K), x (N, D), w (K, D). The weight is packed once where that pays.
template <class T>
struct Product {
    int64_t ints[6];        // N D K, no bias, no activation, whether packed
    int64_t packed, total;  // bytes of the packed weight, and of all scratch memory

    Product(int64_t N, int64_t D, int64_t K, int threads) : ints{N, D, K, 0, 0, N >= 8} {
        packed = ints[5] ? kernel_of<T>(dense_kernels, "dense_pack").scratch(ints, threads) : 0;
        total = packed + aligned(kernel_of<T>(dense_kernels, "dense_forward").scratch(ints, threads));
    }
    void prepare(const T* w, char* scratch, int threads) const {
        void *in[] = {const_cast<T*>(w)}, *out[] = {scratch};
        if (packed) kernel_of<T>(dense_kernels, "dense_pack").run({ints, nullptr, in, out, nullptr, threads});
    }
    void run(const T* x, const T* w, T* y, char* scratch, int threads) const {
        const double parameter = 0;
        void *in[] = {const_cast<T*>(x), packed ? static_cast<void*>(scratch) : const_cast<T*>(w)}, *out[] = {y};
        kernel_of<T>(dense_kernels, "dense_forward").run({ints, &parameter, in, out, scratch + packed, threads});
    }
};

// Calls body(row, first element of the row) for rows of D units, shared among threads.
template <class Body>
MOCHA_INLINE void each_row(int threads, int64_t rows, int64_t D, const Body& body) {
    parallel_ranges(threads, rows, ceil_div(heavy, D), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) body(r, r * D);
    });
}

// to = from times one number a row; without numbers a copy
template <class T>
void scale_rows(int threads, int64_t rows, int64_t D, const T* from, const T* numbers, T* to) {
    each_row(threads, rows, D, [&](int64_t r, int64_t at) {
        const T number = numbers ? numbers[r] : T(1);
        by_vectors<T>(at, at + D, [&](int64_t i, auto some) {
            some.store(to + i, numbers ? some.load(from + i) * number : some.load(from + i));
        });
    });
}

// --- one step of some rows ---

template <class T>
struct Unit {
    int64_t D;
    const T *c_prev, *x, *more, *cont;  // what goes into the gates is x + more; more may be null
    T *c, *h, *gates;

    MOCHA_INLINE void operator()(int64_t r) const {
        const T passing = cont[r];
        const T *xs = x + 4 * r * D, *ms = more ? more + 4 * r * D : nullptr;
        T* gs = gates + 4 * r * D;
        by_vectors<T>(0, D, [&](int64_t d, auto some) {
            const auto into = [&](int64_t gate) {
                const Vec<T> z = some.load(xs + gate * D + d);
                return ms ? z + some.load(ms + gate * D + d) : z;
            };
            const Vec<T> i = vsigmoid<T>(into(0)), f = vsigmoid<T>(into(1));
            const Vec<T> o = vsigmoid<T>(into(2)), g = vtanh<T>(into(3));
            const Vec<T> state = passing * f * some.load(c_prev + r * D + d) + i * g;
            some.store(gs + d, i);
            some.store(gs + D + d, f);
            some.store(gs + 2 * D + d, o);
            some.store(gs + 3 * D + d, g);
            some.store(c + r * D + d, state);
            some.store(h + r * D + d, o * vtanh<T>(state));
        });
    }
};

template <class T>
struct UnitBack {
    int64_t D;
    const T *c_prev, *cont, *c, *gates, *dc, *dh;
    const T *more, *scale;  // dh + more scale; both may be null, and scale alone
    T *dc_prev, *dz;        // either may be null; dc_prev may be dc

    MOCHA_INLINE void operator()(int64_t r) const {
        const T passing = cont[r], times = scale ? scale[r] : T(1);
        const T* gs = gates + 4 * r * D;
        by_vectors<T>(0, D, [&](int64_t d, auto some) {
            const int64_t at = r * D + d;
            const Vec<T> i = some.load(gs + d), f = some.load(gs + D + d), o = some.load(gs + 2 * D + d);
            const Vec<T> g = some.load(gs + 3 * D + d), t = vtanh<T>(some.load(c + at));
            Vec<T> down = some.load(dh + at);
            if (more) down += scale ? some.load(more + at) * times : some.load(more + at);
            const Vec<T> e = some.load(dc + at) + down * o * (T(1) - t * t);
            if (dz) {
                T* zs = dz + 4 * r * D + d;
                some.store(zs, e * g * i * (T(1) - i));
                some.store(zs + D, e * (passing * some.load(c_prev + at)) * f * (T(1) - f));
                some.store(zs + 2 * D, down * t * o * (T(1) - o));
                some.store(zs + 3 * D, e * i * (T(1) - g * g));
            }
            if (dc_prev) some.store(dc_prev + at, e * (passing * f));
        });
    }
};

// ints = {rows, units}, in = {c_prev, z, cont}, out = {c, h, gates}. The gates may be z.
template <class T>
const char* lstm_unit_forward(const Step& step) {
    const int64_t D = step.ints[1];
    const Unit<T> unit{D, input<T>(step, 0), input<T>(step, 1), nullptr, input<T>(step, 2),
                       output<T>(step, 0), output<T>(step, 1), output<T>(step, 2)};
    each_row(step.threads, step.ints[0], D, [&](int64_t r, int64_t) { unit(r); });
    return nullptr;
}

// ints = {rows, units, dc_prev wanted, dz wanted}, in = {c_prev, cont, c, gates, dc, dh}, out = {dc_prev, dz}, those
// wanted; they are no input's memory
template <class T>
const char* lstm_unit_backward(const Step& step) {
    const int64_t D = step.ints[1], first = step.ints[2];
    const UnitBack<T> unit{D, input<T>(step, 0), input<T>(step, 1), input<T>(step, 2), input<T>(step, 3),
                           input<T>(step, 4), input<T>(step, 5), nullptr, nullptr,
                           first ? output<T>(step, 0) : nullptr,
                           step.ints[3] ? output<T>(step, first ? 1 : 0) : nullptr};
    each_row(step.threads, step.ints[0], D, [&](int64_t r, int64_t) { unit(r); });
    return nullptr;
}

// --- whole sequences, forward ---

template <class T, int G>
int64_t forward_scratch(const int64_t* ints, int threads) {
    const int64_t B = ints[1], D = ints[2];
    return Product<T>(B, D, G * D, threads).total + array_bytes<T>(B * D) + array_bytes<T>(B * G * D);
}

// ints = {steps, sequences, units}, in = {x, w, cont, h0, c0}, out = {h, last h, last c, c, gates}. The gates may be x.
// A simple network has no c and no gates; its h may be x.
template <class T, int G>
const char* sequence_forward(const Step& step) {
    const int64_t steps = step.ints[0], B = step.ints[1], D = step.ints[2], all = B * D;
    const int threads = step.threads;
    const T *x = input<T>(step, 0), *w = input<T>(step, 1), *cont = input<T>(step, 2), *h_prev = input<T>(step, 3);
    const T* c_prev = G == 4 ? input<T>(step, 4) : nullptr;
    T *h = output<T>(step, 0), *c = G == 4 ? output<T>(step, 3) : nullptr;
    const Product<T> product(B, D, G * D, threads);
    T* state = reinterpret_cast<T*>(step.scratch + product.total);
    T* more = state + array_bytes<T>(all) / static_cast<int64_t>(sizeof(T));
    if (steps && all) {
        product.prepare(w, step.scratch, threads);
        scale_rows(threads, B, D, h_prev, cont, state);
    }
    for (int64_t t = 0; t < steps && all; ++t) {
        product.run(state, w, more, step.scratch, threads);
        const T *from = x + t * G * all, *next = t + 1 < steps ? cont + (t + 1) * B : nullptr;
        T* to = h + t * all;
        Unit<T> unit{};
        if constexpr (G == 4)
            unit = {D, c_prev, from, more, cont + t * B, c + t * all, to, output<T>(step, 4) + t * G * all};
        each_row(threads, B, D, [&](int64_t r, int64_t at) {
            if constexpr (G == 4) unit(r);
            by_vectors<T>(at, at + D, [&](int64_t i, auto some) {
                if constexpr (G == 1) some.store(to + i, vtanh<T>(some.load(from + i) + some.load(more + i)));
                if (next) some.store(state + i, some.load(to + i) * next[r]);
            });
        });
        h_prev = to;
        if constexpr (G == 4) c_prev = c + t * all;
    }
    scale_rows<T>(threads, B, D, h_prev, nullptr, output<T>(step, 1));
    if constexpr (G == 4) scale_rows<T>(threads, B, D, c_prev, nullptr, output<T>(step, 2));
    return nullptr;
}

// --- whole sequences, backward ---

// to[j][i] = from[i][j]; each row of `to` follows the one before without a gap.
template <class T>
void turn(int threads, const T* from, int64_t rows, int64_t columns, T* to) {
    parallel_ranges(threads, ceil_div(columns, lanes<T>), 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t j = begin * lanes<T>; j < least(end * lanes<T>, columns); j += lanes<T>)
            for (int64_t i = 0; i < rows; i += lanes<T>) {
                Vec<T> square[lanes<T>];
                load_square(from + i * columns + j, columns, rows - i, columns - j, square);
                transpose<T>(square);
                const int64_t n = least(lanes<T>, columns - j), valid = least(lanes<T>, rows - i);
                for (int64_t k = 0; k < n; ++k) store_first(to + (j + k) * rows + i, square[k], valid);
            }
    });
}

// The scratch memory of backward, in bytes.
template <class T, int G>
struct BackPlan {
    Product<T> product;
    int64_t of_weight[3];  // the numbers of the weight's gradient
    int64_t turned, carried, dz, before, weight, total;

    BackPlan(const int64_t* ints, int threads)
        : product(ints[1], G * ints[2], ints[2], threads), of_weight{ints[0] * ints[1], ints[2], G * ints[2]} {
        const int64_t rows = ints[0] * ints[1], D = ints[2], B = ints[1];
        turned = array_bytes<T>(G * D * D);
        carried = array_bytes<T>(B * D);
        dz = ints[3] ? 0 : array_bytes<T>(rows * G * D);
        before = ints[4] ? array_bytes<T>(rows * D) : 0;
        weight = ints[4] ? aligned(gradient().scratch(of_weight, threads)) : 0;
        total = product.total + turned + 2 * carried + dz + before + weight;
    }
    static const Kernel& gradient() { return kernel_of<T>(dense_back_kernels, "dense_backward_weight"); }
};

template <class T, int G>
int64_t backward_scratch(const int64_t* ints, int threads) {
    return BackPlan<T, G>(ints, threads).total;
}

// ints = {steps, sequences, units, dx wanted, dw wanted, dh0 wanted, dc0 wanted}, in = {w, cont, h0, c0, h, c, gates,
// dh, d last h, d last c}, out = {dx, dw, dh0, dc0}, those wanted; they are no input's memory. A simple network has no
// c0, c, gates, d last c and dc0.
template <class T, int G>
const char* sequence_backward(const Step& step) {
    const int64_t steps = step.ints[0], B = step.ints[1], D = step.ints[2], all = B * D;
    const int threads = step.threads;
    const bool lstm = G == 4;
    const T *w = input<T>(step, 0), *cont = input<T>(step, 1), *h0 = input<T>(step, 2);
    const T *c0 = lstm ? input<T>(step, 3) : nullptr, *h = input<T>(step, lstm ? 4 : 3);
    const T *c = lstm ? input<T>(step, 5) : nullptr, *gates = lstm ? input<T>(step, 6) : nullptr;
    const T *dh = input<T>(step, lstm ? 7 : 4), *more = input<T>(step, lstm ? 8 : 5);
    const T *dc = lstm ? input<T>(step, 9) : nullptr, *scale = nullptr;
    int64_t given = 0;
    T* wanted[4] = {};
    for (int64_t i = 0; i < (lstm ? 4 : 3); ++i)
        if (step.ints[3 + i]) wanted[i] = output<T>(step, given++);

    const BackPlan<T, G> plan(step.ints, threads);
    char* free = step.scratch + plan.product.total;
    const auto take = [&](int64_t bytes) {
        char* mine = free;
        free += bytes;
        return reinterpret_cast<T*>(mine);
    };
    T *turned = take(plan.turned), *down = take(plan.carried), *carried = take(plan.carried);
    T* dz = wanted[0] ? wanted[0] : take(plan.dz);
    if (steps && all) {
        turn(threads, w, G * D, D, turned);
        plan.product.prepare(turned, step.scratch, threads);
    }
    for (int64_t t = steps - 1; t >= 0 && all; --t) {
        T* into = dz + t * G * all;
        UnitBack<T> unit{};
        if constexpr (G == 4)
            unit = {D, t ? c + (t - 1) * all : c0, cont + t * B, c + t * all, gates + t * G * all, dc, dh + t * all,
                    more, scale, carried, into};
        each_row(threads, B, D, [&](int64_t r, int64_t at) {
            if constexpr (G == 4) {
                unit(r);
                return;
            }
            const T *state = h + t * all, *above = dh + t * all, times = scale ? scale[r] : T(1);
            by_vectors<T>(at, at + D, [&](int64_t i, auto some) {
                const Vec<T> y = some.load(state + i);
                const Vec<T> from_next = scale ? some.load(more + i) * times : some.load(more + i);
                some.store(into + i, (some.load(above + i) + from_next) * (T(1) - y * y));
            });
        });
        dc = carried;
        if (t || wanted[2]) plan.product.run(into, turned, down, step.scratch, threads);
        more = down;
        scale = cont + t * B;
    }
    if (wanted[2]) scale_rows(threads, B, D, more, scale, wanted[2]);
    if (wanted[3]) scale_rows<T>(threads, B, D, dc, nullptr, wanted[3]);
    if (wanted[1]) {
        T* before = take(plan.before);
        for (int64_t t = 0; t < steps; ++t)
            scale_rows(threads, B, D, t ? h + (t - 1) * all : h0, cont + t * B, before + t * all);
        void *in[] = {before, dz}, *out[] = {wanted[1]};
        plan.gradient().run({plan.of_weight, nullptr, in, out, free, threads});
    }
    return nullptr;
}

template <class T>
const char* lstm_forward(const Step& step) {
    return sequence_forward<T, 4>(step);
}
template <class T>
const char* lstm_backward(const Step& step) {
    return sequence_backward<T, 4>(step);
}
template <class T>
const char* rnn_forward(const Step& step) {
    return sequence_forward<T, 1>(step);
}
template <class T>
const char* rnn_backward(const Step& step) {
    return sequence_backward<T, 1>(step);
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}
#define MOCHA_SEQUENCE(name, way, G) \
    {#name, 4, name<float>, way##_scratch<float, G>}, {#name, 8, name<double>, way##_scratch<double, G>}

extern const Kernel recurrent_kernels[];
const Kernel recurrent_kernels[] = {
    MOCHA_BOTH(lstm_unit_forward),
    MOCHA_BOTH(lstm_unit_backward),
    MOCHA_SEQUENCE(lstm_forward, forward, 4),
    MOCHA_SEQUENCE(lstm_backward, backward, 4),
    MOCHA_SEQUENCE(rnn_forward, forward, 1),
    MOCHA_SEQUENCE(rnn_backward, backward, 1),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
