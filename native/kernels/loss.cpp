// Losses and accuracy. The letter of a label type: 0 that of the scores, 1 int32, 2 int64, 3 uint8. Labels lie in the
// order of the positions (outer, inner) around the class axis.
#include "mocha/softmax.h"
#include "mocha/sums.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t light = 8192, heavy = 2048;  // elements worth a thread

constexpr const char* bad_label = "a label is not the number of a class";

// What one thread found, on a cache line of its own.
struct Finding {
    double total;
    int64_t bad;
    int64_t unused[6];
};

int64_t findings_scratch(const int64_t*, int threads) { return threads * static_cast<int64_t>(sizeof(Finding)); }

MOCHA_INLINE Finding* findings(const Step& step) {
    auto* found = reinterpret_cast<Finding*>(step.scratch);
    for (int t = 0; t < step.threads; ++t) found[t] = Finding{};
    return found;
}

// The findings added up in the order of the threads.
MOCHA_INLINE Finding joined(const Step& step, const Finding* found) {
    Finding all{};
    for (int t = 0; t < step.threads; ++t) {
        all.total += found[t].total;
        all.bad += found[t].bad;
    }
    return all;
}

// The class that label i names, or -1 if it names none.
template <class T>
MOCHA_INLINE int64_t class_of(const void* labels, int64_t type, int64_t i, int64_t classes) {
    int64_t number = -1;
    if (type == 0) {
        const T label = static_cast<const T*>(labels)[i];
        if (label >= T(0) && label < static_cast<T>(classes)) number = static_cast<int64_t>(label);
        if (static_cast<T>(number) != label) return -1;
    } else if (type == 1) {
        number = static_cast<const int32_t*>(labels)[i];
    } else if (type == 2) {
        number = static_cast<const int64_t*>(labels)[i];
    } else {
        number = static_cast<const uint8_t*>(labels)[i];
    }
    return number >= 0 && number < classes ? number : -1;
}

MOCHA_INLINE float lane_log(float x) { return __builtin_logf(x); }
MOCHA_INLINE double lane_log(double x) { return __builtin_log(x); }

// ints = {outer, classes, inner, label type}, reals = {weight}, in = {x, label}, out = {loss, softmax}. The softmax is
// no input's memory.
template <class T>
const char* softmax_loss_forward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2], type = step.ints[3];
    const T* x = input<T>(step, 0);
    const void* labels = step.in[1];
    T* y = output<T>(step, 1);
    Finding* found = findings(step);
    if (inner == 1) {
        parallel_ranges(step.threads, outer, ceil_div(heavy, classes), [&](int thread, int64_t begin, int64_t end) {
            Finding mine{};
            for (int64_t o = begin; o < end; ++o) {
                T max, total;
                softmax_row<T>(x + o * classes, y + o * classes, classes, max, total);
                const int64_t label = class_of<T>(labels, type, o, classes);
                if (label < 0)
                    ++mine.bad;
                else
                    mine.total += static_cast<double>(x[o * classes + label] - max - lane_log(total));
            }
            found[thread] = mine;
        });
    } else {
        const int64_t units = outer * ceil_div(inner, lanes<T>), grain = ceil_div(heavy, classes * lanes<T>);
        parallel_ranges(step.threads, units, grain, [&](int thread, int64_t begin, int64_t end) {
            Finding mine{};
            by_columns<T>(begin, end, inner, [&](int64_t o, int64_t i, auto some) {
                Vec<T> max, total;
                const int64_t at = o * classes * inner + i;
                softmax_columns<T>(x + at, y + at, classes, inner, some, max, total);
                const Vec<T> log_total = vlog<T>(total);
                for (int64_t k = 0; k < some.n; ++k) {
                    const int64_t label = class_of<T>(labels, type, o * inner + i + k, classes);
                    if (label < 0)
                        ++mine.bad;
                    else
                        mine.total += static_cast<double>(x[at + label * inner + k] - max[k] - log_total[k]);
                }
            });
            found[thread] = mine;
        });
    }
    const Finding all = joined(step, found);
    const auto positions = static_cast<double>(most(outer * inner, 1));
    output<T>(step, 0)[0] = static_cast<T>(-step.reals[0] * all.total / positions);
    return all.bad ? bad_label : nullptr;
}

// ints = {outer, classes, inner, label type}, reals = {weight}, in = {label, softmax, dloss}, out = {dx}; dx is no
// input's memory
template <class T>
const char* softmax_loss_backward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2], type = step.ints[3];
    const void* labels = step.in[0];
    const T* y = input<T>(step, 1);
    const auto positions = static_cast<double>(most(outer * inner, 1));
    const T factor = input<T>(step, 2)[0] * static_cast<T>(step.reals[0] / positions);
    T* dx = output<T>(step, 0);
    Finding* found = findings(step);
    const int64_t slice = classes * inner;
    parallel_ranges(step.threads, outer, ceil_div(light, most(slice, 1)), [&](int thread, int64_t begin, int64_t end) {
        int64_t bad = 0;
        for (int64_t o = begin; o < end; ++o) {
            const T* from = y + o * slice;
            T* to = dx + o * slice;
            by_vectors<T>(0, slice, [&](int64_t i, auto some) { some.store(to + i, some.load(from + i) * factor); });
            for (int64_t i = 0; i < inner; ++i) {
                const int64_t label = class_of<T>(labels, type, o * inner + i, classes);
                if (label < 0)
                    ++bad;
                else
                    to[label * inner + i] = (from[label * inner + i] - T(1)) * factor;
            }
        }
        found[thread].bad = bad;
    });
    return joined(step, found).bad ? bad_label : nullptr;
}

// ints = {elements, examples}, reals = {weight}, in = {a, b}, out = {loss}
template <class T>
const char* square_loss_forward(const Step& step) {
    Finding* found = findings(step);
    parallel_ranges(step.threads, step.ints[0], light, [&](int thread, int64_t begin, int64_t end) {
        found[thread].total = sum_of_squares<T>(input<T>(step, 0) + begin, input<T>(step, 1) + begin, end - begin);
    });
    const auto examples = static_cast<double>(most(step.ints[1], 1));
    output<T>(step, 0)[0] = static_cast<T>(0.5 * step.reals[0] * joined(step, found).total / examples);
    return nullptr;
}

// ints = {elements, examples, da wanted, db wanted}, reals = {weight}, in = {a, b, dloss}, out = {da, db}, those wanted
template <class T>
const char* square_loss_backward(const Step& step) {
    const auto examples = static_cast<double>(most(step.ints[1], 1));
    const T factor = input<T>(step, 2)[0] * static_cast<T>(step.reals[0] / examples);
    parallel_ranges(step.threads, step.ints[0], light, [&](int, int64_t begin, int64_t end) {
        const T *a = input<T>(step, 0), *b = input<T>(step, 1);
        T* da = step.ints[2] ? output<T>(step, 0) : nullptr;
        T* db = step.ints[3] ? output<T>(step, step.ints[2] ? 1 : 0) : nullptr;
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            const Vec<T> g = (some.load(a + i) - some.load(b + i)) * factor;
            if (da) some.store(da + i, g);
            if (db) some.store(db + i, -g);
        });
    });
    return nullptr;
}

// ints = {outer, classes, inner, label type}, in = {x, label}, out = {accuracy}. Of equal scores the first counts; the
// first NaN counts as the largest.
template <class T>
const char* accuracy(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2], type = step.ints[3];
    Finding* found = findings(step);
    const int64_t positions = outer * inner;
    parallel_ranges(step.threads, positions, ceil_div(light, classes), [&](int thread, int64_t begin, int64_t end) {
        const T* x = input<T>(step, 0);
        int64_t right = 0, bad = 0;
        for (int64_t p = begin; p < end; ++p) {
            const T* scores = x + p / inner * classes * inner + p % inner;
            T best = scores[0];
            int64_t winner = 0;
            for (int64_t c = 1; c < classes && best == best; ++c) {
                if (!(scores[c * inner] <= best)) {
                    best = scores[c * inner];
                    winner = c;
                }
            }
            const int64_t label = class_of<T>(step.in[1], type, p, classes);
            bad += label < 0;
            right += label == winner;
        }
        found[thread].total = static_cast<double>(right);
        found[thread].bad = bad;
    });
    const Finding all = joined(step, found);
    output<T>(step, 0)[0] = static_cast<T>(all.total / static_cast<double>(most(positions, 1)));
    return all.bad ? bad_label : nullptr;
}

}  // namespace

#define MOCHA_BOTH(name, scratch) {#name, 4, name<float>, scratch}, {#name, 8, name<double>, scratch}

extern const Kernel loss_kernels[];
const Kernel loss_kernels[] = {
    MOCHA_BOTH(softmax_loss_forward, findings_scratch),
    MOCHA_BOTH(softmax_loss_backward, findings_scratch),
    MOCHA_BOTH(square_loss_forward, findings_scratch),
    MOCHA_BOTH(square_loss_backward, nullptr),
    MOCHA_BOTH(accuracy, findings_scratch),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
