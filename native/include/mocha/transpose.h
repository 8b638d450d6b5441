// Blocks of numbers turned round in registers.
#pragma once

#include "mocha/parallel.h"
#include "mocha/simd.h"

namespace mocha::MOCHA_ISA {

// The lower (or upper) halves of a and b, interleaved: a0 b0 a1 b1 ...
template <bool Upper, class V>
MOCHA_INLINE V interleave_floats(V a, V b) {
#if MOCHA_VECTOR_BYTES == 64
    if constexpr (Upper)
        return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    else
        return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif MOCHA_VECTOR_BYTES == 32
    if constexpr (Upper)
        return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    else
        return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
    if constexpr (Upper)
        return __builtin_shufflevector(a, b, 2, 6, 3, 7);
    else
        return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#endif
}

template <bool Upper, class V>
MOCHA_INLINE V interleave_doubles(V a, V b) {
#if MOCHA_VECTOR_BYTES == 64
    if constexpr (Upper)
        return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    else
        return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#elif MOCHA_VECTOR_BYTES == 32
    if constexpr (Upper)
        return __builtin_shufflevector(a, b, 2, 6, 3, 7);
    else
        return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#else
    if constexpr (Upper)
        return __builtin_shufflevector(a, b, 1, 3);
    else
        return __builtin_shufflevector(a, b, 0, 2);
#endif
}

template <class T, bool Upper>
MOCHA_INLINE Vec<T> interleave(Vec<T> a, Vec<T> b) {
    using V = Vec<T>;
    if constexpr (sizeof(T) == 4)
        return interleave_floats<Upper, V>(a, b);
    else
        return interleave_doubles<Upper, V>(a, b);
}

// A square of vectors, transposed. Each round interleaves the first half of the rows with the second; after as many
// rounds as the number of lanes has bits, rows have become columns.
template <class T>
MOCHA_INLINE void transpose(Vec<T> (&rows)[lanes<T>]) {
    constexpr int n = static_cast<int>(lanes<T>);
#pragma GCC unroll 4
    for (int round = 1; round < n; round *= 2) {
        Vec<T> mixed[n];
#pragma GCC unroll 8
        for (int i = 0; i < n / 2; ++i) {
            mixed[2 * i] = interleave<T, false>(rows[i], rows[i + n / 2]);
            mixed[2 * i + 1] = interleave<T, true>(rows[i], rows[i + n / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < n; ++i) rows[i] = mixed[i];
    }
}

// Loads a square of which `rows` by `columns` numbers are there, rows `step` apart; the others are 0.
template <class T>
MOCHA_INLINE void load_square(const T* from, int64_t step, int64_t rows, int64_t columns, Vec<T> (&to)[lanes<T>]) {
    constexpr int n = static_cast<int>(lanes<T>);
    if (rows >= n && columns >= n) {
#pragma GCC unroll 16
        for (int i = 0; i < n; ++i) to[i] = load(from + i * step);
    } else {
        columns = least(columns, n);
#pragma GCC unroll 16
        for (int i = 0; i < n; ++i) to[i] = load_first(from + (i < rows ? i : 0) * step, i < rows ? columns : 0);
    }
}

// to[j][i] = from[i][j] for i < rows, j < columns; rows of `to` are filled up with zeros to whole vectors.
template <class T>
void transpose_matrix(const T* from, int64_t from_step, int64_t rows, int64_t columns, T* to, int64_t to_step) {
    for (int64_t j = 0; j < columns; j += lanes<T>)
        for (int64_t i = 0; i < rows; i += lanes<T>) {
            Vec<T> square[lanes<T>];
            load_square(from + i * from_step + j, from_step, rows - i, columns - j, square);
            transpose<T>(square);
            const int64_t n = least(lanes<T>, columns - j);
            for (int64_t k = 0; k < n; ++k) store(to + (j + k) * to_step + i, square[k]);
        }
}

}  // namespace mocha::MOCHA_ISA
