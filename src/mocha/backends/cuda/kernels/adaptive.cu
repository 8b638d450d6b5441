// The steps of solvers that give each element a rate of its own; see update.cuh.
//
// All of them: ints = {tensors, elements of each}; reals = {clip, l2, l1, multiple of the rate, the step's own} each;
// in = {g, w, states, l2's w, l1's w, norm, scalars} each (any array where one is not needed);
// out = {w, states} each, the same memory as in.
#include "update.cuh"

// A block's stretch, and where its tensor's attributes and scalars stand.
template <int STATES, int SCALARS, int REALS>
struct Place {
    static constexpr int inputs = 5 + STATES + SCALARS;
    Stretch stretch;
    int reals, in;

    MOCHA_DEVICE explicit Place(const Step& step)
        : stretch(stretch_number(step, static_cast<Index>(blockIdx.x), stretch_of_update)),
          reals((reals_each + REALS) * stretch.tensor),
          in(inputs * stretch.tensor) {}

    MOCHA_DEVICE double own(const Step& step, int k) const { return step.real(reals + reals_each + k); }
    MOCHA_DEVICE double scalar(const Step& step, int k) const { return step.in<double>(in + 5 + STATES + k)[0]; }
    // The learning rate, times the parameter's own multiple.
    MOCHA_DEVICE double rate(const Step& step) const { return scalar(step, 0) * step.real(reals + 3); }

    template <class T, class Element>
    MOCHA_DEVICE void update(const Step& step, const Element& element) const {
        update_stretch<T, STATES>(step, stretch, inputs, Treatment<T>(step, reals, in + 2 + STATES), element);
    }
};

// m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2; w' = w - r (c m' / (sqrt(v') + epsilon) + decay w).
// own reals: beta1, 1 - beta1, beta2, 1 - beta2, epsilon, decay; states: m, v; scalars: rate, c
template <class T>
__device__ void adam_update(const Step& step) {
    const Place<2, 2, 6> place(step);
    const T keep_mean = static_cast<T>(place.own(step, 0)), share_mean = static_cast<T>(place.own(step, 1));
    const T keep_square = static_cast<T>(place.own(step, 2)), share_square = static_cast<T>(place.own(step, 3));
    const T epsilon = static_cast<T>(place.own(step, 4)), decay = static_cast<T>(place.rate(step) * place.own(step, 5));
    const T rate = static_cast<T>(place.rate(step) * place.scalar(step, 1));
    place.update<T>(step, [=](T g, T w, T* states) {
        states[0] = keep_mean * states[0] + share_mean * g;
        states[1] = keep_square * states[1] + share_square * g * g;
        return w - (rate * states[0] / (sqrt(states[1]) + epsilon) + decay * w);
    });
}

// h' = keep h + share g^2; w' = w - r g / (sqrt(h') + epsilon).
// own reals: keep, share, epsilon; states: h; scalars: rate
template <class T>
__device__ void root_update(const Step& step) {
    const Place<1, 1, 3> place(step);
    const T keep = static_cast<T>(place.own(step, 0)), share = static_cast<T>(place.own(step, 1));
    const T epsilon = static_cast<T>(place.own(step, 2)), rate = static_cast<T>(place.rate(step));
    place.update<T>(step, [=](T g, T w, T* states) {
        states[0] = keep * states[0] + share * g * g;
        return w - rate * g / (sqrt(states[0]) + epsilon);
    });
}

// e' = rho e + (1 - rho) g^2; s = g sqrt((d + epsilon) / (e' + epsilon)); d' = rho d + (1 - rho) s^2; w' = w - r s.
// own reals: rho, 1 - rho, epsilon; states: e, d; scalars: rate
template <class T>
__device__ void adadelta_update(const Step& step) {
    const Place<2, 1, 3> place(step);
    const T keep = static_cast<T>(place.own(step, 0)), share = static_cast<T>(place.own(step, 1));
    const T epsilon = static_cast<T>(place.own(step, 2)), rate = static_cast<T>(place.rate(step));
    place.update<T>(step, [=](T g, T w, T* states) {
        states[0] = keep * states[0] + share * g * g;
        const T moved = g * sqrt((states[1] + epsilon) / (states[0] + epsilon));
        states[1] = keep * states[1] + share * moved * moved;
        return w - rate * moved;
    });
}

MOCHA_PRECISE_KERNEL(adam_update)
MOCHA_PRECISE_KERNEL(root_update)
MOCHA_PRECISE_KERNEL(adadelta_update)
