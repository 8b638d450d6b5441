// Reductions over any axes. The axes of an array are first joined into as few as possible, so that kept and reduced
// ones alternate; then the array is walked in the order of memory, row by row (the last axis is a row).
//
// ints = {axes, then for each: extent, 1 if it is reduced}. At most 8 axes.
#include "mocha/sums.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 16384;  // elements worth a thread
constexpr int max_axes = 8;

struct Axes {
    int n;
    int64_t extent[max_axes], step[max_axes];  // step: in the result, 0 for a reduced axis
    bool reduced[max_axes];
    int64_t elements, results, reduced_elements;

    MOCHA_INLINE explicit Axes(const int64_t* ints) : n(static_cast<int>(ints[0])) {
        elements = results = 1;
        for (int a = n - 1; a >= 0; --a) {
            extent[a] = ints[1 + 2 * a];
            reduced[a] = ints[2 + 2 * a] != 0;
            step[a] = reduced[a] ? 0 : results;
            elements *= extent[a];
            if (!reduced[a]) results *= extent[a];
        }
        reduced_elements = 1;
        for (int a = 0; a < n; ++a)
            if (reduced[a]) reduced_elements *= extent[a];
    }

    // The axis to cut for the threads: the longest kept one if it is long enough, so that no two threads meet in a
    // result; otherwise the longest reduced one.
    MOCHA_INLINE int cut(int threads) const {
        int best[2] = {-1, -1};
        for (int a = 0; a < n; ++a)
            if (best[reduced[a]] < 0 || extent[a] > extent[best[reduced[a]]]) best[reduced[a]] = a;
        if (best[1] < 0) return best[0];
        if (best[0] >= 0 && extent[best[0]] >= threads * (best[0] == n - 1 ? 64 : 1)) return best[0];
        return best[1];
    }

    // How many indices of the cut axis a thread should have at least.
    MOCHA_INLINE int64_t grain(int axis) const {
        const int64_t grain = ceil_div(worth, most(elements / most(extent[axis], 1), 1));
        return axis == n - 1 ? ceil_div(grain, 64) * 64 : grain;
    }
};

// y += the sums of those elements whose index of axis `cut` is in [begin, end). The first element that goes into a
// result overwrites what was there, unless `add`.
template <class T, class F>
MOCHA_INLINE void reduce_part(const Axes& axes, int cut, int64_t begin, int64_t end, const T* x, T* y, bool add, F f) {
    const int last = axes.n - 1;
    int64_t low[max_axes] = {}, high[max_axes] = {}, index[max_axes] = {}, stride[max_axes] = {};
    int64_t size = 1, from = 0, to = 0;
    for (int a = last; a >= 0; --a) {
        low[a] = index[a] = a == cut ? begin : 0;
        high[a] = a == cut ? end : axes.extent[a];
        if (low[a] >= high[a]) return;
        stride[a] = size;
        size *= axes.extent[a];
        from += low[a] * stride[a];
        to += low[a] * axes.step[a];
    }
    // what is done at once: a row to sum; rows to add up; or a row to add to results
    const int64_t row = high[last] - low[last];
    const bool rows = last > 0 && !axes.reduced[last] && axes.reduced[last - 1];
    const int outer = rows ? last - 1 : last;
    for (;;) {
        bool fresh = !add;
        for (int a = 0; a < outer; ++a) fresh = fresh && (!axes.reduced[a] || index[a] == low[a]);
        if (axes.reduced[last]) {
            const T total = sum_row<T>(x + from, row, f);
            y[to] = fresh ? total : y[to] + total;
        } else if (rows) {
            if (fresh) std::memset(y + to, 0, static_cast<size_t>(row) * sizeof(T));
            add_rows<T>(x + from, high[outer] - low[outer], row, stride[outer], y + to, f);
        } else {
            by_vectors<T>(0, row, [&](int64_t i, auto some) {
                const Vec<T> before = fresh ? Vec<T>{} : some.load(y + to + i);
                some.store(y + to + i, before + f.template of<T>(some.load(x + from + i)));
            });
        }
        int a = outer - 1;
        for (; a >= 0; --a) {  // the next one
            from += stride[a];
            to += axes.step[a];
            if (++index[a] < high[a]) break;
            from -= (high[a] - low[a]) * stride[a];
            to -= (high[a] - low[a]) * axes.step[a];
            index[a] = low[a];
        }
        if (a < 0) return;
    }
}

template <class T>
MOCHA_INLINE int64_t pitch(const Axes& axes) {
    return aligned(axes.results * static_cast<int64_t>(sizeof(T)));
}

template <class T>
int64_t reduce_scratch(const int64_t* ints, int threads) {
    const Axes axes(ints);
    return axes.reduced[axes.cut(threads)] ? threads * pitch<T>(axes) : 0;
}

template <class T, class F>
MOCHA_INLINE void reduce(const Step& step, const Axes& axes, F f) {
    const T* x = input<T>(step, 0);
    T* y = output<T>(step, 0);
    if (axes.elements == 0) {
        for (int64_t i = 0; i < axes.results; ++i) y[i] = T(0);
        return;
    }
    const int cut = axes.cut(step.threads);
    const int64_t n = axes.extent[cut], grain = axes.grain(cut), used = least(step.threads, ceil_div(n, grain));
    if (!axes.reduced[cut] || used <= 1) {
        parallel_ranges(step.threads, n, grain, [&](int, int64_t begin, int64_t end) {
            reduce_part<T>(axes, cut, begin, end, x, y, false, f);
        });
        return;
    }
    std::memset(step.scratch, 0, static_cast<size_t>(used * pitch<T>(axes)));
    parallel_ranges(step.threads, n, grain, [&](int thread, int64_t begin, int64_t end) {
        reduce_part<T>(axes, cut, begin, end, x, reinterpret_cast<T*>(step.scratch + thread * pitch<T>(axes)), true, f);
    });
    for (int64_t i = 0; i < axes.results; ++i) {
        T total = 0;
        for (int64_t t = 0; t < used; ++t) total += reinterpret_cast<const T*>(step.scratch + t * pitch<T>(axes))[i];
        y[i] = total;
    }
}

// in = {x}, out = {y}
template <class T>
const char* reduce_sum(const Step& step) {
    reduce<T>(step, Axes(step.ints), Plain{});
    return nullptr;
}

// in = {x}, out = {y}
template <class T>
const char* reduce_mean(const Step& step) {
    const Axes axes(step.ints);
    reduce<T>(step, axes, Plain{});
    T* y = output<T>(step, 0);
    const T count = static_cast<T>(axes.reduced_elements);
    for (int64_t i = 0; i < axes.results; ++i) y[i] /= count;
    return nullptr;
}

// in = {x}, out = {y}
template <class T>
const char* reduce_squares(const Step& step) {
    reduce<T>(step, Axes(step.ints), Squared{});
    return nullptr;
}

// Calls body(row, first column, end column, place of the row's first gradient) for all rows.
template <class Body>
MOCHA_INLINE void spread(const Step& step, const Axes& axes, const Body& body) {
    const int last = axes.n - 1;
    const int64_t row = axes.extent[last], rows = axes.elements / most(row, 1);
    const bool by_row = rows >= step.threads || row < 2 * worth;
    auto place = [&](int64_t r) {
        int64_t at = 0;
        for (int a = last - 1; a >= 0; --a) {
            at += r % axes.extent[a] * axes.step[a];
            r /= axes.extent[a];
        }
        return at;
    };
    if (axes.elements == 0) return;
    if (by_row) {
        parallel_ranges(step.threads, rows, ceil_div(worth, row), [&](int, int64_t begin, int64_t end) {
            for (int64_t r = begin; r < end; ++r) body(r, int64_t{0}, row, place(r));
        });
    } else {
        parallel_ranges(step.threads, row, worth, [&](int, int64_t begin, int64_t end) {
            for (int64_t r = 0; r < rows; ++r) body(r, begin, end, place(r));
        });
    }
}

// dx = factor(i) dy for each element i that went into dy
template <class T, class F>
MOCHA_INLINE const char* spread_times(const Step& step, const T* dy, T divisor, F factor) {
    const Axes axes(step.ints);
    const int last = axes.n - 1;
    T* dx = output<T>(step, 0);
    spread(step, axes, [&](int64_t r, int64_t begin, int64_t end, int64_t place) {
        const int64_t at = r * axes.extent[last];
        if (axes.reduced[last]) {
            const Vec<T> g = splat(dy[place] / divisor);
            by_vectors<T>(begin, end, [&](int64_t i, auto some) { some.store(dx + at + i, factor(some, at + i, g)); });
        } else {
            by_vectors<T>(begin, end, [&](int64_t i, auto some) {
                some.store(dx + at + i, factor(some, at + i, some.load(dy + place + i) / divisor));
            });
        }
    });
    return nullptr;
}

// in = {dy}, out = {dx}
template <class T>
const char* reduce_sum_backward(const Step& step) {
    return spread_times<T>(step, input<T>(step, 0), T(1), [](auto, int64_t, Vec<T> g) { return g; });
}

// in = {dy}, out = {dx}
template <class T>
const char* reduce_mean_backward(const Step& step) {
    const T count = static_cast<T>(Axes(step.ints).reduced_elements);
    return spread_times<T>(step, input<T>(step, 0), count, [](auto, int64_t, Vec<T> g) { return g; });
}

// in = {x, dy}, out = {dx}
template <class T>
const char* reduce_squares_backward(const Step& step) {
    const T* x = input<T>(step, 0);
    return spread_times<T>(step, input<T>(step, 1), T(1),
                           [=](auto some, int64_t i, Vec<T> g) { return T(2) * some.load(x + i) * g; });
}

}  // namespace

extern const Kernel reduce_kernels[];
const Kernel reduce_kernels[] = {
    {"reduce_sum", 4, reduce_sum<float>, reduce_scratch<float>},
    {"reduce_sum", 8, reduce_sum<double>, reduce_scratch<double>},
    {"reduce_mean", 4, reduce_mean<float>, reduce_scratch<float>},
    {"reduce_mean", 8, reduce_mean<double>, reduce_scratch<double>},
    {"reduce_squares", 4, reduce_squares<float>, reduce_scratch<float>},
    {"reduce_squares", 8, reduce_squares<double>, reduce_scratch<double>},
    {"reduce_sum_backward", 4, reduce_sum_backward<float>, nullptr},
    {"reduce_sum_backward", 8, reduce_sum_backward<double>, nullptr},
    {"reduce_mean_backward", 4, reduce_mean_backward<float>, nullptr},
    {"reduce_mean_backward", 8, reduce_mean_backward<double>, nullptr},
    {"reduce_squares_backward", 4, reduce_squares_backward<float>, nullptr},
    {"reduce_squares_backward", 8, reduce_squares_backward<double>, nullptr},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
