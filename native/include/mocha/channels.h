// Walks over an array (outer, channels, inner), and sums over each of its channels.
//
// Statistics take one pass: some elements of a channel at a time, their sum and then the squares of their distances
// from their own mean, while they are near; and what was found is joined in double.
#pragma once

#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {

constexpr int64_t channels_worth = 16384;            // elements worth a thread
constexpr int64_t column_part = 128, row_part = 2048;  // what is summed in T before it goes into double

struct Extent {
    int64_t outer, channels, inner;

    MOCHA_INLINE explicit Extent(const int64_t* i) : outer(i[0]), channels(i[1]), inner(i[2]) {}

    // A row is what lies side by side: all channels of a pixel if they do, else a stretch of one channel.
    MOCHA_INLINE bool channels_last() const { return inner == 1; }
    MOCHA_INLINE int64_t row() const { return channels_last() ? channels : inner; }
    MOCHA_INLINE int64_t rows() const { return channels_last() ? outer : outer * channels; }
    MOCHA_INLINE int64_t grain() const { return ceil_div(channels_worth, most(row(), 1)); }
};

// Calls body(at, stretch, of) for all elements in vectors; of(p) is what stands for them in an array of one number a
// channel.
template <class T, class Body>
MOCHA_INLINE void by_elements(int threads, const Extent& e, const Body& body) {
    const int64_t row = e.row();
    parallel_ranges(threads, e.rows(), e.grain(), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            if (e.channels_last()) {
                by_vectors<T>(0, row, [&](int64_t i, auto some) {
                    body(r * row + i, some, [=](const T* p) { return some.load(p + i); });
                });
            } else {
                const int64_t c = r % e.channels;
                by_vectors<T>(0, row, [&](int64_t i, auto some) {
                    body(r * row + i, some, [=](const T* p) { return splat(p[c]); });
                });
            }
        }
    });
}

// Calls body(first row, number of rows, channel, stretch) for parts of the rows [begin, end) of (rows, channels), some
// rows of a vector of channels each.
template <class T, class Body>
MOCHA_INLINE void by_columns(int64_t channels, int64_t begin, int64_t end, const Body& body) {
    for (int64_t r = begin; r < end; r += column_part)
        by_vectors<T>(0, channels, [&](int64_t c, auto some) { body(r, least(column_part, end - r), c, some); });
}

// Calls body(place, elements) for parts of a row of n elements.
template <class Body>
MOCHA_INLINE void by_stretches(int64_t n, const Body& body) {
    for (int64_t i = 0; i < n; i += row_part) body(i, least(row_part, n - i));
}

// What is known of some elements of a channel.
struct Moments {
    double count, sum, spread;  // spread: the sum of squares of the distances from the mean

    MOCHA_INLINE void add(double n, double more, double apart) {
        if (count > 0 && n > 0) {
            const double distance = more / n - sum / count;
            apart += distance * distance * (count * n / (count + n));
        }
        count += n;
        sum += more;
        spread += apart;
    }
};

// Distances are taken from one of the elements, so that a channel of equal ones has exactly their mean and no spread.
template <class T>
MOCHA_INLINE Vec<T> finite_or_zero(Vec<T> x) {
    return select<T>(x - x == Vec<T>{}, x, Vec<T>{});
}

template <class T>
MOCHA_INLINE void column_moments(const T* x, int64_t channels, int64_t begin, int64_t end, Moments* to) {
    by_columns<T>(channels, begin, end, [&](int64_t r, int64_t n, int64_t c, auto some) {
        const T* from = x + r * channels + c;
        const Vec<T> origin = finite_or_zero<T>(some.load(from));
        Vec<T> total{}, spread{};
        for (int64_t i = 0; i < n; ++i) total += some.load(from + i * channels) - origin;
        const Vec<T> mean = origin + total / static_cast<T>(n);
        for (int64_t i = 0; i < n; ++i) {
            const Vec<T> distance = some.load(from + i * channels) - mean;
            spread += distance * distance;
        }
        const double count = static_cast<double>(n);
        for (int64_t l = 0; l < some.n; ++l)
            to[c + l].add(count, count * static_cast<double>(origin[l]) + static_cast<double>(total[l]),
                          static_cast<double>(spread[l]));
    });
}

template <class T>
MOCHA_INLINE void row_moments(const T* x, int64_t n, Moments& to) {
    by_stretches(n, [&](int64_t at, int64_t length) {
        const Vec<T> origin = finite_or_zero<T>(splat(x[at]));
        Vec<T> total{}, spread{};
        by_vectors<T>(at, at + length, [&](int64_t i, auto some) { total += some.only(some.load(x + i) - origin); });
        const double count = static_cast<double>(length), sums = static_cast<double>(sum<T>(total));
        const Vec<T> mean = splat(static_cast<T>(static_cast<double>(origin[0]) + sums / count));
        by_vectors<T>(at, at + length, [&](int64_t i, auto some) {
            const Vec<T> distance = some.only(some.load(x + i) - mean);
            spread += distance * distance;
        });
        to.add(count, count * static_cast<double>(origin[0]) + sums, static_cast<double>(sum<T>(spread)));
    });
}

// Scratch memory: an array for each thread, then arrays of one T a channel.
template <class T, class Each>
struct Room {
    int64_t pitch, line, lines_at;

    MOCHA_INLINE Room(const int64_t* ints, int threads)
        : pitch(aligned(ints[1] * static_cast<int64_t>(sizeof(Each)))),
          line(aligned(ints[1] * static_cast<int64_t>(sizeof(T)))),
          lines_at(threads * pitch) {}
    MOCHA_INLINE Each* of(const Step& step, int64_t thread) const {
        return reinterpret_cast<Each*>(step.scratch + thread * pitch);
    }
    MOCHA_INLINE T* channels(const Step& step, int64_t i) const {
        return reinterpret_cast<T*>(step.scratch + lines_at + i * line);
    }
    MOCHA_INLINE void clear(const Step& step) const { std::memset(step.scratch, 0, static_cast<size_t>(lines_at)); }
};

struct Product {
    template <class T>
    MOCHA_INLINE Vec<T> of(Vec<T> a, Vec<T> b) const { return a * b; }
};

// Adds the sums of a and of f(a, b) over n neighbours.
template <class T, class F>
MOCHA_INLINE void row_products(const T* a, const T* b, int64_t n, double (&to)[2], F f) {
    by_stretches(n, [&](int64_t at, int64_t length) {
        Vec<T> sums{}, products{};
        by_vectors<T>(at, at + length, [&](int64_t i, auto some) {
            const Vec<T> v = some.load(a + i);
            sums += v;
            products += f.template of<T>(v, some.load(b + i));
        });
        to[0] += static_cast<double>(sum<T>(sums));
        to[1] += static_cast<double>(sum<T>(products));
    });
}

// The sums of a and of f(a, b) over each channel, into a pair for each channel and thread.
template <class T, class F>
MOCHA_INLINE void sum_products(const Step& step, const Extent& e, const T* a, const T* b,
                               const Room<T, double[2]>& room, F f) {
    room.clear(step);
    parallel_ranges(step.threads, e.rows(), e.grain(), [&](int thread, int64_t begin, int64_t end) {
        double(*mine)[2] = room.of(step, thread);
        if (e.channels_last()) {
            by_columns<T>(e.channels, begin, end, [&](int64_t r, int64_t n, int64_t c, auto some) {
                Vec<T> sums{}, products{};
                for (int64_t i = 0; i < n; ++i) {
                    const int64_t at = (r + i) * e.channels + c;
                    const Vec<T> v = some.load(a + at);
                    sums += v;
                    products += f.template of<T>(v, some.load(b + at));
                }
                for (int64_t l = 0; l < some.n; ++l) {
                    mine[c + l][0] += static_cast<double>(sums[l]);
                    mine[c + l][1] += static_cast<double>(products[l]);
                }
            });
            return;
        }
        for (int64_t r = begin; r < end; ++r)
            row_products<T>(a + r * e.inner, b + r * e.inner, e.inner, mine[r % e.channels], f);
    });
}

// The sum over the threads of the first or second number of a channel.
template <class T>
MOCHA_INLINE double joined(const Step& step, const Room<T, double[2]>& room, int64_t channel, int which) {
    double total = 0;
    for (int64_t t = 0; t < step.threads; ++t) total += room.of(step, t)[channel][which];
    return total;
}

}  // namespace mocha::MOCHA_ISA
