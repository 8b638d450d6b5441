// Batch normalisation of x (outer, channels, inner), and the scaling of channels that follows it.
//
// Statistics take one pass: some elements of a channel at a time, their sum and then the squares of their distances
// from their own mean, while they are near; and what was found is joined in double.
//
// ints = {outer, channels, inner}, unless a kernel says otherwise
#include "mocha/parallel.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 16384;                            // elements worth a thread
constexpr int64_t some_rows = 128, some_elements = 2048;  // what is summed in T before it goes into double

struct Extent {
    int64_t outer, channels, inner;

    MOCHA_INLINE explicit Extent(const int64_t* i) : outer(i[0]), channels(i[1]), inner(i[2]) {}

    // A row is what lies side by side: all channels of a pixel if they do, else a stretch of one channel.
    MOCHA_INLINE bool channels_last() const { return inner == 1; }
    MOCHA_INLINE int64_t row() const { return channels_last() ? channels : inner; }
    MOCHA_INLINE int64_t rows() const { return channels_last() ? outer : outer * channels; }
    MOCHA_INLINE int64_t grain() const { return ceil_div(worth, most(row(), 1)); }
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
    for (int64_t r = begin; r < end; r += some_rows)
        by_vectors<T>(0, channels, [&](int64_t c, auto some) { body(r, least(some_rows, end - r), c, some); });
}

// Calls body(place, elements) for parts of a row of n elements.
template <class Body>
MOCHA_INLINE void by_stretches(int64_t n, const Body& body) {
    for (int64_t i = 0; i < n; i += some_elements) body(i, least(some_elements, n - i));
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

template <class T>
MOCHA_INLINE T inverse_deviation(T variance, double eps) {
    return T(1) / lane_sqrt(variance + static_cast<T>(eps));
}

template <class T>
int64_t batch_norm_train_scratch(const int64_t* ints, int threads) {
    const Room<T, Moments> room(ints, threads);
    return room.lines_at + room.line;
}

// reals = {eps}, in = {x}, out = {y, mean, variance}; y may be x's memory
template <class T>
const char* batch_norm_train_forward(const Step& step) {
    const Extent e(step.ints);
    const Room<T, Moments> room(step.ints, step.threads);
    const T* x = input<T>(step, 0);
    T *y = output<T>(step, 0), *mean = output<T>(step, 1), *variance = output<T>(step, 2);
    room.clear(step);
    parallel_ranges(step.threads, e.rows(), e.grain(), [&](int thread, int64_t begin, int64_t end) {
        Moments* mine = room.of(step, thread);
        if (e.channels_last())
            column_moments<T>(x, e.channels, begin, end, mine);
        else
            for (int64_t r = begin; r < end; ++r) row_moments<T>(x + r * e.inner, e.inner, mine[r % e.channels]);
    });
    T* inverse = room.channels(step, 0);
    for (int64_t c = 0; c < e.channels; ++c) {
        Moments all{};
        for (int64_t t = 0; t < step.threads; ++t) {
            const Moments& found = room.of(step, t)[c];
            if (found.count > 0) all.add(found.count, found.sum, found.spread);
        }
        mean[c] = static_cast<T>(all.sum / all.count);
        variance[c] = static_cast<T>(all.spread / all.count);
        inverse[c] = inverse_deviation(variance[c], step.reals[0]);
    }
    by_elements<T>(step.threads, e, [=](int64_t at, auto some, auto of) {
        some.store(y + at, (some.load(x + at) - of(mean)) * of(inverse));
    });
    return nullptr;
}

// The sums of a and of a b over each channel, into a pair for each channel and thread.
template <class T>
MOCHA_INLINE void sum_products(const Step& step, const Extent& e, const T* a, const T* b,
                               const Room<T, double[2]>& room) {
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
                    products += v * some.load(b + at);
                }
                for (int64_t l = 0; l < some.n; ++l) {
                    mine[c + l][0] += static_cast<double>(sums[l]);
                    mine[c + l][1] += static_cast<double>(products[l]);
                }
            });
            return;
        }
        for (int64_t r = begin; r < end; ++r) {
            by_stretches(e.inner, [&](int64_t place, int64_t length) {
                const int64_t at = r * e.inner + place;
                Vec<T> sums{}, products{};
                by_vectors<T>(at, at + length, [&](int64_t i, auto some) {
                    const Vec<T> v = some.load(a + i);
                    sums += v;
                    products += v * some.load(b + i);
                });
                mine[r % e.channels][0] += static_cast<double>(sum<T>(sums));
                mine[r % e.channels][1] += static_cast<double>(sum<T>(products));
            });
        }
    });
}

// The sum over the threads of the first or second number of a channel.
template <class T>
MOCHA_INLINE double joined(const Step& step, const Room<T, double[2]>& room, int64_t channel, int which) {
    double total = 0;
    for (int64_t t = 0; t < step.threads; ++t) total += room.of(step, t)[channel][which];
    return total;
}

template <class T>
int64_t batch_norm_train_backward_scratch(const int64_t* ints, int threads) {
    const Room<T, double[2]> room(ints, threads);
    return room.lines_at + 3 * room.line;
}

// reals = {eps}, in = {y, variance, dy}, out = {dx}; dx may be dy's memory
template <class T>
const char* batch_norm_train_backward(const Step& step) {
    const Extent e(step.ints);
    const Room<T, double[2]> room(step.ints, step.threads);
    const T *y = input<T>(step, 0), *variance = input<T>(step, 1), *dy = input<T>(step, 2);
    T* dx = output<T>(step, 0);
    sum_products<T>(step, e, dy, y, room);
    T *mean = room.channels(step, 0), *slope = room.channels(step, 1), *inverse = room.channels(step, 2);
    const double count = static_cast<double>(e.outer * e.inner);
    for (int64_t c = 0; c < e.channels; ++c) {
        mean[c] = static_cast<T>(joined<T>(step, room, c, 0) / count);
        slope[c] = static_cast<T>(joined<T>(step, room, c, 1) / count);
        inverse[c] = inverse_deviation(variance[c], step.reals[0]);
    }
    by_elements<T>(step.threads, e, [=](int64_t at, auto some, auto of) {
        some.store(dx + at, (some.load(dy + at) - of(mean) - some.load(y + at) * of(slope)) * of(inverse));
    });
    return nullptr;
}

template <class T>
int64_t one_line_scratch(const int64_t* ints, int) {
    return Room<T, T>(ints, 0).line;
}

template <class T>
MOCHA_INLINE const T* inverse_deviations(const Step& step, const T* variance) {
    T* inverse = reinterpret_cast<T*>(step.scratch);
    for (int64_t c = 0; c < step.ints[1]; ++c) inverse[c] = inverse_deviation(variance[c], step.reals[0]);
    return inverse;
}

// reals = {eps}, in = {x, mean, variance}, out = {y}; y may be x's memory
template <class T>
const char* batch_norm_test_forward(const Step& step) {
    const T *x = input<T>(step, 0), *mean = input<T>(step, 1), *inverse = inverse_deviations(step, input<T>(step, 2));
    T* y = output<T>(step, 0);
    by_elements<T>(step.threads, Extent(step.ints), [=](int64_t at, auto some, auto of) {
        some.store(y + at, (some.load(x + at) - of(mean)) * of(inverse));
    });
    return nullptr;
}

// reals = {eps}, in = {variance, dy}, out = {dx}; dx may be dy's memory
template <class T>
const char* batch_norm_test_backward(const Step& step) {
    const T *inverse = inverse_deviations(step, input<T>(step, 0)), *dy = input<T>(step, 1);
    T* dx = output<T>(step, 0);
    by_elements<T>(step.threads, Extent(step.ints), [=](int64_t at, auto some, auto of) {
        some.store(dx + at, some.load(dy + at) * of(inverse));
    });
    return nullptr;
}

// ints = {elements}, reals = {fraction, factor}, in = {state, new}, out = {state}, the same memory as in
template <class T>
const char* moving_average(const Step& step) {
    const Vec<T> fraction = splat(static_cast<T>(step.reals[0])), factor = splat(static_cast<T>(step.reals[1]));
    parallel_ranges(step.threads, step.ints[0], worth, [&](int, int64_t begin, int64_t end) {
        const T *state = input<T>(step, 0), *fresh = input<T>(step, 1);
        T* to = output<T>(step, 0);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            some.store(to + i, fraction * some.load(state + i) + factor * some.load(fresh + i));
        });
    });
    return nullptr;
}

// in = {x, s}, out = {y}; y may be x's memory. Also dx, of dy and s.
template <class T>
const char* scale_channels(const Step& step) {
    const T *x = input<T>(step, 0), *s = input<T>(step, 1);
    T* y = output<T>(step, 0);
    by_elements<T>(step.threads, Extent(step.ints), [=](int64_t at, auto some, auto of) {
        some.store(y + at, some.load(x + at) * of(s));
    });
    return nullptr;
}

template <class T>
int64_t scale_channels_backward_scratch(const int64_t* ints, int threads) {
    return Room<T, double[2]>(ints, threads).lines_at;
}

// in = {x, dy}, out = {ds}
template <class T>
const char* scale_channels_backward(const Step& step) {
    const Extent e(step.ints);
    const Room<T, double[2]> room(step.ints, step.threads);
    sum_products<T>(step, e, input<T>(step, 1), input<T>(step, 0), room);
    T* ds = output<T>(step, 0);
    for (int64_t c = 0; c < e.channels; ++c) ds[c] = static_cast<T>(joined<T>(step, room, c, 1));
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name, scratch) {#name, 4, name<float>, scratch<float>}, {#name, 8, name<double>, scratch<double>}

extern const Kernel batch_norm_kernels[];
const Kernel batch_norm_kernels[] = {
    MOCHA_BOTH(batch_norm_train_forward, batch_norm_train_scratch),
    MOCHA_BOTH(batch_norm_train_backward, batch_norm_train_backward_scratch),
    MOCHA_BOTH(batch_norm_test_forward, one_line_scratch),
    MOCHA_BOTH(batch_norm_test_backward, one_line_scratch),
    MOCHA_BOTH(scale_channels_backward, scale_channels_backward_scratch),
    {"scale_channels", 4, scale_channels<float>, nullptr},
    {"scale_channels", 8, scale_channels<double>, nullptr},
    {"moving_average", 4, moving_average<float>, nullptr},
    {"moving_average", 8, moving_average<double>, nullptr},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
