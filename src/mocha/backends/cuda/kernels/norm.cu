// Local response normalisation of images that lie channels last, (N, H, W, C): y = x s^-beta, where s is k and a factor
// times the sum of squares over a window; dx = dy s^-beta - c x (sum of dy x s^-beta / s over the mirrored window).
//
// Windows of 3 or 5 channels, which nets have, are taken in packs along the channels. Other ones take a thread for each
// element, and a further launch for gradients, so that no power is taken more than once.
//
// ints = {n, h, w, channels, size, 1 if across channels}
// reals = {k, alpha / numbers of a window, beta, 2 alpha beta / numbers of a window}
#include "pixels.cuh"

MOCHA_DEVICE float reciprocal_root(float x) {
#ifdef MOCHA_EMULATION
    return 1 / sqrt(x);
#else
    return rsqrtf(x);
#endif
}
MOCHA_DEVICE double reciprocal_root(double x) { return 1 / sqrt(x); }

// s^-beta, and the same over s.
template <class R>
struct Powers {
    R power, over;
};

struct ThreeQuarters {
    MOCHA_DEVICE explicit ThreeQuarters(double) {}

    template <class R>
    MOCHA_DEVICE Powers<R> operator()(R s) const {
        const R root = reciprocal_root(s), power = root * sqrt(root);
        return Powers<R>{power, power * root * root};
    }
};

struct AnyPower {
    double beta;

    MOCHA_DEVICE explicit AnyPower(double beta) : beta(beta) {}

    template <class R>
    MOCHA_DEVICE Powers<R> operator()(R s) const {
        const R power = pow(s, static_cast<R>(-beta));
        return Powers<R>{power, power / s};
    }
};

struct Extents {
    Index n, height, width, channels, size;
    bool across;

    MOCHA_DEVICE explicit Extents(const Step& step)
        : n(step.at(0)), height(step.at(1)), width(step.at(2)), channels(step.at(3)), size(step.at(4)),
          across(step.at(5) != 0) {}

    MOCHA_DEVICE Index elements() const { return n * height * width * channels; }
    // Whether windows are taken in packs; launches/norm.py says the same.
    MOCHA_DEVICE bool in_packs() const { return across && (size == 3 || size == 5) && channels % 8 == 0; }
};

// -- in packs

// The pack of a thread in the middle, with elements of its pixel before and behind; `outside` where the pixel ends.
template <class T, int BEFORE, int BEHIND>
struct Around {
    static constexpr int N = Pack<T>::size;
    Real<T> at[BEFORE + N + BEHIND];

    MOCHA_DEVICE Around(const T* middle, bool is_first, bool is_last, Real<T> outside) {
        static_assert(BEFORE <= N && BEHIND <= N, "the window reaches beyond the neighbours");
        const Few<T, N> own = load_few<N>(middle);
#pragma unroll
        for (int k = 0; k < BEFORE; ++k) at[k] = outside;
#pragma unroll
        for (int k = 0; k < N; ++k) at[BEFORE + k] = get(own.at[k]);
#pragma unroll
        for (int k = 0; k < BEHIND; ++k) at[BEFORE + N + k] = outside;
        if (!is_first) {
            const Few<T, N> before = load_few<N>(middle - N);
#pragma unroll
            for (int k = 0; k < BEFORE; ++k) at[k] = get(before.at[N - BEFORE + k]);
        }
        if (!is_last) {
            const Few<T, N> behind = load_few<N>(middle + N);
#pragma unroll
            for (int k = 0; k < BEHIND; ++k) at[BEFORE + N + k] = get(behind.at[k]);
        }
    }
};

// The sum of SIZE numbers from p on.
template <int SIZE, class R>
MOCHA_DEVICE R window_sum(const R* p) {
    R sum = p[0];
#pragma unroll
    for (int t = 1; t < SIZE; ++t) sum += p[t];
    return sum;
}

template <class T, class Power, int SIZE>
MOCHA_DEVICE void forward_in_packs(const Step& step) {
    typedef Real<T> R;
    constexpr int N = Pack<T>::size, before = (SIZE - 1) / 2, behind = SIZE / 2;
    const Extents e(step);
    const T* x = step.in<T>(0);
    T *y = step.out<T>(0), *s = step.out<T>(1);
    const R k = static_cast<R>(step.real(0)), factor = static_cast<R>(step.real(1));
    const Power powers(step.real(2));
    const Divisor packs(e.channels / N);
    each(e.elements() / N, [&](Index p) {
        Index pack;
        packs.split(p, pack);
        const Around<T, before, behind> around(x + p * N, pack == 0, pack * N + N == e.channels, R(0));
        R squares[before + N + behind], sums[N], results[N];
#pragma unroll
        for (int i = 0; i < before + N + behind; ++i) squares[i] = around.at[i] * around.at[i];
#pragma unroll
        for (int i = 0; i < N; ++i) {
            sums[i] = k + factor * window_sum<SIZE>(squares + i);
            results[i] = around.at[before + i] * powers(sums[i]).power;
        }
        put_few<T, N>(y + p * N, results);
        put_few<T, N>(s + p * N, sums);
    });
}

template <class T, class Power, int SIZE>
MOCHA_DEVICE void backward_in_packs(const Step& step) {
    typedef Real<T> R;
    constexpr int N = Pack<T>::size, before = SIZE / 2, behind = (SIZE - 1) / 2;
    const Extents e(step);
    const T *x = step.in<T>(0), *s = step.in<T>(1), *dy = step.in<T>(2);
    T* dx = step.out<T>(0);
    const R factor = static_cast<R>(step.real(3));
    const Power powers(step.real(2));
    const Divisor packs(e.channels / N);
    each(e.elements() / N, [&](Index p) {
        Index pack;
        packs.split(p, pack);
        const bool is_first = pack == 0, is_last = pack * N + N == e.channels;
        R given[before + N + behind], direct[N], own[N];
        {
            const Around<T, before, behind> sums(s + p * N, is_first, is_last, R(1));
            const Around<T, before, behind> gradients(dy + p * N, is_first, is_last, R(0));
            const Around<T, before, behind> elements(x + p * N, is_first, is_last, R(0));
#pragma unroll
            for (int i = 0; i < before + N + behind; ++i) {
                const Powers<R> found = powers(sums.at[i]);
                given[i] = gradients.at[i] * elements.at[i] * found.over;
                if (i >= before && i < before + N) {
                    direct[i - before] = gradients.at[i] * found.power;
                    own[i - before] = elements.at[i];
                }
            }
        }
#pragma unroll
        for (int i = 0; i < N; ++i) direct[i] -= factor * own[i] * window_sum<SIZE>(given + i);
        put_few<T, N>(dx + p * N, direct);
    });
}

// -- one by one

// Calls add(place) for all elements of the window around element i, which begins so many places before it.
template <class Add>
MOCHA_DEVICE void by_window(const Extents& e, const Pixels<1>& pixels, Index before, Index i, const Add& add) {
    const Place at = pixels.place(i);
    if (e.across) {
        const Index first = i - least(at.c, before), last = i + least(e.channels - 1 - at.c, e.size - 1 - before);
        for (Index j = first; j <= last; ++j) add(j);
        return;
    }
    const Index behind = e.size - 1 - before, line = e.width * e.channels;
    const Index top = least(at.y, before), bottom = least(e.height - 1 - at.y, behind);
    const Index left = least(at.x, before), right = least(e.width - 1 - at.x, behind);
    for (Index row = -top; row <= bottom; ++row)
        for (Index column = -left; column <= right; ++column) add(i + row * line + column * e.channels);
}

template <class T, class Power>
MOCHA_DEVICE void forward_singly(const Step& step) {
    typedef Real<T> R;
    const Extents e(step);
    const Pixels<1> pixels(e.n, e.height, e.width, e.channels);
    const T* x = step.in<T>(0);
    T *y = step.out<T>(0), *s = step.out<T>(1);
    const R k = static_cast<R>(step.real(0)), factor = static_cast<R>(step.real(1));
    const Power powers(step.real(2));
    each(pixels.count, [&](Index i) {
        R squares = 0;
        by_window(e, pixels, (e.size - 1) / 2, i, [&](Index j) { squares += get(x[j]) * get(x[j]); });
        const R sum = k + factor * squares;
        y[i] = put<T>(get(x[i]) * powers(sum).power);
        s[i] = put<T>(sum);
    });
}

// The first launch: dy x s^-beta / s into scratch memory.
template <class T, class Power>
MOCHA_DEVICE void prepare_backward(const Step& step) {
    typedef Real<T> R;
    const T *x = step.in<T>(0), *s = step.in<T>(1), *dy = step.in<T>(2);
    R* given = reinterpret_cast<R*>(step.scratch);
    const Power powers(step.real(2));
    each(Extents(step).elements(), [&](Index i) { given[i] = get(dy[i]) * get(x[i]) * powers(get(s[i])).over; });
}

template <class T, class Power>
MOCHA_DEVICE void backward_singly(const Step& step) {
    typedef Real<T> R;
    const Extents e(step);
    const Pixels<1> pixels(e.n, e.height, e.width, e.channels);
    const T *x = step.in<T>(0), *s = step.in<T>(1), *dy = step.in<T>(2);
    const R* given = reinterpret_cast<const R*>(step.scratch);
    T* dx = step.out<T>(0);
    const R factor = static_cast<R>(step.real(3));
    const Power powers(step.real(2));
    each(pixels.count, [&](Index i) {
        R sum = 0;
        by_window(e, pixels, e.size / 2, i, [&](Index j) { sum += given[j]; });
        dx[i] = put<T>(get(dy[i]) * powers(get(s[i])).power - factor * get(x[i]) * sum);
    });
}

// -- the choice of the way

template <class T, class Power>
MOCHA_DEVICE void forward(const Step& step) {
    const Extents e(step);
    if (!e.in_packs())
        forward_singly<T, Power>(step);
    else if (e.size == 5)
        forward_in_packs<T, Power, 5>(step);
    else
        forward_in_packs<T, Power, 3>(step);
}

template <class T, class Power>
MOCHA_DEVICE void backward(const Step& step) {
    const Extents e(step);
    if (!e.in_packs())
        backward_singly<T, Power>(step);
    else if (e.size == 5)
        backward_in_packs<T, Power, 5>(step);
    else
        backward_in_packs<T, Power, 3>(step);
}

// in = {x}, out = {y, s}
template <class T>
__device__ void lrn_forward(const Step& step) {
    if (step.real(2) == 0.75)
        forward<T, ThreeQuarters>(step);
    else
        forward<T, AnyPower>(step);
}

// in = {x, s, dy}, out = {dx}
template <class T>
__device__ void lrn_backward(const Step& step) {
    if (step.real(2) == 0.75)
        backward<T, ThreeQuarters>(step);
    else
        backward<T, AnyPower>(step);
}

template <class T>
__device__ void lrn_backward_parts(const Step& step) {
    if (step.real(2) == 0.75)
        prepare_backward<T, ThreeQuarters>(step);
    else
        prepare_backward<T, AnyPower>(step);
}

MOCHA_KERNEL(lrn_forward)
MOCHA_KERNEL(lrn_backward)
MOCHA_KERNEL(lrn_backward_parts)
