// Functions of one element of each input, whatever the layout. An output may be the memory of an input: each thread
// reads an element of all inputs before it writes that of the output.
//
// Arrays begin at multiples of 16 bytes, so that they are read and written in packs of that many.
#pragma once

#include "mocha.cuh"

template <class T>
struct alignas(16) Pack {
    static constexpr int size = 16 / sizeof(T);
    T at[size];
};

template <class T>
MOCHA_DEVICE Pack<T> load_pack(const T* from, Index number) {
    return reinterpret_cast<const Pack<T>*>(from)[number];
}

// y[i] = f(x[i]) for i < n
template <class T, class F>
MOCHA_DEVICE void map(Index n, const T* x, T* y, const F& f) {
    constexpr int size = Pack<T>::size;
    const Index packs = n / size;
    each(packs, [&](Index p) {
        Pack<T> pack = load_pack(x, p);
#pragma unroll
        for (int k = 0; k < size; ++k) pack.at[k] = put<T>(f(get(pack.at[k])));
        reinterpret_cast<Pack<T>*>(y)[p] = pack;
    });
    each(n - packs * size, [&](Index i) { y[packs * size + i] = put<T>(f(get(x[packs * size + i]))); });
}

// y[i] = f(a[i], b[i]) for i < n
template <class T, class F>
MOCHA_DEVICE void map(Index n, const T* a, const T* b, T* y, const F& f) {
    constexpr int size = Pack<T>::size;
    const Index packs = n / size;
    each(packs, [&](Index p) {
        Pack<T> one = load_pack(a, p);
        const Pack<T> two = load_pack(b, p);
#pragma unroll
        for (int k = 0; k < size; ++k) one.at[k] = put<T>(f(get(one.at[k]), get(two.at[k])));
        reinterpret_cast<Pack<T>*>(y)[p] = one;
    });
    each(n - packs * size, [&](Index rest) {
        const Index i = packs * size + rest;
        y[i] = put<T>(f(get(a[i]), get(b[i])));
    });
}

// The kernels of one input and of two: ints = {elements}, in = {x} or {a, b}, out = {result}.
template <class T, class F>
MOCHA_DEVICE void map_one(const Step& step, const F& f) {
    map<T>(step.at(0), step.in<T>(0), step.out<T>(0), f);
}
template <class T, class F>
MOCHA_DEVICE void map_two(const Step& step, const F& f) {
    map<T>(step.at(0), step.in<T>(0), step.in<T>(1), step.out<T>(0), f);
}

// Four elements that lie side by side, whatever their type: generated kernels read arrays of several types together.
template <class T>
struct alignas(4 * sizeof(T)) Four {
    T at[4];
};

template <class T>
MOCHA_DEVICE Four<T> load_four(const T* from, Index number) {
    return reinterpret_cast<const Four<T>*>(from)[number];
}
template <class T>
MOCHA_DEVICE void store_four(T* to, Index number, const Four<T>& four) {
    reinterpret_cast<Four<T>*>(to)[number] = four;
}
