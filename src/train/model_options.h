// How a model is held in memory while it is trained, each field listed once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "engine/engine.h"

namespace whet::train {

/// The choices of a field `precision`.
inline base::Allowed precisions() { return base::one_of({"float32", "bfloat16"}); }
inline constexpr const char* kAskedPrecisionHelp =
    "float32, or bfloat16: weights are rounded to bfloat16, half the memory, and so is what they are multiplied with where the "
    "processor multiplies bfloat16 (AVX512_BF16), at twice the speed; the rest is float32";

inline engine::Precision precision_of(const std::string& name) {
  return name == "bfloat16" ? engine::Precision::kBFloat16 : engine::Precision::kFloat32;
}

inline constexpr const char* kDeviceHelp =
    "where models run: cpu; cuda or cuda:N for a GPU, where the engine's PyTorch has CUDA";

/// Of a model that is never trained.
inline engine::EngineOptions asking_options(std::int64_t threads, const std::string& precision,
                                            const std::string& device) {
  return {
      .threads = static_cast<int>(threads), .device = device, .precision = precision_of(precision), .is_frozen = true};
}

struct ModelOptions {
  std::string device = "cpu";
  std::string precision = "float32";
  std::int64_t lora_rank = 0;
  double lora_alpha = 0;
  std::vector<std::string> lora_targets;
  bool checkpoint_activations = false;
};

template <class Visitor>
void visit_fields(ModelOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.device, "device", kDeviceHelp, anything());
  visit(
      o.precision, "precision",
      "float32, or bfloat16: models compute with weights in bfloat16, and what is trained has float32 masters; products are "
      "in bfloat16 where the processor has them (AVX512_BF16), their sums and all else in float32",
      precisions());
  visit(o.lora_rank, "lora-rank",
        "freeze the weights and train adapters of this rank over them (LoRA); 0: train the weights", count_from(0));
  visit(o.lora_alpha, "lora-alpha", "adapters are scaled by alpha / rank; 0: twice the rank", at_least(0));
  visit(o.lora_targets, "lora-targets",
        "projections with adapters: q_proj k_proj v_proj o_proj gate_proj up_proj down_proj; default: all", anything());
  visit(
      o.checkpoint_activations, "checkpoint-activations",
      "keep only what enters each layer, and compute the layer again on the way back: less memory, about a third more work",
      anything());
}

/// UserError for alpha or targets without a rank, and for adapters that cannot be.
inline engine::LoraOptions lora_options(const ModelOptions& options, std::int64_t seed) {
  if (options.lora_rank == 0) {
    if (options.lora_alpha > 0 || !options.lora_targets.empty()) {
      base::user_error("lora-rank", "0 beside --lora-alpha or --lora-targets, want the rank of the adapters");
    }
    return {};
  }
  engine::LoraOptions lora{
      .rank = options.lora_rank,
      .alpha = options.lora_alpha > 0 ? options.lora_alpha : 2.0 * static_cast<double>(options.lora_rank),
      .targets = options.lora_targets.empty() ? engine::lora_targets() : options.lora_targets,
      .seed = static_cast<std::uint64_t>(seed)};
  engine::check_lora(lora);
  return lora;
}

inline engine::EngineOptions engine_options(const ModelOptions& options, std::int64_t threads, std::int64_t seed) {
  return {.threads = static_cast<int>(threads),
          .device = options.device,
          .precision = precision_of(options.precision),
          .checkpoint_activations = options.checkpoint_activations,
          .lora = lora_options(options, seed)};
}

/// Of a policy beside the run's own, all of whose weights are trained or averaged.
inline engine::EngineOptions whole_options(const ModelOptions& options, std::int64_t threads) {
  return {.threads = static_cast<int>(threads), .device = options.device, .precision = precision_of(options.precision)};
}

/// Weights in bfloat16 are saved with float32 masters beside them.
inline bool has_masters(const ModelOptions& options) {
  return options.precision == "bfloat16" && options.lora_rank == 0;
}

}  // namespace whet::train
