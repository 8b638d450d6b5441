// Hard labels: class numbers from 0, in one of several types. The number of a label type: 0 that of the scores,
// 1 int32, 2 int64, 3 uint8.
#pragma once

#include "mocha/findings.h"

namespace mocha::MOCHA_ISA {

constexpr const char* bad_label = "a label is not the number of a class";

// What stands for the number of a class where there is none.
constexpr int64_t no_class = -1, ignored_class = -2;

// The class that label i names, or no_class.
template <class T>
MOCHA_INLINE int64_t class_of(const void* labels, int64_t type, int64_t i, int64_t classes) {
    int64_t number = no_class;
    if (type == 0) {
        const T label = static_cast<const T*>(labels)[i];
        if (label >= T(0) && label < static_cast<T>(classes)) number = static_cast<int64_t>(label);
        if (static_cast<T>(number) != label) return no_class;
    } else if (type == 1) {
        number = static_cast<const int32_t*>(labels)[i];
    } else if (type == 2) {
        number = static_cast<const int64_t*>(labels)[i];
    } else {
        number = static_cast<const uint8_t*>(labels)[i];
    }
    return number >= 0 && number < classes ? number : no_class;
}

// The labels of a step, some of which may be ignored, unless it is known that none is. ints = {type, 1 if a label is
// ignored, which}.
template <class T, bool Ignoring = true>
struct Labels {
    const void* at;
    int64_t type, classes;
    bool ignores;
    int64_t ignored;

    MOCHA_INLINE Labels(const void* labels, int64_t count, const int64_t* ints)
        : at(labels), type(ints[0]), classes(count), ignores(ints[1] != 0 && (type != 0 || is_in_T(ints[2]))),
          ignored(ints[2]) {}

    // Whether a label of type T can be this number.
    static MOCHA_INLINE bool is_in_T(int64_t number) {
        return static_cast<double>(static_cast<T>(number)) == static_cast<double>(number);
    }

    MOCHA_INLINE bool is_ignored(int64_t i) const {
        if (!Ignoring || !ignores) return false;
        if (type == 0) return static_cast<const T*>(at)[i] == static_cast<T>(ignored);
        if (type == 1) return static_cast<const int32_t*>(at)[i] == ignored;
        if (type == 2) return static_cast<const int64_t*>(at)[i] == ignored;
        return static_cast<const uint8_t*>(at)[i] == ignored;
    }
    // The class that label i names, ignored_class or no_class.
    MOCHA_INLINE int64_t operator[](int64_t i) const {
        return is_ignored(i) ? ignored_class : class_of<T>(at, type, i, classes);
    }
};

// What a sum over n positions is divided by: the number given, or, if that is 0, how many are not ignored, 1 at least.
// `found` is scratch memory.
template <class Left>
MOCHA_INLINE double divisor(const Step& step, Finding* found, int64_t given, int64_t n, const Left& is_left_out) {
    if (given) return static_cast<double>(given);
    parallel_ranges(step.threads, n, 16384, [&](int thread, int64_t begin, int64_t end) {
        int64_t counted = 0;
        for (int64_t i = begin; i < end; ++i) counted += !is_left_out(i);
        found[thread].total = static_cast<double>(counted);
    });
    const double counted = joined(step, found).total;
    for (int t = 0; t < step.threads; ++t) found[t] = Finding{};
    return counted > 1 ? counted : 1;
}

}  // namespace mocha::MOCHA_ISA
