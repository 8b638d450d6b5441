// Losses and accuracy. Labels lie in the order of the positions (outer, inner) around the class axis; their types are
// those of labels.h.
#include "mocha/labels.h"
#include "mocha/softmax.h"
#include "mocha/sums.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t light = 8192, heavy = 2048;  // elements worth a thread

// Weights of classes, the last attributes of a step: ints = {how many, 1 if there is one a class}, reals = {weights}.
// There are none, one a class, or those of all elements of an example or of the whole blob.
struct ClassWeights {
    const double* numbers;
    int64_t count;
    bool by_class;

    MOCHA_INLINE ClassWeights(const int64_t* ints, const double* reals)
        : numbers(reals), count(ints[0]), by_class(ints[1] != 0) {}

    // Of a class at an element of the blob. There must be weights.
    MOCHA_INLINE double at(int64_t number, int64_t element) const {
        return numbers[by_class ? number : element % count];
    }
};

// ints = {outer, classes, inner, label type, 1 if a label is ignored, which, divisor or 0 for the labels not ignored,
// class weights}, reals = {log of the least probability, weight, class weights}, in = {x, label},
// out = {loss, softmax}. The softmax is no input's memory.
template <class T, bool Ignoring>
const char* softmax_loss(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const T* x = input<T>(step, 0);
    const Labels<T, Ignoring> labels(step.in[1], classes, step.ints + 3);
    const T low = static_cast<T>(step.reals[0]);
    T* y = output<T>(step, 1);
    const ClassWeights weights(step.ints + 7, step.reals + 2);
    Finding* found = findings(step);
    const double all_that_count =
        divisor(step, found, step.ints[6], outer * inner, [&](int64_t i) { return labels.is_ignored(i); });
    const auto add = [&](Finding& mine, int64_t label, int64_t at, T log_likelihood) {
        const auto bounded = static_cast<double>(log_likelihood < low ? low : log_likelihood);
        mine.total += weights.count ? bounded * weights.at(label, at) : bounded;
    };
    if (inner == 1) {
        parallel_ranges(step.threads, outer, ceil_div(heavy, classes), [&](int thread, int64_t begin, int64_t end) {
            Finding mine{};
            for (int64_t o = begin; o < end; ++o) {
                T max, total;
                softmax_row<T>(x + o * classes, y + o * classes, classes, max, total);
                const int64_t label = labels[o];
                if (label < 0) {
                    mine.bad += label == no_class;
                    continue;
                }
                const int64_t at = o * classes + label;
                add(mine, label, at, x[at] - max - lane_log(total));
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
                    const int64_t label = labels[o * inner + i + k];
                    if (label < 0) {
                        mine.bad += label == no_class;
                        continue;
                    }
                    const int64_t place = at + label * inner + k;
                    add(mine, label, place, x[place] - max[k] - log_total[k]);
                }
            });
            found[thread] = mine;
        });
    }
    const Finding all = joined(step, found);
    output<T>(step, 0)[0] = static_cast<T>(-step.reals[1] * all.total / all_that_count);
    return all.bad ? bad_label : nullptr;
}

// ints and reals as before, in = {label, softmax, dloss}, out = {dx}; dx is no input's memory
template <class T, bool Ignoring>
const char* softmax_loss_back(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const Labels<T, Ignoring> labels(step.in[0], classes, step.ints + 3);
    const T* y = input<T>(step, 1);
    const ClassWeights weights(step.ints + 7, step.reals + 2);
    Finding* found = findings(step);
    const double all_that_count =
        divisor(step, found, step.ints[6], outer * inner, [&](int64_t i) { return labels.is_ignored(i); });
    const T factor = input<T>(step, 2)[0] * static_cast<T>(step.reals[1] / all_that_count);
    T* dx = output<T>(step, 0);
    const int64_t slice = classes * inner;
    parallel_ranges(step.threads, outer, ceil_div(light, most(slice, 1)), [&](int thread, int64_t begin, int64_t end) {
        int64_t bad = 0;
        // where the label of a position stands in the softmax, or what the position has instead of a class; and the
        // position's factor
        const auto place_of = [&](int64_t position, int64_t first, T& own) {
            own = factor;
            const int64_t label = labels[position];
            if (label < 0) {
                bad += label == no_class;
                return label;
            }
            const int64_t at = first + label * inner;
            if (weights.count) own *= static_cast<T>(weights.at(label, at));
            return at;
        };
        const auto mark = [&](int64_t at, int64_t first, T own) {
            if (at >= 0) dx[at] = (y[at] - T(1)) * own;
            if (Ignoring && at == ignored_class)
                for (int64_t c = 0; c < classes; ++c) dx[first + c * inner] = T(0);
        };
        for (int64_t o = begin; o < end; ++o) {
            const int64_t start = o * slice;
            if (inner == 1 || !weights.count) {
                T own = factor;  // of all elements; with weights there is but one position
                int64_t at = inner ? place_of(o * inner, start, own) : no_class;
                by_vectors<T>(start, start + slice, [&](int64_t i, auto some) {
                    some.store(dx + i, some.load(y + i) * own);
                });
                for (int64_t i = 0; i < inner; ++i) {
                    if (i) at = place_of(o * inner + i, start + i, own);
                    mark(at, start + i, own);
                }
                continue;
            }
            by_vectors<T>(0, inner, [&](int64_t i, auto some) {
                T each[lanes<T>] = {};
                int64_t at[lanes<T>];
                for (int64_t k = 0; k < some.n; ++k) at[k] = place_of(o * inner + i + k, start + i + k, each[k]);
                const Vec<T> own = load(each);
                for (int64_t c = 0; c < classes; ++c) {
                    const int64_t p = start + c * inner + i;
                    some.store(dx + p, some.load(y + p) * own);
                }
                for (int64_t k = 0; k < some.n; ++k) mark(at[k], start + i + k, each[k]);
            });
        }
        found[thread].bad = bad;
    });
    return joined(step, found).bad ? bad_label : nullptr;
}

template <class T>
const char* softmax_loss_forward(const Step& step) {
    return step.ints[4] ? softmax_loss<T, true>(step) : softmax_loss<T, false>(step);
}
template <class T>
const char* softmax_loss_backward(const Step& step) {
    return step.ints[4] ? softmax_loss_back<T, true>(step) : softmax_loss_back<T, false>(step);
}

// ints = {outer, classes, inner, label type, class weights}, reals = {least, weight, class weights}, in = {x, label},
// out = {loss}
template <class T>
const char* multinomial_loss_forward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2], type = step.ints[3];
    const T* x = input<T>(step, 0);
    const T low = static_cast<T>(step.reals[0]);
    const ClassWeights weights(step.ints + 4, step.reals + 2);
    const int64_t positions = outer * inner;
    Finding* found = findings(step);
    parallel_ranges(step.threads, positions, heavy, [&](int thread, int64_t begin, int64_t end) {
        Finding mine{};
        for (int64_t p = begin; p < end; ++p) {
            const int64_t label = class_of<T>(step.in[1], type, p, classes);
            if (label < 0) {
                ++mine.bad;
                continue;
            }
            const int64_t at = (p / inner * classes + label) * inner + p % inner;
            const auto log_likelihood = static_cast<double>(lane_log(x[at] < low ? low : x[at]));
            mine.total += weights.count ? log_likelihood * weights.at(label, at) : log_likelihood;
        }
        found[thread] = mine;
    });
    const Finding all = joined(step, found);
    output<T>(step, 0)[0] = static_cast<T>(-step.reals[1] * all.total / static_cast<double>(most(positions, 1)));
    return all.bad ? bad_label : nullptr;
}

// ints = {outer, classes, inner, label type, class weights}, reals = {least, weight, class weights}, in = {x, label,
// dloss}, out = {dx}; dx is no input's memory
template <class T>
const char* multinomial_loss_backward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2], type = step.ints[3];
    const T* x = input<T>(step, 0);
    const T low = static_cast<T>(step.reals[0]);
    const ClassWeights weights(step.ints + 4, step.reals + 2);
    const auto positions = static_cast<double>(most(outer * inner, 1));
    const T factor = input<T>(step, 2)[0] * static_cast<T>(step.reals[1] / positions);
    T* dx = output<T>(step, 0);
    Finding* found = findings(step);
    const int64_t slice = classes * inner;
    parallel_ranges(step.threads, outer, ceil_div(light, most(slice, 1)), [&](int thread, int64_t begin, int64_t end) {
        by_vectors<T>(begin * slice, end * slice, [&](int64_t i, auto some) { some.store(dx + i, Vec<T>{}); });
        int64_t bad = 0;
        for (int64_t p = begin * inner; p < end * inner; ++p) {
            const int64_t label = class_of<T>(step.in[1], type, p, classes);
            if (label < 0) {
                ++bad;
                continue;
            }
            const int64_t at = (p / inner * classes + label) * inner + p % inner;
            const T own = weights.count ? factor * static_cast<T>(weights.at(label, at)) : factor;
            dx[at] = -own / (x[at] < low ? low : x[at]);
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
    MOCHA_BOTH(multinomial_loss_forward, findings_scratch),
    MOCHA_BOTH(multinomial_loss_backward, findings_scratch),
    MOCHA_BOTH(square_loss_forward, findings_scratch),
    MOCHA_BOTH(square_loss_backward, nullptr),
    MOCHA_BOTH(accuracy, findings_scratch),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
