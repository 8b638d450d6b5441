// Softmax along one axis of (outer, classes, inner).
#define MOCHA_MOST_THREADS 1024
#include "softmax.cuh"

// ints = {outer, classes, inner}, in = {x}, out = {y}; y may be x's memory
template <class T>
__device__ void softmax_forward(const Step& step) {
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    each_position(step, [&](const Team& team) {
        softmax(team, x, [&](Index, Index place, Real<T> p) { y[place] = put<T>(p); });
    });
}

// ints = {outer, classes, inner}, in = {y, dy}, out = {dx}; dx may be dy's memory
template <class T>
__device__ void softmax_backward(const Step& step) {
    const T *y = step.in<T>(0), *dy = step.in<T>(1);
    T* dx = step.out<T>(0);
    each_position(step, [&](const Team& team) {
        Real<T> total = 0;
        team.each_class([&](Index, Index place) { total += get(dy[place]) * get(y[place]); });
        total = team.sum(total);
        team.each_class([&](Index, Index place) { dx[place] = put<T>(get(y[place]) * (get(dy[place]) - total)); });
    });
}

MOCHA_KERNEL(softmax_forward)
MOCHA_KERNEL(softmax_backward)
