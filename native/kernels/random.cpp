// Dropout. Word i mod 4 of block i div 4 decides over element i, see mocha/philox.h.
#include "mocha/lanes.h"
#include "mocha/parallel.h"
#include "mocha/philox.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t light = 16384, heavy = 4096;  // elements worth a thread

// y = scale x where the mask is not 0, else 0
template <class T>
MOCHA_INLINE void apply(const T* x, const uint8_t* mask, int64_t n, T scale, T* y) {
    by_vectors<T>(0, n, [&](int64_t i, auto some) {
        const IntVec<T> kept = load_bytes<T>(mask + i, some);
        some.store(y + i, select<T>(kept != IntVec<T>{}, some.load(x + i) * scale, Vec<T>{}));
    });
}

// ints = {elements, threshold of the words that stay, stream}, reals = {scale}, in = {x, seed, counter},
// out = {y, mask as bytes}; y may be x's memory. Seed and counter are numbers in double.
template <class T>
const char* dropout_forward(const Step& step) {
    const Draw from{static_cast<uint32_t>(static_cast<int64_t>(input<double>(step, 1)[0])),
                    static_cast<uint32_t>(step.ints[2]), static_cast<uint64_t>(input<double>(step, 2)[0])};
    constexpr int64_t chunk = 64, drawn = 4 * blocks_at_once;
    parallel_ranges(step.threads, step.ints[0], heavy, [&](int, int64_t begin, int64_t end) {
        const Draw mine = from;
        const T* x = input<T>(step, 0);
        T* y = output<T>(step, 0);
        auto* mask = output<uint8_t>(step, 1);
        const auto threshold = static_cast<uint32_t>(step.ints[1]);
        const T scale = static_cast<T>(step.reals[0]);
        uint32_t words[chunk];
        uint8_t keep[chunk];
        for (int64_t i = begin; i < end; i += chunk) {  // i: a multiple of `heavy` or `chunk`, and so of 4
            for (int64_t k = 0; k < chunk; k += drawn) draw(mine, (i + k) / 4, words + k);
            for (int64_t k = 0; k < chunk; ++k) keep[k] = words[k] >= threshold;
            const int64_t n = least(chunk, end - i);
            std::memcpy(mask + i, keep, static_cast<size_t>(n));
            apply<T>(x + i, keep, n, scale, y + i);
        }
    });
    return nullptr;
}

// ints = {elements}, reals = {scale}, in = {mask as bytes, dy}, out = {dx}; dx may be dy's memory
template <class T>
const char* dropout_backward(const Step& step) {
    parallel_ranges(step.threads, step.ints[0], light, [&](int, int64_t begin, int64_t end) {
        const auto* mask = input<uint8_t>(step, 0);
        const T* dy = input<T>(step, 1);
        T* dx = output<T>(step, 0);
        const T scale = static_cast<T>(step.reals[0]);
        apply<T>(dy + begin, mask + begin, end - begin, scale, dx + begin);
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel random_kernels[];
const Kernel random_kernels[] = {
    MOCHA_BOTH(dropout_forward),
    MOCHA_BOTH(dropout_backward),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
