// Convolution, channels last: forward, and the gradients of the input and of the filter.
//
// ints: N C H W K kh kw sh sw ph pw dh dw G Ho Wo, then for forward: has_bias, activation, packed
// reals: for forward: the activation's parameter
// Blobs are (N, H, W, C); the filter is (K, C/G, kh, kw) as it is learned and saved. Where `packed`, forward gets it as
// `conv_pack` has written it.
#include "mocha/matrix.h"

namespace mocha::MOCHA_ISA {
namespace {

// The widest slab of padded rows that a thread works on at a time, in bytes: about half of a small second-level cache.
constexpr int64_t slab_bytes = 192 * 1024;
// The deepest part of a packed panel that is used at a time, in bytes.
constexpr int64_t panel_bytes = 128 * 1024;

struct Shape {
    int64_t N, C, H, W, K, kh, kw, sh, sw, ph, pw, dh, dw, G, Ho, Wo;

    explicit Shape(const int64_t* i)
        : N(i[0]), C(i[1]), H(i[2]), W(i[3]), K(i[4]), kh(i[5]), kw(i[6]), sh(i[7]), sw(i[8]), ph(i[9]), pw(i[10]),
          dh(i[11]), dw(i[12]), G(i[13]), Ho(i[14]), Wo(i[15]) {}

    int64_t Cg() const { return C / G; }
    int64_t Kg() const { return K / G; }
    bool padded() const { return ph || pw; }
    int64_t wide() const { return W + 2 * pw; }               // width of a padded row
    int64_t depth() const { return kh * kw * Cg(); }          // length of the reduction
    int64_t reach(int64_t rows) const { return (rows - 1) * sh + (kh - 1) * dh + 1; }  // input rows under output rows
    bool joined() const { return G == 1 && dw == 1; }         // a filter row lies in one stretch of an input row
    // the stretches that a filter row consists of
    int64_t stretches() const { return joined() ? 1 : kw; }
    int64_t stretch() const { return joined() ? kw * C : Cg(); }
};

// Copies `rows` padded rows of image n, from padded row `top` on, into a slab of (rows, W + 2 pw, C).
template <class T>
void pad_rows(const Shape& s, const T* x, int64_t n, int64_t top, int64_t rows, T* slab) {
    const int64_t line = s.wide() * s.C, edge = s.pw * s.C, inner = s.W * s.C;
    for (int64_t r = 0; r < rows; ++r, slab += line) {
        const int64_t iy = top + r - s.ph;
        if (iy < 0 || iy >= s.H) {
            std::memset(slab, 0, static_cast<size_t>(line) * sizeof(T));
            continue;
        }
        std::memset(slab, 0, static_cast<size_t>(edge) * sizeof(T));
        std::memcpy(slab + edge, x + ((n * s.H + iy) * s.W) * s.C, static_cast<size_t>(inner) * sizeof(T));
        std::memset(slab + edge + inner, 0, static_cast<size_t>(edge) * sizeof(T));
    }
}

// How the output rows of the batch are shared: blocks of rows whose slab fits the cache, and, where that leaves
// threads idle, groups of panels.
struct Sharing {
    int64_t rows, blocks, groups;

    Sharing(const Shape& s, int64_t panels, int threads, int64_t bytes) {
        rows = s.Ho;
        while (rows > 1 && s.reach(rows) * s.wide() * s.C * bytes > slab_bytes) rows = ceil_div(rows, 2);
        while (rows > 1 && s.N * ceil_div(s.Ho, rows) < 2 * threads) rows = ceil_div(rows, 2);
        blocks = ceil_div(s.Ho, rows);
        groups = 1;
        while (groups < panels && s.N * blocks * groups < 2 * threads) ++groups;
    }
    int64_t units(const Shape& s) const { return s.N * blocks * groups; }
};

// Scratch of forward, in bytes: packed filters, padded bias, run tables, and slabs and offsets for each thread.
template <class T>
struct ForwardScratch {
    int64_t filters, bias, runs, slab, offsets, total;

    ForwardScratch(const Shape& s, int threads, bool packed) {
        const Panels<T> panels(s.Kg());
        const int64_t bytes = sizeof(T);
        const Sharing share(s, panels.count, threads, bytes);
        filters = packed ? 0 : aligned(s.G * panels.packed(s.depth()) * bytes);
        bias = aligned(s.G * panels.vectors * lanes<T> * bytes);
        runs = aligned(s.kh * s.stretches() * static_cast<int64_t>(sizeof(Run)));
        slab = s.padded() ? aligned(s.reach(share.rows) * s.wide() * s.C * bytes) : 0;
        offsets = aligned(share.rows * s.Wo * static_cast<int64_t>(sizeof(int64_t)));
        total = filters + bias + runs + threads * (slab + offsets);
    }
};

// The filter by panels: [group][panel][kernel row, kernel column, channel][NV lanes].
template <class T>
void pack_filters(const Shape& s, const T* w, T* packed, int threads) {
    const Panels<T> panels(s.Kg());
    const int64_t taps = s.kh * s.kw, Cg = s.Cg(), depth = s.depth();
    parallel_ranges(threads, s.G * panels.count, 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const int64_t g = u / panels.count, p = u % panels.count;
            const int64_t k0 = panels.begin(p), n = panels.end(p) - k0, across = panels.width(p) * lanes<T>;
            T* to = packed + g * panels.packed(depth) + panels.at(p, depth);
            for (int64_t k = 0; k < across; ++k) {
                const T* from = w + (g * s.Kg() + k0 + k) * Cg * taps;
                for (int64_t t = 0; t < taps; ++t)
                    for (int64_t c = 0; c < Cg; ++c) to[(t * Cg + c) * across + k] = k < n ? from[c * taps + t] : T(0);
            }
        }
    });
}

template <class T>
const char* forward(const Step& step) {
    const Shape s(step.ints);
    const bool has_bias = step.ints[16];
    const Finish<T> finish{static_cast<Activation>(step.ints[17]), static_cast<T>(step.reals[0])};
    const Finish<T> nothing{Activation::none, T(0)};
    const T* x = static_cast<const T*>(step.in[0]);
    const T* w = static_cast<const T*>(step.in[1]);
    T* y = static_cast<T*>(step.out[0]);

    const Panels<T> panels(s.Kg());
    const Sharing share(s, panels.count, step.threads, sizeof(T));
    const bool packed = step.ints[18];
    const ForwardScratch<T> need(s, step.threads, packed);
    char* scratch = step.scratch;
    const T* filters = packed ? w : reinterpret_cast<T*>(scratch);
    T* bias = reinterpret_cast<T*>(scratch += need.filters);
    Run* runs = reinterpret_cast<Run*>(scratch += need.bias);
    scratch += need.runs;

    if (!packed) pack_filters(s, w, reinterpret_cast<T*>(step.scratch), step.threads);
    const int64_t padded_k = panels.vectors * lanes<T>;
    if (has_bias) {
        const T* b = static_cast<const T*>(step.in[2]);
        for (int64_t g = 0; g < s.G; ++g)
            for (int64_t k = 0; k < padded_k; ++k) bias[g * padded_k + k] = k < s.Kg() ? b[g * s.Kg() + k] : T(0);
    }
    const int64_t n_runs = s.kh * s.stretches();
    for (int64_t ky = 0; ky < s.kh; ++ky)
        for (int64_t i = 0; i < s.stretches(); ++i)
            runs[ky * s.stretches() + i] = {ky * s.dh * s.wide() * s.C + i * s.dw * s.C, s.stretch()};

    parallel_ranges(step.threads, share.units(s), 1, [&](int thread, int64_t begin, int64_t end) {
        char* own = scratch + thread * (need.slab + need.offsets);
        T* slab = reinterpret_cast<T*>(own);
        int64_t* offset = reinterpret_cast<int64_t*>(own + need.slab);
        for (int64_t p = 0; p < share.rows * s.Wo; ++p) offset[p] = (p / s.Wo * s.sh * s.wide() + p % s.Wo * s.sw) * s.C;
        int64_t held = -1;  // the block whose padded rows are in the slab
        for (int64_t u = begin; u < end; ++u) {
            const int64_t block = u / share.groups, group = u % share.groups;
            const int64_t n = block / share.blocks, oy = block % share.blocks * share.rows;
            const int64_t rows = least(share.rows, s.Ho - oy), pixels = rows * s.Wo;
            const T* base = x + (n * s.H + oy * s.sh) * s.W * s.C;
            if (s.padded()) {
                if (held != block) pad_rows(s, x, n, oy * s.sh, s.reach(rows), slab);
                base = slab;
                held = block;
            }
            const int64_t p_end = panels.count * (group + 1) / share.groups;
            for (int64_t g = 0; g < s.G; ++g)
                for (int64_t p = panels.count * group / share.groups; p < p_end; ++p) {
                    const int64_t width = panels.width(p), across = width * lanes<T>, high = tile_rows(width);
                    const T* panel = filters + g * panels.packed(s.depth()) + panels.at(p, s.depth());
                    // the reduction in parts whose piece of the panel stays in the cache
                    const int64_t part =
                        most(1, panel_bytes / (s.stretch() * across * static_cast<int64_t>(sizeof(T))));
                    for (int64_t r = 0; r < n_runs; r += part) {
                        TileArgs<T> t;
                        const T* row[max_rows];
                        t.row = row;
                        t.runs = runs + r;
                        t.n_runs = least(part, n_runs - r);
                        t.panel = panel + r * s.stretch() * across;
                        t.out_step = s.K;
                        t.last = panels.end(p) - panels.begin(p) - (width - 1) * lanes<T>;
                        t.bias = has_bias ? bias + g * padded_k + panels.begin(p) : nullptr;
                        t.accumulate = r > 0;
                        const int64_t depth = t.n_runs * s.stretch();
                        t.finish = r + part >= n_runs ? finish : nothing;
                        T* out = y + (n * s.Ho + oy) * s.Wo * s.K + g * s.Kg() + panels.begin(p);
                        for (int64_t i = 0; i < pixels; i += high) {
                            t.rows = least(high, pixels - i);
                            for (int64_t j = 0; j < t.rows; ++j) row[j] = base + offset[i + j] + g * s.Cg();
                            t.out = out + i * s.K;
                            t.ahead = share_of_next(i / high, width, depth, t.panel + depth * across, t.panel);
                            run_tile(width, t);
                        }
                    }
                }
        }
    });
    return nullptr;
}

template <class T>
int64_t forward_scratch(const int64_t* ints, int threads) {
    return ForwardScratch<T>(Shape(ints), threads, ints[18]).total;
}

// Packs the filter once for many runs of forward. in: the filter; out: the packed one, of `packed_bytes` bytes.
template <class T>
const char* pack(const Step& step) {
    const Shape s(step.ints);
    pack_filters(s, static_cast<const T*>(step.in[0]), static_cast<T*>(step.out[0]), step.threads);
    return nullptr;
}

// The size of what `conv_pack` writes; asked for as its scratch, which it does not use.
template <class T>
int64_t packed_bytes(const int64_t* ints, int) {
    const Shape s(ints);
    return aligned(s.G * Panels<T>(s.Kg()).packed(s.depth()) * static_cast<int64_t>(sizeof(T)));
}

// --- the gradient of the input ---
//
// The columns  dY w  of pixels, a panel of (kernel column, channel) at a time, are added to where they were cut from.
// That is exactly the arithmetic of forward. Where the rows move by one, all kernel rows that meet in an input row are
// summed in registers first, so that only the kernel columns are added in memory.

// The widest panel here: three vectors leave registers for eight rows, which short image rows fill better than six.
constexpr int64_t data_panel = max_panel < 3 ? max_panel : 3;

template <class T>
struct DataScratch {
    int64_t filters, columns, runs, total, splits;

    DataScratch(const Shape& s, int threads) {
        const Panels<T> panels(s.kw * s.Cg(), data_panel);
        filters = aligned(s.G * panels.packed(s.kh * s.Kg()) * static_cast<int64_t>(sizeof(T)));
        const int64_t pixels = most(s.Ho, s.sh == 1 ? s.H : 0) * s.Wo;
        columns = aligned(pixels * least(panels.vectors, data_panel) * lanes<T> * static_cast<int64_t>(sizeof(T)));
        runs = aligned(s.kh * static_cast<int64_t>(sizeof(Run)));
        // where there are fewer images than threads, the rows of an image are shared
        splits = s.N >= threads ? 1 : least(ceil_div(2 * threads, most(s.N, 1)), s.H);
        total = filters + threads * (columns + runs);
    }
};

// The filter for the way back: [group][panel of (kernel column, channel)][kernel row][filter][NV lanes].
template <class T>
void pack_filters_back(const Shape& s, const T* w, T* packed, int threads) {
    const int64_t Cg = s.Cg(), Kg = s.Kg(), taps = s.kh * s.kw;
    const Panels<T> panels(s.kw * Cg, data_panel);
    parallel_ranges(threads, s.G * panels.count, 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
            const int64_t p = u % panels.count, g = u / panels.count;
            const int64_t j0 = panels.begin(p), n = panels.end(p) - j0, across = panels.width(p) * lanes<T>;
            T* to = packed + g * panels.packed(s.kh * Kg) + panels.at(p, s.kh * Kg);
            for (int64_t ky = 0; ky < s.kh; ++ky)
                for (int64_t k = 0; k < Kg; ++k, to += across) {
                    const T* from = w + (g * Kg + k) * Cg * taps + ky * s.kw;
                    int64_t kx = j0 / Cg, c = j0 % Cg;
                    for (int64_t j = 0; j < n; ++j) {
                        to[j] = from[c * taps + kx];
                        if (++c == Cg) c = 0, ++kx;
                    }
                    for (int64_t j = n; j < across; ++j) to[j] = T(0);
                }
        }
    });
}

// Adds panel columns [j0, j1) of `rows` rows of Wo pixels to the input gradient, from input row iy on, `step` rows apart.
template <class T>
void scatter(const Shape& s, const T* columns, int64_t across, int64_t j0, int64_t j1, int64_t g, int64_t iy,
             int64_t rows, int64_t step, T* dx) {
    const int64_t Cg = s.Cg();
    for (int64_t j = j0; j < j1;) {
        const int64_t kx = j / Cg, c0 = j % Cg, n = least(Cg - c0, j1 - j);
        // the output columns whose tap kx is inside the image
        const int64_t shift = kx * s.dw - s.pw;
        const int64_t ox0 = shift >= 0 ? 0 : ceil_div(-shift, s.sw);
        const int64_t ox1 = shift > s.W - 1 ? 0 : least(s.Wo, (s.W - 1 - shift) / s.sw + 1);
        const int64_t whole = n / lanes<T> * lanes<T>;
        for (int64_t r = 0; r < rows; ++r) {
            const T* from = columns + (r * s.Wo + ox0) * across + (j - j0);
            T* to = dx + ((iy + r * step) * s.W + ox0 * s.sw + shift) * s.C + g * Cg + c0;
            for (int64_t ox = ox0; ox < ox1; ++ox, from += across, to += s.sw * s.C) {
                int64_t c = 0;
                for (; c < whole; c += lanes<T>) store(to + c, load(to + c) + load(from + c));
                if (c < n) store_first(to + c, load_first(to + c, n - c) + load_first(from + c, n - c), n - c);
            }
        }
        j += n;
    }
}

// Some rows of pixels and the runs that make their columns.
template <class T>
struct Columns {
    const T* first;      // dY of the first pixel, at the first run
    int64_t pixels;
    const Run* runs;
    int64_t n_runs;
    int64_t ky;          // the first run's kernel row
    int64_t iy, rows, step;  // the input rows that they are added to
};

// Computes columns and adds them; a kernel of one pixel moved by one (`direct`) needs no adding.
template <class T>
void add_columns(const Shape& s, const Columns<T>& c, const T* filters, int64_t g, bool direct, T* columns, T* image) {
    const Panels<T> panels(s.kw * s.Cg(), data_panel);
    for (int64_t p = 0; p < panels.count; ++p) {
        const int64_t width = panels.width(p), across = width * lanes<T>, high = tile_rows(width);
        TileArgs<T> t;
        const T* row[max_rows];
        t.row = row;
        t.runs = c.runs;
        t.n_runs = c.n_runs;
        t.panel = filters + g * panels.packed(s.kh * s.Kg()) + panels.at(p, s.kh * s.Kg()) + c.ky * s.Kg() * across;
        t.out_step = direct ? s.C : across;
        t.last = direct ? panels.end(p) - panels.begin(p) - (width - 1) * lanes<T> : lanes<T>;
        t.bias = nullptr;
        t.ahead = t.panel;
        t.accumulate = false;
        t.finish = {Activation::none, T(0)};
        for (int64_t i = 0; i < c.pixels; i += high) {
            t.rows = least(high, c.pixels - i);
            for (int64_t j = 0; j < t.rows; ++j) row[j] = c.first + (i + j) * s.K;
            t.out = direct ? image + (c.iy * s.W + i) * s.C + g * s.Cg() + panels.begin(p) : columns + i * across;
            run_tile(width, t);
        }
        if (!direct) scatter(s, columns, across, panels.begin(p), panels.end(p), g, c.iy, c.rows, c.step, image);
    }
}

template <class T>
const char* backward_data(const Step& step) {
    const Shape s(step.ints);
    const T* w = static_cast<const T*>(step.in[0]);
    const T* dy = static_cast<const T*>(step.in[1]);
    T* dx = static_cast<T*>(step.out[0]);
    const DataScratch<T> need(s, step.threads);
    T* filters = reinterpret_cast<T*>(step.scratch);
    pack_filters_back(s, w, filters, step.threads);
    const bool direct = s.kh * s.kw == 1 && s.sh * s.sw == 1 && !s.padded();
    const int64_t line = s.Wo * s.K;

    parallel_ranges(step.threads, s.N * need.splits, 1, [&](int thread, int64_t begin, int64_t end) {
        char* own = step.scratch + need.filters + thread * (need.columns + need.runs);
        T* columns = reinterpret_cast<T*>(own);
        Run* runs = reinterpret_cast<Run*>(own + need.columns);
        Columns<T> c;
        c.runs = runs;
        for (int64_t r = 0; r < s.kh; ++r) runs[r] = {-r * s.dh * line, s.Kg()};
        for (int64_t u = begin; u < end; ++u) {
            const int64_t n = u / need.splits, part = u % need.splits;
            const int64_t top = s.H * part / need.splits, bottom = s.H * (part + 1) / need.splits;
            const T* grads = dy + n * s.Ho * line;
            T* image = dx + n * s.H * s.W * s.C;
            if (!direct) std::memset(image + top * s.W * s.C, 0, static_cast<size_t>((bottom - top) * s.W * s.C) * sizeof(T));
            if (s.sh == 1) {
                // input rows in groups in which the same kernel rows meet output rows
                const auto first_ky = [&](int64_t iy) { return most(0, ceil_div(most(0, iy + s.ph - s.Ho + 1), s.dh)); };
                const auto end_ky = [&](int64_t iy) { return least(s.kh, (iy + s.ph) / s.dh + 1); };
                for (int64_t iy = top; iy < bottom;) {
                    const int64_t k0 = first_ky(iy), k1 = end_ky(iy), start = iy;
                    while (iy < bottom && first_ky(iy) == k0 && end_ky(iy) == k1) ++iy;
                    if (k0 >= k1) continue;
                    c.pixels = (iy - start) * s.Wo;
                    c.n_runs = k1 - k0;
                    c.ky = k0;
                    c.iy = start;
                    c.rows = iy - start;
                    c.step = 1;
                    for (int64_t g = 0; g < s.G; ++g) {
                        c.first = grads + (start + s.ph - k0 * s.dh) * line + g * s.Kg();
                        add_columns(s, c, filters, g, direct, columns, image);
                    }
                }
                continue;
            }
            for (int64_t ky = 0; ky < s.kh; ++ky) {
                // the output rows whose kernel row ky falls into [top, bottom)
                const int64_t shift = ky * s.dh - s.ph;
                const int64_t oy0 = top - shift <= 0 ? 0 : ceil_div(top - shift, s.sh);
                const int64_t oy1 = bottom - shift <= 0 ? 0 : least(s.Ho, ceil_div(bottom - shift, s.sh));
                if (oy0 >= oy1) continue;
                c.pixels = (oy1 - oy0) * s.Wo;
                c.n_runs = 1;
                c.ky = ky;
                c.iy = oy0 * s.sh + shift;
                c.rows = oy1 - oy0;
                c.step = s.sh;
                for (int64_t g = 0; g < s.G; ++g) {
                    c.first = grads + oy0 * line + g * s.Kg();
                    add_columns(s, c, filters, g, direct, columns, image);
                }
            }
        }
    });
    return nullptr;
}

template <class T>
int64_t data_scratch(const int64_t* ints, int threads) {
    return DataScratch<T>(Shape(ints), threads).total;
}

// --- the gradient of the filter ---
//
// For each kernel row and stretch, a matrix of (filters, stretch): the sum over all pixels of dY[pixel] times the
// stretch of the input under it. Vectors run along the stretch or along the filters, whichever fills them better.

// The part of the blobs that all tiles run over before the next part, in bytes: it stays in the second-level cache.
constexpr int64_t filter_bytes = 384 * 1024;

template <class T>
struct FilterPlan {
    bool along_filters;   // vectors run along the filters
    int64_t tall, wide;   // extents along the tile's rows and vectors
    int64_t padded;       // wide, in whole vectors
    int64_t matrices;     // group, kernel row, stretch
    int64_t size;         // elements of all matrices
    bool by_image;        // threads share the images, each with matrices of its own; else they share the matrices
    int64_t images;       // images that are run through before the next tile,
    int64_t rows;         // or output rows of one, where an image is too large for the cache
    int64_t slab, total;

    FilterPlan(const Shape& s, int threads) {
        const int64_t stretch = s.stretch(), bytes = sizeof(T);
        along_filters = fill(stretch, s.Kg()) > fill(s.Kg(), stretch);
        tall = along_filters ? stretch : s.Kg();
        wide = along_filters ? s.Kg() : stretch;
        padded = ceil_div(wide, lanes<T>) * lanes<T>;
        matrices = s.G * s.kh * s.stretches();
        size = matrices * tall * padded;
        by_image = s.N >= threads && size * bytes <= 1024 * 1024;
        const int64_t image = s.padded() ? aligned((s.H + 2 * s.ph) * s.wide() * s.C * bytes) : 0;
        // short images are taken several at a time, so that the registers are emptied less often
        const int64_t row = s.sh * s.wide() * s.C + s.Wo * s.K, budget = filter_bytes / bytes;
        rows = most(1, least(s.Ho, budget / row));
        images = rows < s.Ho ? 1 : most(1, least(budget / (row * s.Ho), ceil_div(512, s.Ho * s.Wo)));
        slab = by_image ? images * image : s.N * image;
        total = by_image ? threads * (aligned(size * bytes) + slab) : aligned(size * bytes) + slab;
    }

    // the share of useful lanes in tiles of `rows` by `columns`
    static double fill(int64_t rows, int64_t columns) {
        const double across = static_cast<double>(columns) / static_cast<double>(ceil_div(columns, lanes<T>) * lanes<T>);
        return across * (rows < outer_rows ? static_cast<double>(rows) / outer_rows : 1.0);
    }
};

// One tile over output rows [oy, oy + rows) of images [n0, n1): its rows [i, i + mr) by nv vectors from v on, of matrix m.
template <class T>
void filter_tile(const Shape& s, const FilterPlan<T>& plan, const T* x, int64_t x_image, const T* dy, int64_t n0,
                 int64_t n1, int64_t oy, int64_t rows, int64_t m, int64_t i, int64_t mr, int64_t v, int64_t nv, T* out,
                 bool fresh) {
    const int64_t stretch = m % s.stretches(), ky = m / s.stretches() % s.kh, g = m / s.stretches() / s.kh;
    const int64_t in_at = ky * s.dh * s.wide() * s.C + stretch * s.dw * s.C + g * s.Cg();
    OuterArgs<T> t;
    t.n = s.Wo;
    t.rows = rows;
    t.last = least(plan.wide - (v + nv - 1) * lanes<T>, lanes<T>);
    t.out = out + (m * plan.tall + i) * plan.padded + v * lanes<T>;
    t.out_step = plan.padded;
    t.whole = true;
    for (int64_t n = n0; n < n1; ++n) {
        const T* under = x + (n - n0) * x_image + oy * s.sh * s.wide() * s.C + in_at;
        const T* grads = dy + (n * s.Ho + oy) * s.Wo * s.K + g * s.Kg();
        t.a = (plan.along_filters ? under : grads) + i;
        t.b = (plan.along_filters ? grads : under) + v * lanes<T>;
        t.a_step = plan.along_filters ? s.sw * s.C : s.K;
        t.b_step = plan.along_filters ? s.K : s.sw * s.C;
        t.a_row = plan.along_filters ? s.sh * s.wide() * s.C : s.Wo * s.K;
        t.b_row = plan.along_filters ? s.Wo * s.K : s.sh * s.wide() * s.C;
        t.accumulate = !(fresh && n == n0);
        run_outer(mr, nv, t);
    }
}

// Writes element range [begin, end) of the matrices' sum over `copies` into the filter's gradient, in its own order.
template <class T>
void gather_filters(const Shape& s, const FilterPlan<T>& plan, const char* copies, int64_t n_copies, int64_t distance,
                    T* dw, int threads) {
    const int64_t taps = s.kh * s.kw, Cg = s.Cg();
    parallel_ranges(threads, s.K, 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            const int64_t g = k / s.Kg(), kk = k % s.Kg();
            for (int64_t ky = 0; ky < s.kh; ++ky)
                for (int64_t kx = 0; kx < s.kw; ++kx) {
                    const int64_t m = (g * s.kh + ky) * s.stretches() + (s.joined() ? 0 : kx);
                    const int64_t first = s.joined() ? kx * Cg : 0;
                    for (int64_t c = 0; c < Cg; ++c) {
                        const int64_t tall = plan.along_filters ? first + c : kk, wide = plan.along_filters ? kk : first + c;
                        T total = T(0);
                        for (int64_t copy = 0; copy < n_copies; ++copy)
                            total += reinterpret_cast<const T*>(copies + copy * distance)[(m * plan.tall + tall) * plan.padded + wide];
                        dw[(k * Cg + c) * taps + ky * s.kw + kx] = total;
                    }
                }
        }
    });
}

template <class T>
const char* backward_filter(const Step& step) {
    const Shape s(step.ints);
    const T* x = static_cast<const T*>(step.in[0]);
    const T* dy = static_cast<const T*>(step.in[1]);
    T* dw = static_cast<T*>(step.out[0]);
    const FilterPlan<T> plan(s, step.threads);
    const int64_t size = aligned(plan.size * static_cast<int64_t>(sizeof(T)));
    const int64_t vectors = plan.padded / lanes<T>, row_tiles = ceil_div(plan.tall, outer_rows);
    const int64_t panels = ceil_div(vectors, max_panel);
    const int64_t plain = s.H * s.W * s.C, high = s.H + 2 * s.ph, image = s.padded() ? high * s.wide() * s.C : plain;

    // a range of the tiles over some images, part by part
    const auto sweep = [&](const T* from, int64_t n0, int64_t n1, int64_t tile0, int64_t tile1, T* out, bool fresh) {
        for (int64_t oy = 0; oy < s.Ho; oy += plan.rows)
            for (int64_t tile = tile0; tile < tile1; ++tile) {
                const int64_t row = tile % row_tiles, panel = tile / row_tiles % panels, m = tile / row_tiles / panels;
                const int64_t i = plan.tall * row / row_tiles, mr = plan.tall * (row + 1) / row_tiles - i;
                const int64_t v = vectors * panel / panels, nv = vectors * (panel + 1) / panels - v;
                filter_tile(s, plan, from, image, dy, n0, n1, oy, least(plan.rows, s.Ho - oy), m, i, mr, v, nv, out,
                            fresh && oy == 0);
            }
    };
    const int64_t tiles = plan.matrices * panels * row_tiles;

    if (plan.by_image) {
        parallel_ranges(step.threads, s.N, 1, [&](int thread, int64_t begin, int64_t end) {
            char* own = step.scratch + thread * (size + plan.slab);
            T* slab = reinterpret_cast<T*>(own + size);
            for (int64_t n = begin; n < end; n += plan.images) {
                const int64_t stop = least(n + plan.images, end);
                const T* from = x + n * plain;
                if (s.padded()) {
                    for (int64_t i = n; i < stop; ++i) pad_rows(s, x, i, 0, high, slab + (i - n) * image);
                    from = slab;
                }
                sweep(from, n, stop, 0, tiles, reinterpret_cast<T*>(own), n == begin);
            }
        });
        gather_filters(s, plan, step.scratch, least(step.threads, s.N), size + plan.slab, dw, step.threads);
        return nullptr;
    }
    T* out = reinterpret_cast<T*>(step.scratch);
    const T* from = x;
    if (s.padded()) {
        T* slab = reinterpret_cast<T*>(step.scratch + size);
        parallel_ranges(step.threads, s.N, 1, [&](int, int64_t begin, int64_t end) {
            for (int64_t n = begin; n < end; ++n) pad_rows(s, x, n, 0, high, slab + n * image);
        });
        from = slab;
    }
    parallel_ranges(step.threads, tiles, 1, [&](int, int64_t begin, int64_t end) {
        for (int64_t n = 0; n < s.N; n += plan.images)
            sweep(from + n * image, n, least(n + plan.images, s.N), begin, end, out, n == 0);
    });
    if (s.N == 0) std::memset(out, 0, static_cast<size_t>(size));
    gather_filters(s, plan, step.scratch, 1, 0, dw, step.threads);
    return nullptr;
}

template <class T>
int64_t filter_scratch(const int64_t* ints, int threads) {
    return FilterPlan<T>(Shape(ints), threads).total;
}

}  // namespace

extern const Kernel conv_kernels[];
const Kernel conv_kernels[] = {
    {"conv_forward", 4, forward<float>, forward_scratch<float>},
    {"conv_forward", 8, forward<double>, forward_scratch<double>},
    {"conv_pack", 4, pack<float>, packed_bytes<float>},
    {"conv_pack", 8, pack<double>, packed_bytes<double>},
    {"conv_backward_data", 4, backward_data<float>, data_scratch<float>},
    {"conv_backward_data", 8, backward_data<double>, data_scratch<double>},
    {"conv_backward_filter", 4, backward_filter<float>, filter_scratch<float>},
    {"conv_backward_filter", 8, backward_filter<double>, filter_scratch<double>},
    {nullptr, 0, nullptr, nullptr},
};

}  // namespace mocha::MOCHA_ISA
