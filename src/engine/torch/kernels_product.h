// Matrix products, each row of the result computed the same way whatever stands beside it. Sums are float32. So are the operands,
// unless the weight is stored in bfloat16 (W in what follows): then both are bfloat16, the other one rounded to nearest, ties to even,
// where the processor multiplies bfloat16 (AVX512_BF16, at twice the rate of float32). Where it does not, the weight is widened, which
// is exact, and the arithmetic is that of float32 to the last bit.
//
// Why not the library's: on AMD processors its default product runs at less than half of what the vector units give
// (docs/performance.md), and its rounding varies with the number of rows and threads. Here an element of the result is one
// sum over the inner dimension in order, so that a sequence's numbers do not depend on its batch, and a run's not on threads.
// In bfloat16 two neighbours of a sum are added in one instruction, which takes numbers below 1.2e-38 for zero.
#pragma once

#include <bit>
#include <cstdint>

namespace whet::engine::kernels {

/// A number whose bits are the upper half of a float32's.
struct BFloat16 {
  std::uint16_t bits;
};

[[gnu::always_inline]] inline float widened(float value) { return value; }
[[gnu::always_inline]] inline float widened(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// to[i] = from[i] for `count` numbers of float or BFloat16.
template <class W>
void widen(const W* from, std::int64_t count, float* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = widened(from[i]);
}

/// Whether products of weights in BFloat16 are computed in bfloat16.
bool multiplies_bfloat16();

/// While one lives, weights in BFloat16 are widened, as where the processor does not multiply them: that can then be had, and
/// tested, on any. Holds for the process, as WHET_WIDENED_PRODUCTS=1 does; not for use by several threads at once.
class WidenedProducts {
 public:
  WidenedProducts();
  ~WidenedProducts();
  WidenedProducts(const WidenedProducts&) = delete;
  WidenedProducts& operator=(const WidenedProducts&) = delete;
};

/// What a product is added to: a matrix of the result's shape (may be the result itself), or one row for all of its rows.
struct Addend {
  const float* values = nullptr;  ///< null: nothing
  bool one_row = false;
};

/// y = x w^T (+ add). x: [rows, inner], w: [columns, inner] of float or BFloat16, y: [rows, columns].
template <class W>
void product_transposed(const float* x, std::int64_t rows, const W* w, std::int64_t columns, std::int64_t inner,
                        Addend add, float* y);

/// dx = dy w. dy: [rows, columns], w: [columns, inner] of float or BFloat16, dx: [rows, inner].
template <class W>
void product_plain(const float* dy, std::int64_t rows, const W* w, std::int64_t columns, std::int64_t inner, float* dx);

/// dw += dy^T x for a weight that is stored in W. dy: [rows, columns], x: [rows, inner], dw: [columns, inner].
template <class W = float>
void add_transposed_product(const float* dy, const float* x, std::int64_t rows, std::int64_t columns,
                            std::int64_t inner, float* dw);

}  // namespace whet::engine::kernels
