// Hard labels: class numbers from 0, in one of several types. The number of a label type: 0 that of the scores,
// 1 int32, 2 int64, 3 uint8.
#pragma once

#include "mocha.cuh"

// What stands for the number of a class where there is none.
constexpr Index no_class = -1, ignored_class = -2;

// The class that a number is, or no_class.
template <class R>
MOCHA_DEVICE Index class_of_number(R number, Index classes) {
    if (!(number >= R(0) && number < static_cast<R>(classes))) return no_class;
    const Index c = static_cast<Index>(number);
    return static_cast<R>(c) == number && c < classes ? c : no_class;
}

// The labels of a step, some of which may be ignored.
template <class T>
struct Labels {
    const void* at;
    int type;
    Index classes;
    bool ignores;
    int64_t ignored;

    MOCHA_DEVICE Labels(const void* labels, Index count, int64_t kind)
        : at(labels), type(static_cast<int>(kind)), classes(count), ignores(false), ignored(0) {}
    // The attributes from k on are {type, 1 if a label is ignored, which}.
    MOCHA_DEVICE Labels(const Step& step, const void* labels, Index count, int k)
        : Labels(labels, count, step.whole(k)) {
        ignored = step.whole(k + 2);
        ignores = step.whole(k + 1) != 0 && (type != 0 || is_in_T(ignored));
    }

    // Whether a label of type T can be this number.
    static MOCHA_DEVICE bool is_in_T(int64_t number) {
        return static_cast<double>(static_cast<T>(number)) == static_cast<double>(number);
    }
    template <class Label>
    MOCHA_DEVICE Label read(Index i) const {
        return static_cast<const Label*>(at)[i];
    }
    MOCHA_DEVICE int64_t whole(Index i) const {
        return type == 1 ? read<int32_t>(i) : type == 2 ? read<int64_t>(i) : read<uint8_t>(i);
    }
    MOCHA_DEVICE bool is_ignored(Index i) const {
        if (!ignores) return false;
        return type == 0 ? read<T>(i) == static_cast<T>(ignored) : whole(i) == ignored;
    }
    // The class that label i names, ignored_class or no_class.
    MOCHA_DEVICE Index operator[](Index i) const {
        if (type == 0) {
            const T label = read<T>(i);
            return ignores && label == static_cast<T>(ignored) ? ignored_class : class_of_number(label, classes);
        }
        const int64_t label = whole(i);
        if (ignores && label == ignored) return ignored_class;
        return label >= 0 && label < classes ? static_cast<Index>(label) : no_class;
    }
};
