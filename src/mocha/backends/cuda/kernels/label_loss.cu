// Losses and a measure that hold all scores of a position against its label. Labels lie in the order of the positions
// (outer, inner) around the class axis; their types are those of labels.cuh. Losses are found as findings.cuh says.
#define MOCHA_MOST_THREADS 1024
#include "findings.cuh"
#include "functions.cuh"
#include "labels.cuh"
#include "softmax.cuh"

// ints = {outer, classes, inner, label type, 1 if a label is ignored, which, divisor or 0 for the labels not ignored},
// reals = {weight}, in = {x, label, gains}, out = {loss, softmax}. The softmax is no input's memory.
template <class T>
MOCHA_DEVICE void finish_infogain(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(-step.real(0) / divisor(step.whole(6), all) * all.total);
}

template <class T>
__device__ void infogain_forward_parts(const Step& step) {
    const Index classes = step.at(1);
    const T *x = step.in<T>(0), *gains = step.in<T>(2);
    T* y = step.out<T>(1);
    const Labels<T> labels(step, step.in<char>(1), classes, 3);
    Found mine{0, 0};
    each_position(step, [&](const Team& team) {
        const Index label = team.classes ? labels[team.position] : ignored_class;
        T terms = 0;
        softmax(team, x, [&](Index c, Index place, T p) {
            y[place] = p;
            if (label >= 0) terms += gains[label * classes + c] * log(at_least(p));
        });
        mine.total += static_cast<double>(terms);
        if (team.leads) {
            if (label == no_class) step.refuse();
            if (label != ignored_class) mine.counted += 1;
        }
    });
    leave(step, mine, [&](Found all) { finish_infogain<T>(step, all); });
}

template <class T>
__device__ void infogain_forward(const Step& step) {
    join_left(step, [&](Found all) { finish_infogain<T>(step, all); });
}

// ints and reals as before, in = {label, gains, softmax, dloss}, out = {dx}; dx is no input's memory. The first launch
// counts the labels that are not ignored, if there are many and nobody knows.
template <class T>
__device__ void infogain_backward_parts(const Step& step) {
    const Labels<T> labels(step, step.in<char>(0), step.at(1), 3);
    count_parts(step, step.at(0) * step.at(2), [&](Index i) { return labels.is_ignored(i); });
}

template <class T>
__device__ void infogain_backward(const Step& step) {
    const Index classes = step.at(1);
    const T *gains = step.in<T>(1), *y = step.in<T>(2);
    T* dx = step.out<T>(0);
    const Labels<T> labels(step, step.in<char>(0), classes, 3);
    const double by =
        divisor(step, step.whole(6), step.at(0) * step.at(2), [&](Index i) { return labels.is_ignored(i); });
    const T factor = step.in<T>(3)[0] * static_cast<T>(step.real(0) / by);
    each_position(step, [&](const Team& team) {
        const Index label = team.classes ? labels[team.position] : ignored_class;
        if (label == no_class && team.leads) step.refuse();
        const T* gain = gains + most(label, 0) * classes;
        T all = 0;
        team.each_class([&](Index c, Index) { all += gain[c]; });
        all = team.sum(all);
        team.each_class([&](Index c, Index place) {
            dx[place] = label < 0 ? T(0) : (y[place] * all - gain[c]) * factor;
        });
    });
}

// A margin, and what it is looked at from: s is -1 for the label and 1 elsewhere. NaN stays.
template <class T>
MOCHA_DEVICE T margin_of(T x, T s) {
    const T m = T(1) + s * x;
    return m < T(0) ? T(0) : m;
}

// ints = {examples, classes, norm, label type}, reals = {weight}, in = {x, label}, out = {loss}
template <class T>
MOCHA_DEVICE void finish_multiclass_hinge(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(step.real(0) / divisor_of(step.whole(0)) * all.total);
}

template <class T>
__device__ void multiclass_hinge_forward_parts(const Step& step) {
    const bool squared = step.at(2) == 2;
    const T* x = step.in<T>(0);
    const Labels<T> labels(step.in<char>(1), step.at(1), step.whole(3));
    Found mine{0, 0};
    each_row(step, [&](const Team& team) {
        const Index label = labels[team.position];
        if (label == no_class && team.leads) step.refuse();
        T terms = 0;
        team.each_class([&](Index c, Index place) {
            const T m = margin_of(x[place], c == label ? T(-1) : T(1));
            terms += squared ? m * m : m;
        });
        mine.total += static_cast<double>(terms);
    });
    leave(step, mine, [&](Found all) { finish_multiclass_hinge<T>(step, all); });
}

template <class T>
__device__ void multiclass_hinge_forward(const Step& step) {
    join_left(step, [&](Found all) { finish_multiclass_hinge<T>(step, all); });
}

// ints and reals as before, in = {x, label, dloss}, out = {dx}; dx is no input's memory
template <class T>
__device__ void multiclass_hinge_backward(const Step& step) {
    const bool squared = step.at(2) == 2;
    const T* x = step.in<T>(0);
    T* dx = step.out<T>(0);
    const Labels<T> labels(step.in<char>(1), step.at(1), step.whole(3));
    const T factor = step.in<T>(2)[0] * static_cast<T>(step.real(0) / divisor_of(step.whole(0)));
    each_row(step, [&](const Team& team) {
        const Index label = labels[team.position];
        if (label == no_class && team.leads) step.refuse();
        team.each_class([&](Index c, Index place) {
            const T s = c == label ? T(-1) : T(1), m = margin_of(x[place], s);
            dx[place] = (squared ? T(2) * m : sign(m)) * (s * factor);
        });
    });
}

// ints = {outer, classes, inner, label type, 1 if a label is ignored, which, how many classes are looked at},
// in = {x, label}, out = {accuracy, accuracy of each class}. The first launch writes for each position what there was
// to say of it, and the second counts; a single block does both.
constexpr Index not_counted = -0x7fffffff - 1;
constexpr Index few_said = 1024;  // positions that a thread counts for a class; as in launches/label_loss.py

// What is said of a position: its class c if the answer was right, -1 - c if it was not.
MOCHA_DEVICE Index said_of(Index c, bool right) { return right ? c : -1 - c; }

template <class T>
MOCHA_DEVICE void finish_rank_accuracy(const Step& step) {
    const Index positions = step.at(0) * step.at(2), classes = step.at(1);
    const Index* said = reinterpret_cast<const Index*>(step.scratch);
    T* of_classes = step.out<T>(1);
    const auto share = [](Index right, Index there) {
        return static_cast<T>(static_cast<double>(right) / divisor_of(there));
    };
    if (blockIdx.x == 0) {
        Index there = 0, right = 0;
        for (Index p = static_cast<Index>(threadIdx.x); p < positions; p += static_cast<Index>(blockDim.x)) {
            there += said[p] != not_counted;
            right += said[p] >= 0;
        }
        there = block_sum(there);
        right = block_sum(right);
        if (threadIdx.x == 0) step.out<T>(0)[0] = share(right, there);
    }
    if (positions <= few_said) {
        each(classes, [&](Index c) {
            Index wrong = 0, right = 0;
            for (Index p = 0; p < positions; ++p) {
                right += said[p] == said_of(c, true);
                wrong += said[p] == said_of(c, false);
            }
            of_classes[c] = share(right, right + wrong);
        });
        return;
    }
    each_block(classes, [&](Index c) {
        Index wrong = 0, right = 0;
        for (Index p = static_cast<Index>(threadIdx.x); p < positions; p += static_cast<Index>(blockDim.x)) {
            right += said[p] == said_of(c, true);
            wrong += said[p] == said_of(c, false);
        }
        wrong = block_sum(wrong);
        right = block_sum(right);
        if (threadIdx.x == 0) of_classes[c] = share(right, right + wrong);
    });
}

template <class T>
__device__ void rank_accuracy_parts(const Step& step) {
    const Index looked_at = step.at(6);
    const Labels<T> labels(step, step.in<char>(1), step.at(1), 3);
    const T* x = step.in<T>(0);
    Index* said = reinterpret_cast<Index*>(step.scratch);
    each_position(step, [&](const Team& team) {
        const Index label = team.classes ? labels[team.position] : ignored_class;
        Index as_good = 0;
        if (label >= 0) {
            const T bar = x[team.place(label)];
            team.each_class([&](Index, Index place) { as_good += x[place] >= bar; });
        }
        as_good = team.sum(as_good);
        if (!team.leads) return;
        if (label == no_class) step.refuse();
        said[team.position] = label < 0 ? not_counted : said_of(label, as_good - 1 < looked_at);
    });
    if (gridDim.x == 1) {
        __syncthreads();
        finish_rank_accuracy<T>(step);
    }
}

template <class T>
__device__ void rank_accuracy(const Step& step) {
    finish_rank_accuracy<T>(step);
}

MOCHA_PRECISE_KERNEL(infogain_forward_parts)
MOCHA_PRECISE_KERNEL(infogain_forward)
MOCHA_PRECISE_KERNEL(infogain_backward_parts)
MOCHA_PRECISE_KERNEL(infogain_backward)
MOCHA_PRECISE_KERNEL(multiclass_hinge_forward_parts)
MOCHA_PRECISE_KERNEL(multiclass_hinge_forward)
MOCHA_PRECISE_KERNEL(multiclass_hinge_backward)
MOCHA_PRECISE_KERNEL(rank_accuracy_parts)
MOCHA_PRECISE_KERNEL(rank_accuracy)
