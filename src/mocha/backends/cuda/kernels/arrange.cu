// Elements moved to other places: repeated, cut out of a box, or with the axes in another order.
//
// A thread has an element of the result. Where the rows of both arrays are made of whole packs of 16 bytes, it has a
// pack, and all that is said of elements is said of packs. Loops over axes stay loops: else the code grows large.
#include "map.cuh"

template <class U>
MOCHA_DEVICE void repeat(const Step& step, Index size) {
    const uint32_t block = step.at(1) / size, row = block * step.at(2);
    const U* x = step.in<U>(0);
    U* y = step.out<U>(0);
    each(step.at(0) * static_cast<Index>(row), [&](Index i) {
        const uint32_t at = i;
        y[i] = x[at / row * block + at % block];
    });
}

// ints = {outer, block, tiles}, in = {x (outer, block)}, out = {y (outer, tiles, block)}
template <class T>
__device__ void tile_forward(const Step& step) {
    constexpr int size = Pack<T>::size;
    if (step.at(1) % size == 0)
        repeat<Pack<T>>(step, size);
    else
        repeat<T>(step, 1);
}

// Whether each sum of copies has a thread of its own; launches/arrange.py computes the same.
MOCHA_DEVICE bool sums_by_threads(Index sums, Index tiles) { return tiles < 64 || sums >= 1 << 15; }

// ints = {outer, block, tiles}, in = {dy (outer, tiles, block)}, out = {dx (outer, block)}. Few sums of many copies
// have a block of 256 threads for each 32 of them, or fewer where the copies are shorter.
template <class T>
__device__ void tile_backward(const Step& step) {
    typedef Real<T> R;
    const Index outer = step.at(0), block = step.at(1), tiles = step.at(2);
    const T* dy = step.in<T>(0);
    T* dx = step.out<T>(0);
    if (sums_by_threads(outer * block, tiles)) {
        each(outer * block, [&](Index i) {
            const T* from = dy + i / block * tiles * block + i % block;
            R total = get(*from);
            for (Index t = 1; t < tiles; ++t) total += get(from[t * block]);
            dx[i] = put<T>(total);
        });
        return;
    }
    __shared__ double found[256];
    int width = 1;
    while (width < 32 && width < block) width *= 2;
    const int lane = threadIdx.x % width, row = threadIdx.x / width, rows = 256 / width;
    const Index groups = ceil_div(block, width);
    each_block(outer * groups, [&](Index number) {
        const Index o = number / groups, c = number % groups * width + lane;
        R mine = 0;
        if (c < block)
            for (Index t = row; t < tiles; t += rows) mine += get(dy[(o * tiles + t) * block + c]);
        __syncthreads();  // the last sums were read
        found[threadIdx.x] = static_cast<double>(mine);
        __syncthreads();
        for (int half_rows = rows / 2; half_rows > 0; half_rows /= 2) {
            if (row < half_rows) found[threadIdx.x] += found[threadIdx.x + half_rows * width];
            __syncthreads();
        }
        if (row == 0 && c < block) dx[o * block + c] = put<T>(static_cast<R>(found[threadIdx.x]));
    });
}

// A box in an array: ints = {axes, then for each: extent of the array, start and size of the box}. The last axis is
// counted in units of `unit` elements.
template <int unit>
struct Box {
    const Step& step;
    int axes;

    MOCHA_DEVICE explicit Box(const Step& s) : step(s), axes(s.at(0)) {}

    // Of axis a, 0: the extent, 1: the start, 2: the size.
    MOCHA_DEVICE uint32_t number(int a, int which) const {
        return static_cast<uint32_t>(step.at(1 + 3 * a + which)) / (a == axes - 1 ? unit : 1);
    }
    // Units of the array (0) or of the box (2).
    MOCHA_DEVICE Index count(int which) const {
        uint32_t n = 1;
#pragma unroll 1
        for (int a = 0; a < axes; ++a) n *= number(a, which);
        return n;
    }
    // Where unit i of the box lies in the array.
    MOCHA_DEVICE uint32_t whole(uint32_t i) const {
        uint32_t at = 0, stride = 1;
#pragma unroll 1
        for (int a = axes - 1; a > 0; --a) {
            const uint32_t size = number(a, 2);
            at += (i % size + number(a, 1)) * stride;
            i /= size;
            stride *= number(a, 0);
        }
        return at + (i + number(0, 1)) * stride;
    }
    // Where unit i of the array lies in the box; false for one outside.
    MOCHA_DEVICE bool boxed(uint32_t i, uint32_t& at) const {
        uint32_t stride = 1;
        at = 0;
#pragma unroll 1
        for (int a = axes - 1; a >= 0; --a) {
            const uint32_t extent = number(a, 0), size = number(a, 2);
            const uint32_t index = (a ? i % extent : i) - number(a, 1);  // large if it is before the start
            if (index >= size) return false;
            at += index * stride;
            i /= extent;
            stride *= size;
        }
        return true;
    }
};

// Whether the rows of the box are made of whole packs, in the array too.
template <class T>
MOCHA_DEVICE bool rows_of_packs(const Step& step) {
    const int last = 3 * step.at(0);
    return (step.at(last - 2) | step.at(last - 1) | step.at(last)) % Pack<T>::size == 0;
}

template <class U, int unit>
MOCHA_DEVICE void cut_out(const Step& step) {
    const Box<unit> box(step);
    const U* x = step.in<U>(0);
    U* y = step.out<U>(0);
    each(box.count(2), [&](Index i) { y[i] = x[box.whole(i)]; });
}

template <class U, int unit>
MOCHA_DEVICE void put_back(const Step& step) {
    const Box<unit> box(step);
    const U* dy = step.in<U>(0);
    U* dx = step.out<U>(0);
    each(box.count(0), [&](Index i) {
        uint32_t at;
        dx[i] = box.boxed(i, at) ? dy[at] : U{};
    });
}

// ints as in `Box`, in = {x}, out = {y}
template <class T>
__device__ void window_forward(const Step& step) {
    if (rows_of_packs<T>(step))
        cut_out<Pack<T>, Pack<T>::size>(step);
    else
        cut_out<T, 1>(step);
}

// ints as in `Box`, in = {dy}, out = {dx}
template <class T>
__device__ void window_backward(const Step& step) {
    if (rows_of_packs<T>(step))
        put_back<Pack<T>, Pack<T>::size>(step);
    else
        put_back<T, 1>(step);
}

// Axes in another order: ints = {axes, then for each axis of y: its extent, and how far apart its neighbours are in x}.
struct Order {
    const Step& step;
    int axes;

    MOCHA_DEVICE explicit Order(const Step& s) : step(s), axes(s.at(0)) {}
    MOCHA_DEVICE uint32_t extent(int a) const { return step.at(1 + 2 * a); }
    MOCHA_DEVICE uint32_t apart(int a) const { return step.at(2 + 2 * a); }
};

// An element or, where the last axis has neighbours side by side in x, a pack of y for each thread.
template <class U, int unit>
MOCHA_DEVICE void take_in_order(const Step& step) {
    const Order order(step);
    const int last = order.axes - 1;
    const uint32_t columns = order.extent(last) / unit, apart = order.apart(last);
    const U* x = step.in<U>(0);
    U* y = step.out<U>(0);
    uint32_t n = columns;
#pragma unroll 1
    for (int a = 0; a < last; ++a) n *= order.extent(a);
    each(n, [&](Index i) {
        uint32_t rest = static_cast<uint32_t>(i) / columns, at = static_cast<uint32_t>(i) % columns * apart;
#pragma unroll 1
        for (int a = last - 1; a > 0; --a) {
            const uint32_t extent = order.extent(a);
            at += rest % extent * (order.apart(a) / unit);
            rest /= extent;
        }
        y[i] = x[at + (last ? rest * (order.apart(0) / unit) : 0)];
    });
}

// The axis that has neighbours side by side in x is another one than the last, which has them so in y: both make
// matrices, which are turned in squares of 32 by 32 in shared memory by a block of 256 threads.
template <class T>
MOCHA_DEVICE void turn_squares(const Step& step, uint32_t rows) {
    constexpr int side = 32;
    __shared__ T square[side][side + 1];
    const Order order(step);
    const int last = order.axes - 1, lane = threadIdx.x % side, first = threadIdx.x / side;
    const uint32_t columns = order.extent(last), apart = order.apart(last);
    const uint32_t down = (rows + side - 1) / side, across = (columns + side - 1) / side;
    uint32_t squares = down * across;
#pragma unroll 1
    for (int a = 0; a < last; ++a)
        if (order.apart(a) != 1) squares *= order.extent(a);
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    each_block(squares, [&](Index number) {
        const uint32_t c0 = number % across * side, r0 = number / across % down * side;
        uint32_t rest = number / (across * down), from = c0 * apart + r0, to = c0, stride = columns, pitch = 0;
#pragma unroll 1
        for (int a = last - 1; a >= 0; --a) {
            const uint32_t extent = order.extent(a);
            if (order.apart(a) == 1) {
                pitch = stride;
            } else {
                from += rest % extent * order.apart(a);
                to += rest % extent * stride;
                rest /= extent;
            }
            stride *= extent;
        }
        to += r0 * pitch;
        __syncthreads();  // the last square was read
        for (int k = first; k < side; k += 256 / side)
            if (c0 + k < columns && r0 + lane < rows) square[k][lane] = x[from + k * apart + lane];
        __syncthreads();
        for (int k = first; k < side; k += 256 / side)
            if (r0 + k < rows && c0 + lane < columns) y[to + k * pitch + lane] = square[lane][k];
    });
}

// ints as in `Order`, in = {x}, out = {y}. The last axis of y, or else some other one, has neighbours side by side in
// x.
template <class T>
__device__ void transpose_axes(const Step& step) {
    const Order order(step);
    const int last = order.axes - 1;
    uint32_t rows = 0;
#pragma unroll 1
    for (int a = 0; a < last; ++a)
        if (order.apart(a) == 1) rows = order.extent(a);
    constexpr int size = Pack<T>::size;
    if (order.apart(last) != 1 && rows >= 8 && order.extent(last) >= 8)
        turn_squares<T>(step, rows);
    else if (order.apart(last) == 1 && order.extent(last) % size == 0)
        take_in_order<Pack<T>, size>(step);
    else
        take_in_order<T, 1>(step);
}

MOCHA_KERNEL(tile_forward)
MOCHA_KERNEL(tile_backward)
MOCHA_KERNEL(window_forward)
MOCHA_KERNEL(window_backward)
MOCHA_KERNEL(transpose_axes)
