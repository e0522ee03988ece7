// Rotary positions: the angle by which each pair of a head's numbers is turned at each position.
#pragma once

#include "engine/model_config.h"
#include "engine/torch/torch.h"

namespace whet::engine {

/// Cosines and sines of rotary positions, [positions, head width / 2], computed in float32 as transformers does: real models
/// were trained with these tables, rounding included. Both carry yarn's attention factor.
struct RotaryTable {
  at::Tensor cosine;
  at::Tensor sine;
};

/// Radians from one position to the next for each pair of a head, float32, [head width / 2].
at::Tensor rotary_frequencies(const ModelConfig& config);

RotaryTable rotary_table(std::int64_t positions, const ModelConfig& config, at::ScalarType dtype);

}  // namespace whet::engine
