// What the kernels share that bring gradients into parameters. A call may hold many parameters ("tensors"), each cut
// into stretches of some thousand elements, and a block has one stretch: so small parameters cost little, and large
// ones are shared out evenly. Norms, rates and momenta are numbers in double, read when the step runs.
#pragma once

#include "batches.cuh"
#include "functions.cuh"
#include "sums.cuh"

constexpr Index stretch_of_update = 2048, stretch_of_norm = 8192;  // elements, as in launches/stretches.py

// The sum of the values of all threads of the block before this one; in `all` that of all of them. All threads must
// come here.
MOCHA_DEVICE Index sum_before(Index value, Index& all) {
    __shared__ Index of_warps[warp_size];
    const int thread = static_cast<int>(threadIdx.x), warps = static_cast<int>(blockDim.x) / warp_size;
    Index before = 0, total = value;  // of the lanes that differ from this one in the last bits only
#pragma unroll
    for (int lanes = 1; lanes < warp_size; lanes *= 2) {
        const Index others = __shfl_xor_sync(0xffffffffu, total, lanes);
        if (thread & lanes) before += others;
        total += others;
    }
    __syncthreads();  // the block may still be reading the last ones
    if (thread % warp_size == 0) of_warps[thread / warp_size] = total;
    __syncthreads();
    all = 0;
    for (int warp = 0; warp < warps; ++warp) {
        if (warp < thread / warp_size) before += of_warps[warp];
        all += of_warps[warp];
    }
    return before;
}

// A block's stretch: elements begin, begin + 1, ... of a tensor.
struct Stretch {
    int tensor;
    Index begin, size;
};

// The stretch of that number, of all stretches of so many elements of all tensors one after the other;
// ints = {tensors, elements of each}. All threads must come here.
MOCHA_DEVICE Stretch stretch_number(const Step& step, Index number, Index elements) {
    __shared__ Stretch found;
    const int tensors = step.at(0);
    if (tensors == 1) return Stretch{0, number * elements, least(step.at(1) - number * elements, elements)};
    Index before = 0;  // stretches of the tensors before `first`
    for (int first = 0; first < tensors && before <= number; first += static_cast<int>(blockDim.x)) {
        const int tensor = first + static_cast<int>(threadIdx.x);
        const Index size = tensor < tensors ? step.at(1 + tensor) : 0, stretches = ceil_div(size, elements);
        Index all;
        const Index mine = number - before - sum_before(stretches, all);
        if (mine >= 0 && mine < stretches)
            found = Stretch{tensor, mine * elements, least(size - mine * elements, elements)};
        before += all;
    }
    __syncthreads();
    return found;
}

// What is done to a gradient first, from four reals: the norm above which it is clipped (0: never), the weights of an
// L2 and of an L1 penalty, and the parameter's own multiple of the learning rate.
constexpr int reals_each = 4;

template <class T>
struct Treatment {
    T clip, l2, l1;
    const T *l2_of, *l1_of;  // the parameters that the penalties are on; null for no penalty

    // in = {..., l2's w, l1's w, norm, ...} from `first` on
    MOCHA_DEVICE Treatment(const Step& step, int reals, int first)
        : clip(T(1)),
          l2(static_cast<T>(2 * step.real(reals + 1))),
          l1(static_cast<T>(step.real(reals + 2))),
          l2_of(step.real(reals + 1) != 0 ? step.in<T>(first) : nullptr),
          l1_of(step.real(reals + 2) != 0 ? step.in<T>(first + 1) : nullptr) {
        const double longest = step.real(reals), length = longest > 0 ? step.in<double>(first + 2)[0] : 0;
        if (length > longest) clip = static_cast<T>(longest / length);
    }

    MOCHA_DEVICE T of(T g, T l2_on, T l1_on) const {
        T x = g * clip;
        if (l2_of) x += l2 * l2_on;
        if (l1_of) x += l1 * sign(l1_on);
        return x;
    }
};

// A solver's step for `count` times WIDTH elements of a block's stretch: in = {g, w, states, l2's w, l1's w, norm, ...}
// for each tensor, `inputs` of them, out = {w, states} for each, the same memory. element(g, w, states) is the new w,
// and changes the states.
template <class T, int STATES, int WIDTH, class Element>
MOCHA_DEVICE void update_elements(const Step& step, const Stretch& stretch, int inputs, const Treatment<T>& treatment,
                                  Index first, Index count, const Element& element) {
    const int in = stretch.tensor * inputs, out = stretch.tensor * (1 + STATES);
    const Index begin = stretch.begin + first;
    const T *g = step.in<T>(in) + begin, *w = step.in<T>(in + 1);
    T* at[1 + STATES];
#pragma unroll
    for (int k = 0; k < 1 + STATES; ++k) at[k] = step.out<T>(out + k) + begin;
    const bool other_l2 = treatment.l2_of && treatment.l2_of != w, other_l1 = treatment.l1_of && treatment.l1_of != w;
#pragma unroll 1
    for (Index i = static_cast<Index>(threadIdx.x); i < count; i += static_cast<Index>(blockDim.x)) {
        const Few<T, WIDTH> read = load_few<WIDTH>(g + i * WIDTH);
        Few<T, WIDTH> some[1 + STATES];
#pragma unroll
        for (int k = 0; k < 1 + STATES; ++k) some[k] = load_few<WIDTH>(at[k] + i * WIDTH);
        Few<T, WIDTH> l2_on = some[0], l1_on = some[0];  // as a rule
        if (other_l2) l2_on = load_few<WIDTH>(treatment.l2_of + begin + i * WIDTH);
        if (other_l1) l1_on = load_few<WIDTH>(treatment.l1_of + begin + i * WIDTH);
#pragma unroll
        for (int e = 0; e < WIDTH; ++e) {
            T states[STATES];
#pragma unroll
            for (int k = 0; k < STATES; ++k) states[k] = some[1 + k].at[e];
            const T treated = treatment.of(read.at[e], l2_on.at[e], l1_on.at[e]);
            some[0].at[e] = element(treated, some[0].at[e], states);
#pragma unroll
            for (int k = 0; k < STATES; ++k) some[1 + k].at[e] = states[k];
        }
#pragma unroll
        for (int k = 0; k < 1 + STATES; ++k) store_few(at[k] + i * WIDTH, some[k]);
    }
}

template <class T, int STATES, class Element>
MOCHA_DEVICE void update_stretch(const Step& step, const Stretch& stretch, int inputs, const Treatment<T>& treatment,
                                 const Element& element) {
    constexpr int width = Pack<T>::size;
    const Index packs = stretch.size / width, rest = stretch.size % width;
    update_elements<T, STATES, width>(step, stretch, inputs, treatment, 0, packs, element);
    if (rest) update_elements<T, STATES, 1>(step, stretch, inputs, treatment, packs * width, rest, element);
}
