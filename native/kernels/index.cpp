// Class numbers: the places of the largest elements along an axis, and the way back.
#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 8192;  // elements worth a thread
constexpr int64_t strip = 64;    // positions behind the axis that are walked along together

// Whether `x` takes the place of `best`: it is larger, or the first NaN.
template <class T>
MOCHA_INLINE bool beats(T x, T best) { return !(x <= best) && best == best; }

// ints = {outer, extent >= 1, inner}, in = {x}, out = {places (outer, inner)}. Of equal elements the first counts; the
// first NaN counts as the largest.
template <class T>
const char* argmax(const Step& step) {
    const int64_t extent = step.ints[1], inner = step.ints[2];
    const int64_t strips = ceil_div(inner, strip), grain = ceil_div(worth, most(extent * least(inner, strip), 1));
    parallel_ranges(step.threads, step.ints[0] * strips, grain, [&](int, int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end; ++at) {
            const int64_t o = at / strips, first = at % strips * strip, n = least(strip, inner - first);
            const T* x = input<T>(step, 0) + o * extent * inner + first;
            T* places = output<T>(step, 0) + o * inner + first;
            T best[strip], place[strip];
            for (int64_t i = 0; i < n; ++i) {
                best[i] = x[i];
                place[i] = 0;
            }
            for (int64_t c = 1; c < extent; ++c)
                for (int64_t i = 0; i < n; ++i) {
                    const bool better = beats(x[c * inner + i], best[i]);
                    best[i] = better ? x[c * inner + i] : best[i];
                    place[i] = better ? static_cast<T>(c) : place[i];
                }
            std::memcpy(places, place, static_cast<size_t>(n) * sizeof(T));
        }
    });
    return nullptr;
}

// The k best elements of those seen so far, as a heap: each is no better than the two that hang on it, so that the
// worst is the first. Of equal elements the one with the larger place is better; NaN is better than all numbers.
template <class T>
struct Heap {
    struct Entry {
        T value;
        int64_t place;
    };
    Entry* entries;
    int64_t n;

    static MOCHA_INLINE bool better(const Entry& a, const Entry& b) {
        if (a.value > b.value || a.value < b.value) return a.value > b.value;
        const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
        return a_nan == b_nan ? a.place > b.place : a_nan;
    }
    // Puts an entry into the hole at `at`, or below it.
    MOCHA_INLINE void sink(int64_t at, int64_t size, Entry entry) {
        for (int64_t child = 2 * at + 1; child < size; child = 2 * at + 1) {
            if (child + 1 < size && better(entries[child], entries[child + 1])) ++child;
            if (!better(entry, entries[child])) break;
            entries[at] = entries[child];
            at = child;
        }
        entries[at] = entry;
    }
    MOCHA_INLINE void build() {
        for (int64_t at = n / 2 - 1; at >= 0; --at) sink(at, n, entries[at]);
    }
    MOCHA_INLINE void offer(Entry entry) {
        if (better(entry, entries[0])) sink(0, n, entry);
    }
    // The best first.
    MOCHA_INLINE void sort() {
        for (int64_t size = n - 1; size > 0; --size) {
            const Entry worst = entries[0];
            sink(0, size, entries[size]);
            entries[size] = worst;
        }
    }
};

template <class T>
MOCHA_INLINE int64_t heap_bytes(const int64_t* ints) {
    return aligned(ints[3] * static_cast<int64_t>(sizeof(typename Heap<T>::Entry)));
}

template <class T>
int64_t top_k_scratch(const int64_t* ints, int threads) {
    return threads * heap_bytes<T>(ints);
}

// ints = {outer, extent, inner, k}, 1 <= k <= extent, in = {x}, out = {y, places}, both (outer, k, inner)
template <class T>
const char* top_k_forward(const Step& step) {
    const int64_t extent = step.ints[1], inner = step.ints[2], k = step.ints[3];
    const int64_t grain = ceil_div(worth, extent);
    parallel_ranges(step.threads, step.ints[0] * inner, grain, [&](int thread, int64_t begin, int64_t end) {
        using Entry = typename Heap<T>::Entry;
        const Heap<T> mine{reinterpret_cast<Entry*>(step.scratch + thread * heap_bytes<T>(step.ints)), k};
        for (int64_t at = begin; at < end; ++at) {
            const int64_t o = at / inner, i = at % inner;
            const T* x = input<T>(step, 0) + o * extent * inner + i;
            Heap<T> heap = mine;
            for (int64_t c = 0; c < k; ++c) heap.entries[c] = Entry{x[c * inner], c};
            heap.build();
            for (int64_t c = k; c < extent; ++c) heap.offer(Entry{x[c * inner], c});
            heap.sort();
            T *y = output<T>(step, 0) + o * k * inner + i, *places = output<T>(step, 1) + o * k * inner + i;
            for (int64_t c = 0; c < k; ++c) {
                y[c * inner] = heap.entries[c].value;
                places[c * inner] = static_cast<T>(heap.entries[c].place);
            }
        }
    });
    return nullptr;
}

// ints as in `top_k_forward`, in = {places, dy}, out = {dx}
template <class T>
const char* top_k_backward(const Step& step) {
    const int64_t extent = step.ints[1], inner = step.ints[2], k = step.ints[3], size = extent * inner;
    parallel_ranges(step.threads, step.ints[0], ceil_div(worth, most(size, 1)), [&](int, int64_t begin, int64_t end) {
        T* dx = output<T>(step, 0);
        std::memset(dx + begin * size, 0, static_cast<size_t>((end - begin) * size) * sizeof(T));
        for (int64_t o = begin; o < end; ++o)
            for (int64_t e = 0; e < k * inner; ++e) {
                const int64_t from = o * k * inner + e;
                dx[o * size + static_cast<int64_t>(input<T>(step, 0)[from]) * inner + e % inner] =
                    input<T>(step, 1)[from];
            }
    });
    return nullptr;
}

// ints = {outer, classes, inner}, in = {x (outer, inner)}, out = {y}
template <class T>
const char* one_hot(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const T* numbers = input<T>(step, 0);
    for (int64_t i = 0; i < outer * inner; ++i) {
        const T number = numbers[i];
        // the order of the conditions keeps what no int64 can hold from being converted
        const bool is_in = number >= T(0) && number < static_cast<T>(classes);
        if (!is_in || static_cast<T>(static_cast<int64_t>(number)) != number)
            return "a label is not the number of a class";
    }
    const int64_t grain = ceil_div(worth, most(classes * inner, 1));
    parallel_ranges(step.threads, outer, grain, [&](int, int64_t begin, int64_t end) {
        T* y = output<T>(step, 0);
        std::memset(y + begin * classes * inner, 0, static_cast<size_t>((end - begin) * classes * inner) * sizeof(T));
        for (int64_t o = begin; o < end; ++o)
            for (int64_t i = 0; i < inner; ++i)
                y[(o * classes + static_cast<int64_t>(numbers[o * inner + i])) * inner + i] = T(1);
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel index_kernels[];
const Kernel index_kernels[] = {
    MOCHA_BOTH(argmax),
    MOCHA_BOTH(one_hot),
    MOCHA_BOTH(top_k_backward),
    {"top_k_forward", 4, top_k_forward<float>, top_k_scratch<float>},
    {"top_k_forward", 8, top_k_forward<double>, top_k_scratch<double>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
