// Filters between the order that they are learned and saved in, and that in which products take them.
#include "mocha.cuh"

// (filters, channels, taps) to (filters, taps, channels), rounded on the way: ints = {filters, channels, taps},
// in = {w}, which is Real<T>, out = {w'}
template <class T>
__device__ void turn_filters(const Step& step) {
    const Index channels = step.at(1), taps = step.at(2);
    const Real<T>* from = step.in<Real<T>>(0);
    T* to = step.out<T>(0);
    each(step.at(0) * channels * taps, [&](Index i) {
        const Index c = i % channels, rest = i / channels;
        to[i] = put<T>(from[(rest / taps * channels + c) * taps + rest % taps]);
    });
}

// The other way: ints as above, in = {w'}, out = {w}, which is Real<T>
template <class T>
__device__ void turn_filters_back(const Step& step) {
    const Index channels = step.at(1), taps = step.at(2);
    const T* from = step.in<T>(0);
    Real<T>* to = step.out<Real<T>>(0);
    each(step.at(0) * channels * taps, [&](Index i) {
        const Index tap = i % taps, rest = i / taps;
        to[i] = get(from[(rest / channels * taps + tap) * channels + rest % channels]);
    });
}

MOCHA_KERNEL(turn_filters)
MOCHA_KERNEL(turn_filters_back)
