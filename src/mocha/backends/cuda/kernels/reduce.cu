// Reductions over any axes. The axes of an array are first joined into as few as possible, so that kept and reduced
// ones alternate: ints = {axes, then for each: extent, 1 if it is reduced}. At most 8 axes.
//
// A reduction takes two launches. The first has a block for each part of a result's elements and leaves its sum in
// scratch memory; the second has a thread for each result.
#include "sums.cuh"

constexpr int most_axes = 8;

struct Axes {
    int n;
    Index extent[most_axes];
    bool reduced[most_axes];
    Index results, each_of;  // elements of the result, and how many go into one

    MOCHA_DEVICE explicit Axes(const Step& step) : n(step.at(0)), results(1), each_of(1) {
        for (int a = 0; a < n; ++a) {
            extent[a] = step.at(1 + 2 * a);
            reduced[a] = step.at(2 + 2 * a) != 0;
            (reduced[a] ? each_of : results) *= extent[a];
        }
    }

    // The place of element k of those that go into a result.
    MOCHA_DEVICE Index place(Index result, Index k) const {
        Index at = 0, stride = 1;
        for (int a = n - 1; a >= 0; --a) {
            Index& rest = reduced[a] ? k : result;
            at += rest % extent[a] * stride;
            rest /= extent[a];
            stride *= extent[a];
        }
        return at;
    }
    // The result that an element goes into.
    MOCHA_DEVICE Index result_of(Index i) const {
        Index at = 0, stride = 1;
        for (int a = n - 1; a >= 0; --a) {
            if (!reduced[a]) {
                at += i % extent[a] * stride;
                stride *= extent[a];
            }
            i /= extent[a];
        }
        return at;
    }
    // In how many parts each result is summed; launches/reduce.py computes the same.
    MOCHA_DEVICE Index parts() const {
        return most(least(ceil_div(each_of, 2048), ceil_div(1024, most(results, 1))), 1);
    }
};

template <class T, class F>
MOCHA_DEVICE void sum_up(const Step& step, const F& f) {
    const Axes axes(step);
    const Index parts = axes.parts(), extent = ceil_div(axes.each_of, parts);
    const T* x = step.in<T>(0);
    double* found = reinterpret_cast<double*>(step.scratch);
    each_block(axes.results * parts, [&](Index block) {
        const Index result = block / parts, begin = block % parts * extent;
        const Index end = least(begin + extent, axes.each_of);
        Real<T> mine = 0;
        for (Index k = begin + static_cast<Index>(threadIdx.x); k < end; k += static_cast<Index>(blockDim.x))
            mine += f(get(x[axes.place(result, k)]));
        const double total = block_sum(static_cast<double>(mine));
        if (threadIdx.x == 0) found[block] = total;
    });
}

template <class T, class F>
MOCHA_DEVICE void join_up(const Step& step, const F& f) {
    const Axes axes(step);
    const Index parts = axes.parts();
    const double* found = reinterpret_cast<const double*>(step.scratch);
    T* y = step.out<T>(0);
    each(axes.results, [&](Index r) {
        double total = 0;
        for (Index p = 0; p < parts; ++p) total += found[r * parts + p];
        y[r] = put<T>(static_cast<Real<T>>(f(total)));
    });
}

// in = {x}, out = {y}
template <class T>
__device__ void reduce_sum_parts(const Step& step) {
    sum_up<T>(step, [](Real<T> x) { return x; });
}

template <class T>
__device__ void reduce_sum(const Step& step) {
    join_up<T>(step, [](double total) { return total; });
}

// in = {x}, out = {y}
template <class T>
__device__ void reduce_mean_parts(const Step& step) {
    reduce_sum_parts<T>(step);
}

template <class T>
__device__ void reduce_mean(const Step& step) {
    const double count = Axes(step).each_of;
    join_up<T>(step, [=](double total) { return total / count; });
}

// in = {x}, out = {y}
template <class T>
__device__ void reduce_squares_parts(const Step& step) {
    sum_up<T>(step, [](Real<T> x) { return x * x; });
}

template <class T>
__device__ void reduce_squares(const Step& step) {
    reduce_sum<T>(step);
}

// in = {dy}, out = {dx}
template <class T>
__device__ void reduce_sum_backward(const Step& step) {
    const Axes axes(step);
    const T* dy = step.in<T>(0);
    T* dx = step.out<T>(0);
    each(axes.results * axes.each_of, [&](Index i) { dx[i] = dy[axes.result_of(i)]; });
}

// in = {dy}, out = {dx}
template <class T>
__device__ void reduce_mean_backward(const Step& step) {
    const Axes axes(step);
    const T* dy = step.in<T>(0);
    T* dx = step.out<T>(0);
    const Real<T> count = static_cast<Real<T>>(axes.each_of);
    each(axes.results * axes.each_of, [&](Index i) { dx[i] = put<T>(get(dy[axes.result_of(i)]) / count); });
}

// in = {x, dy}, out = {dx}
template <class T>
__device__ void reduce_squares_backward(const Step& step) {
    const Axes axes(step);
    const T *x = step.in<T>(0), *dy = step.in<T>(1);
    T* dx = step.out<T>(0);
    each(axes.results * axes.each_of,
         [&](Index i) { dx[i] = put<T>(Real<T>(2) * get(x[i]) * get(dy[axes.result_of(i)])); });
}

MOCHA_KERNEL(reduce_sum_parts)
MOCHA_KERNEL(reduce_sum)
MOCHA_KERNEL(reduce_mean_parts)
MOCHA_KERNEL(reduce_mean)
MOCHA_KERNEL(reduce_squares_parts)
MOCHA_KERNEL(reduce_squares)
MOCHA_KERNEL(reduce_sum_backward)
MOCHA_KERNEL(reduce_mean_backward)
MOCHA_KERNEL(reduce_squares_backward)
