// The random words of mocha/random.py: block b is Philox 4x32-10 of the counter (b, count) under the key (seed, stream).
#pragma once

#include <cstdint>
#include <cstring>

#include "mocha/simd.h"

namespace mocha::MOCHA_ISA {

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

}  // namespace mocha::MOCHA_ISA
