// Rows of an array taken by number, or chosen by a mark beside each.
//
// Types of numbers and marks: 0 that of the rows, 1 int32, 2 int64, 3 uint8.
#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 16384;  // elements worth a thread

// Element i of an array of numbers, whose type is told by its number; 0 is T.
template <class T>
MOCHA_INLINE double number_at(const void* numbers, int64_t type, int64_t i) {
    switch (type) {
        case 1: return static_cast<double>(static_cast<const int32_t*>(numbers)[i]);
        case 2: return static_cast<double>(static_cast<const int64_t*>(numbers)[i]);
        case 3: return static_cast<double>(static_cast<const uint8_t*>(numbers)[i]);
        default: return static_cast<double>(static_cast<const T*>(numbers)[i]);
    }
}

template <class T>
MOCHA_INLINE void copy_row(T* to, const T* from, int64_t n) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
}

template <class T>
MOCHA_INLINE void clear_rows(T* rows, int64_t n, int64_t width) {
    std::memset(rows, 0, static_cast<size_t>(n * width) * sizeof(T));
}

int64_t numbers_scratch(const int64_t* ints, int) { return aligned(ints[0] * static_cast<int64_t>(sizeof(int64_t))); }

// The numbers of an index of `named` elements, truncated, into scratch memory; null if one is not that of a row.
template <class T>
MOCHA_INLINE const int64_t* row_numbers(const Step& step, const void* index) {
    const int64_t named = step.ints[0], rows = step.ints[1], type = step.ints[3];
    auto* numbers = reinterpret_cast<int64_t*>(step.scratch);
    for (int64_t i = 0; i < named; ++i) {
        const double number = number_at<T>(index, type, i);
        // what no int64 can hold is not converted
        if (!(number > -1 && number < static_cast<double>(rows))) return nullptr;
        numbers[i] = static_cast<int64_t>(number);
    }
    return numbers;
}

constexpr const char* no_such_row = "an index is not the number of a row";

// ints = {elements of the index, rows, elements of a row, type of the index}, in = {x, index}, out = {y}
template <class T>
const char* take_rows_forward(const Step& step) {
    const int64_t named = step.ints[0], width = step.ints[2];
    const int64_t* numbers = row_numbers<T>(step, step.in[1]);
    if (!numbers) return no_such_row;
    parallel_ranges(step.threads, named, ceil_div(worth, most(width, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            copy_row(output<T>(step, 0) + i * width, input<T>(step, 0) + numbers[i] * width, width);
    });
    return nullptr;
}

// ints as in `take_rows_forward`, in = {index, dy}, out = {dx}. A thread has some of the rows and looks at all of the
// index, so that a row's gradients are added up in the index's order, whatever the number of threads.
template <class T>
const char* take_rows_backward(const Step& step) {
    const int64_t named = step.ints[0], rows = step.ints[1], width = step.ints[2];
    const int64_t* numbers = row_numbers<T>(step, step.in[0]);
    if (!numbers) return no_such_row;
    parallel_ranges(step.threads, rows, ceil_div(worth, most(width, 1)), [&](int, int64_t begin, int64_t end) {
        const T* dy = input<T>(step, 1);
        T* dx = output<T>(step, 0);
        clear_rows(dx + begin * width, end - begin, width);
        for (int64_t i = 0; i < named; ++i) {
            if (numbers[i] < begin || numbers[i] >= end) continue;
            const T* from = dy + i * width;
            T* to = dx + numbers[i] * width;
            by_vectors<T>(0, width, [&](int64_t e, auto some) {
                some.store(to + e, some.load(to + e) + some.load(from + e));
            });
        }
    });
    return nullptr;
}

// The places of the rows whose selector is not 0, into scratch memory; null if they are not `count`.
template <class T>
MOCHA_INLINE const int64_t* selected_rows(const Step& step, const void* selector) {
    const int64_t rows = step.ints[0], count = step.ints[1], type = step.ints[3];
    auto* places = reinterpret_cast<int64_t*>(step.scratch);
    int64_t found = 0;
    for (int64_t i = 0; i < rows; ++i)
        if (number_at<T>(selector, type, i) != 0) places[found++] = i;
    return found == count ? places : nullptr;
}

constexpr const char* other_count = "more or fewer rows are selected than expected";

// ints = {rows, rows selected, elements of a row, type of the selector}, in = {x, selector}, out = {y}
template <class T>
const char* select_rows_forward(const Step& step) {
    const int64_t count = step.ints[1], width = step.ints[2];
    const int64_t* places = selected_rows<T>(step, step.in[1]);
    if (!places) return other_count;
    parallel_ranges(step.threads, count, ceil_div(worth, most(width, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            copy_row(output<T>(step, 0) + i * width, input<T>(step, 0) + places[i] * width, width);
    });
    return nullptr;
}

// ints as in `select_rows_forward`, in = {selector, dy}, out = {dx}
template <class T>
const char* select_rows_backward(const Step& step) {
    const int64_t rows = step.ints[0], count = step.ints[1], width = step.ints[2];
    const int64_t* places = selected_rows<T>(step, step.in[0]);
    if (!places) return other_count;
    parallel_ranges(step.threads, rows, ceil_div(worth, most(width, 1)), [&](int, int64_t begin, int64_t end) {
        const T* dy = input<T>(step, 1);
        T* dx = output<T>(step, 0);
        int64_t next = 0;
        while (next < count && places[next] < begin) ++next;
        for (int64_t r = begin; r < end; ++r) {
            if (next < count && places[next] == r)
                copy_row(dx + r * width, dy + next++ * width, width);
            else
                clear_rows(dx + r * width, 1, width);
        }
    });
    return nullptr;
}

constexpr const char* no_such_cell = "a place is not the number of a cell";

// The cell of its plane that a place names; -1 for none, -2 for what is none of its cells.
template <class T>
MOCHA_INLINE int64_t cell_at(const void* places, int64_t type, int64_t i, int64_t cells) {
    const double place = number_at<T>(places, type, i);
    if (!(place > -2 && place < static_cast<double>(cells))) return -2;
    return place <= -1 ? -1 : static_cast<int64_t>(place);
}

// ints = {planes, numbers in a plane, cells of a plane, type of the places}, in = {x, places}, out = {y}. A thread has
// whole planes.
template <class T>
const char* unpool_forward(const Step& step) {
    const int64_t planes = step.ints[0], n = step.ints[1], cells = step.ints[2], type = step.ints[3];
    for (int64_t i = 0; i < planes * n; ++i)
        if (cell_at<T>(step.in[1], type, i, cells) == -2) return no_such_cell;
    parallel_ranges(step.threads, planes, ceil_div(worth, most(cells, 1)), [&](int, int64_t begin, int64_t end) {
        clear_rows(output<T>(step, 0) + begin * cells, end - begin, cells);
        for (int64_t p = begin; p < end; ++p)
            for (int64_t i = p * n; i < (p + 1) * n; ++i) {
                const int64_t cell = cell_at<T>(step.in[1], type, i, cells);
                if (cell >= 0) output<T>(step, 0)[p * cells + cell] += input<T>(step, 0)[i];
            }
    });
    return nullptr;
}

// ints as in `unpool_forward`, in = {places, dy}, out = {dx}
template <class T>
const char* unpool_backward(const Step& step) {
    const int64_t planes = step.ints[0], n = step.ints[1], cells = step.ints[2], type = step.ints[3];
    for (int64_t i = 0; i < planes * n; ++i)
        if (cell_at<T>(step.in[0], type, i, cells) == -2) return no_such_cell;
    parallel_ranges(step.threads, planes, ceil_div(worth, most(n, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p)
            for (int64_t i = p * n; i < (p + 1) * n; ++i) {
                const int64_t cell = cell_at<T>(step.in[0], type, i, cells);
                output<T>(step, 0)[i] = cell >= 0 ? input<T>(step, 1)[p * cells + cell] : T(0);
            }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, numbers_scratch}, {#name, 8, name<double>, numbers_scratch}

extern const Kernel gather_kernels[];
const Kernel gather_kernels[] = {
    MOCHA_BOTH(take_rows_forward),    MOCHA_BOTH(take_rows_backward),  MOCHA_BOTH(select_rows_forward),
    MOCHA_BOTH(select_rows_backward),
    {"unpool_forward", 4, unpool_forward<float>, nullptr},
    {"unpool_forward", 8, unpool_forward<double>, nullptr},
    {"unpool_backward", 4, unpool_backward<float>, nullptr},
    {"unpool_backward", 8, unpool_backward<double>, nullptr},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
