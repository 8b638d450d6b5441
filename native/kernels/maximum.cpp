// The largest of several inputs, element by element, and which it was.
#include "mocha/lanes.h"
#include "mocha/parallel.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 16384;  // elements worth a thread

// ints = {elements, inputs}, in = {x1, x2, ...}, out = {y, winners as bytes}; y may be the memory of x1. The second
// input wins unless the first is larger; a later one wins if it is larger than all before it.
template <class T>
const char* maximum_forward(const Step& step) {
    parallel_ranges(step.threads, step.ints[0], worth, [&](int, int64_t begin, int64_t end) {
        const int64_t inputs = step.ints[1];
        void* const* in = step.in;
        T* y = output<T>(step, 0);
        auto* winners = output<uint8_t>(step, 1);
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            Vec<T> best = some.load(static_cast<const T*>(in[0]) + i);
            IntVec<T> winner{};
            for (int64_t k = 1; k < inputs; ++k) {
                const Vec<T> x = some.load(static_cast<const T*>(in[k]) + i);
                const IntVec<T> wins = k == 1 ? ~(IntVec<T>)(best > x) : (IntVec<T>)(x > best);
                best = select<T>(wins, x, best);
                winner = wins ? splat_int<T>(k) : winner;
            }
            some.store(y + i, best);
            store_bytes<T>(winners + i, winner, some);
        });
    });
    return nullptr;
}

// ints = {elements, gradients, then for each the number of its input}, in = {winners as bytes, dy}, out = {gradients};
// the first may be dy's memory
template <class T>
const char* maximum_backward(const Step& step) {
    parallel_ranges(step.threads, step.ints[0], worth, [&](int, int64_t begin, int64_t end) {
        const auto* winners = input<uint8_t>(step, 0);
        const T* dy = input<T>(step, 1);
        void* const* out = step.out;
        by_vectors<T>(begin, end, [&](int64_t i, auto some) {
            const IntVec<T> winner = load_bytes<T>(winners + i, some);
            const Vec<T> g = some.load(dy + i);
            for (int64_t k = 0; k < step.ints[1]; ++k)
                some.store(static_cast<T*>(out[k]) + i,
                           select<T>(winner == splat_int<T>(step.ints[2 + k]), g, Vec<T>{}));
        });
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel maximum_kernels[];
const Kernel maximum_kernels[] = {
    MOCHA_BOTH(maximum_forward),
    MOCHA_BOTH(maximum_backward),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
