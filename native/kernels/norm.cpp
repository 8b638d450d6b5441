// Local response normalisation of images that lie channels last, (N, H, W, C).
//
// An image is cut into lines: a pixel each if the window is over channels, a row of pixels each if it is over cells. A
// line is first copied with zeros around it: the window of an element is then `size` elements of the copy that are
// `step` apart. Over cells, the copy holds sums over the rows of the window, so that two passes do the square.
//
// ints = {n, h, w, channels, size, 1 if across channels}
// reals = {k, alpha / numbers of a window, beta, 2 alpha beta / numbers of a window}
#include "mocha/parallel.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 8192;     // elements worth a thread
constexpr int64_t together = 4096;  // elements that are copied at a time, so that they are still near when summed

struct Lines {
    int64_t count, length, step, rows, size, before;  // rows: lines that a window may reach over, 1 across channels

    MOCHA_INLINE Lines(const int64_t* i, bool mirrored) : size(i[4]), before(mirrored ? i[4] / 2 : (i[4] - 1) / 2) {
        const bool across = i[5] != 0;
        count = across ? i[0] * i[1] * i[2] : i[0] * i[1];
        length = across ? i[3] : i[2] * i[3];
        step = across ? 1 : i[3];
        rows = across ? 1 : i[1];
    }

    // The lines [first, last) that the windows of line l reach over.
    MOCHA_INLINE int64_t first(int64_t l) const { return l - least(l % rows, before); }
    MOCHA_INLINE int64_t last(int64_t l) const { return l + 1 + least(rows - 1 - l % rows, before); }

    MOCHA_INLINE int64_t pitch() const { return length + (size - 1) * step; }  // elements of a copy
    MOCHA_INLINE int64_t block() const { return rows == 1 ? most(together / most(pitch(), 1), 1) : 1; }
};

// What a thread has in scratch memory: copies of a block of lines, and one more number for each of their elements.
template <class T>
struct Room {
    int64_t copies, bytes;

    MOCHA_INLINE explicit Room(const Lines& lines)
        : copies(aligned(lines.block() * lines.pitch() * static_cast<int64_t>(sizeof(T)))),
          bytes(copies + aligned(lines.block() * lines.length * static_cast<int64_t>(sizeof(T)))) {}
};

template <class T>
int64_t lrn_scratch(const int64_t* ints, int threads) {
    return threads * Room<T>(Lines(ints, false)).bytes;
}

// 1 / sqrt(x) for numbers that are normal, to some units of the last place.
template <class T>
MOCHA_INLINE Vec<T> reciprocal_root(Vec<T> x) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        const Vec<T> r = (Vec<T>)_mm512_maskz_rsqrt14_ps(0xffff, (__m512)x);
        return r + (T(0.5) * r) * (T(1) - (x * r) * r);
    }
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4) {
        const Vec<T> r = (Vec<T>)_mm256_rsqrt_ps((__m256)x);
        return r + (T(0.5) * r) * (T(1) - (x * r) * r);
    }
#endif
    return T(1) / vsqrt<T>(x);
}

// Whether all lanes are positive normal numbers.
template <class T>
MOCHA_INLINE bool all_normal(Vec<T> x) {
    const auto normal = (IntVec<T>)(x >= Format<T>::least_normal) & (IntVec<T>)(x < T(__builtin_inf()));
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return _mm512_movepi32_mask((__m512i)normal) == 0xffff;
    return _mm512_movepi64_mask((__m512i)normal) == 0xff;
#elif defined(__AVX2__)
    return _mm256_movemask_epi8((__m256i)normal) == -1;
#else
    bool all = true;
    for (int i = 0; i < lanes<T>; ++i) all &= normal[i] != 0;
    return all;
#endif
}

// x^-3/4 and x^-7/4: from reciprocal roots where they are good, else (0, infinity, NaN) from roots and a quotient.
template <class T>
struct ThreeQuarters {
    MOCHA_INLINE explicit ThreeQuarters(double) {}
    MOCHA_INLINE Vec<T> power(Vec<T> x) const {
        Vec<T> p, q;
        both(x, p, q);
        return p;
    }
    MOCHA_INLINE void both(Vec<T> x, Vec<T>& p, Vec<T>& q) const {
        if (__builtin_expect(all_normal<T>(x), 1)) {
            const Vec<T> r = reciprocal_root<T>(x);
            p = r * (r * reciprocal_root<T>(r));
            q = (p * r) * r;
        } else {
            const Vec<T> root = vsqrt<T>(x);
            p = T(1) / (root * vsqrt<T>(root));
            q = p / x;
        }
    }
};

// x^-beta and x^-beta / x.
template <class T>
struct AnyPower {
    T exponent;
    MOCHA_INLINE explicit AnyPower(double beta) : exponent(static_cast<T>(-beta)) {}
    MOCHA_INLINE Vec<T> power(Vec<T> x) const { return vpow<T>(x, exponent); }
    MOCHA_INLINE void both(Vec<T> x, Vec<T>& p, Vec<T>& q) const {
        p = power(x);
        q = p / x;
    }
};

// The sum of the window that begins at p. SIZE is its size if known here, else 0.
template <class T, int SIZE, class Some>
MOCHA_INLINE Vec<T> window(const T* p, const Lines& lines, Some some) {
    const int64_t size = SIZE ? SIZE : lines.size;
    Vec<T> total = some.load(p);
#pragma GCC unroll 8
    for (int64_t t = 1; t < size; ++t) total += some.load(p + t * lines.step);
    return total;
}

// Calls fill(line, its copy, its further numbers) for a block of lines, then finish(the same) for the block.
template <class T, class Fill, class Finish>
MOCHA_INLINE void by_lines(const Step& step, const Lines& lines, const Fill& fill, const Finish& finish) {
    const Room<T> room(lines);
    const int64_t pitch = lines.pitch(), block = lines.block(), grain = ceil_div(worth, most(lines.length, 1));
    parallel_ranges(step.threads, lines.count, grain, [&](int thread, int64_t begin, int64_t end) {
        char* mine = step.scratch + thread * room.bytes;
        T *copies = reinterpret_cast<T*>(mine), *further = reinterpret_cast<T*>(mine + room.copies);
        std::memset(copies, 0, static_cast<size_t>(room.copies));
        for (int64_t l = begin; l < end; l += block) {
            const int64_t n = least(block, end - l), skip = lines.before * lines.step;
            for (int64_t i = 0; i < n; ++i) fill(l + i, copies + i * pitch + skip, further + i * lines.length);
            for (int64_t i = 0; i < n; ++i) finish(l + i, copies + i * pitch, further + i * lines.length);
        }
    });
}

template <class T, class Power, int SIZE>
__attribute__((noinline)) void forward(const Step& step) {
    const Lines lines(step.ints, false);
    const T* x = input<T>(step, 0);
    T *y = output<T>(step, 0), *s = output<T>(step, 1);
    const Vec<T> k = splat(static_cast<T>(step.reals[0])), factor = splat(static_cast<T>(step.reals[1]));
    const Power power(step.reals[2]);
    const int64_t length = lines.length;
    const auto fill = [=](int64_t l, T* copy, T*) {
        const int64_t first = lines.first(l), last = lines.last(l);
        by_vectors<T>(0, length, [&](int64_t i, auto some) {
            Vec<T> total{};
            for (int64_t r = first; r < last; ++r) {
                const Vec<T> v = some.load(x + r * length + i);
                total += v * v;
            }
            some.store(copy + i, total);
        });
    };
    by_lines<T>(step, lines, fill, [=](int64_t l, const T* copy, const T*) {
        by_vectors<T>(0, length, [&](int64_t i, auto some) {
            const Vec<T> sums = k + factor * window<T, SIZE>(copy + i, lines, some);
            some.store(s + l * length + i, sums);
            some.store(y + l * length + i, some.load(x + l * length + i) * power.power(sums));
        });
    });
}

template <class T, class Power, int SIZE>
__attribute__((noinline)) void backward(const Step& step) {
    const Lines lines(step.ints, true);
    const T *x = input<T>(step, 0), *s = input<T>(step, 1), *dy = input<T>(step, 2);
    T* dx = output<T>(step, 0);
    const Power power(step.reals[2]);
    const Vec<T> factor = splat(static_cast<T>(step.reals[3]));
    const int64_t length = lines.length;
    // into the copy dy y / s, beside it dy s^-beta
    const auto fill = [=](int64_t l, T* copy, T* direct) {
        const int64_t first = lines.first(l), last = lines.last(l);
        by_vectors<T>(0, length, [&](int64_t i, auto some) {
            Vec<T> total{};
            for (int64_t r = first; r < last; ++r) {
                const int64_t at = r * length + i;
                Vec<T> p, q;
                power.both(some.load_or(s + at, T(1)), p, q);
                const Vec<T> given = some.load(dy + at);
                total += given * some.load(x + at) * q;
                if (r == l) some.store(direct + i, given * p);
            }
            some.store(copy + i, total);
        });
    };
    by_lines<T>(step, lines, fill, [=](int64_t l, const T* copy, const T* direct) {
        by_vectors<T>(0, length, [&](int64_t i, auto some) {
            const Vec<T> sums = window<T, SIZE>(copy + i, lines, some);
            some.store(dx + l * length + i, some.load(direct + i) - factor * some.load(x + l * length + i) * sums);
        });
    });
}

template <class T, class Power>
MOCHA_INLINE void run_forward(const Step& step) {
    const int64_t size = step.ints[4];
    if (size == 5)
        forward<T, Power, 5>(step);
    else if (size == 3)
        forward<T, Power, 3>(step);
    else
        forward<T, Power, 0>(step);
}

template <class T, class Power>
MOCHA_INLINE void run_backward(const Step& step) {
    const int64_t size = step.ints[4];
    if (size == 5)
        backward<T, Power, 5>(step);
    else if (size == 3)
        backward<T, Power, 3>(step);
    else
        backward<T, Power, 0>(step);
}

// in = {x}, out = {y, s}
template <class T>
const char* lrn_forward(const Step& step) {
    if (step.reals[2] == 0.75)
        run_forward<T, ThreeQuarters<T>>(step);
    else
        run_forward<T, AnyPower<T>>(step);
    return nullptr;
}

// in = {x, s, dy}, out = {dx}
template <class T>
const char* lrn_backward(const Step& step) {
    if (step.reals[2] == 0.75)
        run_backward<T, ThreeQuarters<T>>(step);
    else
        run_backward<T, AnyPower<T>>(step);
    return nullptr;
}

}  // namespace

extern const Kernel norm_kernels[];
const Kernel norm_kernels[] = {
    {"lrn_forward", 4, lrn_forward<float>, lrn_scratch<float>},
    {"lrn_forward", 8, lrn_forward<double>, lrn_scratch<double>},
    {"lrn_backward", 4, lrn_backward<float>, lrn_scratch<float>},
    {"lrn_backward", 8, lrn_backward<double>, lrn_scratch<double>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
