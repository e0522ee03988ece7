#include "engine/torch/kernels_product_blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {
namespace {

/// Vectors of the widths that processors have. The compiler splits them where one is missing.
typedef float Vector16 __attribute__((vector_size(64), may_alias));
typedef float Vector8 __attribute__((vector_size(32), may_alias));
typedef float Vector4 __attribute__((vector_size(16), may_alias));
typedef std::uint16_t Halves16 __attribute__((vector_size(32)));
typedef std::uint16_t Halves8 __attribute__((vector_size(16)));
typedef std::uint16_t Halves4 __attribute__((vector_size(8)));
typedef std::uint32_t Wholes16 __attribute__((vector_size(64)));
typedef std::uint32_t Wholes8 __attribute__((vector_size(32)));
typedef std::uint32_t Wholes4 __attribute__((vector_size(16)));

// What a unit of the left side adds to the sums of a row.

struct Floats {
  template <class V>
  static WHET_INLINE void add(V& sum, const float* left, const V& right) {
    sum += *left * right;
  }
};

#if defined(__x86_64__)
/// The one instruction that a compiler does not find by itself: in each lane sum += left[1] * right[1] + left[0] * right[0].
struct Pairs {
  static WHET_INLINE void add(Vector16& sum, const float* left, const Vector16& right) {
    std::uint32_t pair;
    std::memcpy(&pair, left, sizeof(pair));
    const Wholes16 everywhere = Wholes16{} + pair;
    Vector16 result = sum;  // the sums themselves must not have their address taken, or they stay in memory
    asm("vdpbf16ps %2, %1, %0" : "+v"(result) : "v"(everywhere), "v"(right));
    sum = result;
  }
};
#endif

/// out[i][0..columns) = (add or 0) + sum_k a[i][k] panel[k][...] for kCount rows and one panel. Tiled: rows are interleaved,
/// kRows to a step of k.
template <class Unit, class V, int kCount, bool kTiled>
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
        const float* left = kTiled ? a + k * kRows + i : a + i * a_row + k;
        for (int v = 0; v < kVectors; ++v) Unit::add(sum[i][v], left, right[v]);
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

template <class Unit, class V>
WHET_INLINE void run_rows(const Block& t) {
  for (std::int64_t first = 0; first < t.columns; first += kPanel) {
    const float* panel = t.panels + first / kPanel * t.panel_size;
    const std::int64_t columns = std::min(kPanel, t.columns - first);
    const auto at = [&](std::int64_t row) { return row * t.stride + first; };
    const auto add = [&](std::int64_t row) { return t.add == nullptr ? nullptr : t.add + row * t.add_stride + first; };
    std::int64_t i = 0;
    for (; i + kRows <= t.rows; i += kRows) {
      tile<Unit, V, kRows, false>(t.a + i * t.a_row, t.a_row, panel, t.inner, add(i), t.add_stride, t.out + at(i),
                                  t.stride, columns);
    }
    if (i + 4 <= t.rows) {
      tile<Unit, V, 4, false>(t.a + i * t.a_row, t.a_row, panel, t.inner, add(i), t.add_stride, t.out + at(i), t.stride,
                              columns);
      i += 4;
    }
    for (; i < t.rows; ++i) {
      tile<Unit, V, 1, false>(t.a + i * t.a_row, t.a_row, panel, t.inner, add(i), t.add_stride, t.out + at(i), t.stride,
                              columns);
    }
  }
}

template <class Unit, class V>
WHET_INLINE void run_tiles(const Block& t) {
  for (std::int64_t first = 0; first < t.columns; first += kPanel) {
    const float* panel = t.panels + first / kPanel * t.panel_size;
    const std::int64_t columns = std::min(kPanel, t.columns - first);
    std::int64_t i = 0;
    for (; i + kRows <= t.rows; i += kRows) {
      float* out = t.out + i * t.stride + first;
      tile<Unit, V, kRows, true>(t.a + i * t.inner, 0, panel, t.inner, out, t.stride, out, t.stride, columns);
    }
    for (const float* a = t.a + i * t.inner; i < t.rows; ++i, ++a) {
      float* out = t.out + i * t.stride + first;
      tile<Unit, V, 1, true>(a, 0, panel, t.inner, out, t.stride, out, t.stride, columns);
    }
  }
}

template <class Halves, class Wholes, class V>
WHET_INLINE void load_halves(const BFloat16* from, V& to) {
  Halves halves;
  std::memcpy(&halves, from, sizeof(halves));
  const Wholes wholes = __builtin_convertvector(halves, Wholes) << 16;
  std::memcpy(&to, &wholes, sizeof(to));
}

/// As many consecutive numbers as the vector has lanes.
template <class V>
WHET_INLINE void load(const float* from, V& to) {
  std::memcpy(&to, from, sizeof(V));
}
WHET_INLINE void load(const BFloat16* from, Vector16& to) { load_halves<Halves16, Wholes16>(from, to); }
WHET_INLINE void load(const BFloat16* from, Vector8& to) { load_halves<Halves8, Wholes8>(from, to); }
WHET_INLINE void load(const BFloat16* from, Vector4& to) { load_halves<Halves4, Wholes4>(from, to); }

/// Two numbers of bfloat16 in the order in which they stand in memory.
WHET_INLINE std::uint32_t pair(std::uint32_t first, std::uint32_t second) { return first | second << 16; }

/// The upper half of the nearest bfloat16, of two equally near ones the even one. What is no number stays none.
WHET_INLINE std::uint32_t rounded(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool is_number = (bits & 0x7fffffffu) <= 0x7f800000u;
  return (is_number ? bits + 0x7fffu + (bits >> 16 & 1u) : bits | 0x00400000u) >> 16;
}

// Where the units of a row of w stand: as numbers that are widened, or as pairs that are taken as they are.

struct Widened {
  static constexpr std::int64_t kNumbers = 1;
  template <class V, class W>
  static WHET_INLINE void take(const W* row, std::int64_t k, V& to) {
    load(row + k, to);
  }
  template <class W>
  static WHET_INLINE void take(const W* row, std::int64_t k, std::int64_t, float& to) {
    to = widened(row[k]);
  }
};

struct Paired {
  static constexpr std::int64_t kNumbers = 2;
  template <class V>
  static WHET_INLINE void take(const BFloat16* row, std::int64_t k, V& to) {
    std::memcpy(&to, row + 2 * k, sizeof(V));
  }
  static WHET_INLINE void take(const BFloat16* row, std::int64_t k, std::int64_t inner, float& to) {
    const std::uint32_t both = pair(row[2 * k].bits, 2 * k + 1 < inner ? row[2 * k + 1].bits : 0);
    std::memcpy(&to, &both, sizeof(to));
  }
};

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

template <class Units, class V, class W>
WHET_INLINE void lay_columns(const W* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  constexpr int kLanes = sizeof(V) / sizeof(float);
  const std::int64_t whole = inner / Units::kNumbers, all = (inner + Units::kNumbers - 1) / Units::kNumbers;
  const auto one_by_one = [&](std::int64_t first, std::int64_t last, std::int64_t k) {
    for (; k < all; ++k) {
      for (std::int64_t j = first; j < last; ++j) Units::take(w + j * stride, k, inner, panel[k * kPanel + j]);
    }
  };
  std::int64_t j = 0;
  for (; j + kLanes <= valid; j += kLanes) {
    std::int64_t k = 0;
    for (; k + kLanes <= whole; k += kLanes) {
      V square[kLanes];
      for (int i = 0; i < kLanes; ++i) Units::take(w + (j + i) * stride, k, square[i]);
      transpose(square);
      for (int i = 0; i < kLanes; ++i) *reinterpret_cast<V*>(panel + (k + i) * kPanel + j) = square[i];
    }
    one_by_one(j, j + kLanes, k);
  }
  one_by_one(j, valid, 0);
}

// kWidth units of a step along the sum, of which all or `valid` are there, from the rows that they stand in.

struct CopiedLines {
  static constexpr std::int64_t kNumbers = 1;
  template <class Count>
  static WHET_INLINE void lay(const float* rows, std::int64_t, std::int64_t, Count valid, float* to) {
    std::memcpy(to, rows, static_cast<std::size_t>(valid) * sizeof(float));
  }
};
struct WidenedLines {
  static constexpr std::int64_t kNumbers = 1;
  template <class Count>
  static WHET_INLINE void lay(const BFloat16* rows, std::int64_t, std::int64_t, Count valid, float* to) {
    for (std::int64_t j = 0; j < valid; ++j) to[j] = widened(rows[j]);
  }
};
struct PairedLines {
  static constexpr std::int64_t kNumbers = 2;
  static WHET_INLINE std::uint32_t bits(BFloat16 value) { return value.bits; }
  static WHET_INLINE std::uint32_t bits(float value) { return rounded(value); }
  /// left: rows that there are from here on.
  template <class W, class Count>
  static WHET_INLINE void lay(const W* rows, std::int64_t stride, std::int64_t left, Count valid, float* to) {
    auto* const units = reinterpret_cast<Units*>(to);
    if (left > 1) {
      for (std::int64_t j = 0; j < valid; ++j) units[j] = pair(bits(rows[j]), bits(rows[stride + j]));
    } else {
      for (std::int64_t j = 0; j < valid; ++j) units[j] = pair(bits(rows[j]), 0);
    }
  }
  typedef std::uint32_t Units __attribute__((may_alias));
};

/// Cuts `inner` rows into pieces of kWidth columns, a unit being one row or two: panel[piece][unit][kWidth].
template <class Lines, std::int64_t kWidth, class W>
WHET_INLINE void lay_lines(const W* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  constexpr std::int64_t kTogether = 16;  // rows: their lines are read whole while the pieces are written in order
  const std::int64_t units = (inner + Lines::kNumbers - 1) / Lines::kNumbers;
  for (std::int64_t first = 0; first < inner; first += kTogether) {
    const std::int64_t last = std::min(inner, first + kTogether);
    for (std::int64_t column = 0; column < valid; column += kWidth) {
      float* to = panel + column * units + first / Lines::kNumbers * kWidth;
      const W* from = w + column;
      if (column + kWidth <= valid) {
        for (std::int64_t r = first; r < last; r += Lines::kNumbers, to += kWidth) {
          Lines::lay(from + r * stride, stride, last - r, std::integral_constant<std::int64_t, kWidth>(), to);
        }
      } else {
        for (std::int64_t r = first; r < last; r += Lines::kNumbers, to += kWidth) {
          Lines::lay(from + r * stride, stride, last - r, valid - column, to);
        }
      }
    }
  }
}

/// The same as pairs in pieces of kRows, made a panel's width at a time: eight numbers are too few for the compiler to round together.
WHET_INLINE void lay_groups(const float* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) {
  const std::int64_t units = (inner + 1) / 2, wide = valid / kPanel * kPanel;
  for (std::int64_t k = 0; k < units; ++k) {
    for (std::int64_t column = 0; column < wide; column += kPanel) {
      float together[kPanel];
      PairedLines::lay(w + 2 * k * stride + column, stride, inner - 2 * k,
                       std::integral_constant<std::int64_t, kPanel>(), together);
      for (std::int64_t part = 0; part < kPanel; part += kRows) {
        std::memcpy(panel + (column + part) * units + k * kRows, together + part, kRows * sizeof(float));
      }
    }
  }
  lay_lines<PairedLines, kRows>(w + wide, stride, inner, valid - wide, panel + wide * units);
}

WHET_INLINE void round_rows(const float* x, std::int64_t stride, std::int64_t inner, std::int64_t rows, float* units) {
  for (std::int64_t i = 0; i < rows; ++i) {
    auto* const halves = reinterpret_cast<PairedLines::Units*>(units + i * ((inner + 1) / 2));
    const float* row = x + i * stride;
    for (std::int64_t k = 0; k < inner / 2; ++k) halves[k] = pair(rounded(row[2 * k]), rounded(row[2 * k + 1]));
    if (inner % 2 != 0) halves[inner / 2] = rounded(row[inner - 1]);
  }
}

// The same loops for a generation of processors. Lambdas, because a template cannot be given a target.
#define WHET_BLOCK(TARGET, BODY) [](const Block& t) TARGET { BODY; }
#define WHET_LAY(W, TARGET, BODY) \
  [](const W* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel) TARGET { BODY; }
#define WHET_IN_FLOAT32(W, LINES, TARGET, V)                                                              \
  Arithmetic<W> {                                                                                         \
    1, WHET_BLOCK(TARGET, (run_rows<Floats, V>(t))), WHET_BLOCK(TARGET, (run_tiles<Floats, V>(t))),       \
        WHET_LAY(W, TARGET, (lay_columns<Widened, V>(w, stride, inner, valid, panel))),                   \
        WHET_LAY(W, TARGET, (lay_lines<LINES, kPanel>(w, stride, inner, valid, panel))),                  \
        WHET_LAY(float, TARGET, (lay_lines<CopiedLines, kPanel>(w, stride, inner, valid, panel))),        \
        WHET_LAY(float, TARGET, (lay_lines<CopiedLines, kRows>(w, stride, inner, valid, panel))), nullptr \
  }

#define WHET_X86_64_V3 __attribute__((target("arch=x86-64-v3")))
#define WHET_X86_64_V4 __attribute__((target("arch=x86-64-v4,prefer-vector-width=512")))
#define WHET_ANY

template <class W, class Lines>
Arithmetic<W> best_in_float32() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) return WHET_IN_FLOAT32(W, Lines, WHET_X86_64_V4, Vector16);
  if (__builtin_cpu_supports("x86-64-v3")) return WHET_IN_FLOAT32(W, Lines, WHET_X86_64_V3, Vector8);
#endif
  return WHET_IN_FLOAT32(W, Lines, WHET_ANY, Vector4);
}

}  // namespace

template <>
const Arithmetic<float>& in_float32<float>() {
  static const Arithmetic<float> best = best_in_float32<float, CopiedLines>();
  return best;
}
template <>
const Arithmetic<BFloat16>& in_float32<BFloat16>() {
  static const Arithmetic<BFloat16> best = best_in_float32<BFloat16, WidenedLines>();
  return best;
}

const Arithmetic<BFloat16>* in_bfloat16() {
#if defined(__x86_64__)
  static const Arithmetic<BFloat16> pairs = {
      2,
      WHET_BLOCK(WHET_X86_64_V4, (run_rows<Pairs, Vector16>(t))),
      WHET_BLOCK(WHET_X86_64_V4, (run_tiles<Pairs, Vector16>(t))),
      WHET_LAY(BFloat16, WHET_X86_64_V4, (lay_columns<Paired, Vector16>(w, stride, inner, valid, panel))),
      WHET_LAY(BFloat16, WHET_X86_64_V4, (lay_lines<PairedLines, kPanel>(w, stride, inner, valid, panel))),
      WHET_LAY(float, WHET_X86_64_V4, (lay_lines<PairedLines, kPanel>(w, stride, inner, valid, panel))),
      WHET_LAY(float, WHET_X86_64_V4, (lay_groups(w, stride, inner, valid, panel))),
      WHET_LAY(float, WHET_X86_64_V4, (round_rows(w, stride, inner, valid, panel)))};
  static const bool has_them = __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16");
  return has_them ? &pairs : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace whet::engine::kernels
