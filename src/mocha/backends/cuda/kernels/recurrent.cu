// Recurrent networks over whole sequences, and one step of long short-term memory.
//
// T steps, B sequences, D units; the weight is (G D, D), with G = 4 gates in the order i, f, o, g, or G = 1 for a
// simple network. All arrays are row-major.
//
// A sequence takes a launch for each of its steps, told apart by `step.index`: each block has some sequences and some
// units, does their part of the product with the weight, and goes on with what follows from it. Either way the sums go
// along rows of both arrays, because the weight is turned before the way back.
#include "functions.cuh"
#include "map.cuh"

constexpr int block_threads = 256;

// The results of a block, (rows, columns): sums along `depth` of products of rows. They are shared out in two ways: the
// depth among `slices` of the threads, and in each slice every thread has TM rows, `groups` apart, and TN columns,
// `lanes` apart. Rows of both arrays come to shared memory in pieces of 128 bytes for each slice.
template <class T, int TM, int TN, int row_groups, int column_lanes>
struct Tile {
    static constexpr int groups = row_groups, lanes = column_lanes;
    static constexpr int slices = block_threads / (groups * lanes);
    static constexpr int rows = TM * groups, columns = TN * lanes, lines = rows + columns;
    static constexpr int size = Pack<T>::size, packs = 8, pitch = packs + 1;  // a pack between rows, against conflicts
    static constexpr int depth = slices * packs * size;  // elements of a row that come at once
    static constexpr int memory = slices * lines * pitch, results = slices * rows * columns / size;  // packs

    // What the threads found, a layer of (rows, columns) for each slice.
    const T* found;

    MOCHA_DEVICE T sum(int row, int column) const {
        T total = found[row * columns + column];
#pragma unroll
        for (int s = 1; s < slices; ++s) total += found[(s * rows + row) * columns + column];
        return total;
    }

    // `line(n)` is row n of the first array for n < rows, then those of the second; null for one outside. What is read
    // of row n of the first is multiplied by times(n). Both are contiguous, all rows of `extent` elements.
    template <class Line, class Times>
    MOCHA_DEVICE void compute(Index extent, const Line& line, const Times& times) {
        __shared__ Pack<T> shared[memory > results ? memory : results];
        const int slice = threadIdx.x / (groups * lanes), lane = threadIdx.x % lanes;
        const int group = threadIdx.x / lanes % groups;
        const bool whole_packs = extent % size == 0;
        T sums[TM][TN];
#pragma unroll
        for (int i = 0; i < TM; ++i)
#pragma unroll
            for (int j = 0; j < TN; ++j) sums[i][j] = T(0);
        for (Index begin = 0; begin < extent; begin += depth) {
            __syncthreads();  // the last pieces were read
            constexpr int together = slices * packs, moved = lines * together / block_threads;
            static_assert(lines * together % block_threads == 0, "each thread moves as many packs");
#pragma unroll
            for (int m = 0; m < moved; ++m) {
                const int number = m * block_threads + threadIdx.x, n = number / together, p = number % together;
                const Index at = begin + p * size;
                Pack<T> pack = {};
                const T* from = line(n);
                if (from && at < extent) {
                    if (whole_packs) {
                        pack = *reinterpret_cast<const Pack<T>*>(from + at);
                    } else {
#pragma unroll
                        for (int e = 0; e < size; ++e)
                            if (at + e < extent) pack.at[e] = from[at + e];
                    }
                    if (n < rows) {
                        const T factor = times(n);
#pragma unroll
                        for (int e = 0; e < size; ++e) pack.at[e] *= factor;
                    }
                }
                shared[(p / packs * lines + n) * pitch + p % packs] = pack;
            }
            __syncthreads();
            const Pack<T>*a = shared + (slice * lines + group) * pitch, *b = a + (rows + lane - group) * pitch;
#pragma unroll 2
            for (int p = 0; p < packs; ++p) {
                Pack<T> one[TM];
#pragma unroll
                for (int i = 0; i < TM; ++i) one[i] = a[i * groups * pitch + p];
#pragma unroll
                for (int j = 0; j < TN; ++j) {
                    const Pack<T> two = b[j * lanes * pitch + p];
#pragma unroll
                    for (int i = 0; i < TM; ++i)
#pragma unroll
                        for (int e = 0; e < size; ++e) sums[i][j] += one[i].at[e] * two.at[e];
                }
            }
        }
        __syncthreads();  // the last pieces were read, and so were the last sums
        T* to = reinterpret_cast<T*>(shared);
#pragma unroll
        for (int i = 0; i < TM; ++i)
#pragma unroll
            for (int j = 0; j < TN; ++j)
                to[(slice * rows + i * groups + group) * columns + j * lanes + lane] = sums[i][j];
        __syncthreads();
        found = to;
    }
};

// Those of the way forward have four columns a thread, which are the gates of a unit, or four units of a simple
// network; launches/recurrent.py knows how many rows and units they have. Small ones make more blocks of the results.
template <class T>
using SmallForward = Tile<T, 2, 4, 8, 8>;  // 16 rows, 32 columns
template <class T>
using SmallBack = Tile<T, 2, 2, 4, 8>;  // 8 rows, 16 columns
template <class T>
using Wide = Tile<T, 4, 4, 16, 16>;  // 64 rows, 64 columns

// --- one step of one unit ---

template <class T>
struct Unit {
    T i, f, o, g, c, h;

    // z is what goes into the gates.
    MOCHA_DEVICE Unit(T c_prev, T zi, T zf, T zo, T zg, T cont)
        : i(sigmoid(zi)), f(sigmoid(zf)), o(sigmoid(zo)), g(tanh(zg)), c(cont * f * c_prev + i * g), h(o * tanh(c)) {}

    // The gates lie D apart.
    MOCHA_DEVICE void store(T* to_c, T* to_h, T* gates, Index D) const {
        *to_c = c;
        *to_h = h;
        gates[0] = i;
        gates[D] = f;
        gates[2 * D] = o;
        gates[3 * D] = g;
    }
};

template <class T>
struct UnitBack {
    T dc_prev, zi, zf, zo, zg;

    MOCHA_DEVICE UnitBack(T c_prev, T cont, T c, const T* gates, Index D, T dc, T dh) {
        const T i = gates[0], f = gates[D], o = gates[2 * D], g = gates[3 * D], t = tanh(c);
        const T e = dc + dh * o * (T(1) - t * t);
        dc_prev = e * (cont * f);
        zi = e * g * i * (T(1) - i);
        zf = e * (cont * c_prev) * f * (T(1) - f);
        zo = dh * t * o * (T(1) - o);
        zg = e * i * (T(1) - g * g);
    }
    MOCHA_DEVICE void store(T* dz, Index D) const {
        dz[0] = zi;
        dz[D] = zf;
        dz[2 * D] = zo;
        dz[3 * D] = zg;
    }
};

// ints = {rows, units}, in = {c_prev, z, cont}, out = {c, h, gates}. The gates may be z.
template <class T>
__device__ void lstm_unit_forward(const Step& step) {
    const Index rows = step.at(0), D = step.at(1);
    const T *c_prev = step.in<T>(0), *z = step.in<T>(1), *cont = step.in<T>(2);
    T *c = step.out<T>(0), *h = step.out<T>(1), *gates = step.out<T>(2);
    each(rows * D, [&](Index i) {
        const Index r = i / D, first = i + 3 * r * D;  // of the unit's gates
        const T* from = z + first;
        const Unit<T> unit(c_prev[i], from[0], from[D], from[2 * D], from[3 * D], cont[r]);
        unit.store(c + i, h + i, gates + first, D);
    });
}

// ints = {rows, units, dc_prev wanted, dz wanted}, in = {c_prev, cont, c, gates, dc, dh}, out = {dc_prev, dz}, those
// wanted; they are no input's memory
template <class T>
__device__ void lstm_unit_backward(const Step& step) {
    const Index rows = step.at(0), D = step.at(1);
    const T *c_prev = step.in<T>(0), *cont = step.in<T>(1), *c = step.in<T>(2), *gates = step.in<T>(3);
    const T *dc = step.in<T>(4), *dh = step.in<T>(5);
    T* dc_prev = step.at(2) ? step.out<T>(0) : nullptr;
    T* dz = step.at(3) ? step.out<T>(dc_prev ? 1 : 0) : nullptr;
    each(rows * D, [&](Index i) {
        const Index r = i / D, first = i + 3 * r * D;
        const UnitBack<T> back(c_prev[i], cont[r], c[i], gates + first, D, dc[i], dh[i]);
        if (dc_prev) dc_prev[i] = back.dc_prev;
        if (dz) back.store(dz + first, D);
    });
}

// --- whole sequences, forward ---

// Step `step.index` of a sequence, for the sequences and units of a block.
template <class T, int G, class Part>
MOCHA_DEVICE void forward_step(const Step& step) {
    constexpr int units = Part::columns / G;
    static_assert(G == 1 || units == Part::lanes, "a thread has all gates of a unit");
    const Index t = static_cast<Index>(step.index), B = step.at(1), D = step.at(2), all = B * D;
    const Index across = ceil_div(D, units), b0 = static_cast<Index>(blockIdx.x) / across * Part::rows;
    const Index d0 = static_cast<Index>(blockIdx.x) % across * units;
    const T *w = step.in<T>(1), *cont = step.in<T>(2) + t * B;
    T* h = step.out<T>(0);
    const T* before = t ? h + (t - 1) * all : step.in<T>(3);
    Part part;
    part.compute(
        D,
        [&](int n) -> const T* {
            if (n < Part::rows) return b0 + n < B ? before + (b0 + n) * D : nullptr;
            const int column = n - Part::rows;
            const Index gate = column / units, d = d0 + column % units;
            return d < D ? w + (gate * D + d) * D : nullptr;
        },
        [&](int n) { return cont[b0 + n]; });
    const T* x = step.in<T>(0) + t * G * all;
    for (int p = threadIdx.x; p < Part::rows * units; p += block_threads) {
        const int row = p / units, unit = p % units;
        const Index b = b0 + row, d = d0 + unit, at = b * D + d;
        if (b >= B || d >= D) continue;
        if constexpr (G == 4) {
            const T* c_prev = t ? step.out<T>(3) + (t - 1) * all : step.in<T>(4);
            const Index first = b * 4 * D + d;
            const auto into = [&](int gate) { return x[first + gate * D] + part.sum(row, gate * units + unit); };
            const Unit<T> made(c_prev[at], into(0), into(1), into(2), into(3), cont[b]);
            made.store(step.out<T>(3) + t * all + at, h + t * all + at, step.out<T>(4) + t * 4 * all + first, D);
        } else {
            h[t * all + at] = tanh(x[at] + part.sum(row, unit));
        }
    }
}

// ints = {steps, sequences, units}, in = {x, w, cont, h0, c0}, out = {h, last h, last c, c, gates}. The gates may be x.
template <class T>
__device__ void lstm_forward_step(const Step& step) {
    forward_step<T, 4, SmallForward<T>>(step);
}
template <class T>
__device__ void lstm_forward_wide(const Step& step) {
    forward_step<T, 4, Wide<T>>(step);
}

// The last launch: the last states.
template <class T>
__device__ void lstm_forward(const Step& step) {
    const Index steps = step.at(0), all = step.at(1) * step.at(2);
    const T* h = steps ? step.out<T>(0) + (steps - 1) * all : step.in<T>(3);
    const T* c = steps ? step.out<T>(3) + (steps - 1) * all : step.in<T>(4);
    T *last_h = step.out<T>(1), *last_c = step.out<T>(2);
    each(all, [&](Index i) {
        last_h[i] = h[i];
        last_c[i] = c[i];
    });
}

// ints = {steps, sequences, units}, in = {x, w, cont, h0}, out = {h, last h}. h may be x.
template <class T>
__device__ void rnn_forward_step(const Step& step) {
    forward_step<T, 1, SmallForward<T>>(step);
}
template <class T>
__device__ void rnn_forward_wide(const Step& step) {
    forward_step<T, 1, Wide<T>>(step);
}

template <class T>
__device__ void rnn_forward(const Step& step) {
    const Index steps = step.at(0), all = step.at(1) * step.at(2);
    const T* h = steps ? step.out<T>(0) + (steps - 1) * all : step.in<T>(3);
    T* last_h = step.out<T>(1);
    each(all, [&](Index i) { last_h[i] = h[i]; });
}

// --- whole sequences, backward ---

constexpr int side = 64;  // of what a block has of the weight's gradient

// The arrays of the way back, and how the scratch memory is shared out; launches/recurrent.py computes the same sizes,
// for elements of 8 bytes.
template <class T, int G>
struct Back {
    Index steps, B, D, all;
    bool weight_wanted;
    const T *w, *cont, *h0, *c0, *h, *c, *gates, *dh, *last_dh, *last_dc;
    T *dz, *dw, *dh0, *dc0;      // the gradient of x is dz; the others are null if they are not wanted
    T *turned, *carried, *parts;  // scratch memory: the weight turned, dc from step to step, parts of dw

    MOCHA_DEVICE explicit Back(const Step& step) : steps(step.at(0)), B(step.at(1)), D(step.at(2)), all(B * D) {
        int k = 0;
        const auto next = [&](bool there) { return there ? step.in<T>(k++) : nullptr; };
        const bool lstm = G == 4;
        w = next(true);
        cont = next(true);
        h0 = next(true);
        c0 = next(lstm);
        h = next(true);
        c = next(lstm);
        gates = next(lstm);
        dh = next(true);
        last_dh = next(true);
        last_dc = next(lstm);
        k = 0;
        const auto wanted = [&](int number) { return step.at(3 + number) ? step.out<T>(k++) : nullptr; };
        dz = wanted(0);
        dw = wanted(1);
        dh0 = wanted(2);
        dc0 = lstm ? wanted(3) : nullptr;
        turned = reinterpret_cast<T*>(step.scratch);
        carried = turned + room(G * D * D);
        parts = carried + (lstm ? room(all) : 0);
        if (!dz) {
            dz = parts;
            parts = dz + room(steps * G * all);
        }
    }
    static MOCHA_DEVICE Index room(Index elements) { return (elements + 31) / 32 * 32; }

    // In how many parts the weight's gradient is summed.
    MOCHA_DEVICE Index part_count() const {
        const Index blocks = ceil_div(G * D, side) * ceil_div(D, side);
        return most(least(ceil_div(264, blocks), ceil_div(steps * B, 256)), 1);
    }
};

// The first launch: the weight turned, by squares of 32 by 32.
template <class T, int G>
MOCHA_DEVICE void turn_weight(const Step& step) {
    constexpr int width = 32;
    __shared__ T square[width][width + 1];
    const Back<T, G> a(step);
    const Index D = a.D, rows = G * D, across = ceil_div(D, width);
    const Index r0 = static_cast<Index>(blockIdx.x) / across * width;
    const Index c0 = static_cast<Index>(blockIdx.x) % across * width;
    const int lane = threadIdx.x % width, first = threadIdx.x / width;
    for (int k = first; k < width; k += block_threads / width)
        if (r0 + k < rows && c0 + lane < D) square[k][lane] = a.w[(r0 + k) * D + c0 + lane];
    __syncthreads();
    for (int k = first; k < width; k += block_threads / width)
        if (c0 + k < D && r0 + lane < rows) a.turned[(c0 + k) * rows + r0 + lane] = square[lane][k];
}

// Step `step.index` of a sequence, for the sequences and units of a block; step -1 is what the states before the first
// one get.
template <class T, int G, class Part>
MOCHA_DEVICE void backward_step(const Step& step) {
    const Back<T, G> a(step);
    const Index t = static_cast<Index>(step.index), B = a.B, D = a.D, all = a.all;
    const Index across = ceil_div(D, Part::columns), b0 = static_cast<Index>(blockIdx.x) / across * Part::rows;
    const Index d0 = static_cast<Index>(blockIdx.x) % across * Part::columns;
    const bool last = t + 1 == a.steps;
    const T *above = last ? nullptr : a.dz + (t + 1) * G * all, *passing = a.cont + (t + 1) * B;  // of the step behind
    Part part;
    if (!last)
        part.compute(
            G * D,
            [&](int n) -> const T* {
                if (n < Part::rows) return b0 + n < B ? above + (b0 + n) * G * D : nullptr;
                const Index d = d0 + (n - Part::rows);
                return d < D ? a.turned + d * G * D : nullptr;
            },
            [](int) { return T(1); });
    const T* dc_from = last ? a.last_dc : a.carried;
    for (int p = threadIdx.x; p < Part::rows * Part::columns; p += block_threads) {
        const int row = p / Part::columns, column = p % Part::columns;
        const Index b = b0 + row, d = d0 + column, at = b * D + d;
        if (b >= B || d >= D) continue;
        const T down = last ? a.last_dh[at] : passing[b] * part.sum(row, column);
        if (t < 0) {
            if (a.dh0) a.dh0[at] = down;
            if (a.dc0) a.dc0[at] = dc_from[at];
            continue;
        }
        const T dh = a.dh[t * all + at] + down;
        if constexpr (G == 4) {
            const Index first = b * 4 * D + d;
            const T* c_prev = t ? a.c + (t - 1) * all : a.c0;
            const UnitBack<T> back(c_prev[at], a.cont[t * B + b], a.c[t * all + at], a.gates + t * 4 * all + first, D,
                                   dc_from[at], dh);
            a.carried[at] = back.dc_prev;
            back.store(a.dz + t * 4 * all + first, D);
        } else {
            const T y = a.h[t * all + at];
            a.dz[t * all + at] = dh * (T(1) - y * y);
        }
    }
}

// The launch before the last: a part of the weight's gradient, dz^T times the states before each step, (T B, G D) and
// (T B, D). A block sums 64 by 64 elements over some of the steps, a thread 4 by 4 of them.
template <class T, int G>
MOCHA_DEVICE void weight_part(const Step& step) {
    constexpr int depth = 16, each_has = 4, size = Pack<T>::size, packs = each_has / size;
    __shared__ Pack<T> left[depth][side / size], right[depth][side / size];
    const Back<T, G> a(step);
    const Index D = a.D, B = a.B, rows = G * D, across = ceil_div(D, side), blocks = ceil_div(rows, side) * across;
    const Index part = static_cast<Index>(blockIdx.x) / blocks, block = static_cast<Index>(blockIdx.x) % blocks;
    const Index r0 = block / across * side, c0 = block % across * side, all_depth = a.steps * B;
    const Index extent = ceil_div(all_depth, a.part_count()), end = least((part + 1) * extent, all_depth);
    const int x = threadIdx.x % 16, y = threadIdx.x / 16;
    T sums[each_has][each_has];
#pragma unroll
    for (int i = 0; i < each_has; ++i)
#pragma unroll
        for (int j = 0; j < each_has; ++j) sums[i][j] = T(0);
    const int lane = threadIdx.x % side;
    const bool in_row = r0 + lane < rows, in_column = c0 + lane < D;
    for (Index begin = part * extent; begin < end; begin += depth) {
        __syncthreads();
#pragma unroll
        for (int k = threadIdx.x / side; k < depth; k += block_threads / side) {
            const Index n = begin + k;
            const bool there = n < end;
            reinterpret_cast<T*>(left[k])[lane] = there && in_row ? a.dz[n * rows + r0 + lane] : T(0);
            T state = T(0);
            if (there && in_column) {
                const T* from = n >= B ? a.h + (n - B) * D : a.h0 + n * D;
                state = from[c0 + lane] * a.cont[n];
            }
            reinterpret_cast<T*>(right[k])[lane] = state;
        }
        __syncthreads();
#pragma unroll 4
        for (int k = 0; k < depth; ++k) {
            Pack<T> one[packs], two[packs];
#pragma unroll
            for (int p = 0; p < packs; ++p) {
                one[p] = left[k][y * packs + p];
                two[p] = right[k][x * packs + p];
            }
#pragma unroll
            for (int i = 0; i < each_has; ++i)
#pragma unroll
                for (int j = 0; j < each_has; ++j)
                    sums[i][j] += one[i / size].at[i % size] * two[j / size].at[j % size];
        }
    }
    T* to = a.parts + static_cast<int64_t>(part) * rows * D;
#pragma unroll
    for (int i = 0; i < each_has; ++i)
#pragma unroll
        for (int j = 0; j < each_has; ++j) {
            const Index r = r0 + y * each_has + i, c = c0 + x * each_has + j;
            if (r < rows && c < D) to[r * D + c] = sums[i][j];
        }
}

// The last launch: the parts joined.
template <class T, int G>
MOCHA_DEVICE void join_weight(const Step& step) {
    const Back<T, G> a(step);
    const Index n = G * a.D * a.D, parts = a.part_count();
    each(n, [&](Index i) {
        double total = 0;
        for (Index p = 0; p < parts; ++p) total += static_cast<double>(a.parts[static_cast<int64_t>(p) * n + i]);
        a.dw[i] = static_cast<T>(total);
    });
}

// ints = {steps, sequences, units, dx wanted, dw wanted, dh0 wanted, dc0 wanted}, in = {w, cont, h0, c0, h, c, gates,
// dh, d last h, d last c}, out = {dx, dw, dh0, dc0}, those wanted; they are no input's memory
template <class T>
__device__ void lstm_backward_turn(const Step& step) {
    turn_weight<T, 4>(step);
}
template <class T>
__device__ void lstm_backward_step(const Step& step) {
    backward_step<T, 4, SmallBack<T>>(step);
}
template <class T>
__device__ void lstm_backward_wide(const Step& step) {
    backward_step<T, 4, Wide<T>>(step);
}
template <class T>
__device__ void lstm_backward_weight(const Step& step) {
    weight_part<T, 4>(step);
}
template <class T>
__device__ void lstm_backward(const Step& step) {
    join_weight<T, 4>(step);
}

// ints = {steps, sequences, units, dx wanted, dw wanted, dh0 wanted}, in = {w, cont, h0, h, dh, d last h},
// out = {dx, dw, dh0}, those wanted; they are no input's memory
template <class T>
__device__ void rnn_backward_turn(const Step& step) {
    turn_weight<T, 1>(step);
}
template <class T>
__device__ void rnn_backward_step(const Step& step) {
    backward_step<T, 1, SmallBack<T>>(step);
}
template <class T>
__device__ void rnn_backward_wide(const Step& step) {
    backward_step<T, 1, Wide<T>>(step);
}
template <class T>
__device__ void rnn_backward_weight(const Step& step) {
    weight_part<T, 1>(step);
}
template <class T>
__device__ void rnn_backward(const Step& step) {
    join_weight<T, 1>(step);
}

MOCHA_PRECISE_KERNEL(lstm_unit_forward)
MOCHA_PRECISE_KERNEL(lstm_unit_backward)
MOCHA_PRECISE_KERNEL(lstm_forward_step)
MOCHA_PRECISE_KERNEL(lstm_forward_wide)
MOCHA_PRECISE_KERNEL(lstm_forward)
MOCHA_PRECISE_KERNEL(lstm_backward_turn)
MOCHA_PRECISE_KERNEL(lstm_backward_step)
MOCHA_PRECISE_KERNEL(lstm_backward_wide)
MOCHA_PRECISE_KERNEL(lstm_backward_weight)
MOCHA_PRECISE_KERNEL(lstm_backward)
MOCHA_PRECISE_KERNEL(rnn_forward_step)
MOCHA_PRECISE_KERNEL(rnn_forward_wide)
MOCHA_PRECISE_KERNEL(rnn_forward)
MOCHA_PRECISE_KERNEL(rnn_backward_turn)
MOCHA_PRECISE_KERNEL(rnn_backward_step)
MOCHA_PRECISE_KERNEL(rnn_backward_wide)
MOCHA_PRECISE_KERNEL(rnn_backward_weight)
MOCHA_PRECISE_KERNEL(rnn_backward)
