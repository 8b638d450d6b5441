// Dropout. The random words are those of mocha/random.py: word i mod 4 of block i div 4 decides over element i, block b
// being Philox 4x32-10 of the counter (b, count) under the key (seed, stream).
#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t light = 16384, heavy = 4096;  // elements worth a thread

// One 32-bit word in the low half of each lane. What stands in the high half does not matter.
typedef uint64_t Words __attribute__((vector_size(MOCHA_VECTOR_BYTES)));
constexpr int64_t blocks_at_once = MOCHA_VECTOR_BYTES / 8;

// The products of the low halves.
MOCHA_INLINE Words times(Words a, uint32_t b) {
#if defined(__AVX512F__)
    return (Words)_mm512_maskz_mul_epu32(0xff, (__m512i)a, _mm512_set1_epi64(b));
#elif defined(__AVX2__)
    return (Words)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#else
    return (a & 0xffffffffu) * uint64_t{b};
#endif
}

struct Draw {
    uint32_t seed, stream;
    uint64_t count;
};

// The words of the blocks first, first + 1, ..., four each.
MOCHA_INLINE void draw(const Draw& from, int64_t first, uint32_t* words) {
    Words c0{}, c1, c2 = Words{} + (from.count & 0xffffffffu), c3 = Words{} + (from.count >> 32);
    for (int i = 0; i < blocks_at_once; ++i) c0[i] = static_cast<uint64_t>(first + i);
    c1 = c0 >> 32;
    uint32_t k0 = from.seed, k1 = from.stream;
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
        const Words p0 = times(c0, 0xD2511F53u), p1 = times(c2, 0xCD9E8D57u);
        c0 = (p1 >> 32) ^ c1 ^ uint64_t{k0};
        c1 = p1;
        c2 = (p0 >> 32) ^ c3 ^ uint64_t{k1};
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    // the first and the last two words of each block, in pairs
    alignas(64) uint64_t low[blocks_at_once], high[blocks_at_once], pairs[2 * blocks_at_once];
    const Words low_pairs = (c0 & 0xffffffffu) | (c1 << 32), high_pairs = (c2 & 0xffffffffu) | (c3 << 32);
    std::memcpy(low, &low_pairs, sizeof(low));
    std::memcpy(high, &high_pairs, sizeof(high));
    for (int i = 0; i < blocks_at_once; ++i) {
        pairs[2 * i] = low[i];
        pairs[2 * i + 1] = high[i];
    }
    std::memcpy(words, pairs, sizeof(pairs));
}

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
