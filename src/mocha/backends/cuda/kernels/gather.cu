// Rows of an array taken by number or chosen by a mark beside each, and numbers put at places of planes.
//
// Types of numbers, marks and places: 0 that of the rows, 1 int32, 2 int64, 3 uint8.
#define MOCHA_MOST_THREADS 1024
#include "map.cuh"
#include "sums.cuh"

// Element i of an array of numbers.
template <class T>
MOCHA_DEVICE double number_at(const void* numbers, int type, Index i) {
    switch (type) {
        case 1: return static_cast<const int32_t*>(numbers)[i];
        case 2: return static_cast<double>(static_cast<const int64_t*>(numbers)[i]);
        case 3: return static_cast<const uint8_t*>(numbers)[i];
        default: return static_cast<const T*>(numbers)[i];
    }
}

constexpr Index no_row = -1;

// The row that element i of an index names, truncated. One that is not there is refused, and no_row.
template <class T>
MOCHA_DEVICE Index row_at(const Step& step, const void* index, int type, Index i, Index rows) {
    const double number = number_at<T>(index, type, i);
    if (number > -1 && number < rows) return static_cast<Index>(number);
    step.refuse();
    return no_row;
}

// Row r of y (rows, width) is row from(r) of x, or zeros where that is no_row. Rows are moved in packs of 16 bytes if
// they are made of whole ones.
template <class U, class From>
MOCHA_DEVICE void move_units(Index rows, Index width, const U* x, U* y, const From& from) {
    each(rows * width, [&](Index i) {
        const Index r = static_cast<Index>(static_cast<uint32_t>(i) / static_cast<uint32_t>(width));
        const Index source = from(r);
        y[i] = source == no_row ? U{} : x[source * width + (i - r * width)];
    });
}
template <class T, class From>
MOCHA_DEVICE void move_rows(Index rows, Index width, const T* x, T* y, const From& from) {
    constexpr int size = Pack<T>::size;
    if (width % size == 0)
        move_units(rows, width / size, reinterpret_cast<const Pack<T>*>(x), reinterpret_cast<Pack<T>*>(y), from);
    else
        move_units(rows, width, x, y, from);
}

// ints = {elements of the index, rows, elements of a row, type of the index}, in = {x, index}, out = {y}
template <class T>
__device__ void take_rows_forward(const Step& step) {
    const void* index = step.in<void>(1);
    const Index rows = step.at(1);
    const int type = step.at(3);
    move_rows(step.at(0), step.at(2), step.in<T>(0), step.out<T>(0),
              [&](Index r) { return row_at<T>(step, index, type, r, rows); });
}

// ints as in `take_rows_forward`, in = {index, dy}, out = {dx}. The first launch leaves the numbers of the rows in
// scratch memory.
template <class T>
__device__ void take_rows_backward_numbers(const Step& step) {
    const void* index = step.in<void>(0);
    const Index rows = step.at(1);
    const int type = step.at(3);
    Index* numbers = reinterpret_cast<Index*>(step.scratch);
    each(step.at(0), [&](Index i) { numbers[i] = row_at<T>(step, index, type, i, rows); });
}

// In the second one a block has some rows, and of these as many columns as it has threads at most. It looks at all of
// the index, 256 numbers at a time, and notes which are of its rows; each element of dx belongs to a thread, which adds
// up what it is named for in the index's order.
template <class T>
__device__ void take_rows_backward(const Step& step) {
    constexpr int threads = 256, warps = threads / warp_size, ahead = 4;
    __shared__ Index noted[threads], row_of[threads];  // elements of the index, and the rows that they name
    __shared__ uint32_t marks[warps];
    const Index named = step.at(0), rows = step.at(1), width = step.at(2);
    const Index* numbers = reinterpret_cast<const Index*>(step.scratch);
    const T* dy = step.in<T>(1);
    T* dx = step.out<T>(0);

    int across = 1;  // threads side by side in a row
    while (across < threads && across < width) across *= 2;
    const Index groups = ceil_div(width, across), block = static_cast<Index>(blockIdx.x);
    const Index extent = ceil_div(rows, static_cast<Index>(gridDim.x) / groups);
    const Index first = block / groups * extent, behind = least(first + extent, rows);
    const Index column = block % groups * across + static_cast<Index>(threadIdx.x) % across;
    const int mine = threadIdx.x / across, among = threads / across;  // whose rows' numbers have this rest
    const bool idle = column >= width;
    for (Index r = first; r < behind; ++r)
        if (!idle && (r & (among - 1)) == mine) dx[r * width + column] = T(0);

    Index row = no_row;  // what is added up now
    T total = 0;
    for (Index begin = 0; begin < named; begin += threads) {
        const int lane = threadIdx.x % warp_size, warp = threadIdx.x / warp_size;
        const Index i = begin + static_cast<Index>(threadIdx.x), number = i < named ? numbers[i] : no_row;
        const bool here = number >= first && number < behind;
        const uint32_t mark = warp_sum(here ? 1u << lane : 0u);
        __syncthreads();  // the last ones were read
        if (lane == 0) marks[warp] = mark;
        __syncthreads();
        int count = 0, place = 0;
        for (int w = 0; w < warps; ++w) {
            if (w == warp) place = count + __popc(mark & ((1u << lane) - 1u));
            count += __popc(marks[w]);
        }
        if (count == 0) continue;
        if (here) {
            noted[place] = i;
            row_of[place] = number;
        }
        __syncthreads();
        if (idle) continue;
        for (int k = 0; k < count; k += ahead) {
            T value[ahead];
            Index of[ahead];
#pragma unroll
            for (int a = 0; a < ahead; ++a) {
                of[a] = k + a < count ? row_of[k + a] : no_row;
                if ((of[a] & (among - 1)) != mine) of[a] = no_row;
                value[a] = of[a] == no_row ? T(0) : dy[noted[k + a] * width + column];
            }
#pragma unroll
            for (int a = 0; a < ahead; ++a) {
                if (of[a] == no_row) continue;
                if (of[a] != row) {
                    if (row != no_row) dx[row * width + column] = total;
                    row = of[a];
                    total = dx[row * width + column];
                }
                total += value[a];
            }
        }
    }
    if (row != no_row) dx[row * width + column] = total;
}

// What each row's selector makes of it, by a block of 1024 threads: calls body(row, its place among those selected, or
// no_row). Refused if there are not as many as expected.
template <class T, class Body>
MOCHA_DEVICE void by_selector(const Step& step, const void* selector, const Body& body) {
    constexpr int threads = 1024;
    __shared__ Index counts[threads];
    const Index rows = step.at(0), expected = step.at(1), extent = ceil_div(rows, threads);
    const int type = step.at(3), self = threadIdx.x;
    const Index begin = least(self * extent, rows), end = least(begin + extent, rows);
    Index mine = 0;
    for (Index r = begin; r < end; ++r) mine += number_at<T>(selector, type, r) != 0;
    counts[self] = mine;
    __syncthreads();
    for (int apart = 1; apart < threads; apart *= 2) {
        const Index before = self >= apart ? counts[self - apart] : 0;
        __syncthreads();
        counts[self] += before;
        __syncthreads();
    }
    if (self == threads - 1 && counts[self] != expected) step.refuse();
    Index place = counts[self] - mine;
    for (Index r = begin; r < end; ++r) {
        const bool selected = number_at<T>(selector, type, r) != 0;
        body(r, selected ? place : no_row);
        place += selected;
    }
}

// ints = {rows, rows selected, elements of a row, type of the selector}, in = {x, selector}, out = {y}. The first
// launch leaves the rows that are selected in scratch memory.
template <class T>
__device__ void select_rows_forward_places(const Step& step) {
    const Index expected = step.at(1);
    Index* selected = reinterpret_cast<Index*>(step.scratch);
    for (Index k = threadIdx.x; k < expected; k += static_cast<Index>(blockDim.x)) selected[k] = no_row;
    __syncthreads();
    by_selector<T>(step, step.in<void>(1), [&](Index row, Index place) {
        if (place != no_row && place < expected) selected[place] = row;
    });
}

template <class T>
__device__ void select_rows_forward(const Step& step) {
    const Index* selected = reinterpret_cast<const Index*>(step.scratch);
    move_rows(step.at(1), step.at(2), step.in<T>(0), step.out<T>(0), [&](Index r) { return selected[r]; });
}

// ints as in `select_rows_forward`, in = {selector, dy}, out = {dx}. The first launch leaves the place of each row
// among those selected in scratch memory.
template <class T>
__device__ void select_rows_backward_places(const Step& step) {
    const Index expected = step.at(1);
    Index* places = reinterpret_cast<Index*>(step.scratch);
    by_selector<T>(step, step.in<void>(0),
                   [&](Index row, Index place) { places[row] = place < expected ? place : no_row; });
}

template <class T>
__device__ void select_rows_backward(const Step& step) {
    const Index* places = reinterpret_cast<const Index*>(step.scratch);
    move_rows(step.at(0), step.at(2), step.in<T>(1), step.out<T>(0), [&](Index r) { return places[r]; });
}

constexpr Index no_cell = -1;

// Numbers put at places of planes: ints = {planes, numbers in a plane, cells of a plane, type of the places}.
template <class T>
struct Planes {
    Index planes, numbers, cells;
    int type;
    const void* places;

    MOCHA_DEVICE Planes(const Step& step, const void* at)
        : planes(step.at(0)), numbers(step.at(1)), cells(step.at(2)), type(step.at(3)), places(at) {}

    // The cell that the place of number i names, of its plane; no_cell for none, as for what is wrong.
    MOCHA_DEVICE Index cell(Index i) const {
        const double place = number_at<T>(places, type, i);
        return place > -1 && place < cells ? static_cast<Index>(place) : no_cell;
    }
    MOCHA_DEVICE void check(const Step& step, Index i) const {
        const double place = number_at<T>(places, type, i);
        if (!(place > -2 && place < cells)) step.refuse();
    }
};

// ints as in `Planes`, in = {x, places}, out = {y}. The first two launches chain the numbers of each cell: in scratch
// memory, each cell has one of them, and each of them another. In the third each cell adds up its own in their order,
// which is not that of the chain.
template <class T>
__device__ void unpool_forward_clear(const Step& step) {
    Index* one = reinterpret_cast<Index*>(step.scratch);
    each(step.at(0) * step.at(2), [&](Index c) { one[c] = no_cell; });
}

template <class T>
__device__ void unpool_forward_chain(const Step& step) {
    const Planes<T> p(step, step.in<void>(1));
    Index *one = reinterpret_cast<Index*>(step.scratch), *another = one + p.planes * p.cells;
    each(p.planes * p.numbers, [&](Index i) {
        p.check(step, i);
        const Index cell = p.cell(i);
        if (cell != no_cell) another[i] = atomicExch(&one[i / p.numbers * p.cells + cell], i);
    });
}

template <class T>
__device__ void unpool_forward(const Step& step) {
    constexpr int few = 32;  // numbers of a cell; where there are more, the plane's places are looked through
    const Planes<T> p(step, step.in<void>(1));
    const Index *one = reinterpret_cast<const Index*>(step.scratch), *another = one + p.planes * p.cells;
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    each(p.planes * p.cells, [&](Index c) {
        const Index head = one[c];
        T total = 0;
        if (head != no_cell) {
            int count = 0;
            for (Index i = head; i != no_cell && count <= few; i = another[i]) ++count;
            if (count <= few) {
                for (Index last = -1; count > 0; --count) {
                    Index next = p.planes * p.numbers;
                    for (Index i = head; i != no_cell; i = another[i])
                        if (i > last && i < next) next = i;
                    total += x[next];
                    last = next;
                }
            } else {
                const Index plane = c / p.cells, cell = c - plane * p.cells;
                for (Index i = plane * p.numbers; i < (plane + 1) * p.numbers; ++i)
                    if (p.cell(i) == cell) total += x[i];
            }
        }
        y[c] = total;
    });
}

// ints as in `Planes`, in = {places, dy}, out = {dx}
template <class T>
__device__ void unpool_backward(const Step& step) {
    const Planes<T> p(step, step.in<void>(0));
    const T* dy = step.in<T>(1);
    T* dx = step.out<T>(0);
    each(p.planes * p.numbers, [&](Index i) {
        p.check(step, i);
        const Index cell = p.cell(i);
        dx[i] = cell == no_cell ? T(0) : dy[i / p.numbers * p.cells + cell];
    });
}

MOCHA_PRECISE_KERNEL(take_rows_forward)
MOCHA_PRECISE_KERNEL(take_rows_backward_numbers)
MOCHA_PRECISE_KERNEL(take_rows_backward)
MOCHA_PRECISE_KERNEL(select_rows_forward_places)
MOCHA_PRECISE_KERNEL(select_rows_forward)
MOCHA_PRECISE_KERNEL(select_rows_backward_places)
MOCHA_PRECISE_KERNEL(select_rows_backward)
MOCHA_PRECISE_KERNEL(unpool_forward_clear)
MOCHA_PRECISE_KERNEL(unpool_forward_chain)
MOCHA_PRECISE_KERNEL(unpool_forward)
MOCHA_PRECISE_KERNEL(unpool_backward)
