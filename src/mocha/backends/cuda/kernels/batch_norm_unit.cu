// Batch normalisation of x (outer, channels, inner) with what stands behind it: scale, shift, a sum with another blob,
// a ReLU. In each direction two passes read the blobs, and the second one writes.
//
// Scale, shift, mean and variance, one number a channel, are Real<T>, and so are the gradients of the first two.
#include "channels.cuh"
#include "functions.cuh"

template <class R>
MOCHA_DEVICE R inverse_deviation(const Step& step, R variance) {
    return R(1) / sqrt(variance + static_cast<R>(step.real(0)));
}

// -- forward
//
// ints = {outer, channels, inner, 1 for a ReLU, 1 for another blob}, reals = {eps}, in = {x, scale, shift[, other]},
// out = {y, mean, variance}; y may be the other blob's memory. Behind the sums in scratch memory: by what each channel's
// distances from its mean are multiplied.

template <class T>
__device__ void batch_norm_unit_forward_parts(const Step& step) {
    moments_of_parts(step, Extent(step), step.in<T>(0));
}

template <class T>
__device__ void batch_norm_unit_forward_join(const Step& step) {
    typedef Real<T> R;
    const Extent e(step);
    const R* scales = step.in<R>(1);
    R *means = step.out<R>(1), *variances = step.out<R>(2), *factors = behind_sums<R>(step, e, 2);
    join_moments<T>(step, e, [=](Index c, double mean, double variance) {
        means[c] = static_cast<R>(mean);
        variances[c] = static_cast<R>(variance);
        factors[c] = scales[c] * inverse_deviation(step, static_cast<R>(variance));
    });
}

template <class T, int N>
MOCHA_DEVICE void write_result(const Step& step, const Extent& e, const T* const (&from)[N]) {
    typedef Real<T> R;
    const R *means = step.out<R>(1), *factors = behind_sums<R>(step, e, 2), *shifts = step.in<R>(2);
    const R floor = step.at(3) ? R(0) : -infinity<R>();
    map_channels<T, 3>(
        e, from, step.out<T>(0),
        [=](Index c, R* of) {
            of[0] = means[c];
            of[1] = factors[c];
            of[2] = shifts[c];
        },
        [=](const R* x, const R* of) {
            const R y = (x[0] - of[0]) * of[1] + of[2];
            return relu(N > 1 ? y + x[N - 1] : y, floor);
        });
}

template <class T>
__device__ void batch_norm_unit_forward(const Step& step) {
    const Extent e(step);
    if (step.at(4)) {
        const T* const from[2] = {step.in<T>(0), step.in<T>(3)};
        write_result<T, 2>(step, e, from);
    } else {
        const T* const from[1] = {step.in<T>(0)};
        write_result<T, 1>(step, e, from);
    }
}

// -- backward
//
// ints = {outer, channels, inner, 1 for a ReLU, then for each of dx, dscale, dshift, dother: 1 if it is wanted},
// reals = {eps}, in = {x, scale[, y, with a ReLU], mean, variance, dy}, out = the wanted ones, in this order; dx may be
// dy's memory. With dz = dy where y > 0, else 0, or dy without a ReLU, the parts are sums of dz and of dz (x - mean).
// Behind them in scratch memory stand three numbers of each channel: dx = factor (dz - rest - slope x).

constexpr int loads = 6;  // of arrays, that a thread has under way at once

template <class T>
struct Backward {
    typedef Real<T> R;
    const bool rectified;
    const T *x, *y, *dy;
    const R *scales, *means, *variances;
    T *dx, *dother;  // null where not wanted
    R *dscales, *dshifts;

    MOCHA_DEVICE explicit Backward(const Step& step)
        : rectified(step.at(3) != 0),
          x(step.in<T>(0)),
          y(rectified ? step.in<T>(2) : nullptr),
          dy(step.in<T>(rectified ? 5 : 4)),
          scales(step.in<R>(1)),
          means(step.in<R>(rectified ? 3 : 2)),
          variances(step.in<R>(rectified ? 4 : 3)) {
        int number = 0;
        dx = step.at(4) ? step.out<T>(number++) : nullptr;
        dscales = step.at(5) ? step.out<R>(number++) : nullptr;
        dshifts = step.at(6) ? step.out<R>(number++) : nullptr;
        dother = step.at(7) ? step.out<T>(number) : nullptr;
    }
};

// dz of dy, x and y, or of dy and x.
template <class R, int N>
MOCHA_DEVICE R behind_sum(const R (&read)[N]) {
    return N < 3 ? read[0] : relu_back(read[N - 1], read[0], R(0));
}

template <int WIDTH, bool TOGETHER, class T, int N>
MOCHA_DEVICE void gradient_share(const Step& step, const Extent& e, const Shares& shares, Index share,
                                 Found<Real<T>, WIDTH, 2>& found, const T* const (&from)[N], const Real<T>* means) {
    typedef Real<T> R;
    const Seat seat(e, shares, share);
    R centres[TOGETHER ? 1 : WIDTH];
#pragma unroll
    for (int w = 0; w < (TOGETHER ? 1 : WIDTH); ++w) centres[w] = seat.row < seat.end ? means[seat.channel + w] : R(0);
    sum_share<WIDTH, TOGETHER, loads / N>(
        step, e, shares, share, found, [&](Index place) { return read_few<WIDTH>(from, place); },
        [&](Sums<R, 2>& sums, const Read<T, WIDTH, N>& read, int w) {
            R values[N];
            read.values(w, values);
            const R dz = behind_sum(values);
            sums.of[0] += dz;
            sums.of[1] += dz * (values[1] - centres[TOGETHER ? 0 : w]);
        });
}

template <class T, int N>
MOCHA_DEVICE void gradient_parts(const Step& step, const T* const (&from)[N], const Real<T>* means,
                                 Found<Real<T>, Pack<T>::size, 2>& found, Found<Real<T>, 1, 2>& found_one) {
    constexpr int width = Pack<T>::size;
    const Extent e(step);
    const Shares shares(e, width);
    each_block(shares.groups * shares.parts, [&](Index block) {
        const Index share = shares.groups * shares.parts - 1 - block;
        if (shares.last && shares.width == width)
            gradient_share<width, false>(step, e, shares, share, found, from, means);
        else if (shares.last)
            gradient_share<1, false>(step, e, shares, share, found_one, from, means);
        else if (shares.width == width)
            gradient_share<width, true>(step, e, shares, share, found, from, means);
        else
            gradient_share<1, true>(step, e, shares, share, found_one, from, means);
    });
}

template <class T>
__device__ void batch_norm_unit_backward_parts(const Step& step) {
    __shared__ Found<Real<T>, Pack<T>::size, 2> found;
    __shared__ Found<Real<T>, 1, 2> found_one;
    const Backward<T> b(step);
    if (b.rectified) {
        const T* const from[3] = {b.dy, b.x, b.y};
        gradient_parts<T>(step, from, b.means, found, found_one);
    } else {
        const T* const from[2] = {b.dy, b.x};
        gradient_parts<T>(step, from, b.means, found, found_one);
    }
}

template <class T>
__device__ void batch_norm_unit_backward_join(const Step& step) {
    typedef Real<T> R;
    const Extent e(step);
    const Backward<T> b(step);
    R* numbers = behind_sums<R>(step, e, 2);
    const double count = static_cast<double>(e.count());
    join_parts<2>(step, e, [=](Index c, const double* sums) {
        const R inverse = count > 0 ? inverse_deviation(step, b.variances[c]) : R(0);
        const double products = sums[1] * static_cast<double>(inverse);  // of dz and the normalised x
        const R mean = static_cast<R>(sums[0] / count), slope = static_cast<R>(products / count) * inverse;
        if (b.dscales) b.dscales[c] = static_cast<R>(products);
        if (b.dshifts) b.dshifts[c] = static_cast<R>(sums[0]);
        numbers[3 * c] = b.scales[c] * inverse;
        numbers[3 * c + 1] = mean - slope * b.means[c];
        numbers[3 * c + 2] = slope;
    });
}

// What dx is made of, of a channel.
template <class R>
struct Share {
    R factor = 0, rest = 0, slope = 0;

    template <class T>
    MOCHA_DEVICE void load(const Backward<T>& b, const R* numbers, Index c) {
        if (!b.dx) return;  // there are no numbers then
        factor = numbers[3 * c];
        rest = numbers[3 * c + 1];
        slope = numbers[3 * c + 2];
    }
    MOCHA_DEVICE R of(R dz, R x) const { return factor * (dz - rest - slope * x); }
};

// Writes dx and dother at the place that was read; share_of(w) is that of the channel of element w.
template <int WIDTH, class T, int N, class ShareOf>
MOCHA_DEVICE void write_gradients(const Backward<T>& b, Index place, const Read<T, WIDTH, N>& read,
                                  const ShareOf& share_of) {
    Few<T, WIDTH> dx, dother;
#pragma unroll
    for (int w = 0; w < WIDTH; ++w) {
        Real<T> values[N];
        read.values(w, values);
        const Real<T> dz = behind_sum(values);
        dx.at[w] = put<T>(share_of(w).of(dz, values[1]));
        dother.at[w] = put<T>(dz);
    }
    if (b.dx) store_few(b.dx + place, dx);
    if (b.dother) store_few(b.dother + place, dother);
}

// All of them, shared out as map_channels does it.
template <class T, int N>
MOCHA_DEVICE void write_all_gradients(const Step& step, const Backward<T>& b, const T* const (&from)[N]) {
    typedef Real<T> R;
    constexpr int width = Pack<T>::size;
    const Extent e(step);
    const R* numbers = behind_sums<R>(step, e, 2);
    if (e.channels_last() && e.channels % width == 0) {
        const Shares shares(e, width);
        each_block(shares.groups * shares.parts, [&](Index block) {
            const Seat seat(e, shares, block);
            if (seat.row >= seat.end) return;
            Share<R> of[width];
#pragma unroll
            for (int w = 0; w < width; ++w) of[w].load(b, numbers, seat.channel + w);
            in_batches<loads / N>(
                seat.row, seat.end, shares.rows,
                [&](Index p) { return read_few<width>(from, seat.template place<true>(p)); },
                [&](Index p, const Read<T, width, N>& read) {
                    write_gradients(b, seat.template place<true>(p), read, [&](int w) { return of[w]; });
                });
        });
        return;
    }
    const Index packs = e.size() / width;
    each(packs, [&](Index pack) {
        const Index first = pack * width, stretch = first / e.inner;
        Index c = stretch % e.channels, left = (stretch + 1) * e.inner - first;  // elements of that channel
        Share<R> of;
        of.load(b, numbers, c);
        write_gradients(b, first, read_few<width>(from, first), [&](int w) {
            if (w > 0 && --left == 0) {
                left = e.inner;
                c = c + 1 < e.channels ? c + 1 : 0;
                of.load(b, numbers, c);
            }
            return of;
        });
    });
    each(e.size() - packs * width, [&](Index rest) {
        const Index i = packs * width + rest;
        Share<R> of;
        of.load(b, numbers, e.channel(i));
        write_gradients(b, i, read_few<1>(from, i), [&](int) { return of; });
    });
}

template <class T>
__device__ void batch_norm_unit_backward(const Step& step) {
    const Backward<T> b(step);
    if (b.rectified) {
        const T* const from[3] = {b.dy, b.x, b.y};
        write_all_gradients(step, b, from);
    } else {
        const T* const from[2] = {b.dy, b.x};
        write_all_gradients(step, b, from);
    }
}

MOCHA_KERNEL(batch_norm_unit_forward_parts)
MOCHA_KERNEL(batch_norm_unit_forward_join)
MOCHA_KERNEL(batch_norm_unit_forward)
MOCHA_KERNEL(batch_norm_unit_backward_parts)
MOCHA_KERNEL(batch_norm_unit_backward_join)
MOCHA_KERNEL(batch_norm_unit_backward)
