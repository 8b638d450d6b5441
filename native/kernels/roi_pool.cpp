// Pooling of regions of images (N, C, H, W) into bins.
//
// ints = {N, C, H, W, regions, bins down, bins across}, reals = {cells for each unit of the coordinates}
#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 4096;         // results or cells worth a thread
constexpr double farthest = 0x1p30;     // of coordinates, in cells
constexpr const char* bad = "a region is in no image, or its coordinates are not finite or far away";

struct Geometry {
    int64_t n, channels, height, width, regions, down, across;
    double scale;

    MOCHA_INLINE explicit Geometry(const Step& s)
        : n(s.ints[0]), channels(s.ints[1]), height(s.ints[2]), width(s.ints[3]), regions(s.ints[4]), down(s.ints[5]),
          across(s.ints[6]), scale(s.reals[0]) {}
    MOCHA_INLINE int64_t plane() const { return height * width; }
    MOCHA_INLINE int64_t bins() const { return down * across; }
};

// A coordinate in cells, not rounded yet to a whole one.
template <class T>
MOCHA_INLINE double cell(T coordinate, double scale) {
    return static_cast<double>(rounded<T>(splat(coordinate) * static_cast<T>(scale))[0]);
}

// Halves away from zero.
MOCHA_INLINE int64_t nearest(double x) { return static_cast<int64_t>(x + (x < 0 ? -0.5 : 0.5)); }

template <class T>
MOCHA_INLINE bool are_good(const Geometry& g, const T* regions) {
    for (int64_t r = 0; r < g.regions; ++r, regions += 5) {
        const double image = static_cast<double>(regions[0]);
        const bool is_in = image >= 0 && image < static_cast<double>(g.n);
        if (!is_in || static_cast<double>(static_cast<int64_t>(image)) != image) return false;
        for (int i = 1; i < 5; ++i) {
            const double at = cell(regions[i], g.scale);
            if (!(at >= -farthest && at <= farthest)) return false;
        }
    }
    return true;
}

// One axis of a region, cut into bins.
template <class T>
struct Axis {
    int64_t first, size;
    T step;

    MOCHA_INLINE Axis(T from, T to, double scale, int64_t bins, int64_t cells)
        : first(nearest(cell(from, scale))), size(cells) {
        step = static_cast<T>(most(nearest(cell(to, scale)) - first + 1, 1)) / static_cast<T>(bins);
    }
    MOCHA_INLINE int64_t clipped(int64_t at) const { return least(most(first + at, 0), size); }
    MOCHA_INLINE int64_t begin(int64_t i) const { return clipped(static_cast<int64_t>(static_cast<T>(i) * step)); }
    MOCHA_INLINE int64_t end(int64_t i) const {
        const T at = static_cast<T>(i + 1) * step;
        const auto below = static_cast<int64_t>(at);
        return clipped(below + (static_cast<T>(below) < at));
    }
};

// in = {x, regions}, out = {y, winners}
template <class T>
const char* roi_pool_forward(const Step& step) {
    const Geometry g(step);
    if (!are_good(g, input<T>(step, 1))) return bad;
    const int64_t grain = ceil_div(worth, most(g.bins(), 1));
    parallel_ranges(step.threads, g.regions * g.channels, grain, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const T* region = input<T>(step, 1) + u / g.channels * 5;
            const int64_t image = static_cast<int64_t>(region[0]);
            const T* x = input<T>(step, 0) + (image * g.channels + u % g.channels) * g.plane();
            T* y = output<T>(step, 0) + u * g.bins();
            int32_t* winners = output<int32_t>(step, 1) + u * g.bins();
            const Axis<T> rows(region[2], region[4], g.scale, g.down, g.height);
            const Axis<T> columns(region[1], region[3], g.scale, g.across, g.width);
            for (int64_t i = 0; i < g.down; ++i) {
                const int64_t top = rows.begin(i), bottom = rows.end(i);
                for (int64_t j = 0; j < g.across; ++j, ++y, ++winners) {
                    const int64_t left = columns.begin(j), right = columns.end(j);
                    int64_t winner = bottom > top && right > left ? top * g.width + left : -1;
                    T best = winner < 0 ? T(0) : x[winner];
                    for (int64_t a = top; a < bottom; ++a)
                        for (int64_t at = a * g.width + left; at < a * g.width + right; ++at) {
                            const bool better = !(x[at] <= best) && best == best;
                            best = better ? x[at] : best;
                            winner = better ? at : winner;
                        }
                    *y = best;
                    *winners = static_cast<int32_t>(winner);
                }
            }
        }
    });
    return nullptr;
}

// in = {regions, winners, dy}, out = {dx}
template <class T>
const char* roi_pool_backward(const Step& step) {
    const Geometry g(step);
    if (!are_good(g, input<T>(step, 0))) return bad;
    const int64_t grain = ceil_div(worth, most(g.plane() + g.regions, 1));
    parallel_ranges(step.threads, g.n * g.channels, grain, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            T* dx = output<T>(step, 0) + u * g.plane();
            std::memset(dx, 0, static_cast<size_t>(g.plane()) * sizeof(T));
            for (int64_t r = 0; r < g.regions; ++r) {
                if (static_cast<int64_t>(input<T>(step, 0)[r * 5]) != u / g.channels) continue;
                const int64_t at = (r * g.channels + u % g.channels) * g.bins();
                const int32_t* winners = input<int32_t>(step, 1) + at;
                const T* dy = input<T>(step, 2) + at;
                for (int64_t b = 0; b < g.bins(); ++b)
                    if (winners[b] >= 0) dx[winners[b]] += dy[b];
            }
        }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel roi_pool_kernels[];
const Kernel roi_pool_kernels[] = {
    MOCHA_BOTH(roi_pool_forward),
    MOCHA_BOTH(roi_pool_backward),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
