#include "engine/torch/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace whet::engine {
namespace {

/// Frequencies of wavelengths up to original length / high_freq_factor are kept, those beyond original length /
/// low_freq_factor divided by the factor, and those between mixed in proportion (Llama 3.1).
at::Tensor llama3_frequencies(const at::Tensor& plain, const RopeScaling& scaling) {
  const double length = scaling.original_max_position_embeddings, low = scaling.low_freq_factor,
               high = scaling.high_freq_factor;
  const at::Tensor wavelength = (2 * std::numbers::pi) / plain;
  const at::Tensor is_long = wavelength > length / low, is_short = wavelength < length / high;
  const at::Tensor stretched = at::where(is_long, plain / scaling.factor, plain);
  const at::Tensor share = (length / wavelength - low) / (high - low);
  const at::Tensor mixed = (1 - share) * stretched / scaling.factor + share * stretched;
  return at::where(at::logical_not(is_short).logical_and(at::logical_not(is_long)), mixed, stretched);
}

/// Pairs that turn more than beta_fast times within the original length keep their frequency, pairs that turn less than
/// beta_slow times have it divided by the factor, with a ramp between (YaRN, arXiv 2309.00071).
at::Tensor yarn_frequencies(const at::Tensor& powers, const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto width = static_cast<double>(config.head_dim);
  const auto pair_that_turns = [&](double times) {
    return width * std::log(scaling.original_max_position_embeddings / (times * 2 * std::numbers::pi)) /
           (2 * std::log(config.rope_theta));
  };
  double low = pair_that_turns(scaling.beta_fast), high = pair_that_turns(scaling.beta_slow);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, width - 1);
  if (low == high) high += 0.001;
  const at::Tensor pairs = at::arange(config.head_dim / 2, at::TensorOptions().dtype(at::kFloat));
  const at::Tensor kept = 1 - at::clamp((pairs - low) / (high - low), 0, 1);
  return at::reciprocal(scaling.factor * powers) * (1 - kept) + at::reciprocal(powers) * kept;
}

}  // namespace

at::Tensor rotary_frequencies(const ModelConfig& config) {
  const at::Tensor exponents =
      at::arange(0, config.head_dim, 2, at::TensorOptions().dtype(at::kFloat)) / static_cast<double>(config.head_dim);
  const at::Tensor powers = at::pow(config.rope_theta, exponents);
  const at::Tensor plain = at::reciprocal(powers);
  switch (config.rope_scaling.type) {
    case RopeType::kLinear:
      return plain / config.rope_scaling.factor;
    case RopeType::kLlama3:
      return llama3_frequencies(plain, config.rope_scaling);
    case RopeType::kYarn:
      return yarn_frequencies(powers, config);
    // Dynamic scaling begins beyond max_position_embeddings, which the decoder refuses.
    case RopeType::kDynamic:
    case RopeType::kDefault:
      break;
  }
  return plain;
}

RotaryTable rotary_table(std::int64_t positions, const ModelConfig& config, at::ScalarType dtype) {
  const at::Tensor frequencies = rotary_frequencies(config);
  const at::Tensor angles =
      at::arange(0, positions, at::TensorOptions().dtype(at::kFloat)).unsqueeze(1) * frequencies.unsqueeze(0);
  at::Tensor cosine = at::cos(angles), sine = at::sin(angles);
  if (config.rope_scaling.attention_factor != 1) {
    cosine.mul_(config.rope_scaling.attention_factor);
    sine.mul_(config.rope_scaling.attention_factor);
  }
  return {cosine.to(dtype).contiguous(), sine.to(dtype).contiguous()};
}

}  // namespace whet::engine
