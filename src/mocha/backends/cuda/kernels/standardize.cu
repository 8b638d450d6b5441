// Normalisation of each row by its own statistics: mean and deviation, or length. Divisors and lengths are Real<T>.
//
// Standardising short rows takes one launch, `<name>_rows`, in which teams have a row each. Long ones are taken as the
// channels of an array (1, rows, elements of a row): see channels.cuh. launches/standardize.py chooses.
#define MOCHA_MOST_THREADS 1024
#include "channels.cuh"
#include "teams.cuh"

MOCHA_DEVICE Extent rows_as_channels(const Step& step) { return Extent(1, step.at(0), step.at(1)); }

// What rows are divided by.
template <class R>
struct Divisor {
    bool scaled;
    R eps;

    MOCHA_DEVICE explicit Divisor(const Step& step) : scaled(step.at(2) != 0), eps(static_cast<R>(step.real(0))) {}
    MOCHA_DEVICE R of(double variance) const { return scaled ? sqrt(static_cast<R>(variance)) + eps : R(1); }
};

// ints = {rows, elements of a row, whether to divide}, reals = {eps}, in = {x}, out = {y, divisors}; y may be x's
// memory. Behind the sums in scratch memory: the mean of each row, and one over its divisor.
template <class T>
__device__ void standardize_forward_rows(const Step& step) {
    typedef Real<T> R;
    const Index n = step.at(1);
    const Divisor<R> divide_by(step);
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    R* divisors = step.out<R>(1);
    each_row(step, [&](const Team& team) {
        const R origin = team.classes ? finite_or_zero(get(x[team.first])) : R(0);
        R moved = 0, squares = 0;
        team.each_class([&](Index, Index i) { moved += get(x[i]) - origin; });
        const double sum = team.sum(static_cast<double>(moved)), count = static_cast<double>(n);
        const R mean = static_cast<R>(static_cast<double>(origin) + sum / count);
        team.each_class([&](Index, Index i) {
            const R distance = get(x[i]) - mean;
            squares += distance * distance;
        });
        const R divisor = divide_by.of(team.sum(static_cast<double>(squares)) / count), inverse = R(1) / divisor;
        team.each_class([&](Index, Index i) { y[i] = put<T>((get(x[i]) - mean) * inverse); });
        if (team.leads) divisors[team.position] = divisor;
    });
}

template <class T>
__device__ void standardize_forward_parts(const Step& step) {
    moments_of_parts(step, rows_as_channels(step), step.in<T>(0));
}

template <class T>
__device__ void standardize_forward_join(const Step& step) {
    typedef Real<T> R;
    const Extent e = rows_as_channels(step);
    const Divisor<R> divide_by(step);
    R *divisors = step.out<R>(1), *numbers = behind_sums<R>(step, e, 2);
    join_moments<T>(step, e, [=](Index row, double mean, double variance) {
        const R divisor = divide_by.of(variance);
        divisors[row] = divisor;
        numbers[2 * row] = static_cast<R>(mean);
        numbers[2 * row + 1] = R(1) / divisor;
    });
}

template <class T>
__device__ void standardize_forward(const Step& step) {
    typedef Real<T> R;
    const Extent e = rows_as_channels(step);
    const R* numbers = behind_sums<R>(step, e, 2);
    const T* const from[1] = {step.in<T>(0)};
    map_channels<T, 2>(
        e, from, step.out<T>(0),
        [=](Index row, R* of) {
            of[0] = numbers[2 * row];
            of[1] = numbers[2 * row + 1];
        },
        [](const R* x, const R* of) { return (x[0] - of[0]) * of[1]; });
}

// What standardising takes from a gradient: ints = {rows, elements of a row, whether it was divided},
// in = {y, divisors, dy} or {dy}, out = {dx}; dx may be dy's memory.
template <class T>
struct Standardized {
    bool scaled;
    const T *dy, *y;          // y: anything, if it was not divided
    const Real<T>* divisors;  // null, if it was not divided

    MOCHA_DEVICE explicit Standardized(const Step& step)
        : scaled(step.at(2) != 0),
          dy(step.in<T>(scaled ? 2 : 0)),
          y(step.in<T>(0)),
          divisors(scaled ? step.in<Real<T>>(1) : nullptr) {}
};

// The mean of dy, that of dy y, and one over the divisor: dx = (dy - mean - y slope) inverse.
template <class R>
struct Slopes {
    R mean, slope, inverse;

    template <class T>
    MOCHA_DEVICE Slopes(const Standardized<T>& of, Index row, double sum, double products, double count)
        : mean(static_cast<R>(sum / count)),
          slope(of.scaled ? static_cast<R>(products / count) : R(0)),
          inverse(of.scaled ? R(1) / of.divisors[row] : R(1)) {}
};

template <class T>
__device__ void standardize_backward_rows(const Step& step) {
    typedef Real<T> R;
    const Standardized<T> of(step);
    T* dx = step.out<T>(0);
    const Index n = step.at(1);
    each_row(step, [&](const Team& team) {
        R sum = 0, products = 0;
        team.each_class([&](Index, Index i) {
            const R dy = get(of.dy[i]);
            sum += dy;
            products += dy * get(of.y[i]);
        });
        const double sums = team.sum(static_cast<double>(sum)), all = team.sum(static_cast<double>(products));
        const Slopes<R> slopes(of, team.position, sums, all, static_cast<double>(n));
        team.each_class([&](Index, Index i) {
            const R centred = get(of.dy[i]) - slopes.mean;
            dx[i] = put<T>(of.scaled ? (centred - get(of.y[i]) * slopes.slope) * slopes.inverse : centred);
        });
    });
}

template <class T>
__device__ void standardize_backward_parts(const Step& step) {
    typedef Real<T> R;
    const Standardized<T> of(step);
    const T* const from[2] = {of.dy, of.y};
    sum_parts<T, 2>(step, rows_as_channels(step), from, [](R* sums, const R* x) {
        sums[0] += x[0];
        sums[1] += x[0] * x[1];
    });
}

template <class T>
__device__ void standardize_backward_join(const Step& step) {
    typedef Real<T> R;
    const Extent e = rows_as_channels(step);
    const Standardized<T> of(step);
    auto* slopes = behind_sums<Slopes<R>>(step, e, 2);
    join_parts<2>(step, e, [=](Index row, const double* sums) {
        slopes[row] = Slopes<R>(of, row, sums[0], sums[1], static_cast<double>(e.count()));
    });
}

template <class T>
__device__ void standardize_backward(const Step& step) {
    typedef Real<T> R;
    const Extent e = rows_as_channels(step);
    const Standardized<T> standardized(step);
    const auto* slopes = behind_sums<Slopes<R>>(step, e, 2);
    const T* const from[2] = {standardized.dy, standardized.y};
    map_channels<T, 3>(
        e, from, step.out<T>(0),
        [=](Index row, R* of) {
            of[0] = slopes[row].mean;
            of[1] = slopes[row].slope;
            of[2] = slopes[row].inverse;
        },
        [](const R* x, const R* of) { return (x[0] - of[0] - x[1] * of[1]) * of[2]; });
}

// ints = {outer, extent, inner}, reals = {eps}, in = {x}, out = {y, lengths (outer, inner)}; y may be x's memory
template <class T>
__device__ void l2_normalize_forward(const Step& step) {
    typedef Real<T> R;
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    R* lengths = step.out<R>(1);
    each_position(step, [&](const Team& team) {
        double squares = 0;
        team.each_class([&](Index, Index i) {
            const double v = static_cast<double>(get(x[i]));
            squares += v * v;
        });
        const R length = static_cast<R>(sqrt(team.sum(squares) + step.real(0)));
        team.each_class([&](Index, Index i) { y[i] = put<T>(get(x[i]) / length); });
        if (team.leads) lengths[team.position] = length;
    });
}

// ints = {outer, extent, inner}, in = {y, lengths, dy}, out = {dx}; dx may be dy's memory
template <class T>
__device__ void l2_normalize_backward(const Step& step) {
    typedef Real<T> R;
    const T *y = step.in<T>(0), *dy = step.in<T>(2);
    const R* lengths = step.in<R>(1);
    T* dx = step.out<T>(0);
    each_position(step, [&](const Team& team) {
        double products = 0;
        team.each_class([&](Index, Index i) { products += static_cast<double>(get(dy[i]) * get(y[i])); });
        const R along = static_cast<R>(team.sum(products)), length = lengths[team.position];
        team.each_class([&](Index, Index i) { dx[i] = put<T>((get(dy[i]) - get(y[i]) * along) / length); });
    });
}

MOCHA_KERNEL(standardize_forward_rows)
MOCHA_KERNEL(standardize_forward_parts)
MOCHA_KERNEL(standardize_forward_join)
MOCHA_KERNEL(standardize_forward)
MOCHA_KERNEL(standardize_backward_rows)
MOCHA_KERNEL(standardize_backward_parts)
MOCHA_KERNEL(standardize_backward_join)
MOCHA_KERNEL(standardize_backward)
MOCHA_KERNEL(l2_normalize_forward)
MOCHA_KERNEL(l2_normalize_backward)
