// Elements moved, not changed.
#include "map.cuh"

// ints = {elements}, in = {x}, out = {y}
template <class T>
__device__ void copy(const Step& step) {
    map_one<T>(step, [](Real<T> x) { return x; });
}

// ints = {elements}, reals = {value}, out = {y}
template <class T>
__device__ void fill(const Step& step) {
    const T value = put<T>(static_cast<Real<T>>(step.real(0)));
    T* y = step.out<T>(0);
    each(step.at(0), [&](Index i) { y[i] = value; });
}

// Numbers in fewer bits: ints = {elements}, reals = {factor}, in = {x}, which is Real<T>, out = {y}
template <class T>
__device__ void narrow(const Step& step) {
    const Real<T> factor = static_cast<Real<T>>(step.real(0));
    const Real<T>* x = step.in<Real<T>>(0);
    T* y = step.out<T>(0);
    each(step.at(0), [&](Index i) { y[i] = put<T>(x[i] * factor); });
}

// And back: in = {x}, out = {y}, which is Real<T>
template <class T>
__device__ void broaden(const Step& step) {
    const Real<T> factor = static_cast<Real<T>>(step.real(0));
    const T* x = step.in<T>(0);
    Real<T>* y = step.out<Real<T>>(0);
    each(step.at(0), [&](Index i) { y[i] = get(x[i]) * factor; });
}

// Calls body(piece, place in the piece, place in the whole) for all elements of the pieces of rows (outer, total), one
// piece after the other in a row: ints = {outer, total, pieces, then for each: place in the row, width}.
template <class Body>
MOCHA_DEVICE void by_pieces(const Step& step, const Body& body) {
    const Index outer = step.at(0), total = step.at(1), pieces = step.at(2);
    for (Index p = 0; p < pieces; ++p) {
        const Index place = step.at(3 + 2 * p), width = step.at(4 + 2 * p);
        each(outer * width, [&](Index i) { body(p, i, i / width * total + place + i % width); });
    }
}

// Rows put together from pieces: ints as above, in = {pieces}, out = {y (outer, total)}
template <class T>
__device__ void concat(const Step& step) {
    T* y = step.out<T>(0);
    by_pieces(step, [&](Index piece, Index i, Index whole) { y[whole] = step.in<T>(piece)[i]; });
}

// Pieces taken out of rows: ints as above, in = {x (outer, total)}, out = {pieces}
template <class T>
__device__ void slice(const Step& step) {
    const T* x = step.in<T>(0);
    by_pieces(step, [&](Index piece, Index i, Index whole) { step.out<T>(piece)[i] = x[whole]; });
}

// Each (rows, columns) of x turned to (columns, rows): ints = {batch, rows, columns}, in = {x}, out = {y}. A block of
// 256 threads turns squares of 32 by 32 in shared memory, so that rows are read and written side by side.
template <class T>
__device__ void turn(const Step& step) {
    constexpr int side = 32;
    __shared__ T square[side][side + 1];
    const Index rows = step.at(1), columns = step.at(2);
    const Index down = ceil_div(rows, side), across = ceil_div(columns, side);
    const int lane = threadIdx.x % side, first = threadIdx.x / side;
    each_block(step.at(0) * down * across, [&](Index block) {
        const Index n = block / (down * across), r0 = block / across % down * side, c0 = block % across * side;
        const T* x = step.in<T>(0) + n * rows * columns;
        T* y = step.out<T>(0) + n * rows * columns;
        __syncthreads();  // the last square was read
        for (int k = first; k < side; k += 256 / side)
            if (r0 + k < rows && c0 + lane < columns) square[k][lane] = x[(r0 + k) * columns + c0 + lane];
        __syncthreads();
        for (int k = first; k < side; k += 256 / side)
            if (c0 + k < columns && r0 + lane < rows) y[(c0 + k) * rows + r0 + lane] = square[lane][k];
    });
}

MOCHA_KERNEL(copy)
MOCHA_KERNEL(narrow)
MOCHA_KERNEL(broaden)
MOCHA_KERNEL(fill)
MOCHA_KERNEL(concat)
MOCHA_KERNEL(slice)
MOCHA_KERNEL(turn)
MOCHA_ENTRY(turn, 1, uint8_t)
MOCHA_ENTRY(turn, 4, uint32_t)
MOCHA_ENTRY(turn, 8, uint64_t)
