// Windows of images (N, C, H, W), at the centre or at random places.
#include "philox.cuh"
#include "pixels.cuh"

// The first whole-number attributes of both kernels.
struct Window {
    Index planes, channels, height, width, rows, columns;

    MOCHA_DEVICE explicit Window(const Step& step)
        : planes(step.at(0) * step.at(1)), channels(step.at(1)), height(step.at(2)), width(step.at(3)),
          rows(step.at(4)), columns(step.at(5)) {}
};

// The first launch: top, left and mirrored for each image. Image n takes block n of the stream.
template <class T>
__device__ void crop_forward_places(const Step& step) {
    const Window w(step);
    const bool random_crop = step.at(6) != 0, random_mirror = step.at(7) != 0, per_image = step.at(8) != 0;
    const bool draws = random_crop || random_mirror;
    const Draw draw(draws ? step.in<double>(1)[0] : 0, step.whole(9), draws ? step.in<double>(2)[0] : 0);
    const Index spare_rows = w.height - w.rows, spare_columns = w.width - w.columns;
    const uint32_t tops = static_cast<uint32_t>(spare_rows) + 1, lefts = static_cast<uint32_t>(spare_columns) + 1;
    int32_t* places = step.out<int32_t>(1);
    each(step.at(0), [&](Index n) {
        Words words = {};
        if (draws) words = draw.block(static_cast<uint64_t>(per_image ? n : 0));
        int32_t* place = places + 3 * n;
        place[0] = random_crop ? static_cast<int32_t>(__umulhi(words.at[0], tops)) : spare_rows / 2;
        place[1] = random_crop ? static_cast<int32_t>(__umulhi(words.at[1], lefts)) : spare_columns / 2;
        place[2] = random_mirror ? static_cast<int32_t>(words.at[2] >> 31) : 0;
    });
}

// ints = {N, C, H, W, window H, window W, random place, random mirror, per image, stream}, in = {x, and if anything is
// random: seed, counter}, out = {y, places (N, 3) int32}. Seed and counter are numbers in double.
template <class T>
__device__ void crop_forward(const Step& step) {
    const Window w(step);
    const Divisor columns(w.columns), rows(w.rows), channels(w.channels);
    const T* x = step.in<T>(0);
    T* y = step.out<T>(0);
    const int32_t* places = step.out<int32_t>(1);
    each(w.planes * w.rows * w.columns, [&](Index i) {
        Index row, column;
        const Index plane = rows.split(columns.split(i, column), row);
        const int32_t* place = places + 3 * channels.quotient(plane);
        const Index from = place[1] + (place[2] ? w.columns - 1 - column : column);
        y[i] = x[(plane * w.height + place[0] + row) * w.width + from];
    });
}

// ints = {N, C, H, W, window H, window W}, in = {places (N, 3) int32, dy}, out = {dx}
template <class T>
__device__ void crop_backward(const Step& step) {
    const Window w(step);
    const Divisor width(w.width), height(w.height), channels(w.channels);
    const int32_t* places = step.in<int32_t>(0);
    const T* dy = step.in<T>(1);
    T* dx = step.out<T>(0);
    each(w.planes * w.height * w.width, [&](Index i) {
        Index row, column;
        const Index plane = height.split(width.split(i, column), row);
        const int32_t* place = places + 3 * channels.quotient(plane);
        row -= place[0];
        column -= place[1];
        const bool is_inside = row >= 0 && row < w.rows && column >= 0 && column < w.columns;
        if (place[2]) column = w.columns - 1 - column;
        dx[i] = is_inside ? dy[(plane * w.rows + row) * w.columns + column] : put<T>(Real<T>(0));
    });
}

MOCHA_PRECISE_KERNEL(crop_forward_places)
MOCHA_PRECISE_KERNEL(crop_forward)
MOCHA_PRECISE_KERNEL(crop_backward)
