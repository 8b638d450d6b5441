// The steps of solvers that give each element a rate of its own; see update.h.
//
// All of them: ints = {tensors, elements of each}; reals = {clip, l2, l1, multiple of the rate, and the step's own} each;
// in = {g, w, states, l2's w, l1's w, norm, scalars} each (any array where one is not needed);
// out = {w, states} each, the same memory as in.
#include "mocha/update.h"
#include "mocha/vmath.h"

namespace mocha::MOCHA_ISA {
namespace {

// Calls element(gradient, states, scalars, own reals) -> movement, for all elements in vectors; it may change the states.
// STATES: how many there are; SCALARS: how many numbers are read; REALS: how many reals are the step's own.
template <class T, int STATES, int SCALARS, int REALS, class Element>
MOCHA_INLINE void by_elements(const Step& step, const Element& element) {
    by_tensors(step, [&](int, int64_t t, int64_t begin, int64_t end) {
        void* const* in = step.in + (5 + STATES + SCALARS) * t;
        const double* reals = step.reals + (reals_each + REALS) * t;
        const Treatment<T> treatment(reals, in[4 + STATES], in[2 + STATES], in[3 + STATES]);
        Vec<T> own[REALS];
        for (int i = 0; i < REALS; ++i) own[i] = splat(static_cast<T>(reals[reals_each + i]));
        double scalars[SCALARS];
        for (int i = 0; i < SCALARS; ++i) scalars[i] = *static_cast<const double*>(in[5 + STATES + i]);
        scalars[0] *= reals[3];
        const T *g = static_cast<const T*>(in[0]), *w = static_cast<const T*>(in[1]);
        T* moved = output<T>(step, (1 + STATES) * t);
        const auto move = element(scalars, own);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            Vec<T> states[STATES];
#pragma GCC unroll 2
            for (int k = 0; k < STATES; ++k) states[k] = some.load(static_cast<const T*>(in[2 + k]) + i);
            const Vec<T> at = some.load(w + i), there = at - move(treatment.of(g, i, some), at, states);
#pragma GCC unroll 2
            for (int k = 0; k < STATES; ++k) some.store(output<T>(step, (1 + STATES) * t + 1 + k) + i, states[k]);
            some.store(moved + i, there);
        });
    });
}

// m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2; w' = w - r (c m' / (sqrt(v') + epsilon) + decay w).
// own reals: beta1, 1 - beta1, beta2, 1 - beta2, epsilon, decay; states: m, v; scalars: rate, c
template <class T>
const char* adam_update(const Step& step) {
    by_elements<T, 2, 2, 6>(step, [](const double* scalars, const Vec<T>* own) {
        const Vec<T> rate = splat(static_cast<T>(scalars[0] * scalars[1]));
        const Vec<T> decay = splat(static_cast<T>(scalars[0])) * own[5];
        return [=](Vec<T> g, Vec<T> w, Vec<T>* states) {
            states[0] = own[0] * states[0] + own[1] * g;
            states[1] = own[2] * states[1] + own[3] * g * g;
            return rate * states[0] / (vsqrt<T>(states[1]) + own[4]) + decay * w;
        };
    });
    return nullptr;
}

// h' = keep h + share g^2; w' = w - r g / (sqrt(h') + epsilon).
// own reals: keep, share, epsilon; states: h; scalars: rate
template <class T>
const char* root_update(const Step& step) {
    by_elements<T, 1, 1, 3>(step, [](const double* scalars, const Vec<T>* own) {
        const Vec<T> rate = splat(static_cast<T>(scalars[0]));
        return [=](Vec<T> g, Vec<T>, Vec<T>* states) {
            states[0] = own[0] * states[0] + own[1] * g * g;
            return rate * g / (vsqrt<T>(states[0]) + own[2]);
        };
    });
    return nullptr;
}

// e' = rho e + (1 - rho) g^2; s = g sqrt((d + epsilon) / (e' + epsilon)); d' = rho d + (1 - rho) s^2; w' = w - r s.
// own reals: rho, 1 - rho, epsilon; states: e, d; scalars: rate
template <class T>
const char* adadelta_update(const Step& step) {
    by_elements<T, 2, 1, 3>(step, [](const double* scalars, const Vec<T>* own) {
        const Vec<T> rate = splat(static_cast<T>(scalars[0]));
        return [=](Vec<T> g, Vec<T>, Vec<T>* states) {
            states[0] = own[0] * states[0] + own[1] * g * g;
            const Vec<T> moved = g * vsqrt<T>((states[1] + own[2]) / (states[0] + own[2]));
            states[1] = own[0] * states[1] + own[1] * moved * moved;
            return rate * moved;
        };
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel adaptive_kernels[];
const Kernel adaptive_kernels[] = {
    MOCHA_BOTH(adam_update),
    MOCHA_BOTH(root_update),
    MOCHA_BOTH(adadelta_update),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
