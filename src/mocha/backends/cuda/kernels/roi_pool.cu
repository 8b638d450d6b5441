// Pooling of regions of images (N, C, H, W) into bins.
//
// ints = {N, C, H, W, regions, bins down, bins across}, reals = {cells for each unit of the coordinates}
#include "functions.cuh"
#include "pixels.cuh"

constexpr double farthest = 1073741824.0;  // of coordinates, in cells

// One axis of a region: the first of its cells, and the extent of a bin.
template <class T>
struct Side {
    Index first;
    T step;

    MOCHA_DEVICE Index clipped(Index at, Index size) const { return least(most(first + at, 0), size); }
    MOCHA_DEVICE Index begin(Index bin, Index size) const {
        return clipped(whole(static_cast<T>(bin) * step), size);
    }
    MOCHA_DEVICE Index end(Index bin, Index size) const {
        const T at = static_cast<T>(bin + 1) * step;
        const Index below = whole(at);
        return clipped(below + (static_cast<T>(below) < at ? 1 : 0), size);
    }
    // Some may be beyond all images and beyond what is a place.
    MOCHA_DEVICE static Index whole(T at) { return static_cast<Index>(least(at, T(2147483520))); }
};

// What the first launch leaves in scratch memory for each region; launches/roi_pool.py knows its size.
template <class T>
struct Region {
    Index image;  // -1 if the region's data are wrong
    Side<T> down, across;
};

struct Geometry {
    Index n, channels, height, width, regions, down, across;

    MOCHA_DEVICE explicit Geometry(const Step& step)
        : n(step.at(0)), channels(step.at(1)), height(step.at(2)), width(step.at(3)), regions(step.at(4)),
          down(step.at(5)), across(step.at(6)) {}
};

// Halves away from zero.
MOCHA_DEVICE Index nearest(double x) { return static_cast<Index>(x + (x < 0 ? -0.5 : 0.5)); }

// From two coordinates; false if they are not finite or far away.
template <class T>
MOCHA_DEVICE bool find_side(T from, T to, T scale, Index bins, Side<T>& side) {
    const double low = rounded_product(from, scale), high = rounded_product(to, scale);
    if (!(fabs(low) <= farthest && fabs(high) <= farthest)) return false;
    side.first = nearest(low);
    const int64_t extent = int64_t{nearest(high)} - side.first + 1;
    side.step = static_cast<T>(most(extent, int64_t{1})) / static_cast<T>(bins);
    return true;
}

template <class T>
MOCHA_DEVICE void find_regions(const Step& step, const T* regions) {
    const Geometry g(step);
    const T scale = static_cast<T>(step.real(0));
    Region<T>* found = reinterpret_cast<Region<T>*>(step.scratch);
    each(g.regions, [&](Index r) {
        const T* given = regions + 5 * r;
        const T image = given[0];
        Region<T> region = {};
        bool is_good = image >= T(0) && image < static_cast<T>(g.n) && floor(image) == image;
        is_good = is_good && find_side(given[2], given[4], scale, g.down, region.down);
        is_good = is_good && find_side(given[1], given[3], scale, g.across, region.across);
        region.image = is_good ? static_cast<Index>(image) : -1;
        if (!is_good) step.refuse();
        found[r] = region;
    });
}

template <class T>
__device__ void roi_pool_forward_regions(const Step& step) {
    find_regions<T>(step, step.in<T>(1));
}

// in = {x, regions}, out = {y, winners}. A thread has a bin of a channel.
template <class T>
__device__ void roi_pool_forward(const Step& step) {
    const Geometry g(step);
    const Region<T>* regions = reinterpret_cast<const Region<T>*>(step.scratch);
    const Divisor across(g.across), down(g.down), channels(g.channels);
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    int32_t* winners = step.out<int32_t>(1);
    each(g.regions * g.channels * g.down * g.across, [&](Index p) {
        Index i, j, c;
        const Region<T> region = regions[channels.split(down.split(across.split(p, j), i), c)];
        T best = 0;
        Index winner = -1;
        if (region.image >= 0) {
            const Index top = region.down.begin(i, g.height), bottom = region.down.end(i, g.height);
            const Index left = region.across.begin(j, g.width), right = region.across.end(j, g.width);
            const T* plane = x + (region.image * g.channels + c) * g.height * g.width;
            if (top < bottom && left < right) {
                winner = top * g.width + left;
                best = plane[winner];
            }
            for (Index row = top; row < bottom; ++row)
                for (Index at = row * g.width + left; at < row * g.width + right; ++at) {
                    const bool better = !(plane[at] <= best) && best == best;  // the first NaN stays
                    best = better ? plane[at] : best;
                    winner = better ? at : winner;
                }
        }
        y[p] = best;
        winners[p] = winner;
    });
}

template <class T>
__device__ void roi_pool_backward_regions(const Step& step) {
    find_regions<T>(step, step.in<T>(0));
}

// in = {regions, winners, dy}, out = {dx}. Each cell gathers from the bins that hold it.
template <class T>
__device__ void roi_pool_backward(const Step& step) {
    const Geometry g(step);
    const Region<T>* regions = reinterpret_cast<const Region<T>*>(step.scratch);
    const Divisor width(g.width), height(g.height), channels(g.channels);
    const int32_t* winners = step.in<int32_t>(1);
    const T* dy = step.in<T>(2);
    T* dx = step.out<T>(0);
    each(g.n * g.channels * g.height * g.width, [&](Index p) {
        Index row, column, c;
        const Index image = channels.split(height.split(width.split(p, column), row), c);
        T sum = 0;
        for (Index r = 0; r < g.regions; ++r) {
            const Region<T> region = regions[r];
            if (region.image != image) continue;
            if (region.down.end(g.down - 1, g.height) <= row) continue;
            if (region.across.end(g.across - 1, g.width) <= column) continue;
            // bins begin, and end, no earlier than those before them
            for (Index i = 0; i < g.down && region.down.begin(i, g.height) <= row; ++i) {
                if (region.down.end(i, g.height) <= row) continue;
                const Index from = ((r * g.channels + c) * g.down + i) * g.across;
                for (Index j = 0; j < g.across && region.across.begin(j, g.width) <= column; ++j)
                    if (region.across.end(j, g.width) > column && winners[from + j] == row * g.width + column)
                        sum += dy[from + j];
            }
        }
        dx[p] = sum;
    });
}

MOCHA_PRECISE_KERNEL(roi_pool_forward_regions)
MOCHA_PRECISE_KERNEL(roi_pool_forward)
MOCHA_PRECISE_KERNEL(roi_pool_backward_regions)
MOCHA_PRECISE_KERNEL(roi_pool_backward)
