// Losses and a measure that look at two blobs element by element.
#include "mocha/findings.h"
#include "mocha/softmax.h"
#include "mocha/sums.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t light = 8192, heavy = 2048;  // elements worth a thread

// y l, and 0 where the label y is 0, whatever the logarithm l
template <class T>
MOCHA_INLINE Vec<T> soft_term(Vec<T> y, Vec<T> log_likelihood) {
    return select<T>(y == Vec<T>{}, Vec<T>{}, y * log_likelihood);
}

// ints = {outer, classes, inner}, reals = {weight}, in = {x, label}, out = {loss, softmax}. The softmax is no input's
// memory.
template <class T>
const char* softlabel_loss_forward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const T *x = input<T>(step, 0), *label = input<T>(step, 1);
    T* p = output<T>(step, 1);
    Finding* found = findings(step);
    if (inner == 1) {
        parallel_ranges(step.threads, outer, ceil_div(heavy, classes), [&](int thread, int64_t begin, int64_t end) {
            WideSum<T> mine;
            for (int64_t o = begin; o < end; ++o) {
                T max, total;
                softmax_row<T>(x + o * classes, p + o * classes, classes, max, total);
                const T log_total = lane_log(total);
                by_vectors<T>(o * classes, (o + 1) * classes, [&](int64_t i, auto some) {
                    mine.add(some.only(soft_term<T>(some.load(label + i), (some.load(x + i) - max) - log_total)));
                });
            }
            found[thread].total = mine.value();
        });
    } else {
        const int64_t units = outer * ceil_div(inner, lanes<T>), grain = ceil_div(heavy, classes * lanes<T>);
        parallel_ranges(step.threads, units, grain, [&](int thread, int64_t begin, int64_t end) {
            WideSum<T> mine;
            by_columns<T>(begin, end, inner, [&](int64_t o, int64_t i, auto some) {
                Vec<T> max, total;
                const int64_t at = o * classes * inner + i;
                softmax_columns<T>(x + at, p + at, classes, inner, some, max, total);
                const Vec<T> log_total = vlog<T>(total);
                for (int64_t c = 0; c < classes; ++c) {
                    const int64_t place = at + c * inner;
                    mine.add(some.only(soft_term<T>(some.load(label + place), (some.load(x + place) - max) - log_total)));
                }
            });
            found[thread].total = mine.value();
        });
    }
    const auto positions = static_cast<double>(most(outer * inner, 1));
    output<T>(step, 0)[0] = static_cast<T>(-step.reals[0] / positions * joined(step, found).total);
    return nullptr;
}

// ints = {outer, classes, inner}, reals = {weight}, in = {label, softmax, dloss}, out = {dx}; dx is no input's memory
template <class T>
const char* softlabel_loss_backward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const T *label = input<T>(step, 0), *p = input<T>(step, 1);
    const auto positions = static_cast<double>(most(outer * inner, 1));
    const T factor = input<T>(step, 2)[0] * static_cast<T>(step.reals[0] / positions);
    T* dx = output<T>(step, 0);
    if (inner == 1) {
        parallel_ranges(step.threads, outer, ceil_div(light, classes), [&](int, int64_t begin, int64_t end) {
            for (int64_t o = begin; o < end; ++o) {
                const T all = sum_row<T>(label + o * classes, classes, Plain{});
                by_vectors<T>(o * classes, (o + 1) * classes, [&](int64_t i, auto some) {
                    some.store(dx + i, (some.load(p + i) * all - some.load(label + i)) * factor);
                });
            }
        });
        return nullptr;
    }
    const int64_t units = outer * ceil_div(inner, lanes<T>), grain = ceil_div(light, classes * lanes<T>);
    parallel_ranges(step.threads, units, grain, [&](int, int64_t begin, int64_t end) {
        by_columns<T>(begin, end, inner, [&](int64_t o, int64_t i, auto some) {
            const int64_t at = o * classes * inner + i;
            Vec<T> all{};
            for (int64_t c = 0; c < classes; ++c) all += some.load(label + at + c * inner);
            for (int64_t c = 0; c < classes; ++c) {
                const int64_t place = at + c * inner;
                some.store(dx + place, (some.load(p + place) * all - some.load(label + place)) * factor);
            }
        });
    });
    return nullptr;
}

// -- a function of each pair, added up

template <class T>
struct CrossEntropy {
    static MOCHA_INLINE Vec<T> term(Vec<T> p, Vec<T> y) {
        return -(y * vlog<T>(at_least<T>(p)) + (T(1) - y) * vlog<T>(at_least<T>(T(1) - p)));
    }
    static MOCHA_INLINE Vec<T> slope_a(Vec<T> p, Vec<T> y) {
        return (T(1) - y) / at_least<T>(T(1) - p) - y / at_least<T>(p);
    }
    static MOCHA_INLINE Vec<T> slope_b(Vec<T> p, Vec<T>) {
        return vlog<T>(at_least<T>(T(1) - p)) - vlog<T>(at_least<T>(p));
    }
};

// The product x y is rounded before it is compared, as in the reference, so that both see the corner at the same place.
template <class T>
struct Hinge {
    static MOCHA_INLINE Vec<T> term(Vec<T> x, Vec<T> y) {
        const Vec<T> rest = T(1) - rounded<T>(x * y);
        return rest < Vec<T>{} ? Vec<T>{} : rest;
    }
    static MOCHA_INLINE Vec<T> slope_a(Vec<T> x, Vec<T> y) {
        return select<T>(rounded<T>(x * y) < splat(T(1)), -y, Vec<T>{});
    }
    static MOCHA_INLINE Vec<T> slope_b(Vec<T> x, Vec<T> y) { return slope_a(y, x); }
};

template <class T>
struct GaussianKL {
    static MOCHA_INLINE Vec<T> term(Vec<T> mu, Vec<T> sigma) {
        return T(0.5) * (mu * mu + sigma * sigma - T(1)) - vlog<T>(at_least<T>(sigma));
    }
    static MOCHA_INLINE Vec<T> slope_a(Vec<T> mu, Vec<T>) { return mu; }
    static MOCHA_INLINE Vec<T> slope_b(Vec<T>, Vec<T> sigma) { return sigma - T(1) / at_least<T>(sigma); }
};

// ints = {elements, examples}, reals = {weight}, in = {a, b}, out = {loss}
template <class T, class Pair>
const char* pair_forward(const Step& step) {
    Finding* found = findings(step);
    parallel_ranges(step.threads, step.ints[0], heavy, [&](int thread, int64_t begin, int64_t end) {
        const T *a = input<T>(step, 0), *b = input<T>(step, 1);
        WideSum<T> mine;
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            mine.add(some.only(Pair::term(some.load(a + i), some.load(b + i))));
        });
        found[thread].total = mine.value();
    });
    const auto examples = static_cast<double>(most(step.ints[1], 1));
    output<T>(step, 0)[0] = static_cast<T>(step.reals[0] / examples * joined(step, found).total);
    return nullptr;
}

// ints = {elements, examples, da wanted, db wanted}, reals = {weight}, in = {a, b, dloss}, out = {da, db}, those
// wanted; they are no input's memory
template <class T, class Pair>
const char* pair_backward(const Step& step) {
    const auto examples = static_cast<double>(most(step.ints[1], 1));
    const T factor = input<T>(step, 2)[0] * static_cast<T>(step.reals[0] / examples);
    parallel_ranges(step.threads, step.ints[0], heavy, [&](int, int64_t begin, int64_t end) {
        const T *a = input<T>(step, 0), *b = input<T>(step, 1);
        T* da = step.ints[2] ? output<T>(step, 0) : nullptr;
        T* db = step.ints[3] ? output<T>(step, step.ints[2] ? 1 : 0) : nullptr;
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            const Vec<T> x = some.load(a + i), y = some.load(b + i);
            if (da) some.store(da + i, Pair::slope_a(x, y) * factor);
            if (db) some.store(db + i, Pair::slope_b(x, y) * factor);
        });
    });
    return nullptr;
}

template <class T>
const char* cross_entropy_forward(const Step& step) {
    return pair_forward<T, CrossEntropy<T>>(step);
}
template <class T>
const char* cross_entropy_backward(const Step& step) {
    return pair_backward<T, CrossEntropy<T>>(step);
}
template <class T>
const char* hinge_loss_forward(const Step& step) {
    return pair_forward<T, Hinge<T>>(step);
}
template <class T>
const char* hinge_loss_backward(const Step& step) {
    return pair_backward<T, Hinge<T>>(step);
}
template <class T>
const char* gaussian_kl_forward(const Step& step) {
    return pair_forward<T, GaussianKL<T>>(step);
}
template <class T>
const char* gaussian_kl_backward(const Step& step) {
    return pair_backward<T, GaussianKL<T>>(step);
}

// -- the measure

// How many of n predictions lie on their labels' side; `bar` is the threshold among labels.
template <class T, class Label>
MOCHA_INLINE int64_t same_side(const T* x, const Label* labels, int64_t n, T threshold, double bar) {
    int64_t right = 0;
    for (int64_t i = 0; i < n; ++i) right += (x[i] > threshold) == (static_cast<double>(labels[i]) > bar);
    return right;
}

// ints = {elements, label type: 0 that of x, 1 int32, 2 int64, 3 uint8}, reals = {threshold}, in = {x, label}, out =
// {accuracy}
template <class T>
const char* binary_accuracy(const Step& step) {
    const int64_t n = step.ints[0], type = step.ints[1];
    const T threshold = static_cast<T>(step.reals[0]);
    const double bar = type == 0 ? static_cast<double>(threshold) : step.reals[0];
    Finding* found = findings(step);
    parallel_ranges(step.threads, n, light, [&](int thread, int64_t begin, int64_t end) {
        const T* x = input<T>(step, 0) + begin;
        const int64_t count = end - begin;
        int64_t right;
        if (type == 0)
            right = same_side(x, input<T>(step, 1) + begin, count, threshold, bar);
        else if (type == 1)
            right = same_side(x, input<int32_t>(step, 1) + begin, count, threshold, bar);
        else if (type == 2)
            right = same_side(x, input<int64_t>(step, 1) + begin, count, threshold, bar);
        else
            right = same_side(x, input<uint8_t>(step, 1) + begin, count, threshold, bar);
        found[thread].total = static_cast<double>(right);
    });
    output<T>(step, 0)[0] = static_cast<T>(joined(step, found).total / static_cast<double>(most(n, 1)));
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name, scratch) {#name, 4, name<float>, scratch}, {#name, 8, name<double>, scratch}

extern const Kernel pair_loss_kernels[];
const Kernel pair_loss_kernels[] = {
    MOCHA_BOTH(softlabel_loss_forward, findings_scratch),
    MOCHA_BOTH(softlabel_loss_backward, nullptr),
    MOCHA_BOTH(cross_entropy_forward, findings_scratch),
    MOCHA_BOTH(cross_entropy_backward, nullptr),
    MOCHA_BOTH(hinge_loss_forward, findings_scratch),
    MOCHA_BOTH(hinge_loss_backward, nullptr),
    MOCHA_BOTH(gaussian_kl_forward, findings_scratch),
    MOCHA_BOTH(gaussian_kl_backward, nullptr),
    MOCHA_BOTH(binary_accuracy, findings_scratch),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
