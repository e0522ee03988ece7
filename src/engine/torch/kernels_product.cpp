#include "engine/torch/kernels_product.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "engine/torch/parallel.h"
#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {
namespace {

/// The right-hand side is laid out in panels of this many columns, row after row.
constexpr std::int64_t kPanel = 32;
/// Rows of the result that are computed together: with a panel's 32 columns, 16 vectors of 16 numbers stay in registers.
constexpr int kRows = 8;
/// Work below which one thread is faster than waking others.
constexpr std::int64_t kSerialFlops = 1 << 21;
/// What laying out a number takes, in the flops that take as long.
constexpr double kLayFlops = 8;

/// Vectors of the widths that processors have. The compiler splits them where one is missing.
typedef float Vector16 __attribute__((vector_size(64), may_alias));
typedef float Vector8 __attribute__((vector_size(32), may_alias));
typedef float Vector4 __attribute__((vector_size(16), may_alias));

/// out[i][0..columns) = (add or 0) + sum_k a[i][k] * panel[k][...] for kCount rows and one panel. Tiled: rows are interleaved,
/// kRows to a step of k.
template <class V, int kCount, bool kTiled>
WHET_INLINE void tile(const float* a, std::int64_t a_row, const float* panel, std::int64_t inner, const float* add,
                      std::int64_t add_stride, float* out, std::int64_t stride, std::int64_t columns) {
  constexpr int kLanes = sizeof(V) / sizeof(float);
  constexpr int kVectors = 2;
  constexpr int kStrip = kVectors * kLanes;
  for (std::int64_t strip = 0; strip < columns; strip += kStrip) {
    V sum[kCount][kVectors];
    for (int i = 0; i < kCount; ++i) {
      for (int v = 0; v < kVectors; ++v) sum[i][v] = V{};
    }
    const float* b = panel + strip;
    for (std::int64_t k = 0; k < inner; ++k, b += kPanel) {
      V right[kVectors];
      for (int v = 0; v < kVectors; ++v) right[v] = *reinterpret_cast<const V*>(b + v * kLanes);
      for (int i = 0; i < kCount; ++i) {
        const float left = kTiled ? a[k * kRows + i] : a[i * a_row + k];
        for (int v = 0; v < kVectors; ++v) sum[i][v] += left * right[v];
      }
    }
    const std::int64_t valid = std::min<std::int64_t>(kStrip, columns - strip);
    for (int i = 0; i < kCount; ++i) {
      float values[kStrip];
      std::memcpy(values, sum[i], sizeof(values));
      float* target = out + i * stride + strip;
      if (add == nullptr) {
        if (valid == kStrip) {
          std::memcpy(target, values, sizeof(values));
        } else {
          std::memcpy(target, values, static_cast<std::size_t>(valid) * sizeof(float));
        }
      } else {
        const float* other = add + i * add_stride + strip;
        if (valid == kStrip) {
          for (int t = 0; t < kStrip; ++t) target[t] = other[t] + values[t];
        } else {
          for (std::int64_t t = 0; t < valid; ++t) target[t] = other[t] + values[t];
        }
      }
    }
  }
}

/// A block of rows times consecutive panels.
struct Block {
  const float* a;
  std::int64_t a_row;
  std::int64_t rows;
  const float* panels;
  std::int64_t panel_size;
  std::int64_t inner;
  const float* add;
  std::int64_t add_stride;  ///< 0: one row for all
  float* out;
  std::int64_t stride;
  std::int64_t columns;  ///< of the result, from the first panel on
};

template <class V>
WHET_INLINE void run_rows(const Block& t) {
  for (std::int64_t first = 0; first < t.columns; first += kPanel) {
    const float* panel = t.panels + first / kPanel * t.panel_size;
    const std::int64_t columns = std::min(kPanel, t.columns - first);
    const auto at = [&](std::int64_t row) { return row * t.stride + first; };
    const auto add = [&](std::int64_t row) { return t.add == nullptr ? nullptr : t.add + row * t.add_stride + first; };
    std::int64_t i = 0;
    for (; i + kRows <= t.rows; i += kRows) {
      tile<V, kRows, false>(t.a + i * t.a_row, t.a_row, panel, t.inner, add(i), t.add_stride, t.out + at(i), t.stride, columns);
    }
    if (i + 4 <= t.rows) {
      tile<V, 4, false>(t.a + i * t.a_row, t.a_row, panel, t.inner, add(i), t.add_stride, t.out + at(i), t.stride, columns);
      i += 4;
    }
    for (; i < t.rows; ++i) {
      tile<V, 1, false>(t.a + i * t.a_row, t.a_row, panel, t.inner, add(i), t.add_stride, t.out + at(i), t.stride, columns);
    }
  }
}

/// As run_rows for interleaved rows: `a` holds groups of kRows rows, [groups, inner, kRows]; the last may be partly unused.
template <class V>
WHET_INLINE void run_tiles(const Block& t) {
  for (std::int64_t first = 0; first < t.columns; first += kPanel) {
    const float* panel = t.panels + first / kPanel * t.panel_size;
    const std::int64_t columns = std::min(kPanel, t.columns - first);
    std::int64_t i = 0;
    for (; i + kRows <= t.rows; i += kRows) {
      float* out = t.out + i * t.stride + first;
      tile<V, kRows, true>(t.a + i * t.inner, 0, panel, t.inner, out, t.stride, out, t.stride, columns);
    }
    for (const float* a = t.a + i * t.inner; i < t.rows; ++i, ++a) {
      float* out = t.out + i * t.stride + first;
      tile<V, 1, true>(a, 0, panel, t.inner, out, t.stride, out, t.stride, columns);
    }
  }
}

typedef std::uint16_t Halves16 __attribute__((vector_size(32)));
typedef std::uint16_t Halves8 __attribute__((vector_size(16)));
typedef std::uint16_t Halves4 __attribute__((vector_size(8)));
typedef std::uint32_t Wholes16 __attribute__((vector_size(64)));
typedef std::uint32_t Wholes8 __attribute__((vector_size(32)));
typedef std::uint32_t Wholes4 __attribute__((vector_size(16)));

template <class Halves, class Wholes, class V>
WHET_INLINE void load_halves(const BFloat16* from, V& to) {
  Halves halves;
  std::memcpy(&halves, from, sizeof(halves));
  const Wholes wholes = __builtin_convertvector(halves, Wholes) << 16;
  std::memcpy(&to, &wholes, sizeof(to));
}

/// As many consecutive numbers as the vector has lanes.
template <class V>
WHET_INLINE void load(const float* from, V& to) { std::memcpy(&to, from, sizeof(V)); }
WHET_INLINE void load(const BFloat16* from, Vector16& to) { load_halves<Halves16, Wholes16>(from, to); }
WHET_INLINE void load(const BFloat16* from, Vector8& to) { load_halves<Halves8, Wholes8>(from, to); }
WHET_INLINE void load(const BFloat16* from, Vector4& to) { load_halves<Halves4, Wholes4>(from, to); }

/// Lanes of `a` with the bit kStep change places with those of `b` without it.
template <int kStep, class V, int... kLane>
WHET_INLINE void exchange(V& a, V& b, std::integer_sequence<int, kLane...>) {
  constexpr int kLanes = sizeof...(kLane);
  const V first = __builtin_shufflevector(a, b, ((kLane & kStep) != 0 ? kLane - kStep + kLanes : kLane)...);
  b = __builtin_shufflevector(a, b, ((kLane & kStep) != 0 ? kLane + kLanes : kLane + kStep)...);
  a = first;
}

/// Transposes a square of vectors in place: blocks of ever larger sides are exchanged across the diagonal.
template <class V, int kStep = 1>
WHET_INLINE void transpose(V* square) {
  constexpr int kLanes = sizeof(V) / sizeof(float);
  if constexpr (kStep < kLanes) {
    for (int i = 0; i < kLanes; ++i) {
      if ((i & kStep) == 0) exchange<kStep>(square[i], square[i + kStep], std::make_integer_sequence<int, kLanes>());
    }
    transpose<V, 2 * kStep>(square);
  }
}

/// `valid` rows of w, `stride` numbers apart, become the columns of a panel: panel[k][j] = w[j][k].
template <class V, class W>
WHET_INLINE void lay_columns(const W* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  constexpr int kLanes = sizeof(V) / sizeof(float);
  const auto one_by_one = [&](std::int64_t first, std::int64_t last, std::int64_t k) {
    for (; k < inner; ++k) {
      for (std::int64_t j = first; j < last; ++j) panel[k * kPanel + j] = widened(w[j * stride + k]);
    }
  };
  std::int64_t j = 0;
  for (; j + kLanes <= valid; j += kLanes) {
    std::int64_t k = 0;
    for (; k + kLanes <= inner; k += kLanes) {
      V square[kLanes];
      for (int i = 0; i < kLanes; ++i) load(w + (j + i) * stride + k, square[i]);
      transpose(square);
      for (int i = 0; i < kLanes; ++i) *reinterpret_cast<V*>(panel + (k + i) * kPanel + j) = square[i];
    }
    one_by_one(j, j + kLanes, k);
  }
  one_by_one(j, valid, 0);
}

/// Rows of w, `stride` numbers apart, cut at the panel's width: panel[k][j] = w[k][j].
template <class W>
WHET_INLINE void lay_rows(const W* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  for (std::int64_t k = 0; k < inner; ++k) {
    if constexpr (std::is_same_v<W, float>) {
      std::memcpy(panel + k * kPanel, w + k * stride, static_cast<std::size_t>(valid) * sizeof(float));
    } else {
      for (std::int64_t j = 0; j < valid; ++j) panel[k * kPanel + j] = widened(w[k * stride + j]);
    }
  }
}

using BlockFunction = void (*)(const Block&);
template <class W>
using LayFunction = void (*)(const W* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel);
struct Implementation {
  BlockFunction rows;
  BlockFunction tiles;
  LayFunction<float> float_columns;
  LayFunction<BFloat16> bfloat16_columns;
  LayFunction<BFloat16> bfloat16_rows;

  LayFunction<float> columns(const float*) const { return float_columns; }
  LayFunction<BFloat16> columns(const BFloat16*) const { return bfloat16_columns; }
  LayFunction<float> plain_rows(const float*) const { return lay_rows<float>; }
  LayFunction<BFloat16> plain_rows(const BFloat16*) const { return bfloat16_rows; }
};

#if defined(__x86_64__)
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) void rows_v4(const Block& t) { run_rows<Vector16>(t); }
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) void tiles_v4(const Block& t) { run_tiles<Vector16>(t); }
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) void float_columns_v4(const float* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  lay_columns<Vector16>(w, stride, inner, valid, panel);
}
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) void bfloat16_columns_v4(const BFloat16* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  lay_columns<Vector16>(w, stride, inner, valid, panel);
}
__attribute__((target("arch=x86-64-v4,prefer-vector-width=512"))) void bfloat16_rows_v4(const BFloat16* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  lay_rows(w, stride, inner, valid, panel);
}
__attribute__((target("arch=x86-64-v3"))) void rows_v3(const Block& t) { run_rows<Vector8>(t); }
__attribute__((target("arch=x86-64-v3"))) void tiles_v3(const Block& t) { run_tiles<Vector8>(t); }
__attribute__((target("arch=x86-64-v3"))) void float_columns_v3(const float* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  lay_columns<Vector8>(w, stride, inner, valid, panel);
}
__attribute__((target("arch=x86-64-v3"))) void bfloat16_columns_v3(const BFloat16* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  lay_columns<Vector8>(w, stride, inner, valid, panel);
}
__attribute__((target("arch=x86-64-v3"))) void bfloat16_rows_v3(const BFloat16* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  lay_rows(w, stride, inner, valid, panel);
}
#endif
void rows_plain(const Block& t) { run_rows<Vector4>(t); }
void tiles_plain(const Block& t) { run_tiles<Vector4>(t); }
void float_columns_plain(const float* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  lay_columns<Vector4>(w, stride, inner, valid, panel);
}
void bfloat16_columns_plain(const BFloat16* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  lay_columns<Vector4>(w, stride, inner, valid, panel);
}
void bfloat16_rows_plain(const BFloat16* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  lay_rows(w, stride, inner, valid, panel);
}

const Implementation& implementation() {
  static const Implementation chosen = [] {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("x86-64-v4")) return Implementation{rows_v4, tiles_v4, float_columns_v4, bfloat16_columns_v4, bfloat16_rows_v4};
    if (__builtin_cpu_supports("x86-64-v3")) return Implementation{rows_v3, tiles_v3, float_columns_v3, bfloat16_columns_v3, bfloat16_rows_v3};
#endif
    return Implementation{rows_plain, tiles_plain, float_columns_plain, bfloat16_columns_plain, bfloat16_rows_plain};
  }();
  return chosen;
}

/// body(index) for each task, on one thread when the whole is small.
template <class Body>
void run_tasks(std::int64_t count, double flops, const Body& body) {
  if (flops < kSerialFlops) {
    for (std::int64_t index = 0; index < count; ++index) body(index);
  } else {
    parallel_tasks(count, body);
  }
}

/// The right-hand side of a product as panels [inner, kPanel], one after another, aligned to 64 bytes. The last one's unused
/// columns hold anything. Memory belongs to the calling thread and is used again.
class Panels {
 public:
  Panels(std::int64_t inner, std::int64_t columns) : inner_(inner), columns_(columns) {
    thread_local std::vector<float> storage;
    storage.resize(std::max(storage.size(), static_cast<std::size_t>(count() * inner * kPanel + kPanel)));
    start_ = aligned(storage);
  }

  static float* aligned(std::vector<float>& storage) {
    return reinterpret_cast<float*>((reinterpret_cast<std::uintptr_t>(storage.data()) + 63) / 64 * 64);
  }

  std::int64_t inner() const { return inner_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t count() const { return (columns_ + kPanel - 1) / kPanel; }
  std::int64_t valid(std::int64_t p) const { return std::min(kPanel, columns_ - p * kPanel); }
  float* panel(std::int64_t p) const { return start_ + p * inner_ * kPanel; }

  /// From b^T, b row-major [columns, inner].
  template <class W>
  void lay_transposed(const W* b) const {
    const LayFunction<W> lay_panel = implementation().columns(b);
    run_tasks(count(), kLayFlops * static_cast<double>(columns_ * inner_),
              [&](std::int64_t p) { lay_panel(b + p * kPanel * inner_, inner_, inner_, valid(p), panel(p)); });
  }

  /// From b row-major, rows `stride` apart.
  template <class W>
  void lay(const W* b, std::int64_t stride) const {
    const LayFunction<W> lay_panel = implementation().plain_rows(b);
    run_tasks(count(), kLayFlops * static_cast<double>(columns_ * inner_),
              [&](std::int64_t p) { lay_panel(b + p * kPanel, stride, inner_, valid(p), panel(p)); });
  }

 private:
  std::int64_t inner_;
  std::int64_t columns_;
  float* start_;
};

/// out = a b (+ add). a: [rows, inner]; rows of a, add and out are as many numbers apart as their stride says.
void product(const float* a, std::int64_t a_stride, std::int64_t rows, const Panels& b, const float* add, std::int64_t add_stride,
             float* out, std::int64_t out_stride) {
  constexpr std::int64_t kRowsPerTask = 8 * kRows;
  constexpr std::int64_t kPanelsPerTask = 16;
  const std::int64_t row_blocks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  const std::int64_t groups = (b.count() + kPanelsPerTask - 1) / kPanelsPerTask;
  const BlockFunction run = implementation().rows;
  run_tasks(row_blocks * groups, 2.0 * static_cast<double>(rows * b.inner() * b.columns()), [&](std::int64_t index) {
    const std::int64_t row = index / groups * kRowsPerTask, first = index % groups * kPanelsPerTask;
    const std::int64_t column = first * kPanel, offset = row * out_stride + column;
    run({a + row * a_stride, a_stride, std::min(kRowsPerTask, rows - row), b.panel(first), b.inner() * kPanel, b.inner(),
         add == nullptr ? nullptr : add + row * add_stride + column, add_stride, out + offset, out_stride,
         std::min(kPanelsPerTask * kPanel, b.columns() - column)});
  });
}

/// Columns whose panels take 16 MiB: a large head is laid out piece by piece, a small matrix at once.
std::int64_t columns_at_once(std::int64_t inner) { return std::max<std::int64_t>(1, (std::int64_t{1} << 22) / (inner * kPanel)) * kPanel; }

/// Numbers of x that stay in the second-level cache beside a panel.
constexpr std::int64_t kFewNumbers = std::int64_t{1} << 17;

/// As product_transposed, for decoding: each panel is used where it was laid out, while it is still in the cache, so that weights
/// are read from memory once and nothing is written there. The same bytes as the other way.
template <class W>
void product_of_few_rows(const float* x, std::int64_t rows, const W* w, std::int64_t columns, std::int64_t inner, Addend add, float* y) {
  const Implementation& with = implementation();
  const LayFunction<W> lay = with.columns(w);
  run_tasks((columns + kPanel - 1) / kPanel, (kLayFlops + 2.0 * static_cast<double>(rows)) * static_cast<double>(columns * inner),
            [&](std::int64_t p) {
              thread_local std::vector<float> storage;
              storage.resize(std::max(storage.size(), static_cast<std::size_t>(inner * kPanel + kPanel)));
              float* const panel = Panels::aligned(storage);
              const std::int64_t first = p * kPanel, valid = std::min(kPanel, columns - first);
              lay(w + first * inner, inner, inner, valid, panel);
              with.rows({x, inner, rows, panel, inner * kPanel, inner, add.values == nullptr ? nullptr : add.values + first,
                         add.one_row ? 0 : columns, y + first, columns, valid});
            });
}

}  // namespace

template <class W>
void product_transposed(const float* x, std::int64_t rows, const W* w, std::int64_t columns, std::int64_t inner, Addend add,
                        float* y) {
  if (rows * inner <= kFewNumbers) {
    product_of_few_rows(x, rows, w, columns, inner, add, y);
    return;
  }
  const std::int64_t step = columns_at_once(inner);
  for (std::int64_t first = 0; first < columns; first += step) {
    const Panels panels(inner, std::min(step, columns - first));
    panels.lay_transposed(w + first * inner);
    product(x, inner, rows, panels, add.values == nullptr ? nullptr : add.values + first, add.one_row ? 0 : columns, y + first,
            columns);
  }
}

template <class W>
void product_plain(const float* dy, std::int64_t rows, const W* w, std::int64_t columns, std::int64_t inner, float* dx) {
  // A sum over a vocabulary is taken in pieces: one float that runs over 150,000 terms loses three digits.
  constexpr std::int64_t kPiece = 4096;
  const std::int64_t step = columns_at_once(std::min(kPiece, columns));
  for (std::int64_t first = 0; first < inner; first += step) {
    for (std::int64_t begin = 0; begin < columns; begin += kPiece) {
      const Panels panels(std::min(kPiece, columns - begin), std::min(step, inner - first));
      panels.lay(w + begin * inner + first, inner);
      product(dy + begin, columns, rows, panels, begin == 0 ? nullptr : dx + first, inner, dx + first, inner);
    }
  }
}

namespace {

/// Cuts rows into pieces of kWidth columns: out[piece][row][kWidth]. The last piece's unused columns are left as they are.
template <std::int64_t kWidth>
void interleave(const float* rows, std::int64_t stride, std::int64_t count, std::int64_t columns, float* out) {
  constexpr std::int64_t kTogether = 16;  // rows: their lines are read whole while the pieces are written in order
  for (std::int64_t first = 0; first < count; first += kTogether) {
    const std::int64_t last = std::min(count, first + kTogether);
    for (std::int64_t column = 0; column < columns; column += kWidth) {
      float* to = out + column * count;
      if (column + kWidth <= columns) {
        for (std::int64_t r = first; r < last; ++r) std::memcpy(to + r * kWidth, rows + r * stride + column, kWidth * sizeof(float));
      } else {
        const auto bytes = static_cast<std::size_t>(columns - column) * sizeof(float);
        for (std::int64_t r = first; r < last; ++r) std::memcpy(to + r * kWidth, rows + r * stride + column, bytes);
      }
    }
  }
}

}  // namespace

void add_transposed_product(const float* dy, const float* x, std::int64_t rows, std::int64_t columns, std::int64_t inner,
                            float* dw) {
  constexpr std::int64_t kBlock = 128;  // columns of dy, rows of dw, in a task
  constexpr std::int64_t kChunk = 256;  // rows that are laid out together: a panel of x stays in the first-level cache
  const std::int64_t blocks = (columns + kBlock - 1) / kBlock;
  // A small dw gives few tasks: then the rows are cut as well, and each slice's sum is added in order.
  const std::int64_t slices = std::clamp<std::int64_t>((16 + blocks - 1) / blocks, 1, std::max<std::int64_t>(1, rows / kChunk));
  const std::int64_t slice_rows = (rows + slices - 1) / slices;
  std::vector<float> partial(static_cast<std::size_t>(slices > 1 ? slices * columns * inner : 0), 0.0f);
  const BlockFunction run = implementation().tiles;
  run_tasks(blocks * slices, 2.0 * static_cast<double>(rows * columns * inner), [&](std::int64_t index) {
    const std::int64_t column = index / slices * kBlock, slice = index % slices;
    const std::int64_t width = std::min(kBlock, columns - column);
    float* target = slices > 1 ? partial.data() + slice * columns * inner : dw;
    thread_local std::vector<float> left_storage, right_storage;
    left_storage.resize(static_cast<std::size_t>((kBlock + kRows) * kChunk));
    right_storage.resize(std::max(right_storage.size(), static_cast<std::size_t>((inner + 2 * kPanel) * kChunk)));
    float* const left = left_storage.data();
    float* const right = Panels::aligned(right_storage);
    const std::int64_t end = std::min(rows, (slice + 1) * slice_rows);
    for (std::int64_t begin = slice * slice_rows; begin < end; begin += kChunk) {
      const std::int64_t count = std::min(kChunk, end - begin);
      interleave<kRows>(dy + begin * columns + column, columns, count, width, left);
      interleave<kPanel>(x + begin * inner, inner, count, inner, right);
      run({left, 0, width, right, count * kPanel, count, nullptr, 0, target + column * inner, inner, inner});
    }
  });
  for (std::int64_t slice = 0; slice < (slices > 1 ? slices : 0); ++slice) {
    const float* sums = partial.data() + slice * columns * inner;
    for (std::int64_t i = 0; i < columns * inner; ++i) dw[i] += sums[i];
  }
}

template void product_transposed<float>(const float*, std::int64_t, const float*, std::int64_t, std::int64_t, Addend, float*);
template void product_plain<float>(const float*, std::int64_t, const float*, std::int64_t, std::int64_t, float*);
template void product_transposed<BFloat16>(const float*, std::int64_t, const BFloat16*, std::int64_t, std::int64_t, Addend, float*);
template void product_plain<BFloat16>(const float*, std::int64_t, const BFloat16*, std::int64_t, std::int64_t, float*);

}  // namespace whet::engine::kernels
