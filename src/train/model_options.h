// How a model is held in memory while it is trained, each field listed once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "engine/engine.h"

namespace whet::train {

struct ModelOptions {
  std::int64_t lora_rank = 0;
  double lora_alpha = 0;
  std::vector<std::string> lora_targets;
  bool checkpoint_activations = false;
};

template <class Visitor>
void visit_fields(ModelOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.lora_rank, "lora-rank", "freeze the weights and train adapters of this rank over them (LoRA); 0: train the weights",
        count_from(0));
  visit(o.lora_alpha, "lora-alpha", "adapters are scaled by alpha / rank; 0: twice the rank", at_least(0));
  visit(o.lora_targets, "lora-targets",
        "projections with adapters: q_proj k_proj v_proj o_proj gate_proj up_proj down_proj; default: all", anything());
  visit(o.checkpoint_activations, "checkpoint-activations",
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
  engine::LoraOptions lora{.rank = options.lora_rank,
                           .alpha = options.lora_alpha > 0 ? options.lora_alpha : 2.0 * static_cast<double>(options.lora_rank),
                           .targets = options.lora_targets.empty() ? engine::lora_targets() : options.lora_targets,
                           .seed = static_cast<std::uint64_t>(seed)};
  engine::check_lora(lora);
  return lora;
}

inline engine::EngineOptions engine_options(const ModelOptions& options, std::int64_t threads, std::int64_t seed) {
  return {.threads = static_cast<int>(threads),
          .checkpoint_activations = options.checkpoint_activations,
          .lora = lora_options(options, seed)};
}

}  // namespace whet::train
