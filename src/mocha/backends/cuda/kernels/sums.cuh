// Sums over the threads of a block, in a fixed order, so that they are the same in each run.
#pragma once

#include "mocha.cuh"

constexpr int warp_size = 32;

// The sum over the threads of a warp, in all of them. Blocks are made of whole warps.
template <class R>
MOCHA_DEVICE R warp_sum(R value) {
#pragma unroll
    for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffffu, value, lanes);
    return value;
}

// The value that `better(a, b)` prefers, over the threads of a warp; `better` must not care about the order.
template <class R, class Choose>
MOCHA_DEVICE R warp_choice(R value, const Choose& choose) {
#pragma unroll
    for (int lanes = warp_size / 2; lanes > 0; lanes /= 2)
        value = choose(value, __shfl_xor_sync(0xffffffffu, value, lanes));
    return value;
}

// The same over the threads of a block, in all of them. All threads must come here.
template <class R, class Choose>
MOCHA_DEVICE R block_choice(R value, R neutral, const Choose& choose) {
    __shared__ R of_warps[32];
    value = warp_choice(value, choose);
    __syncthreads();  // the block may still be reading the last ones
    if (threadIdx.x % warp_size == 0) of_warps[threadIdx.x / warp_size] = value;
    __syncthreads();
    const int lane = threadIdx.x % warp_size, warps = (blockDim.x + warp_size - 1) / warp_size;
    return warp_choice(lane < warps ? of_warps[lane] : neutral, choose);
}

template <class R>
struct Plus {
    MOCHA_DEVICE R operator()(R a, R b) const { return a + b; }
};

template <class R>
MOCHA_DEVICE R block_sum(R value) {
    return block_choice(value, R(0), Plus<R>{});
}

// The larger one; NaN wins.
template <class R>
struct Larger {
    MOCHA_DEVICE R operator()(R a, R b) const { return a > b || a != a ? a : b; }
};

template <class R>
MOCHA_DEVICE R block_max(R value) {
    return block_choice(value, -infinity<R>(), Larger<R>{});
}
