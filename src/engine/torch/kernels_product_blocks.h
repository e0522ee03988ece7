// The innermost loops of kernels_product.cpp, compiled for several generations of processors: blocks of rows times panels, and the
// laying-out of what they read.
//
// Everything is counted in units of four bytes. A unit is a number in float32, or two numbers in bfloat16 that stand beside each
// other along the sum: processors that multiply bfloat16 take such a pair from either side and add both products to a float32.
// Blocks and panels of pairs therefore look like those of floats, with half as many steps. An odd sum ends in a pair whose second
// number is zero.
#pragma once

#include <cstdint>

#include "engine/torch/kernels_product.h"

namespace whet::engine::kernels {

/// The right-hand side is laid out in panels of this many columns, row after row.
inline constexpr std::int64_t kPanel = 32;
/// Rows of the result that are computed together: with a panel's 32 columns, 16 vectors of 16 numbers stay in registers.
inline constexpr int kRows = 8;

/// A block of rows times consecutive panels.
struct Block {
  const float* a;  ///< of units
  std::int64_t a_row;
  std::int64_t rows;
  const float* panels;  ///< of units
  std::int64_t panel_size;
  std::int64_t inner;  ///< in units
  const float* add;
  std::int64_t add_stride;  ///< 0: one row for all
  float* out;
  std::int64_t stride;
  std::int64_t columns;  ///< of the result, from the first panel on
};

/// Computes a block.
using BlockFunction = void (*)(const Block&);
/// Lays out `inner` numbers along the sum for each of `valid` columns (of kPanel, or of kRows for the left side of tiles), whose
/// rest may hold anything. w: rows `stride` numbers apart.
template <class W>
using LayFunction = void (*)(const W* w, std::int64_t stride, std::int64_t inner, std::int64_t valid, float* panel);

/// What computes in one kind of unit, and what makes such units of numbers in W (weights) and float.
template <class W>
struct Arithmetic {
  std::int64_t numbers;  ///< in a unit
  BlockFunction rows;    ///< out = a panels (+ add)
  BlockFunction
      tiles;  ///< out += a panels. a: groups of kRows rows, interleaved, [groups, inner, kRows]; the last may be partly unused
  LayFunction<W> weight_columns;  ///< panel[k] = the unit k of w's rows
  LayFunction<W> weight_lines;    ///< panel[k] = the unit k of w's columns
  LayFunction<float> lines;       ///< the same
  LayFunction<float> groups;      ///< the same in groups of kRows columns instead of a panel: the left side of tiles
  LayFunction<float>
      rounded_rows;  ///< `valid` rows stay rows, [valid, units]; null where a unit is a float, which serves as it is

  std::int64_t units(std::int64_t inner) const { return (inner + numbers - 1) / numbers; }
};

/// Products in float32 by weights in W, which are widened. The best of this processor.
template <class W>
const Arithmetic<W>& in_float32();
/// Products in bfloat16, whose float operands are rounded to nearest, ties to even; null where this processor has none.
const Arithmetic<BFloat16>* in_bfloat16();

}  // namespace whet::engine::kernels
