// Inner products by plain sums, for what the libraries have no kernel for: x (N, D), w (K, D), y (N, K).
//
// A block of 256 threads has a square of 16 by 16 results, and shares what these are made of.
#include "functions.cuh"

constexpr int side = 16;

// Calls finish(row, column, sum over k of a(row, k) b(k, column)) for all rows and columns.
template <class R, class A, class B, class Finish>
MOCHA_DEVICE void multiply_matrices(Index rows, Index columns, Index depth, const A& a, const B& b,
                                    const Finish& finish) {
    __shared__ R left[side][side + 1], right[side][side + 1];
    const Index across = ceil_div(columns, side), squares = ceil_div(rows, side) * across;
    const int y = threadIdx.x / side, x = threadIdx.x % side;
    each_block(squares, [&](Index square) {
        const Index row = square / across * side + y, column = square % across * side + x;
        R total = 0;
        for (Index first = 0; first < depth; first += side) {
            left[y][x] = row < rows && first + x < depth ? a(row, first + x) : R(0);
            right[y][x] = column < columns && first + y < depth ? b(first + y, column) : R(0);
            __syncthreads();
            for (int k = 0; k < side; ++k)
                if (first + k < depth) total += left[y][k] * right[k][x];
            __syncthreads();
        }
        if (row < rows && column < columns) finish(row, column, total);
    });
}

// ints = {N, D, K, 1 if there is a bias, activation}, reals = {its parameter}, in = {x, w[, bias]}, out = {y}
template <class T>
__device__ void dense_forward(const Step& step) {
    typedef Real<T> R;
    const Index n = step.at(0), d = step.at(1), units = step.at(2);
    const bool biased = step.at(3) != 0;
    const int activation = step.at(4);
    const R parameter = static_cast<R>(step.real(0));
    const T *x = step.in<T>(0), *w = step.in<T>(1);
    T* y = step.out<T>(0);
    multiply_matrices<R>(
        n, units, d, [=](Index row, Index k) { return get(x[row * d + k]); },
        [=](Index k, Index column) { return get(w[column * d + k]); },
        [=](Index row, Index column, R total) {
            if (biased) total += step.in<R>(2)[column];
            if (activation == 1) total = relu(total, parameter);
            if (activation == 2) total = leaky_relu(total, parameter);
            y[row * units + column] = put<T>(total);
        });
}

// ints = {N, D, K}, in = {w, dy}, out = {dx}
template <class T>
__device__ void dense_backward_data(const Step& step) {
    typedef Real<T> R;
    const Index d = step.at(1), units = step.at(2);
    const T *w = step.in<T>(0), *dy = step.in<T>(1);
    T* dx = step.out<T>(0);
    multiply_matrices<R>(
        step.at(0), d, units, [=](Index row, Index k) { return get(dy[row * units + k]); },
        [=](Index k, Index column) { return get(w[k * d + column]); },
        [=](Index row, Index column, R total) { dx[row * d + column] = put<T>(total); });
}

// ints = {N, D, K}, in = {x, dy}, out = {dw}
template <class T>
__device__ void dense_backward_weight(const Step& step) {
    typedef Real<T> R;
    const Index n = step.at(0), d = step.at(1), units = step.at(2);
    const T *x = step.in<T>(0), *dy = step.in<T>(1);
    T* dw = step.out<T>(0);
    multiply_matrices<R>(
        units, d, n, [=](Index row, Index k) { return get(dy[k * units + row]); },
        [=](Index k, Index column) { return get(x[k * d + column]); },
        [=](Index row, Index column, R total) { dw[row * d + column] = put<T>(total); });
}

MOCHA_PRECISE_KERNEL(dense_forward)
MOCHA_PRECISE_KERNEL(dense_backward_data)
MOCHA_PRECISE_KERNEL(dense_backward_weight)
