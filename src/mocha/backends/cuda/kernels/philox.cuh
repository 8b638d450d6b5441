// The random words of mocha/random.py: block b, which is words 4 b to 4 b + 3, is Philox 4x32-10 of the counter
// (b, count) under the key (seed, stream).
#pragma once

#include "mocha.cuh"

struct Words {
    uint32_t at[4];
};

struct Draw {
    uint32_t seed, stream;
    uint64_t count;

    // Seed and count are kept as numbers in double.
    MOCHA_DEVICE Draw(double seed, int64_t stream, double count)
        : seed(static_cast<uint32_t>(static_cast<int64_t>(seed))), stream(static_cast<uint32_t>(stream)),
          count(static_cast<uint64_t>(count)) {}

    MOCHA_DEVICE Words block(uint64_t number) const {
        uint32_t c0 = static_cast<uint32_t>(number), c1 = static_cast<uint32_t>(number >> 32);
        uint32_t c2 = static_cast<uint32_t>(count), c3 = static_cast<uint32_t>(count >> 32);
        uint32_t k0 = seed, k1 = stream;
#pragma unroll
        for (int round = 0; round < 10; ++round) {
            const uint64_t p0 = uint64_t{c0} * 0xD2511F53u, p1 = uint64_t{c2} * 0xCD9E8D57u;
            c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
            c1 = static_cast<uint32_t>(p1);
            c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
            c3 = static_cast<uint32_t>(p0);
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        return Words{{c0, c1, c2, c3}};
    }

    MOCHA_DEVICE uint32_t word(uint64_t number) const {
        const Words four = block(number / 4);
        const uint32_t low = number & 1 ? four.at[1] : four.at[0], high = number & 1 ? four.at[3] : four.at[2];
        return number & 2 ? high : low;
    }
};
