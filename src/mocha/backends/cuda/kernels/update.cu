// What happens to gradients on their way into parameters, and the steps with a velocity; see update.cuh.
#define MOCHA_MOST_THREADS 1024
#include "update.cuh"

MOCHA_DEVICE double squared(double x) { return x * x; }

// ints = {tensors, elements of each}, reals = {clip, l2, l1, (unused)} each, in = {g, l2's w, l1's w, norm} each (any
// array where one is not needed), out = {g'} each; g' may be g's memory
template <class T>
__device__ void treat_gradient(const Step& step) {
    const Stretch stretch = stretch_number(step, static_cast<Index>(blockIdx.x), stretch_of_update);
    const Treatment<T> treatment(step, reals_each * stretch.tensor, 4 * stretch.tensor + 1);
    const T* g = step.in<T>(4 * stretch.tensor);
    T* treated = step.out<T>(stretch.tensor);
    const Index end = stretch.begin + stretch.size;
    for (Index i = stretch.begin + static_cast<Index>(threadIdx.x); i < end; i += static_cast<Index>(blockDim.x))
        treated[i] = treatment.of(g[i], treatment.l2_of ? treatment.l2_of[i] : T(0),
                                  treatment.l1_of ? treatment.l1_of[i] : T(0));
}

// v' = momentum v - local rate g'; w' = w + v'.
// ints = {tensors, elements of each}, reals = {clip, l2, l1, multiple of the rate} each,
// in = {g, w, v, l2's w, l1's w, norm, rate, momentum} each (as above), out = {w, v} each, the same memory as in
template <class T>
__device__ void sgd_update(const Step& step) {
    const Stretch stretch = stretch_number(step, static_cast<Index>(blockIdx.x), stretch_of_update);
    const int in = 8 * stretch.tensor, reals = reals_each * stretch.tensor;
    const T rate = static_cast<T>(step.real(reals + 3) * step.in<double>(in + 6)[0]);
    const T momentum = static_cast<T>(step.in<double>(in + 7)[0]);
    update_stretch<T, 1>(step, stretch, 8, Treatment<T>(step, reals, in + 3), [=](T g, T w, T* v) {
        v[0] = momentum * v[0] - rate * g;
        return w + v[0];
    });
}

// v' = m1 v - local rate g'; w' = w - m1 v + (1 + m2) v'.
// As `sgd_update`, but in = {g, w, v, l2's w, l1's w, norm, rate, m1, m2} each
template <class T>
__device__ void nesterov_update(const Step& step) {
    const Stretch stretch = stretch_number(step, static_cast<Index>(blockIdx.x), stretch_of_update);
    const int in = 9 * stretch.tensor, reals = reals_each * stretch.tensor;
    const T rate = static_cast<T>(step.real(reals + 3) * step.in<double>(in + 6)[0]);
    const T last = static_cast<T>(step.in<double>(in + 7)[0]);
    const T ahead = static_cast<T>(1 + step.in<double>(in + 8)[0]);
    update_stretch<T, 1>(step, stretch, 9, Treatment<T>(step, reals, in + 3), [=](T g, T w, T* v) {
        const T carried = last * v[0];
        v[0] = carried - rate * g;
        return w - carried + ahead * v[0];
    });
}

// The root of the sum of all squares, summed in double: ints = {tensors, elements of each}, in = {g} each,
// out = {norm}, a double. The first launch has a block for each stretch, the second is one block.
template <class T>
__device__ void global_norm_parts(const Step& step) {
    constexpr int width = Pack<T>::size;
    const Index number = static_cast<Index>(blockIdx.x);
    const Stretch stretch = stretch_number(step, number, stretch_of_norm);
    const T* g = step.in<T>(stretch.tensor) + stretch.begin;
    const Index packs = stretch.size / width, rest = packs * width + static_cast<Index>(threadIdx.x);
    double mine = 0;
    in_batches<4>(
        static_cast<Index>(threadIdx.x), packs, static_cast<Index>(blockDim.x),
        [=](Index i) { return load_few<width>(g + i * width); },
        [&](Index, const Few<T, width>& few) {
#pragma unroll
            for (int e = 0; e < width; ++e) mine += squared(few.at[e]);
        });
    if (rest < stretch.size) mine += squared(g[rest]);
    const double total = block_sum(mine);
    if (threadIdx.x == 0) reinterpret_cast<double*>(step.scratch)[number] = total;
}

template <class T>
__device__ void global_norm(const Step& step) {
    const int tensors = step.at(0);
    const double* found = reinterpret_cast<const double*>(step.scratch);
    Index mine = 0, parts;
    for (int t = static_cast<int>(threadIdx.x); t < tensors; t += static_cast<int>(blockDim.x))
        mine += ceil_div(step.at(1 + t), stretch_of_norm);
    sum_before(mine, parts);
    double total = 0;
    for (Index i = static_cast<Index>(threadIdx.x); i < parts; i += static_cast<Index>(blockDim.x)) total += found[i];
    total = block_sum(total);
    if (threadIdx.x == 0) step.out<double>(0)[0] = sqrt(total);
}

// Rows longer than the threshold are shortened to it, where the iteration is a multiple of `every`:
// ints = {rows, columns, every}, reals = {threshold}, in = {w, iteration}, out = {w}, the same memory
template <class T>
__device__ void l2_norm_constraint(const Step& step) {
    const Index columns = step.at(1), first = static_cast<Index>(threadIdx.x), stride = static_cast<Index>(blockDim.x);
    const double threshold = step.real(0);
    if (static_cast<int64_t>(step.in<double>(1)[0]) % step.whole(2) != 0) return;
    each_block(step.at(0), [&](Index row) {
        T* w = step.out<T>(0) + row * columns;
        double squares = 0;
        for (Index i = first; i < columns; i += stride) squares += squared(w[i]);
        const double length = sqrt(block_sum(squares));
        if (!(length > threshold)) return;
        const T factor = static_cast<T>(threshold / length);
        for (Index i = first; i < columns; i += stride) w[i] *= factor;
    });
}

MOCHA_PRECISE_KERNEL(treat_gradient)
MOCHA_PRECISE_KERNEL(sgd_update)
MOCHA_PRECISE_KERNEL(nesterov_update)
MOCHA_PRECISE_KERNEL(global_norm_parts)
MOCHA_PRECISE_KERNEL(global_norm)
MOCHA_PRECISE_KERNEL(l2_norm_constraint)
