// Losses and a measure that look at two blobs element by element. Losses are found as findings.cuh says.
#define MOCHA_MOST_THREADS 1024
#include "findings.cuh"
#include "functions.cuh"
#include "softmax.cuh"

// ints = {outer, classes, inner}, reals = {weight}, in = {x, label}, out = {loss, softmax}. The softmax is no input's
// memory. Where a label is 0 its term is 0, whatever the logarithm.
template <class T>
MOCHA_DEVICE void finish_softlabel_loss(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(-step.real(0) / divisor_of(step.whole(0) * step.whole(2)) * all.total);
}

template <class T>
__device__ void softlabel_loss_forward_parts(const Step& step) {
    const T *x = step.in<T>(0), *label = step.in<T>(1);
    T* y = step.out<T>(1);
    Found mine{0, 0};
    each_position(step, [&](const Team& team) {
        const auto found = softmax(team, x, [&](Index, Index place, T p) { y[place] = p; });
        const T log_total = log(found.total);
        T terms = 0;
        team.each_class([&](Index, Index place) {
            const T own = label[place];
            terms += own == T(0) ? T(0) : own * ((x[place] - found.max) - log_total);
        });
        mine.total += static_cast<double>(terms);
    });
    leave(step, mine, [&](Found all) { finish_softlabel_loss<T>(step, all); });
}

template <class T>
__device__ void softlabel_loss_forward(const Step& step) {
    join_left(step, [&](Found all) { finish_softlabel_loss<T>(step, all); });
}

// ints = {outer, classes, inner}, reals = {weight}, in = {label, softmax, dloss}, out = {dx}; dx is no input's memory
template <class T>
__device__ void softlabel_loss_backward(const Step& step) {
    const T *label = step.in<T>(0), *y = step.in<T>(1);
    const T factor = step.in<T>(2)[0] * static_cast<T>(step.real(0) / divisor_of(step.whole(0) * step.whole(2)));
    T* dx = step.out<T>(0);
    each_position(step, [&](const Team& team) {
        T all = 0;
        team.each_class([&](Index, Index place) { all += label[place]; });
        all = team.sum(all);
        team.each_class([&](Index, Index place) { dx[place] = (y[place] * all - label[place]) * factor; });
    });
}

// -- a function of each pair, added up

template <class T>
struct CrossEntropy {
    static MOCHA_DEVICE T term(T p, T y) {
        return -(y * log(at_least(p)) + (T(1) - y) * log(at_least(T(1) - p)));
    }
    static MOCHA_DEVICE T slope_a(T p, T y) { return (T(1) - y) / at_least(T(1) - p) - y / at_least(p); }
    static MOCHA_DEVICE T slope_b(T p, T) { return log(at_least(T(1) - p)) - log(at_least(p)); }
};

// The product x y is rounded before it is compared, as in the reference, so that both see the corner at the same place.
template <class T>
struct Hinge {
    static MOCHA_DEVICE T term(T x, T y) {
        const T rest = T(1) - rounded_product(x, y);
        return rest < T(0) ? T(0) : rest;
    }
    static MOCHA_DEVICE T slope_a(T x, T y) { return rounded_product(x, y) < T(1) ? -y : T(0); }
    static MOCHA_DEVICE T slope_b(T x, T y) { return slope_a(y, x); }
};

template <class T>
struct GaussianKL {
    static MOCHA_DEVICE T term(T mu, T sigma) {
        return T(0.5) * (mu * mu + sigma * sigma - T(1)) - log(at_least(sigma));
    }
    static MOCHA_DEVICE T slope_a(T mu, T) { return mu; }
    static MOCHA_DEVICE T slope_b(T, T sigma) { return sigma - T(1) / at_least(sigma); }
};

// ints = {elements, examples}, reals = {weight}, in = {a, b}, out = {loss}
template <class T>
MOCHA_DEVICE void finish_pairs(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(step.real(0) / divisor_of(step.whole(1)) * all.total);
}

template <class T, class Pair>
MOCHA_DEVICE void pairs_forward_parts(const Step& step) {
    const double total = sum_of_pairs(step.at(0), step.in<T>(0), step.in<T>(1),
                                      [](T a, T b) { return Pair::term(a, b); });
    leave(step, {total, 0}, [&](Found all) { finish_pairs<T>(step, all); });
}

template <class T>
MOCHA_DEVICE void pairs_forward(const Step& step) {
    join_left(step, [&](Found all) { finish_pairs<T>(step, all); });
}

// ints = {elements, examples, da wanted, db wanted}, reals = {weight}, in = {a, b, dloss}, out = {da, db}, those wanted
template <class T, class Pair>
MOCHA_DEVICE void pairs_backward(const Step& step) {
    const T factor = step.in<T>(2)[0] * static_cast<T>(step.real(0) / divisor_of(step.whole(1)));
    T* da = step.at(2) ? step.out<T>(0) : nullptr;
    T* db = step.at(3) ? step.out<T>(step.at(2) ? 1 : 0) : nullptr;
    map_pairs(step.at(0), step.in<T>(0), step.in<T>(1), da, db,
              [=](T a, T b) { return Pair::slope_a(a, b) * factor; },
              [=](T a, T b) { return Pair::slope_b(a, b) * factor; });
}

template <class T>
__device__ void cross_entropy_forward_parts(const Step& step) {
    pairs_forward_parts<T, CrossEntropy<T>>(step);
}
template <class T>
__device__ void cross_entropy_forward(const Step& step) {
    pairs_forward<T>(step);
}
template <class T>
__device__ void cross_entropy_backward(const Step& step) {
    pairs_backward<T, CrossEntropy<T>>(step);
}
template <class T>
__device__ void hinge_loss_forward_parts(const Step& step) {
    pairs_forward_parts<T, Hinge<T>>(step);
}
template <class T>
__device__ void hinge_loss_forward(const Step& step) {
    pairs_forward<T>(step);
}
template <class T>
__device__ void hinge_loss_backward(const Step& step) {
    pairs_backward<T, Hinge<T>>(step);
}
template <class T>
__device__ void gaussian_kl_forward_parts(const Step& step) {
    pairs_forward_parts<T, GaussianKL<T>>(step);
}
template <class T>
__device__ void gaussian_kl_forward(const Step& step) {
    pairs_forward<T>(step);
}
template <class T>
__device__ void gaussian_kl_backward(const Step& step) {
    pairs_backward<T, GaussianKL<T>>(step);
}

// -- the measure

// How many of this thread's predictions lie on their labels' side; `bar` is the threshold among labels.
template <class T, class Label>
MOCHA_DEVICE double same_side(Index n, const T* x, const Label* labels, T threshold, double bar) {
    Index right = 0;
    each(n, [&](Index i) { right += (x[i] > threshold) == (static_cast<double>(labels[i]) > bar); });
    return right;
}

// ints = {elements, label type: 0 that of x, 1 int32, 2 int64, 3 uint8}, reals = {threshold}, in = {x, label}, out =
// {accuracy}
template <class T>
MOCHA_DEVICE void finish_binary_accuracy(const Step& step, Found all) {
    step.out<T>(0)[0] = static_cast<T>(all.counted / divisor_of(step.whole(0)));
}

template <class T>
__device__ void binary_accuracy_parts(const Step& step) {
    const Index n = step.at(0), type = step.at(1);
    const T* x = step.in<T>(0);
    const T threshold = static_cast<T>(step.real(0));
    const double bar = type == 0 ? static_cast<double>(threshold) : step.real(0);
    const double right = type == 0   ? same_side(n, x, step.in<T>(1), threshold, bar)
                         : type == 1 ? same_side(n, x, step.in<int32_t>(1), threshold, bar)
                         : type == 2 ? same_side(n, x, step.in<int64_t>(1), threshold, bar)
                                     : same_side(n, x, step.in<uint8_t>(1), threshold, bar);
    leave(step, {0, right}, [&](Found all) { finish_binary_accuracy<T>(step, all); });
}

template <class T>
__device__ void binary_accuracy(const Step& step) {
    join_left(step, [&](Found all) { finish_binary_accuracy<T>(step, all); });
}

MOCHA_PRECISE_KERNEL(softlabel_loss_forward_parts)
MOCHA_PRECISE_KERNEL(softlabel_loss_forward)
MOCHA_PRECISE_KERNEL(softlabel_loss_backward)
MOCHA_PRECISE_KERNEL(cross_entropy_forward_parts)
MOCHA_PRECISE_KERNEL(cross_entropy_forward)
MOCHA_PRECISE_KERNEL(cross_entropy_backward)
MOCHA_PRECISE_KERNEL(hinge_loss_forward_parts)
MOCHA_PRECISE_KERNEL(hinge_loss_forward)
MOCHA_PRECISE_KERNEL(hinge_loss_backward)
MOCHA_PRECISE_KERNEL(gaussian_kl_forward_parts)
MOCHA_PRECISE_KERNEL(gaussian_kl_forward)
MOCHA_PRECISE_KERNEL(gaussian_kl_backward)
MOCHA_PRECISE_KERNEL(binary_accuracy_parts)
MOCHA_PRECISE_KERNEL(binary_accuracy)
