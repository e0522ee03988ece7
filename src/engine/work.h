// How much work a model's phases are, from its config alone: floating point operations and bytes moved, and the shapes of its
// products. The share of the machine's ceiling that a phase reaches is judged by these formulas, so that they stand in one place.
//
// Operations are those that the mathematics needs: products and attention over the keys that are really seen, a multiplication
// and an addition being two. What is computed twice to save memory counts once; normalisation, rotation and activation
// functions, a few operations a number beside hundreds, are left out.
//
// Bytes are the traffic if nothing stayed in a cache between two operations and everything did within one: each operation
// reads its operands and writes its result once. Weights once a pass, the keys and values of earlier tokens once a
// step (a prompt's once for all of its sequences), and each row's activations between the operations of a layer.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "base/profile.h"
#include "engine/lora.h"
#include "engine/model_config.h"

namespace whet::engine {

/// One product [rows, inner] x [inner, columns].
struct Gemm {
  std::int64_t rows = 0;
  std::int64_t inner = 0;
  std::int64_t columns = 0;

  auto operator<=>(const Gemm&) const = default;
  double flops() const {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(inner) * static_cast<double>(columns);
  }
};

/// The products of one pass over `rows` rows, all of which need logits.
std::vector<Gemm> products(const ModelConfig& config, std::int64_t vocabulary, std::int64_t rows);

/// What a pass computes.
struct Pass {
  double rows = 0;   ///< tokens that go through the layers
  double heads = 0;  ///< those of them whose logits are needed
  double keys = 0;   ///< keys that the rows attend to, added up over rows and layers (ModelWork::keys)
};

class ModelWork {
 public:
  /// `vocabulary`: tokens in use. `weight_bytes`: of one number of the weights. Activations, caches, gradients and moments
  /// are float32.
  ModelWork(const ModelConfig& config, std::int64_t vocabulary, const LoraOptions& lora = {},
            std::int64_t weight_bytes = 4);

  /// Keys seen by `rows` consecutive tokens of a sequence, the first of which stands at `first_position` (from 0) and sees
  /// itself and everything before it; over all layers, within their windows.
  double keys(std::int64_t first_position, std::int64_t rows) const;

  base::Work forward(const Pass& pass) const;
  /// From the gradient of the logits' values to that of everything that is trained.
  base::Work backward(const Pass& pass) const;
  /// One token for each living sequence, `pass.rows` of them. `cached`: those of the keys that have to be read from memory.
  base::Work decode(const Pass& pass, double cached) const;
  /// Drawing a token from each of `rows` rows of logits, with its statistics: ten operations a word (scaling, two largest,
  /// exponential, three sums, the draw), one reading.
  base::Work sampling(double rows) const;
  /// AdamW with the gradient's norm: 17 operations a parameter, and 9 readings and writings (the norm reads the
  /// gradient, the update reads and writes weight and moments and reads the gradient, which is then cleared); clipping two
  /// more, and where weights have masters the rounding reads these and writes those.
  base::Work optimizer(bool clips) const;

 private:
  double activations(const Pass& pass) const;  ///< bytes read and written between operations
  double weights() const;                      ///< bytes of what a pass reads of weights and adapters

  double layers_, hidden_, inner_, queries_, key_width_;
  double vocabulary_;
  double matrices_;  ///< numbers in the layers' matrices
  double read_;      ///< numbers of weights that a pass reads
  double adapters_;  ///< numbers in adapters, 0 without
  double trained_;
  double weight_bytes_;
  std::vector<std::int64_t> windows_;
};

}  // namespace whet::engine
