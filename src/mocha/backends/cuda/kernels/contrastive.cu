// The contrastive loss of pairs. The loss is found as findings.cuh says.
#define MOCHA_MOST_THREADS 1024
#include "findings.cuh"
#include "labels.cuh"
#include "teams.cuh"

// Whether label i without its fraction is not 0.
template <class T>
MOCHA_DEVICE bool is_similar(const Labels<T>& labels, Index i) {
    if (labels.type != 0) return labels.whole(i) != 0;
    const T label = labels.template read<T>(i);
    return !(label > T(-1) && label < T(1));
}

// ints = {pairs, length of a vector, legacy, label type}, reals = {margin, weight}, in = {a, b, labels},
// out = {loss, squared distances}. Differences are taken in T, squares and their sum in double.
template <class T>
MOCHA_DEVICE void finish_contrastive(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(step.real(1) / (2 * divisor_of(step.whole(0))) * all.total);
}

template <class T>
__device__ void contrastive_forward_parts(const Step& step) {
    const bool legacy = step.at(2) != 0;
    const T margin = static_cast<T>(step.real(0));
    const T *a = step.in<T>(0), *b = step.in<T>(1);
    const Labels<T> labels(step.in<char>(2), 2, step.whole(3));
    T* squares = step.out<T>(1);
    Found mine{0, 0};
    each_row(step, [&](const Team& team) {
        double total = 0;
        team.each_class([&](Index, Index place) {
            const double difference = a[place] - b[place];
            total += difference * difference;
        });
        const T square = static_cast<T>(team.sum(total));
        if (!team.leads) return;
        squares[team.position] = square;
        T term = square;
        if (!is_similar(labels, team.position)) {
            const T rest = margin - (legacy ? square : sqrt(square)), left_over = rest < T(0) ? T(0) : rest;
            term = legacy ? left_over : left_over * left_over;
        }
        mine.total += static_cast<double>(term);
    });
    leave(step, mine, [&](Found all) { finish_contrastive<T>(step, all); });
}

template <class T>
__device__ void contrastive_forward(const Step& step) {
    join_left(step, [&](Found all) { finish_contrastive<T>(step, all); });
}

// ints = {pairs, length of a vector, legacy, label type, da wanted, db wanted}, reals = {margin, weight, what is added
// to a distance}, in = {a, b, labels, squared distances, dloss}, out = {da, db}, those wanted
template <class T>
__device__ void contrastive_backward(const Step& step) {
    const bool legacy = step.at(2) != 0;
    const T margin = static_cast<T>(step.real(0)), apart = static_cast<T>(step.real(2));
    const T *a = step.in<T>(0), *b = step.in<T>(1), *squares = step.in<T>(3);
    const Labels<T> labels(step.in<char>(2), 2, step.whole(3));
    const T all = step.in<T>(4)[0] * static_cast<T>(step.real(1) / divisor_of(step.whole(0)));
    T* da = step.at(4) ? step.out<T>(0) : nullptr;
    T* db = step.at(5) ? step.out<T>(step.at(4) ? 1 : 0) : nullptr;
    each_row(step, [&](const Team& team) {
        T factor = all;
        if (!is_similar(labels, team.position)) {
            const T square = squares[team.position], distance = sqrt(square);
            const T rest = margin - (legacy ? square : distance);
            factor = rest > T(0) ? -(legacy ? T(1) : rest / (distance + apart)) * all : T(0);
        }
        team.each_class([&](Index, Index place) {
            const T slope = factor == T(0) ? T(0) : (a[place] - b[place]) * factor;
            if (da) da[place] = slope;
            if (db) db[place] = -slope;
        });
    });
}

MOCHA_PRECISE_KERNEL(contrastive_forward_parts)
MOCHA_PRECISE_KERNEL(contrastive_forward)
MOCHA_PRECISE_KERNEL(contrastive_backward)
