// Losses and a measure that hold all scores of a position against its label. Labels lie in the order of the positions
// (outer, inner) around the class axis; their types are those of labels.h.
#include "mocha/labels.h"
#include "mocha/softmax.h"
#include "mocha/sums.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t light = 8192, heavy = 2048;  // elements worth a thread

// ints = {outer, classes, inner, label type, 1 if a label is ignored, which, divisor or 0 for the labels not ignored},
// reals = {weight}, in = {x, label, gains}, out = {loss, softmax}. The softmax is no input's memory.
template <class T>
const char* infogain_forward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const T *x = input<T>(step, 0), *gains = input<T>(step, 2);
    const Labels<T> labels(step.in[1], classes, step.ints + 3);
    T* p = output<T>(step, 1);
    Finding* found = findings(step);
    const double by =
        divisor(step, found, step.ints[6], outer * inner, [&](int64_t i) { return labels.is_ignored(i); });
    if (inner == 1) {
        parallel_ranges(step.threads, outer, ceil_div(heavy, classes), [&](int thread, int64_t begin, int64_t end) {
            WideSum<T> mine;
            int64_t bad = 0;
            for (int64_t o = begin; o < end; ++o) {
                T max, total;
                T* row = p + o * classes;
                softmax_row<T>(x + o * classes, row, classes, max, total);
                const int64_t label = labels[o];
                bad += label == no_class;
                if (label < 0) continue;
                const T* gain = gains + label * classes;
                by_vectors<T>(0, classes, [&](int64_t c, auto some) {
                    mine.add(some.only(some.load(gain + c) * vlog<T>(at_least<T>(some.load(row + c)))));
                });
            }
            found[thread].total = mine.value();
            found[thread].bad = bad;
        });
    } else {
        const int64_t units = outer * ceil_div(inner, lanes<T>), grain = ceil_div(heavy, classes * lanes<T>);
        parallel_ranges(step.threads, units, grain, [&](int thread, int64_t begin, int64_t end) {
            double sum_of_terms = 0;
            int64_t bad = 0;
            by_columns<T>(begin, end, inner, [&](int64_t o, int64_t i, auto some) {
                Vec<T> max, total;
                const int64_t at = o * classes * inner + i;
                softmax_columns<T>(x + at, p + at, classes, inner, some, max, total);
                int64_t label[lanes<T>];
                for (int64_t k = 0; k < some.n; ++k) {
                    label[k] = labels[o * inner + i + k];
                    bad += label[k] == no_class;
                }
                for (int64_t c = 0; c < classes; ++c) {
                    const Vec<T> log = vlog<T>(at_least<T>(some.load(p + at + c * inner)));
                    for (int64_t k = 0; k < some.n; ++k)
                        if (label[k] >= 0) sum_of_terms += static_cast<double>(gains[label[k] * classes + c] * log[k]);
                }
            });
            found[thread].total = sum_of_terms;
            found[thread].bad = bad;
        });
    }
    const Finding all = joined(step, found);
    output<T>(step, 0)[0] = static_cast<T>(-step.reals[0] / by * all.total);
    return all.bad ? bad_label : nullptr;
}

// ints and reals as before, in = {label, gains, softmax, dloss}, out = {dx}; dx is no input's memory
template <class T>
const char* infogain_backward(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const T *gains = input<T>(step, 1), *p = input<T>(step, 2);
    const Labels<T> labels(step.in[0], classes, step.ints + 3);
    T* dx = output<T>(step, 0);
    Finding* found = findings(step);
    const double by =
        divisor(step, found, step.ints[6], outer * inner, [&](int64_t i) { return labels.is_ignored(i); });
    const T factor = input<T>(step, 3)[0] * static_cast<T>(step.reals[0] / by);
    if (inner == 1) {
        parallel_ranges(step.threads, outer, ceil_div(light, classes), [&](int thread, int64_t begin, int64_t end) {
            int64_t bad = 0;
            for (int64_t o = begin; o < end; ++o) {
                const int64_t label = labels[o];
                bad += label == no_class;
                const T* gain = gains + most(label, 0) * classes;
                const T all = sum_row<T>(gain, classes, Plain{});
                by_vectors<T>(0, classes, [&](int64_t c, auto some) {
                    const Vec<T> slope = (some.load(p + o * classes + c) * all - some.load(gain + c)) * factor;
                    some.store(dx + o * classes + c, label < 0 ? Vec<T>{} : slope);
                });
            }
            found[thread].bad = bad;
        });
    } else {
        const int64_t units = outer * ceil_div(inner, lanes<T>), grain = ceil_div(light, classes * lanes<T>);
        parallel_ranges(step.threads, units, grain, [&](int thread, int64_t begin, int64_t end) {
            int64_t bad = 0;
            by_columns<T>(begin, end, inner, [&](int64_t o, int64_t i, auto some) {
                const int64_t at = o * classes * inner + i;
                const T* gain[lanes<T>];
                T all[lanes<T>] = {}, counted[lanes<T>] = {}, each[lanes<T>] = {};
                for (int64_t k = 0; k < some.n; ++k) {
                    const int64_t label = labels[o * inner + i + k];
                    bad += label == no_class;
                    gain[k] = gains + most(label, 0) * classes;
                    all[k] = sum_row<T>(gain[k], classes, Plain{});
                    counted[k] = label < 0 ? T(0) : T(1);
                }
                for (int64_t c = 0; c < classes; ++c) {
                    const int64_t place = at + c * inner;
                    for (int64_t k = 0; k < some.n; ++k) each[k] = gain[k][c];
                    const Vec<T> slope = (some.load(p + place) * load(all) - load(each)) * factor;
                    some.store(dx + place, select<T>(load(counted) > Vec<T>{}, slope, Vec<T>{}));
                }
            });
            found[thread].bad = bad;
        });
    }
    return joined(step, found).bad ? bad_label : nullptr;
}

// Calls body(i, stretch, s) for the classes [0, n) in vectors: s is 1, and -1 for the label alone.
template <class T, class Body>
MOCHA_INLINE void around_label(int64_t n, int64_t label, const Body& body) {
    by_vectors<T>(0, label, [&](int64_t i, auto some) { body(i, some, T(1)); });
    body(label, Part<T>{1}, T(-1));
    by_vectors<T>(label + 1, n, [&](int64_t i, auto some) { body(i, some, T(1)); });
}

template <class T>
MOCHA_INLINE Vec<T> hinge(Vec<T> x, T s) {
    const Vec<T> m = T(1) + x * s;
    return m < Vec<T>{} ? Vec<T>{} : m;
}

// ints = {examples, classes, norm, label type}, reals = {weight}, in = {x, label}, out = {loss}
template <class T>
const char* multiclass_hinge_forward(const Step& step) {
    const int64_t examples = step.ints[0], classes = step.ints[1];
    const bool squared = step.ints[2] == 2;
    const T* x = input<T>(step, 0);
    Finding* found = findings(step);
    const int64_t grain = ceil_div(light, most(classes, 1));
    parallel_ranges(step.threads, examples, grain, [&](int thread, int64_t begin, int64_t end) {
        WideSum<T> mine;
        int64_t bad = 0;
        for (int64_t n = begin; n < end; ++n) {
            const int64_t label = class_of<T>(step.in[1], step.ints[3], n, classes);
            if (label < 0) {
                ++bad;
                continue;
            }
            around_label<T>(classes, label, [&](int64_t c, auto some, T s) {
                const Vec<T> m = hinge<T>(some.load(x + n * classes + c), s);
                mine.add(some.only(squared ? m * m : m));
            });
        }
        found[thread].total = mine.value();
        found[thread].bad = bad;
    });
    const Finding all = joined(step, found);
    output<T>(step, 0)[0] = static_cast<T>(step.reals[0] / static_cast<double>(most(examples, 1)) * all.total);
    return all.bad ? bad_label : nullptr;
}

// ints and reals as before, in = {x, label, dloss}, out = {dx}; dx is no input's memory
template <class T>
const char* multiclass_hinge_backward(const Step& step) {
    const int64_t examples = step.ints[0], classes = step.ints[1];
    const bool squared = step.ints[2] == 2;
    const T* x = input<T>(step, 0);
    const T factor = input<T>(step, 2)[0] * static_cast<T>(step.reals[0] / static_cast<double>(most(examples, 1)));
    T* dx = output<T>(step, 0);
    Finding* found = findings(step);
    const int64_t grain = ceil_div(light, most(classes, 1));
    parallel_ranges(step.threads, examples, grain, [&](int thread, int64_t begin, int64_t end) {
        int64_t bad = 0;
        for (int64_t n = begin; n < end; ++n) {
            const int64_t label = class_of<T>(step.in[1], step.ints[3], n, classes);
            if (label < 0) {
                ++bad;
                continue;
            }
            around_label<T>(classes, label, [&](int64_t c, auto some, T s) {
                const Vec<T> m = hinge<T>(some.load(x + n * classes + c), s);
                some.store(dx + n * classes + c, (squared ? T(2) * m : sign<T>(m)) * (s * factor));
            });
        }
        found[thread].bad = bad;
    });
    return joined(step, found).bad ? bad_label : nullptr;
}

// Each thread counts for itself, for each class, its positions and the right answers among them.
int64_t rank_accuracy_scratch(const int64_t* ints, int threads) {
    return findings_bytes(threads) + threads * aligned(2 * ints[1] * static_cast<int64_t>(sizeof(int64_t)));
}

// ints = {outer, classes, inner, label type, 1 if a label is ignored, which, how many classes are looked at},
// in = {x, label}, out = {accuracy, accuracy of each class}
template <class T>
const char* rank_accuracy(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2], k = step.ints[6];
    const Labels<T> labels(step.in[1], classes, step.ints + 3);
    const T* x = input<T>(step, 0);
    Finding* found = findings(step);
    const int64_t own = aligned(2 * classes * static_cast<int64_t>(sizeof(int64_t)));
    char* counts = step.scratch + findings_bytes(step.threads);
    std::memset(counts, 0, static_cast<size_t>(step.threads * own));
    parallel_ranges(step.threads, outer * inner, ceil_div(light, classes), [&](int thread, int64_t begin, int64_t end) {
        auto* there = reinterpret_cast<int64_t*>(counts + thread * own);
        auto* right = there + classes;
        int64_t bad = 0;
        for (int64_t i = begin; i < end; ++i) {
            const int64_t label = labels[i];
            if (label < 0) {
                bad += label == no_class;
                continue;
            }
            const T* scores = x + i / inner * classes * inner + i % inner;
            const T bar = scores[label * inner];
            int64_t as_good = 0;
            for (int64_t c = 0; c < classes; ++c) as_good += scores[c * inner] >= bar;
            ++there[label];
            right[label] += as_good - 1 < k;
        }
        found[thread].bad = bad;
    });
    double all_there = 0, all_right = 0;
    for (int64_t c = 0; c < classes; ++c) {
        int64_t there = 0, right = 0;
        for (int t = 0; t < step.threads; ++t) {
            const auto* mine = reinterpret_cast<const int64_t*>(counts + t * own);
            there += mine[c];
            right += mine[classes + c];
        }
        output<T>(step, 1)[c] = static_cast<T>(static_cast<double>(right) / static_cast<double>(most(there, 1)));
        all_there += static_cast<double>(there);
        all_right += static_cast<double>(right);
    }
    output<T>(step, 0)[0] = static_cast<T>(all_right / (all_there > 1 ? all_there : 1));
    return joined(step, found).bad ? bad_label : nullptr;
}

}  // namespace

#define MOCHA_BOTH(name, scratch) {#name, 4, name<float>, scratch}, {#name, 8, name<double>, scratch}

extern const Kernel label_loss_kernels[];
const Kernel label_loss_kernels[] = {
    MOCHA_BOTH(infogain_forward, findings_scratch),
    MOCHA_BOTH(infogain_backward, findings_scratch),
    MOCHA_BOTH(multiclass_hinge_forward, findings_scratch),
    MOCHA_BOTH(multiclass_hinge_backward, findings_scratch),
    MOCHA_BOTH(rank_accuracy, rank_accuracy_scratch),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
