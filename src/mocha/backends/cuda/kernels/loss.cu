// Losses and accuracy. Labels lie in the order of the positions (outer, inner) around the class axis; their types are
// those of labels.cuh. The loss is found as findings.cuh says: each `<name>_parts` has a `<name>` that joins its parts.
#define MOCHA_MOST_THREADS 1024
#include "findings.cuh"
#include "labels.cuh"
#include "softmax.cuh"

// Weights of classes, the last attributes of a step: ints = {how many, 1 if there is one a class}, reals = {weights}.
// There are none, one a class, or those of all elements of an example or of the whole blob.
struct ClassWeights {
    const Step& step;
    Index count;
    bool by_class;
    int first;  // attribute

    MOCHA_DEVICE ClassWeights(const Step& s, int ints, int reals)
        : step(s), count(s.at(ints)), by_class(s.at(ints + 1) != 0), first(reals) {}

    // Of a class at an element of the blob.
    MOCHA_DEVICE double at(Index c, Index element) const {
        return count ? step.real(first + (by_class ? c : element % count)) : 1;
    }
};

// ints = {outer, classes, inner, label type, 1 if a label is ignored, which, divisor or 0 for the labels not ignored,
// class weights}, reals = {log of the least probability, weight, class weights}, in = {x, label},
// out = {loss, softmax}. The softmax is no input's memory.
template <class T>
MOCHA_DEVICE void finish_softmax_loss(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(-step.real(1) * all.total / divisor(step.whole(6), all));
}

template <class T>
__device__ void softmax_loss_forward_parts(const Step& step) {
    const T* x = step.in<T>(0);
    T* y = step.out<T>(1);
    const Labels<T> labels(step, step.in<char>(1), step.at(1), 3);
    const ClassWeights weights(step, 7, 2);
    const T low = static_cast<T>(step.real(0));
    Found mine{0, 0};
    each_position(step, [&](const Team& team) {
        Index label = ignored_class;
        T score = 0;
        if (team.leads) {
            label = labels[team.position];
            if (label >= 0) score = x[team.place(label)];
        }
        const auto found = softmax(team, x, [&](Index, Index place, T p) { y[place] = p; });
        if (label == no_class) step.refuse();
        if (label != ignored_class) mine.counted += 1;
        if (label >= 0) {
            const T log_likelihood = score - found.max - log(found.total);
            const double bounded = log_likelihood < low ? low : log_likelihood;
            mine.total += bounded * weights.at(label, team.place(label));
        }
    });
    leave(step, mine, [&](Found all) { finish_softmax_loss<T>(step, all); });
}

template <class T>
__device__ void softmax_loss_forward(const Step& step) {
    join_left(step, [&](Found all) { finish_softmax_loss<T>(step, all); });
}

// ints and reals as before, in = {label, softmax, dloss}, out = {dx}; dx is no input's memory. The first launch counts
// the labels that are not ignored, if there are many and nobody knows.
template <class T>
__device__ void softmax_loss_backward_parts(const Step& step) {
    const Labels<T> labels(step, step.in<char>(0), step.at(1), 3);
    count_parts(step, step.at(0) * step.at(2), [&](Index i) { return labels.is_ignored(i); });
}

template <class T>
__device__ void softmax_loss_backward(const Step& step) {
    const T* y = step.in<T>(1);
    T* dx = step.out<T>(0);
    const Labels<T> labels(step, step.in<char>(0), step.at(1), 3);
    const ClassWeights weights(step, 7, 2);
    const double by =
        divisor(step, step.whole(6), step.at(0) * step.at(2), [&](Index i) { return labels.is_ignored(i); });
    const T factor = step.in<T>(2)[0] * static_cast<T>(step.real(1) / by);
    each_position(step, [&](const Team& team) {
        const Index label = labels[team.position];
        if (label == no_class && team.leads) step.refuse();
        if (label == ignored_class) {
            team.each_class([&](Index, Index place) { dx[place] = 0; });
            return;
        }
        T own = factor;
        if (weights.count && label >= 0) own *= static_cast<T>(weights.at(label, team.place(label)));
        team.each_class([&](Index c, Index place) { dx[place] = (c == label ? y[place] - T(1) : y[place]) * own; });
    });
}

// ints = {outer, classes, inner, label type, class weights}, reals = {least, weight, class weights}, in = {x, label},
// out = {loss}
template <class T>
MOCHA_DEVICE void finish_multinomial_loss(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(-step.real(1) * all.total / divisor_of(step.whole(0) * step.whole(2)));
}

template <class T>
__device__ void multinomial_loss_forward_parts(const Step& step) {
    const Index classes = step.at(1), inner = step.at(2);
    const T* x = step.in<T>(0);
    const T low = static_cast<T>(step.real(0));
    const Labels<T> labels(step.in<char>(1), classes, step.whole(3));
    const ClassWeights weights(step, 4, 2);
    Found mine{0, 0};
    each(step.at(0) * inner, [&](Index p) {
        const Index label = labels[p];
        if (label < 0) return step.refuse();
        const Index place = (p / inner * classes + label) * inner + p % inner;
        const double log_likelihood = log(x[place] < low ? low : x[place]);
        mine.total += log_likelihood * weights.at(label, place);
    });
    leave(step, mine, [&](Found all) { finish_multinomial_loss<T>(step, all); });
}

template <class T>
__device__ void multinomial_loss_forward(const Step& step) {
    join_left(step, [&](Found all) { finish_multinomial_loss<T>(step, all); });
}

// ints = {outer, classes, inner, label type, class weights}, reals = {least, weight, class weights}, in = {x, label,
// dloss}, out = {dx}; dx is no input's memory
template <class T>
__device__ void multinomial_loss_backward(const Step& step) {
    const T* x = step.in<T>(0);
    const T low = static_cast<T>(step.real(0));
    const Labels<T> labels(step.in<char>(1), step.at(1), step.whole(3));
    const ClassWeights weights(step, 4, 2);
    const T factor = step.in<T>(2)[0] * static_cast<T>(step.real(1) / divisor_of(step.whole(0) * step.whole(2)));
    T* dx = step.out<T>(0);
    each_position(step, [&](const Team& team) {
        const Index label = labels[team.position];
        if (label == no_class && team.leads) step.refuse();
        T slope = 0;
        if (label >= 0) {
            const Index place = team.place(label);
            const T own = weights.count ? factor * static_cast<T>(weights.at(label, place)) : factor;
            slope = -own / (x[place] < low ? low : x[place]);
        }
        team.each_class([&](Index c, Index place) { dx[place] = c == label ? slope : T(0); });
    });
}

// ints = {elements, examples}, reals = {weight}, in = {a, b}, out = {loss}. Differences are taken in T, squares and
// their sum in double.
template <class T>
MOCHA_DEVICE void finish_square_loss(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(0.5 * step.real(0) * all.total / divisor_of(step.whole(1)));
}

template <class T>
__device__ void square_loss_forward_parts(const Step& step) {
    const double total = sum_of_pairs(step.at(0), step.in<T>(0), step.in<T>(1), [](T a, T b) {
        const double difference = a - b;
        return difference * difference;
    });
    leave(step, {total, 0}, [&](Found all) { finish_square_loss<T>(step, all); });
}

template <class T>
__device__ void square_loss_forward(const Step& step) {
    join_left(step, [&](Found all) { finish_square_loss<T>(step, all); });
}

// ints = {elements, examples, da wanted, db wanted}, reals = {weight}, in = {a, b, dloss}, out = {da, db}, those wanted
template <class T>
__device__ void square_loss_backward(const Step& step) {
    const T factor = step.in<T>(2)[0] * static_cast<T>(step.real(0) / divisor_of(step.whole(1)));
    T* da = step.at(2) ? step.out<T>(0) : nullptr;
    T* db = step.at(3) ? step.out<T>(step.at(2) ? 1 : 0) : nullptr;
    map_pairs(step.at(0), step.in<T>(0), step.in<T>(1), da, db, [=](T a, T b) { return (a - b) * factor; },
              [=](T a, T b) { return -((a - b) * factor); });
}

// ints = {outer, classes, inner, label type}, in = {x, label}, out = {accuracy}. Of equal scores the first counts; the
// first NaN counts as the largest.
template <class T>
MOCHA_DEVICE void finish_accuracy(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(all.counted / divisor_of(step.whole(0) * step.whole(2)));
}

template <class T>
__device__ void accuracy_parts(const Step& step) {
    const T* x = step.in<T>(0);
    const Labels<T> labels(step.in<char>(1), step.at(1), step.whole(3));
    Found mine{0, 0};
    each_position(step, [&](const Team& team) {
        const Index label = team.leads ? labels[team.position] : ignored_class;
        const Index winner = class_of_largest(team, x);
        if (label == no_class) step.refuse();
        if (label == winner) mine.counted += 1;
    });
    leave(step, mine, [&](Found all) { finish_accuracy<T>(step, all); });
}

template <class T>
__device__ void accuracy(const Step& step) {
    join_left(step, [&](Found all) { finish_accuracy<T>(step, all); });
}

MOCHA_PRECISE_KERNEL(softmax_loss_forward_parts)
MOCHA_PRECISE_KERNEL(softmax_loss_forward)
MOCHA_PRECISE_KERNEL(softmax_loss_backward_parts)
MOCHA_PRECISE_KERNEL(softmax_loss_backward)
MOCHA_PRECISE_KERNEL(multinomial_loss_forward_parts)
MOCHA_PRECISE_KERNEL(multinomial_loss_forward)
MOCHA_PRECISE_KERNEL(multinomial_loss_backward)
MOCHA_PRECISE_KERNEL(square_loss_forward_parts)
MOCHA_PRECISE_KERNEL(square_loss_forward)
MOCHA_PRECISE_KERNEL(square_loss_backward)
MOCHA_PRECISE_KERNEL(accuracy_parts)
MOCHA_PRECISE_KERNEL(accuracy)
