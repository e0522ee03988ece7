#include "engine/torch/kernels_product.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>
#include <type_traits>
#include <vector>

#include "engine/torch/kernels_product_blocks.h"
#include "engine/torch/parallel.h"

namespace whet::engine::kernels {
namespace {

/// Work below which one thread is faster than waking others.
constexpr std::int64_t kSerialFlops = 1 << 21;
/// What laying out a number takes, in the flops that take as long.
constexpr double kLayFlops = 8;

/// How many reasons there are to widen: scopes that live, and the environment's wish for the whole process.
std::atomic<int>& widened_scopes() {
  static std::atomic<int> count = [] {
    const char* wish = std::getenv("WHET_WIDENED_PRODUCTS");
    return wish != nullptr && std::string_view(wish) == "1" ? 1 : 0;
  }();
  return count;
}

/// What products with weights in W are computed in.
template <class W>
const Arithmetic<W>& arithmetic() {
  if constexpr (std::is_same_v<W, BFloat16>) {
    if (multiplies_bfloat16()) return *in_bfloat16();
  }
  return in_float32<W>();
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

/// Memory for `count` units, aligned to 64 bytes. It belongs to the calling thread and to `Place`, and is used again.
template <class Place>
float* work_space(std::int64_t count) {
  thread_local std::vector<float> storage;
  storage.resize(std::max(storage.size(), static_cast<std::size_t>(count + kPanel)));
  return reinterpret_cast<float*>((reinterpret_cast<std::uintptr_t>(storage.data()) + 63) / 64 * 64);
}

/// The right-hand side of a product as panels [units, kPanel], one after another. The last one's unused columns hold anything.
/// A thread has one at a time.
class Panels {
 public:
  Panels(std::int64_t units, std::int64_t columns)
      : units_(units), columns_(columns), start_(work_space<Panels>(count() * size())) {}

  std::int64_t units() const { return units_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t count() const { return (columns_ + kPanel - 1) / kPanel; }
  std::int64_t size() const { return units_ * kPanel; }
  std::int64_t valid(std::int64_t p) const { return std::min(kPanel, columns_ - p * kPanel); }
  float* panel(std::int64_t p) const { return start_ + p * size(); }

  /// `step`: numbers of w from a panel's columns to the next's. The rest as LayFunction says.
  template <class W>
  void lay(LayFunction<W> lay_panel, const W* w, std::int64_t step, std::int64_t stride, std::int64_t inner) const {
    run_tasks(count(), kLayFlops * static_cast<double>(columns_ * inner),
              [&](std::int64_t p) { lay_panel(w + p * step, stride, inner, valid(p), panel(p)); });
  }

 private:
  std::int64_t units_;
  std::int64_t columns_;
  float* start_;
};

/// The left-hand side of a product: rows of units, `stride` units apart.
struct Rows {
  const float* units;
  std::int64_t stride;
  std::int64_t count;
};

/// Rows of x, `stride` numbers apart, in the units of an arithmetic: themselves, or rounded. A thread has one at a time.
template <class W>
Rows rows_of(const float* x, std::int64_t stride, std::int64_t rows, std::int64_t inner, const Arithmetic<W>& with) {
  constexpr std::int64_t kRowsPerTask = 16;
  if (with.rounded_rows == nullptr) return {x, stride, rows};
  const std::int64_t units = with.units(inner);
  float* const start = work_space<Rows>(rows * units);
  run_tasks((rows + kRowsPerTask - 1) / kRowsPerTask, static_cast<double>(rows * inner), [&](std::int64_t index) {
    const std::int64_t first = index * kRowsPerTask;
    with.rounded_rows(x + first * stride, stride, inner, std::min(kRowsPerTask, rows - first), start + first * units);
  });
  return {start, units, rows};
}

/// out = a b (+ add). Rows of add and out are as many numbers apart as their stride says.
void product(BlockFunction run, const Rows& a, const Panels& b, const float* add, std::int64_t add_stride, float* out,
             std::int64_t out_stride) {
  constexpr std::int64_t kRowsPerTask = 8 * kRows;
  constexpr std::int64_t kPanelsPerTask = 16;
  const std::int64_t row_blocks = (a.count + kRowsPerTask - 1) / kRowsPerTask;
  const std::int64_t groups = (b.count() + kPanelsPerTask - 1) / kPanelsPerTask;
  run_tasks(row_blocks * groups, 2.0 * static_cast<double>(a.count * b.units() * b.columns()), [&](std::int64_t index) {
    const std::int64_t row = index / groups * kRowsPerTask, first = index % groups * kPanelsPerTask;
    const std::int64_t column = first * kPanel, offset = row * out_stride + column;
    run({a.units + row * a.stride, a.stride, std::min(kRowsPerTask, a.count - row), b.panel(first), b.size(), b.units(),
         add == nullptr ? nullptr : add + row * add_stride + column, add_stride, out + offset, out_stride,
         std::min(kPanelsPerTask * kPanel, b.columns() - column)});
  });
}

/// Columns whose panels take 16 MiB: a large head is laid out piece by piece, a small matrix at once.
std::int64_t columns_at_once(std::int64_t inner) {
  return std::max<std::int64_t>(1, (std::int64_t{1} << 22) / (inner * kPanel)) * kPanel;
}

/// Numbers of x that stay in the second-level cache beside a panel.
constexpr std::int64_t kFewNumbers = std::int64_t{1} << 17;

/// As product_transposed, for decoding: each panel is used where it was laid out, while it is still in the cache, so that weights
/// are read from memory once and nothing is written there. The same bytes as the other way.
template <class W>
void product_of_few_rows(const Arithmetic<W>& with, const Rows& x, const W* w, std::int64_t columns, std::int64_t inner,
                         Addend add, float* y) {
  run_tasks(
      (columns + kPanel - 1) / kPanel,
      (kLayFlops + 2.0 * static_cast<double>(x.count)) * static_cast<double>(columns * inner), [&](std::int64_t p) {
        const std::int64_t first = p * kPanel, valid = std::min(kPanel, columns - first), units = with.units(inner);
        float* const panel = work_space<Block>(units * kPanel);
        with.weight_columns(w + first * inner, inner, inner, valid, panel);
        with.rows({x.units, x.stride, x.count, panel, units * kPanel, units,
                   add.values == nullptr ? nullptr : add.values + first, add.one_row ? 0 : columns, y + first, columns,
                   valid});
      });
}

}  // namespace

bool multiplies_bfloat16() { return in_bfloat16() != nullptr && widened_scopes() == 0; }
WidenedProducts::WidenedProducts() { ++widened_scopes(); }
WidenedProducts::~WidenedProducts() { --widened_scopes(); }

template <class W>
void product_transposed(const float* x, std::int64_t rows, const W* w, std::int64_t columns, std::int64_t inner,
                        Addend add, float* y) {
  const Arithmetic<W>& with = arithmetic<W>();
  const Rows left = rows_of(x, inner, rows, inner, with);
  if (rows * inner <= kFewNumbers) {
    product_of_few_rows(with, left, w, columns, inner, add, y);
    return;
  }
  const std::int64_t step = columns_at_once(with.units(inner));
  for (std::int64_t first = 0; first < columns; first += step) {
    const Panels panels(with.units(inner), std::min(step, columns - first));
    panels.lay(with.weight_columns, w + first * inner, kPanel * inner, inner, inner);
    product(with.rows, left, panels, add.values == nullptr ? nullptr : add.values + first, add.one_row ? 0 : columns,
            y + first, columns);
  }
}

template <class W>
void product_plain(const float* dy, std::int64_t rows, const W* w, std::int64_t columns, std::int64_t inner,
                   float* dx) {
  // A sum over a vocabulary is taken in pieces: one float that runs over 150,000 terms loses three digits.
  constexpr std::int64_t kPiece = 4096;
  const Arithmetic<W>& with = arithmetic<W>();
  const std::int64_t step = columns_at_once(with.units(std::min(kPiece, columns)));
  for (std::int64_t begin = 0; begin < columns; begin += kPiece) {
    const std::int64_t piece = std::min(kPiece, columns - begin);
    const Rows left = rows_of(dy + begin, columns, rows, piece, with);
    for (std::int64_t first = 0; first < inner; first += step) {
      const Panels panels(with.units(piece), std::min(step, inner - first));
      panels.lay(with.weight_lines, w + begin * inner + first, kPanel, inner, piece);
      product(with.rows, left, panels, begin == 0 ? nullptr : dx + first, inner, dx + first, inner);
    }
  }
}

template <class W>
void add_transposed_product(const float* dy, const float* x, std::int64_t rows, std::int64_t columns,
                            std::int64_t inner, float* dw) {
  const Arithmetic<W>& with = arithmetic<W>();
  constexpr std::int64_t kBlock = 128;  // columns of dy, rows of dw, in a task
  constexpr std::int64_t kChunk = 256;  // units that are summed up at once: a panel of x stays in the first-level cache
  const std::int64_t blocks = (columns + kBlock - 1) / kBlock;
  // A small dw gives few tasks: then the rows are cut as well, between units, and each slice's sum is added in order.
  const std::int64_t all = with.units(rows);
  const std::int64_t slices =
      std::clamp<std::int64_t>((16 + blocks - 1) / blocks, 1, std::max<std::int64_t>(1, all / kChunk));
  const std::int64_t slice_units = (all + slices - 1) / slices;
  std::vector<float> partial(static_cast<std::size_t>(slices > 1 ? slices * columns * inner : 0), 0.0f);
  const Panels right(all, inner);
  right.lay(with.lines, x, kPanel, inner, rows);
  run_tasks(blocks * slices, 2.0 * static_cast<double>(rows * columns * inner), [&](std::int64_t index) {
    const std::int64_t column = index / slices * kBlock, slice = index % slices;
    const std::int64_t width = std::min(kBlock, columns - column);
    float* target = slices > 1 ? partial.data() + slice * columns * inner : dw;
    float* const left = work_space<Rows>((kBlock + kRows) * kChunk);
    const std::int64_t end = std::min(all, (slice + 1) * slice_units);
    for (std::int64_t begin = slice * slice_units; begin < end; begin += kChunk) {
      const std::int64_t units = std::min(kChunk, end - begin), first = begin * with.numbers;
      with.groups(dy + first * columns + column, columns, std::min(rows - first, units * with.numbers), width, left);
      with.tiles({left, 0, width, right.panel(0) + begin * kPanel, right.size(), units, nullptr, 0,
                  target + column * inner, inner, inner});
    }
  });
  for (std::int64_t slice = 0; slice < (slices > 1 ? slices : 0); ++slice) {
    const float* sums = partial.data() + slice * columns * inner;
    for (std::int64_t i = 0; i < columns * inner; ++i) dw[i] += sums[i];
  }
}

template void product_transposed<float>(const float*, std::int64_t, const float*, std::int64_t, std::int64_t, Addend,
                                        float*);
template void product_plain<float>(const float*, std::int64_t, const float*, std::int64_t, std::int64_t, float*);
template void product_transposed<BFloat16>(const float*, std::int64_t, const BFloat16*, std::int64_t, std::int64_t,
                                           Addend, float*);
template void product_plain<BFloat16>(const float*, std::int64_t, const BFloat16*, std::int64_t, std::int64_t, float*);
template void add_transposed_product<float>(const float*, const float*, std::int64_t, std::int64_t, std::int64_t,
                                            float*);
template void add_transposed_product<BFloat16>(const float*, const float*, std::int64_t, std::int64_t, std::int64_t,
                                               float*);

}  // namespace whet::engine::kernels
