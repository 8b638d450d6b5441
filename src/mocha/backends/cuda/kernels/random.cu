// Dropout. Word i mod 4 of block i div 4 decides over element i, see philox.cuh: a thread takes the elements of one
// block, or of two, if that many fit in a pack.
#include "batches.cuh"
#include "philox.cuh"

// y = scale x where the mask is not 0, else 0
template <class T, int WIDTH>
MOCHA_DEVICE void apply(const T* x, const Few<uint8_t, WIDTH>& mask, Real<T> scale, T* y, Index first) {
    constexpr int width = WIDTH < Pack<T>::size ? WIDTH : Pack<T>::size;
    Few<T, width> few[WIDTH / width];
#pragma unroll
    for (int k = 0; k < WIDTH / width; ++k) few[k] = load_few<width>(x + first + k * width);
#pragma unroll
    for (int k = 0; k < WIDTH / width; ++k) {
#pragma unroll
        for (int w = 0; w < width; ++w)
            few[k].at[w] = put<T>(mask.at[k * width + w] ? get(few[k].at[w]) * scale : Real<T>(0));
        store_few(y + first + k * width, few[k]);
    }
}

// Elements that a thread takes at once. What is left over of an array is taken one by one.
template <class T>
constexpr int dropped_at_once = Pack<T>::size < 4 ? 4 : Pack<T>::size;

// ints = {elements, threshold of the words that stay, stream}, reals = {scale}, in = {x, seed, counter},
// out = {y, mask as bytes}; y may be x's memory. Seed and counter are numbers in double.
template <class T>
__device__ void dropout_forward(const Step& step) {
    constexpr int width = dropped_at_once<T>;
    const Draw draw(step.in<double>(1)[0], step.whole(2), step.in<double>(2)[0]);
    const uint32_t threshold = static_cast<uint32_t>(step.whole(1));
    const Real<T> scale = static_cast<Real<T>>(step.real(0));
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    uint8_t* masks = step.out<uint8_t>(1);
    const Index n = step.at(0), whole = n / width;
    each(whole, [&](Index number) {
        Few<uint8_t, width> mask;
#pragma unroll
        for (int k = 0; k < width / 4; ++k) {
            const Words words = draw.block(static_cast<uint64_t>(number) * (width / 4) + k);
#pragma unroll
            for (int w = 0; w < 4; ++w) mask.at[4 * k + w] = words.at[w] >= threshold;
        }
        apply(x, mask, scale, y, number * width);
        store_few(masks + number * width, mask);
    });
    each(n - whole * width, [&](Index rest) {
        const Index i = whole * width + rest;
        const Few<uint8_t, 1> mask = {{draw.word(i) >= threshold}};
        apply(x, mask, scale, y, i);
        store_few(masks + i, mask);
    });
}

// ints = {elements}, reals = {scale}, in = {mask as bytes, dy}, out = {dx}; dx may be dy's memory
template <class T>
__device__ void dropout_backward(const Step& step) {
    constexpr int width = dropped_at_once<T>;
    const Real<T> scale = static_cast<Real<T>>(step.real(0));
    const uint8_t* masks = step.in<uint8_t>(0);
    const T* dy = step.in<T>(1);
    T* dx = step.out<T>(0);
    const Index n = step.at(0), whole = n / width;
    each(whole, [&](Index number) {
        apply(dy, load_few<width>(masks + number * width), scale, dx, number * width);
    });
    each(n - whole * width, [&](Index rest) {
        const Index i = whole * width + rest;
        apply(dy, load_few<1>(masks + i), scale, dx, i);
    });
}

MOCHA_KERNEL(dropout_forward)
MOCHA_KERNEL(dropout_backward)
