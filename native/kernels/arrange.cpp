// Elements moved to other places: repeated, cut out of a box, or with the axes in another order.
#include "mocha/lanes.h"
#include "mocha/parallel.h"
#include "mocha/transpose.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 16384;  // elements worth a thread
constexpr int max_axes = 64;      // as many as an array of NumPy may have

template <class T>
MOCHA_INLINE void copy_elements(T* to, const T* from, int64_t n) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
}

// ints = {outer, block, tiles}, in = {x (outer, block)}, out = {y (outer, tiles, block)}
template <class T>
const char* tile_forward(const Step& step) {
    const int64_t outer = step.ints[0], block = step.ints[1], tiles = step.ints[2];
    parallel_ranges(step.threads, outer * tiles, ceil_div(worth, most(block, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            copy_elements(output<T>(step, 0) + i * block, input<T>(step, 0) + i / tiles * block, block);
    });
    return nullptr;
}

// ints = {outer, block, tiles}, in = {dy (outer, tiles, block)}, out = {dx (outer, block)}
template <class T>
const char* tile_backward(const Step& step) {
    const int64_t block = step.ints[1], tiles = step.ints[2];
    parallel_ranges(step.threads, step.ints[0] * block, ceil_div(worth, tiles), [&](int, int64_t begin, int64_t end) {
        const T* dy = input<T>(step, 0);
        T* dx = output<T>(step, 0);
        for (int64_t at = begin; at < end;) {
            const int64_t o = at / block, next = least((o + 1) * block, end);
            by_vectors<T>(at, next, [&](int64_t i, auto some) {
                const T* from = dy + o * (tiles - 1) * block + i;
                Vec<T> total = some.load(from);
                for (int64_t t = 1; t < tiles; ++t) total += some.load(from + t * block);
                some.store(dx + i, total);
            });
            at = next;
        }
    });
    return nullptr;
}

// A box in an array: ints = {axes, then for each: extent of the array, start and size of the box}. The last axis is a
// row.
struct Box {
    int64_t axes, extent, start, size;  // of a row
    const int64_t* ints;

    MOCHA_INLINE explicit Box(const int64_t* i)
        : axes(i[0]), extent(i[3 * i[0] - 2]), start(i[3 * i[0] - 1]), size(i[3 * i[0]]), ints(i + 1) {}
    MOCHA_INLINE int64_t rows(int which) const {  // 0: of the array, 2: of the box
        int64_t n = 1;
        for (int64_t a = 0; a < axes - 1; ++a) n *= ints[3 * a + which];
        return n;
    }
    // The array's row that is row r of the box.
    MOCHA_INLINE int64_t whole(int64_t r) const {
        int64_t at = 0, stride = 1;
        for (int64_t a = axes - 2; a >= 0; --a) {
            at += (r % ints[3 * a + 2] + ints[3 * a + 1]) * stride;
            r /= ints[3 * a + 2];
            stride *= ints[3 * a];
        }
        return at;
    }
    // The box's row that is row r of the array, or -1.
    MOCHA_INLINE int64_t boxed(int64_t r) const {
        int64_t at = 0, stride = 1;
        for (int64_t a = axes - 2; a >= 0; --a) {
            const int64_t index = r % ints[3 * a] - ints[3 * a + 1];
            if (index < 0 || index >= ints[3 * a + 2]) return -1;
            at += index * stride;
            r /= ints[3 * a];
            stride *= ints[3 * a + 2];
        }
        return at;
    }
};

// in = {x}, out = {y}
template <class T>
const char* window_forward(const Step& step) {
    const Box box(step.ints);
    if (box.size == 0) return nullptr;
    parallel_ranges(step.threads, box.rows(2), ceil_div(worth, box.size), [&](int, int64_t begin, int64_t end) {
        const T* x = input<T>(step, 0) + box.start;
        T* y = output<T>(step, 0);
        for (int64_t r = begin; r < end; ++r) copy_elements(y + r * box.size, x + box.whole(r) * box.extent, box.size);
    });
    return nullptr;
}

// in = {dy}, out = {dx}
template <class T>
const char* window_backward(const Step& step) {
    const Box box(step.ints);
    if (box.extent == 0) return nullptr;
    parallel_ranges(step.threads, box.rows(0), ceil_div(worth, box.extent), [&](int, int64_t begin, int64_t end) {
        const T* dy = input<T>(step, 0);
        for (int64_t r = begin; r < end; ++r) {
            T* dx = output<T>(step, 0) + r * box.extent;
            const int64_t from = box.boxed(r), size = from < 0 ? 0 : box.size, behind = box.start + size;
            std::memset(dx, 0, static_cast<size_t>(box.start) * sizeof(T));
            copy_elements(dx + box.start, dy + most(from, 0) * box.size, size);
            std::memset(dx + behind, 0, static_cast<size_t>(box.extent - behind) * sizeof(T));
        }
    });
    return nullptr;
}

// Axes of the result, each with its extent and how far apart its neighbours are in x and in y.
struct Axes {
    int n = 0;
    int64_t extent[max_axes], from[max_axes], to[max_axes];

    MOCHA_INLINE void add(int64_t e, int64_t f, int64_t t) {
        extent[n] = e;
        from[n] = f;
        to[n++] = t;
    }
    MOCHA_INLINE int64_t count() const {
        int64_t all = 1;
        for (int a = 0; a < n; ++a) all *= extent[a];
        return all;
    }
    MOCHA_INLINE void place(int64_t i, int64_t& x, int64_t& y) const {
        x = y = 0;
        for (int a = n - 1; a >= 0; --a) {
            x += i % extent[a] * from[a];
            y += i % extent[a] * to[a];
            i /= extent[a];
        }
    }
};

// Axes in another order: ints = {axes, then for each axis of y: its extent, and how far apart its neighbours are in x},
// in = {x}, out = {y}. The last axis of y, or else some other one, has neighbours side by side in x.
//
// If it is the last one, rows are copied. Else that axis and the last one make matrices which are transposed, a square
// of vectors at a time.
template <class T>
const char* transpose_axes(const Step& step) {
    const int64_t axes = step.ints[0], *given = step.ints + 1;
    const int64_t columns = given[2 * axes - 2], apart = given[2 * axes - 1];  // of the last axis
    Axes outer;
    int64_t size = columns, rows = 1, pitch = 0;
    for (int64_t a = axes - 2; a >= 0; --a) size *= given[2 * a];
    int64_t stride = size;
    for (int64_t a = 0; a < axes - 1; ++a) {
        const int64_t extent = given[2 * a], from = given[2 * a + 1];
        stride /= most(extent, 1);
        if (apart != 1 && from == 1) {
            rows = extent;
            pitch = stride;
        } else {
            outer.add(extent, from, stride);
        }
    }
    if (size == 0) return nullptr;
    const T* x = input<T>(step, 0);
    T* y = output<T>(step, 0);
    if (apart == 1) {
        parallel_ranges(step.threads, outer.count(), ceil_div(worth, columns), [&](int, int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                int64_t from, to;
                outer.place(i, from, to);
                copy_elements(y + to, x + from, columns);
            }
        });
        return nullptr;
    }
    const int64_t strips = ceil_div(rows, lanes<T>), grain = ceil_div(worth, columns * lanes<T>);
    parallel_ranges(step.threads, outer.count() * strips, grain, [&](int, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t first = i % strips * lanes<T>, some = least(lanes<T>, rows - first);
            int64_t from, to;
            outer.place(i / strips, from, to);
            for (int64_t c = 0; c < columns; c += lanes<T>) {
                Vec<T> square[lanes<T>];
                load_square(x + from + c * apart + first, apart, columns - c, rows - first, square);
                transpose<T>(square);
                const int64_t n = least(lanes<T>, columns - c);
                T* corner = y + to + first * pitch + c;
                if (n == lanes<T>)
                    for (int64_t k = 0; k < some; ++k) store(corner + k * pitch, square[k]);
                else
                    for (int64_t k = 0; k < some; ++k) store_first(corner + k * pitch, square[k], n);
            }
        }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel arrange_kernels[];
const Kernel arrange_kernels[] = {
    MOCHA_BOTH(tile_forward),   MOCHA_BOTH(tile_backward),   MOCHA_BOTH(window_forward),
    MOCHA_BOTH(window_backward), MOCHA_BOTH(transpose_axes), {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
