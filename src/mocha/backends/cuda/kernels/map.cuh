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

// N elements side by side, read and written at once. They begin at a multiple of their size, or of 16 bytes.
template <class T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Few {
    T at[N];
};

template <int N, class T>
MOCHA_DEVICE Few<T, N> load_few(const T* from) {
    return *reinterpret_cast<const Few<T, N>*>(from);
}
template <class T, int N>
MOCHA_DEVICE void store_few(T* to, const Few<T, N>& few) {
    *reinterpret_cast<Few<T, N>*>(to) = few;
}

// Numbers rounded to elements.
template <class T, int N>
MOCHA_DEVICE void put_few(T* to, const Real<T>* numbers) {
    Few<T, N> few;
#pragma unroll
    for (int k = 0; k < N; ++k) few.at[k] = put<T>(numbers[k]);
    store_few(to, few);
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
