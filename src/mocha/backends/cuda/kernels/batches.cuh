// Loops in which a thread asks memory for several things before it waits for the first of them.
#pragma once

#include "map.cuh"

// Calls use(i, load(i)) for i = first, first + stride, ... before the end; BATCH of them at a time are loaded together.
template <int BATCH, class Load, class Use>
MOCHA_DEVICE void in_batches(Index first, Index end, Index stride, const Load& load, const Use& use) {
    typedef decltype(load(first)) Loaded;
    Index i = first, left = end - first;
    for (; left > (BATCH - 1) * stride; left -= BATCH * stride, i += BATCH * stride) {
        Loaded loaded[BATCH];
#pragma unroll
        for (int b = 0; b < BATCH; ++b) loaded[b] = load(i + b * stride);
#pragma unroll
        for (int b = 0; b < BATCH; ++b) use(i + b * stride, loaded[b]);
    }
    for (; left > 0; left -= stride, i += stride) use(i, load(i));
}
