// Class numbers: the place of the largest element along an axis, and the way back.
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

// ints = {outer, classes, inner}, in = {x (outer, inner)}, out = {y}
template <class T>
const char* one_hot(const Step& step) {
    const int64_t outer = step.ints[0], classes = step.ints[1], inner = step.ints[2];
    const T* numbers = input<T>(step, 0);
    for (int64_t i = 0; i < outer * inner; ++i) {
        const T number = numbers[i];
        // the order of the conditions keeps what no int64 can hold from being converted
        if (!(number >= T(0) && number < static_cast<T>(classes)) || static_cast<T>(static_cast<int64_t>(number)) != number)
            return "a label is not the number of a class";
    }
    parallel_ranges(step.threads, outer, ceil_div(worth, most(classes * inner, 1)), [&](int, int64_t begin, int64_t end) {
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
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
