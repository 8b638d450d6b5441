#include "mocha/catalogue.h"

// The families of kernels: one file each in native/kernels, one table each.
#define MOCHA_FAMILIES(X)                                                                                             \
    X(conv) X(winograd) X(winograd_filter) X(depthwise) X(dense) X(dense_back) X(pointwise) X(reduce) X(softmax)      \
    X(loss) X(pair_loss) X(shape) X(pool) X(pool_along) X(crop) X(index) X(norm) X(batch_norm) X(random) X(update)    \
    X(adaptive) X(activation) X(maximum) X(arrange) X(gather) X(standardize) X(unfold) X(stochastic_pool)             \
    X(resize) X(roi_pool) X(label_loss) X(sigmoid_loss) X(contrastive) X(recurrent)

#define MOCHA_DECLARE(family) extern const Kernel family##_kernels[];

namespace mocha {

namespace portable {
MOCHA_FAMILIES(MOCHA_DECLARE)
}
#ifdef MOCHA_X86
namespace avx2 {
MOCHA_FAMILIES(MOCHA_DECLARE)
}
namespace avx512 {
MOCHA_FAMILIES(MOCHA_DECLARE)
}
#endif

namespace {

struct InstructionSet {
    const char* name;
    bool works;
    std::vector<const Kernel*> tables;
};

#define MOCHA_PORTABLE(family) portable::family##_kernels,
#define MOCHA_AVX2(family) avx2::family##_kernels,
#define MOCHA_AVX512(family) avx512::family##_kernels,

const std::vector<InstructionSet>& all_sets() {
    static const std::vector<InstructionSet> sets = [] {
        std::vector<InstructionSet> found;
#ifdef MOCHA_X86
        __builtin_cpu_init();
        const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
        const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        found.push_back({"avx512", avx512 && avx2, {MOCHA_FAMILIES(MOCHA_AVX512)}});
        found.push_back({"avx2", avx2, {MOCHA_FAMILIES(MOCHA_AVX2)}});
#endif
        found.push_back({"portable", true, {MOCHA_FAMILIES(MOCHA_PORTABLE)}});
        return found;
    }();
    return sets;
}

}  // namespace

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const auto& set : all_sets())
        if (set.works) names.emplace_back(set.name);
    return names;
}

const Kernel* find_kernel(const std::string& set, const std::string& name, int bytes) {
    for (const auto& candidate : all_sets()) {
        if (set != candidate.name || !candidate.works) continue;
        for (const Kernel* table : candidate.tables)
            for (const Kernel* kernel = table; kernel->name; ++kernel)
                if (name == kernel->name && kernel->bytes == bytes) return kernel;
    }
    return nullptr;
}

}  // namespace mocha
