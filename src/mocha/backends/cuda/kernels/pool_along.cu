// Pooling along one axis of an array (outer, extent, inner). Neighbouring threads have neighbouring elements behind the
// axis. The whole-number attributes of all kernels here:
// ints = {outer, extent, inner, windows, kernel, stride, padding in front}.
#include "windows.cuh"

// Where an element is, of the array or of the result.
struct Position {
    Index outer, along, inner;
};

struct Line {
    Axis axis;
    Index outer, inner;
    Divisor by_inner, by_extent, by_windows;

    MOCHA_DEVICE explicit Line(const Step& step)
        : axis(step.at(1), step.at(3), step.at(4), step.at(5), step.at(6)), outer(step.at(0)), inner(step.at(2)),
          by_inner(inner), by_extent(axis.size), by_windows(axis.out) {}

    MOCHA_DEVICE Index cells() const { return outer * axis.size * inner; }
    MOCHA_DEVICE Index windows() const { return outer * axis.out * inner; }
    MOCHA_DEVICE Position cell(Index i) const { return position(i, by_extent); }
    MOCHA_DEVICE Position window(Index i) const { return position(i, by_windows); }
    // The first element of the line through a place of the array, or of the result.
    MOCHA_DEVICE Index cells_at(const Position& p) const { return p.outer * axis.size * inner + p.inner; }
    MOCHA_DEVICE Index windows_at(const Position& p) const { return p.outer * axis.out * inner + p.inner; }

    MOCHA_DEVICE Position position(Index i, const Divisor& by) const {
        Position p;
        p.outer = by.split(by_inner.split(i, p.inner), p.along);
        return p;
    }
};

// in = {x}, out = {maxima, their places on the axis as int32}. Of equal elements the first wins; so does the first NaN.
template <class T>
__device__ void max_pool_along_forward(const Step& step) {
    const Line line(step);
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    int32_t* places = step.out<int32_t>(1);
    each(line.windows(), [&](Index i) {
        const Position at = line.window(i);
        const T* cells = x + line.cells_at(at);
        const Index end = line.axis.end(at.along);
        Index place = line.axis.begin(at.along);
        Real<T> best = get(cells[place * line.inner]);
        for (Index c = place + 1; c < end; ++c) {
            const Real<T> value = get(cells[c * line.inner]);
            const bool better = !(value <= best) && best == best;
            best = better ? value : best;
            place = better ? c : place;
        }
        y[i] = put<T>(best);
        places[i] = place;
    });
}

// in = {places, dy}, out = {dx}
template <class T>
__device__ void max_pool_along_backward(const Step& step) {
    const Line line(step);
    const int32_t* places = step.in<int32_t>(0);
    const T* dy = step.in<T>(1);
    T* dx = step.out<T>(0);
    each(line.cells(), [&](Index i) {
        const Position at = line.cell(i);
        const Index first = line.windows_at(at), high = line.axis.high(at.along);
        Real<T> sum = 0;
        for (Index o = line.axis.low(at.along); o < high; ++o) {
            const Index from = first + o * line.inner;
            sum += places[from] == at.along ? get(dy[from]) : Real<T>(0);
        }
        dx[i] = put<T>(sum);
    });
}

// in = {x}, out = {y}
template <class T>
__device__ void mean_pool_along_forward(const Step& step) {
    const Line line(step);
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    const Real<T> extent = static_cast<Real<T>>(line.axis.kernel);
    each(line.windows(), [&](Index i) {
        const Position at = line.window(i);
        const T* cells = x + line.cells_at(at);
        const Index end = line.axis.end(at.along);
        Real<T> sum = 0;
        for (Index c = line.axis.begin(at.along); c < end; ++c) sum += get(cells[c * line.inner]);
        y[i] = put<T>(sum / extent);
    });
}

// in = {dy}, out = {dx}
template <class T>
__device__ void mean_pool_along_backward(const Step& step) {
    const Line line(step);
    const T* dy = step.in<T>(0);
    T* dx = step.out<T>(0);
    const Real<T> extent = static_cast<Real<T>>(line.axis.kernel);
    each(line.cells(), [&](Index i) {
        const Position at = line.cell(i);
        const T* given = dy + line.windows_at(at);
        const Index high = line.axis.high(at.along);
        Real<T> sum = 0;
        for (Index o = line.axis.low(at.along); o < high; ++o) sum += get(given[o * line.inner]) / extent;
        dx[i] = put<T>(sum);
    });
}

MOCHA_KERNEL(max_pool_along_forward)
MOCHA_KERNEL(max_pool_along_backward)
MOCHA_KERNEL(mean_pool_along_forward)
MOCHA_KERNEL(mean_pool_along_backward)
