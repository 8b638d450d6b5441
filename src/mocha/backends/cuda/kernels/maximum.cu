// The largest of several inputs, element by element, and which it was. A thread takes a pack of each at once, and the
// bytes that go with it.
#include "batches.cuh"

// ints = {elements, inputs}, in = {x1, x2, ...}, out = {y, winners as bytes}; y may be the memory of x1. The second
// input wins unless the first is larger; a later one wins if it is larger than all before it.
template <class T, int WIDTH>
MOCHA_DEVICE void take_largest(const Step& step, int inputs, Index first) {
    Few<T, WIDTH> best = load_few<WIDTH>(step.in<T>(0) + first);
    Few<uint8_t, WIDTH> winners = {};
    for (int k = 1; k < inputs; ++k) {
        const Few<T, WIDTH> x = load_few<WIDTH>(step.in<T>(k) + first);
#pragma unroll
        for (int w = 0; w < WIDTH; ++w) {
            const Real<T> last = get(best.at[w]), next = get(x.at[w]);
            if (k == 1 ? !(last > next) : next > last) {
                best.at[w] = x.at[w];
                winners.at[w] = static_cast<uint8_t>(k);
            }
        }
    }
    store_few(step.out<T>(0) + first, best);
    store_few(step.out<uint8_t>(1) + first, winners);
}

template <class T>
__device__ void maximum_forward(const Step& step) {
    constexpr int width = Pack<T>::size;
    const Index packs = step.at(0) / width;
    const int inputs = step.at(1);
    each(packs, [&](Index pack) { take_largest<T, width>(step, inputs, pack * width); });
    each(step.at(0) - packs * width, [&](Index rest) { take_largest<T, 1>(step, inputs, packs * width + rest); });
}

// ints = {elements, gradients, then for each the number of its input}, in = {winners as bytes, dy}, out = {gradients};
// the first may be dy's memory
template <class T, int WIDTH>
MOCHA_DEVICE void give_to_winner(const Step& step, int gradients, Index first) {
    const Few<uint8_t, WIDTH> winners = load_few<WIDTH>(step.in<uint8_t>(0) + first);
    const Few<T, WIDTH> dy = load_few<WIDTH>(step.in<T>(1) + first);
    for (int k = 0; k < gradients; ++k) {
        const int number = step.at(2 + k);
        Few<T, WIDTH> dx;
#pragma unroll
        for (int w = 0; w < WIDTH; ++w) dx.at[w] = winners.at[w] == number ? dy.at[w] : put<T>(Real<T>(0));
        store_few(step.out<T>(k) + first, dx);
    }
}

template <class T>
__device__ void maximum_backward(const Step& step) {
    constexpr int width = Pack<T>::size;
    const Index packs = step.at(0) / width;
    const int gradients = step.at(1);
    each(packs, [&](Index pack) { give_to_winner<T, width>(step, gradients, pack * width); });
    each(step.at(0) - packs * width, [&](Index rest) { give_to_winner<T, 1>(step, gradients, packs * width + rest); });
}

MOCHA_KERNEL(maximum_forward)
MOCHA_KERNEL(maximum_backward)
