// Elements moved, not changed.
#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 16384;  // elements worth a thread

MOCHA_INLINE void copy_bytes(void* to, const void* from, int64_t bytes) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
}

// ints = {elements}, in = {x}, out = {y}; nothing happens if they are the same memory
template <class T>
const char* copy(const Step& step) {
    if (step.in[0] == step.out[0]) return nullptr;
    parallel_ranges(step.threads, step.ints[0], worth, [&](int, int64_t begin, int64_t end) {
        copy_bytes(output<T>(step, 0) + begin, input<T>(step, 0) + begin,
                   (end - begin) * static_cast<int64_t>(sizeof(T)));
    });
    return nullptr;
}

// ints = {elements}, reals = {value}, out = {y}
template <class T>
const char* fill(const Step& step) {
    parallel_ranges(step.threads, step.ints[0], worth, [&](int, int64_t begin, int64_t end) {
        const Vec<T> value = splat(static_cast<T>(step.reals[0]));
        T* y = output<T>(step, 0);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) { some.store(y + i, value); });
    });
    return nullptr;
}

// The pieces of the rows of an array (outer, total), one piece after the other in a row.
// Calls body(piece, place in the row, width, outer index) for the rows [begin, end).
template <class Body>
MOCHA_INLINE void by_pieces(const Step& step, const Body& body) {
    const int64_t outer = step.ints[0], total = step.ints[1], pieces = step.ints[2];
    parallel_ranges(step.threads, outer, ceil_div(worth, most(total, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t o = begin; o < end; ++o)
            for (int64_t p = 0; p < pieces; ++p) body(p, step.ints[3 + 2 * p], step.ints[4 + 2 * p], o);
    });
}

// Rows put together from pieces: ints = {outer, total, pieces, then for each: place in the row, width}, in = {pieces},
// out = {y (outer, total)}
template <class T>
const char* concat(const Step& step) {
    by_pieces(step, [&](int64_t piece, int64_t place, int64_t width, int64_t o) {
        copy_bytes(output<T>(step, 0) + o * step.ints[1] + place, input<T>(step, piece) + o * width,
                   width * static_cast<int64_t>(sizeof(T)));
    });
    return nullptr;
}

// Pieces taken out of rows: ints as in `concat`, in = {x (outer, total)}, out = {pieces}
template <class T>
const char* slice(const Step& step) {
    by_pieces(step, [&](int64_t piece, int64_t place, int64_t width, int64_t o) {
        copy_bytes(output<T>(step, piece) + o * width, input<T>(step, 0) + o * step.ints[1] + place,
                   width * static_cast<int64_t>(sizeof(T)));
    });
    return nullptr;
}

// Squares of 16-byte vectors are turned in registers: 4x4 float, 2x2 double.
template <class T>
struct Quad {
    typedef T type __attribute__((vector_size(16), aligned(sizeof(T)), may_alias));
};

MOCHA_INLINE void turn_square(const float* x, int64_t x_pitch, float* y, int64_t y_pitch) {
    using V = Quad<float>::type;
    const V a = *reinterpret_cast<const V*>(x), b = *reinterpret_cast<const V*>(x + x_pitch);
    const V c = *reinterpret_cast<const V*>(x + 2 * x_pitch), d = *reinterpret_cast<const V*>(x + 3 * x_pitch);
#if defined(__clang__)
    const V ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const V cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *reinterpret_cast<V*>(y) = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *reinterpret_cast<V*>(y + y_pitch) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *reinterpret_cast<V*>(y + 2 * y_pitch) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *reinterpret_cast<V*>(y + 3 * y_pitch) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
#else
    typedef int32_t I __attribute__((vector_size(16)));
    const I low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, first = {0, 1, 4, 5}, second = {2, 3, 6, 7};
    const V ab_low = __builtin_shuffle(a, b, low), ab_high = __builtin_shuffle(a, b, high);
    const V cd_low = __builtin_shuffle(c, d, low), cd_high = __builtin_shuffle(c, d, high);
    *reinterpret_cast<V*>(y) = __builtin_shuffle(ab_low, cd_low, first);
    *reinterpret_cast<V*>(y + y_pitch) = __builtin_shuffle(ab_low, cd_low, second);
    *reinterpret_cast<V*>(y + 2 * y_pitch) = __builtin_shuffle(ab_high, cd_high, first);
    *reinterpret_cast<V*>(y + 3 * y_pitch) = __builtin_shuffle(ab_high, cd_high, second);
#endif
}

MOCHA_INLINE void turn_square(const double* x, int64_t x_pitch, double* y, int64_t y_pitch) {
    const double a = x[0], b = x[1], c = x[x_pitch], d = x[x_pitch + 1];
    y[0] = a;
    y[1] = c;
    y[y_pitch] = b;
    y[y_pitch + 1] = d;
}

// Columns [begin, end) of x (rows, columns) become rows of y (columns, rows). Few rows: whole columns at a time.
template <class T, int Rows>
MOCHA_INLINE void turn_flat(const T* x, int64_t columns, int64_t begin, int64_t end, T* y) {
    for (int64_t c = begin; c < end; ++c)
        for (int r = 0; r < Rows; ++r) y[c * Rows + r] = x[r * columns + c];
}

// The same of bytes, which are few: masks and winners.
MOCHA_INLINE void turn_columns(const uint8_t* x, int64_t rows, int64_t columns, int64_t begin, int64_t end,
                               uint8_t* y) {
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = begin; c < end; ++c) y[c * rows + r] = x[r * columns + c];
}

// Columns [begin, end) of x (rows, columns) become rows of y (columns, rows). Strips of a cache line of columns, so
// that the lines read are used up while the lines written fill.
template <class T>
MOCHA_INLINE void turn_columns(const T* x, int64_t rows, int64_t columns, int64_t begin, int64_t end, T* y) {
    constexpr int64_t side = 16 / static_cast<int64_t>(sizeof(T)), strip = 64 / static_cast<int64_t>(sizeof(T));
    if (rows == 2) return turn_flat<T, 2>(x, columns, begin, end, y);
    if (rows == 3) return turn_flat<T, 3>(x, columns, begin, end, y);
    for (int64_t c0 = begin; c0 < end; c0 += strip) {
        const int64_t c1 = least(c0 + strip, end), square_end = c0 + (c1 - c0) / side * side;
        int64_t r = 0;
        for (; r + side <= rows; r += side) {
            for (int64_t c = c0; c < square_end; c += side)
                turn_square(x + r * columns + c, columns, y + c * rows + r, rows);
            for (int64_t c = square_end; c < c1; ++c)
                for (int64_t k = 0; k < side; ++k) y[c * rows + r + k] = x[(r + k) * columns + c];
        }
        for (; r < rows; ++r)
            for (int64_t c = c0; c < c1; ++c) y[c * rows + r] = x[r * columns + c];
    }
}

// Each (rows, columns) of x turned to (columns, rows): ints = {batch, rows, columns}, in = {x}, out = {y}. NCHW becomes
// NHWC with rows = C and columns = H W, and goes back the other way round.
template <class T>
const char* turn(const Step& step) {
    constexpr int64_t strip = 64 / static_cast<int64_t>(sizeof(T));
    const int64_t batch = step.ints[0], rows = step.ints[1], columns = step.ints[2];
    const int64_t strips = ceil_div(columns, strip), grain = ceil_div(worth, most(rows * strip, 1));
    parallel_ranges(step.threads, batch * strips, grain, [&](int, int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end;) {
            const int64_t n = at / strips, first = at % strips, some = least(strips - first, end - at);
            const int64_t offset = n * rows * columns;
            turn_columns(input<T>(step, 0) + offset, rows, columns, first * strip,
                         least((first + some) * strip, columns), output<T>(step, 0) + offset);
            at += some;
        }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel shape_kernels[];
const Kernel shape_kernels[] = {
    MOCHA_BOTH(copy), MOCHA_BOTH(fill), MOCHA_BOTH(concat), MOCHA_BOTH(slice), MOCHA_BOTH(turn),
    {"turn", 1, turn<uint8_t>, nullptr},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
