// What happens to gradients on their way into parameters, and the steps with a velocity; see update.h.
#include "mocha/update.h"

namespace mocha::MOCHA_ISA {
namespace {

// ints = {tensors, elements of each}, reals = {clip, l2, l1, (unused)} each, in = {g, l2's w, l1's w, norm} each (any
// array where one is not needed), out = {g'} each; g' may be g's memory
template <class T>
const char* treat_gradient(const Step& step) {
    by_tensors(step, [&](int, int64_t t, int64_t begin, int64_t end) {
        void* const* in = step.in + 4 * t;
        const Treatment<T> treatment(step.reals + reals_each * t, in[3], in[1], in[2]);
        const T* g = static_cast<const T*>(in[0]);
        T* y = output<T>(step, t);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) { some.store(y + i, treatment.of(g, i, some)); });
    });
    return nullptr;
}

// v' = momentum v - local rate g'; w' = w + v'.
// ints = {tensors, elements of each}, reals = {clip, l2, l1, multiple of the rate} each,
// in = {g, w, v, l2's w, l1's w, norm, rate, momentum} each (as above), out = {w, v} each, the same memory as in
template <class T>
const char* sgd_update(const Step& step) {
    by_tensors(step, [&](int, int64_t t, int64_t begin, int64_t end) {
        void* const* in = step.in + 8 * t;
        const double* reals = step.reals + reals_each * t;
        const Treatment<T> treatment(reals, in[5], in[3], in[4]);
        const Vec<T> rate = splat(static_cast<T>(reals[3] * *static_cast<const double*>(in[6])));
        const Vec<T> momentum = splat(static_cast<T>(*static_cast<const double*>(in[7])));
        const T *g = static_cast<const T*>(in[0]), *w = static_cast<const T*>(in[1]);
        const T* v = static_cast<const T*>(in[2]);
        T *new_w = output<T>(step, 2 * t), *new_v = output<T>(step, 2 * t + 1);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            const Vec<T> moved = momentum * some.load(v + i) - rate * treatment.of(g, i, some);
            const Vec<T> there = some.load(w + i) + moved;
            some.store(new_v + i, moved);
            some.store(new_w + i, there);
        });
    });
    return nullptr;
}

// v' = m1 v - local rate g'; w' = w - m1 v + (1 + m2) v'.
// As `sgd_update`, but in = {g, w, v, l2's w, l1's w, norm, rate, m1, m2} each
template <class T>
const char* nesterov_update(const Step& step) {
    by_tensors(step, [&](int, int64_t t, int64_t begin, int64_t end) {
        void* const* in = step.in + 9 * t;
        const double* reals = step.reals + reals_each * t;
        const Treatment<T> treatment(reals, in[5], in[3], in[4]);
        const Vec<T> rate = splat(static_cast<T>(reals[3] * *static_cast<const double*>(in[6])));
        const Vec<T> last = splat(static_cast<T>(*static_cast<const double*>(in[7])));
        const Vec<T> ahead = splat(static_cast<T>(1 + *static_cast<const double*>(in[8])));
        const T *g = static_cast<const T*>(in[0]), *w = static_cast<const T*>(in[1]);
        const T* v = static_cast<const T*>(in[2]);
        T *new_w = output<T>(step, 2 * t), *new_v = output<T>(step, 2 * t + 1);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            const Vec<T> carried = last * some.load(v + i);
            const Vec<T> moved = carried - rate * treatment.of(g, i, some);
            const Vec<T> there = some.load(w + i) - carried + ahead * moved;
            some.store(new_v + i, moved);
            some.store(new_w + i, there);
        });
    });
    return nullptr;
}

int64_t global_norm_scratch(const int64_t*, int threads) { return 64 * int64_t{threads}; }

// The root of the sum of all squares, summed in double: ints = {tensors, elements of each}, in = {g} each,
// out = {norm}, a double
template <class T>
const char* global_norm(const Step& step) {
    for (int t = 0; t < step.threads; ++t) *reinterpret_cast<double*>(step.scratch + 64 * t) = 0;
    by_tensors(step, [&](int thread, int64_t t, int64_t begin, int64_t end) {
        auto* mine = reinterpret_cast<double*>(step.scratch + 64 * thread);
        *mine += sum_of_squares<T>(input<T>(step, t) + begin, nullptr, end - begin);
    });
    double total = 0;
    for (int t = 0; t < step.threads; ++t) total += *reinterpret_cast<const double*>(step.scratch + 64 * t);
    output<double>(step, 0)[0] = __builtin_sqrt(total);
    return nullptr;
}

// Rows longer than the threshold are shortened to it, where the iteration is a multiple of `every`:
// ints = {rows, columns, every}, reals = {threshold}, in = {w, iteration}, out = {w}, the same memory
template <class T>
const char* l2_norm_constraint(const Step& step) {
    const int64_t rows = step.ints[0], columns = step.ints[1];
    if (static_cast<int64_t>(input<double>(step, 1)[0]) % step.ints[2] != 0) return nullptr;
    parallel_ranges(step.threads, rows, ceil_div(worth, most(columns, 1)), [&](int, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            T* w = output<T>(step, 0) + r * columns;
            const double length = __builtin_sqrt(sum_of_squares<T>(w, nullptr, columns));
            if (!(length > step.reals[0])) continue;
            const Vec<T> factor = splat(static_cast<T>(step.reals[0] / length));
            by_vectors<T>(0, columns, [&](int64_t i, auto some) { some.store(w + i, some.load(w + i) * factor); });
        }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel update_kernels[];
const Kernel update_kernels[] = {
    MOCHA_BOTH(treat_gradient),
    MOCHA_BOTH(sgd_update),
    MOCHA_BOTH(nesterov_update),
    MOCHA_BOTH(l2_norm_constraint),
    {"global_norm", 4, global_norm<float>, global_norm_scratch},
    {"global_norm", 8, global_norm<double>, global_norm_scratch},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
