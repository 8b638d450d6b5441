// Windows of images, at the centre or at random places. The random words are those of mocha/philox.h: image n takes
// block n.
#include "mocha/lanes.h"
#include "mocha/parallel.h"
#include "mocha/philox.h"

namespace mocha::MOCHA_ISA {
namespace {

constexpr int64_t worth = 16384;  // elements worth a thread

// The first whole-number attributes of both kernels.
struct Shape {
    int64_t images, channels, height, width, window_height, window_width;
    MOCHA_INLINE explicit Shape(const int64_t* ints)
        : images(ints[0]), channels(ints[1]), height(ints[2]), width(ints[3]), window_height(ints[4]),
          window_width(ints[5]) {}
    MOCHA_INLINE int64_t grain() const { return ceil_div(worth, most(window_height * window_width, 1)); }
};

// Top, left and mirrored for each image.
MOCHA_INLINE void choose_places(const Step& step, const Shape& s, int32_t* places) {
    const bool random_crop = step.ints[6], random_mirror = step.ints[7], per_image = step.ints[8];
    const auto tops = static_cast<uint64_t>(s.height - s.window_height + 1);
    const auto lefts = static_cast<uint64_t>(s.width - s.window_width + 1);
    Draw from{0, static_cast<uint32_t>(step.ints[9]), 0};
    if (random_crop || random_mirror) {
        from.seed = static_cast<uint32_t>(static_cast<int64_t>(input<double>(step, 1)[0]));
        from.count = static_cast<uint64_t>(input<double>(step, 2)[0]);
    }
    uint32_t words[4 * blocks_at_once];
    for (int64_t n = 0; n < s.images; ++n) {
        const int64_t block = per_image ? n : 0;
        if ((random_crop || random_mirror) && (n == 0 || (per_image && block % blocks_at_once == 0)))
            draw(from, block, words);
        const uint32_t* mine = words + 4 * (block % blocks_at_once);
        int32_t* place = places + 3 * n;
        place[0] = static_cast<int32_t>(random_crop ? mine[0] * tops >> 32 : (tops - 1) / 2);
        place[1] = static_cast<int32_t>(random_crop ? mine[1] * lefts >> 32 : (lefts - 1) / 2);
        place[2] = random_mirror ? static_cast<int32_t>(mine[2] >> 31) : 0;
    }
}

template <class T>
MOCHA_INLINE void copy_row(const T* x, int64_t n, bool mirrored, T* y) {
    if (mirrored)
        for (int64_t i = 0; i < n; ++i) y[i] = x[n - 1 - i];
    else
        std::memcpy(y, x, static_cast<size_t>(n) * sizeof(T));
}

// ints = {N, C, H, W, window H, window W, random place, random mirror, per image, stream}, in = {x, and if anything is
// random: seed, counter}, out = {y, places (N, 3) int32}. Seed and counter are numbers in double.
template <class T>
const char* crop_forward(const Step& step) {
    const Shape s(step.ints);
    auto* places = output<int32_t>(step, 1);
    choose_places(step, s, places);
    parallel_ranges(step.threads, s.images * s.channels, s.grain(), [&](int, int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            const int32_t* place = places + plane / s.channels * 3;
            const T* x = input<T>(step, 0) + (plane * s.height + place[0]) * s.width + place[1];
            T* y = output<T>(step, 0) + plane * s.window_height * s.window_width;
            for (int64_t row = 0; row < s.window_height; ++row)
                copy_row(x + row * s.width, s.window_width, place[2] != 0, y + row * s.window_width);
        }
    });
    return nullptr;
}

// ints = {N, C, H, W, window H, window W}, in = {places (N, 3) int32, dy}, out = {dx}
template <class T>
const char* crop_backward(const Step& step) {
    const Shape s(step.ints);
    const auto* places = input<int32_t>(step, 0);
    parallel_ranges(step.threads, s.images * s.channels, s.grain(), [&](int, int64_t begin, int64_t end) {
        T* all = output<T>(step, 0);
        std::memset(all + begin * s.height * s.width, 0,
                    static_cast<size_t>((end - begin) * s.height * s.width) * sizeof(T));
        for (int64_t plane = begin; plane < end; ++plane) {
            const int32_t* place = places + plane / s.channels * 3;
            T* dx = all + (plane * s.height + place[0]) * s.width + place[1];
            const T* dy = input<T>(step, 1) + plane * s.window_height * s.window_width;
            for (int64_t row = 0; row < s.window_height; ++row)
                copy_row(dy + row * s.window_width, s.window_width, place[2] != 0, dx + row * s.width);
        }
    });
    return nullptr;
}

}  // namespace

#define MOCHA_BOTH(name) {#name, 4, name<float>, nullptr}, {#name, 8, name<double>, nullptr}

extern const Kernel crop_kernels[];
const Kernel crop_kernels[] = {
    MOCHA_BOTH(crop_forward),
    MOCHA_BOTH(crop_backward),
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
