// Images that lie channels last, (N, H, W, C), in packs of channels: a thread has some channels of a pixel, side by
// side, and the next thread those behind them.
#pragma once

#include "map.cuh"

// Division of numbers from 0 to 2^31 - 1 by one that a thread divides by more than once.
struct Divisor {
    uint32_t by, factor;

    MOCHA_DEVICE explicit Divisor(Index by)
        : by(static_cast<uint32_t>(by)), factor(0xffffffffu / static_cast<uint32_t>(by)) {}

    // Quotient and rest. What the factor gives is the quotient, or one too little.
    MOCHA_DEVICE Index split(Index number, Index& rest) const {
        const uint32_t n = static_cast<uint32_t>(number), quotient = __umulhi(n, factor), left = n - quotient * by;
        const bool short_of_one = left >= by;
        rest = static_cast<Index>(short_of_one ? left - by : left);
        return static_cast<Index>(short_of_one ? quotient + 1 : quotient);
    }
    MOCHA_DEVICE Index quotient(Index number) const {
        Index rest;
        return split(number, rest);
    }
};

// Whether the channels of a pixel are whole packs of 16 bytes.
template <class T>
MOCHA_DEVICE bool packs_fit(Index channels) {
    return channels % Pack<T>::size == 0;
}

// Where a pack is: of which image, at which pixel, and its first channel.
struct Place {
    Index image, y, x, c;
};

// The packs of N channels of images of some size, in the order in which they lie in memory.
template <int N>
struct Pixels {
    Divisor packs, width, height;
    Index count;  // of all packs

    MOCHA_DEVICE Pixels(Index images, Index height, Index width, Index channels)
        : packs(channels / N), width(width), height(height), count(images * height * width * (channels / N)) {}

    MOCHA_DEVICE Place place(Index pack) const {
        Place at;
        at.image = height.split(width.split(packs.split(pack, at.c), at.x), at.y);
        at.c *= N;
        return at;
    }
};

// -- sums

constexpr int slices = 8;            // into which a block of 256 threads cuts long sums; as in launches/pixels.py
constexpr Index few_sums = 1 << 16;  // with more packs than that there is enough to do without cutting

// Calls add(pack, first, by, sums) and then take(pack, sums), sums[N], for `count` packs. Long sums are cut into
// slices: each thread of eight adds what begins at `first` in steps of `by`. Doubles, which are there to be compared
// with, are added up in order.
template <class T, int N, class Add, class Take>
MOCHA_DEVICE void sum_packs(Index count, bool is_long, const Add& add, const Take& take) {
    typedef Real<T> R;
    if (!is_long || count > few_sums || sizeof(R) > 4) {
        each(count, [&](Index pack) {
            R sums[N] = {};
            add(pack, 0, 1, sums);
            take(pack, sums);
        });
        return;
    }
    constexpr int width = 256 / slices;
    __shared__ R found[slices][N][width];
    const int lane = static_cast<int>(threadIdx.x) % width, slice = static_cast<int>(threadIdx.x) / width;
    each_block(ceil_div(count, width), [&](Index block) {
        const Index pack = block * width + lane;
        R sums[N] = {};
        if (pack < count) add(pack, slice, slices, sums);
        __syncthreads();  // the sums before were joined
#pragma unroll
        for (int k = 0; k < N; ++k) found[slice][k][lane] = sums[k];
        __syncthreads();
        if (slice == 0 && pack < count) {
            for (int other = 1; other < slices; ++other)
#pragma unroll
                for (int k = 0; k < N; ++k) sums[k] += found[other][k][lane];
            take(pack, sums);
        }
    });
}
