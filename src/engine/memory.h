// What a training run will hold in memory, from the model's config.json and the run's settings alone: nothing is opened and
// nothing is allocated. The formulas follow src/engine/torch, and bench/plan_check.py holds them against real runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/lora.h"
#include "engine/model_config.h"

namespace whet::engine {

/// Of the whole model.
std::int64_t parameter_count(const ModelConfig& config);

/// Of the adapters.
std::int64_t adapter_parameter_count(const ModelConfig& config, const LoraOptions& lora);

struct MemorySettings {
  std::int64_t vocabulary = 0;       ///< tokens in use; 0: all rows of the embedding
  std::int64_t prompts = 64;         ///< problems in a step
  std::int64_t samples = 8;          ///< rollouts of each
  std::int64_t other_sequences = 0;  ///< most that are sampled together outside the step (measurements)
  std::int64_t prompt_tokens = 256;
  std::int64_t response_tokens = 64;  ///< the length limit: what the run must have room for
  std::int64_t token_budget = 16384;
  std::int64_t frozen_models =
      1;  ///< models beside the policy that are only asked, of the same shape; the first is the base
  std::int64_t averaged_models = 0;  ///< such that follow it as a moving average
  std::int64_t other_policies = 0;   ///< such that are trained too, all of their weights
  bool checkpoint_activations = false;
  Precision precision = Precision::kFloat32;
  LoraOptions lora = {};  ///< rank 0: the weights are trained
};

/// One thing that takes memory, in bytes, and how its size comes about.
struct MemoryUse {
  std::string name;
  std::int64_t bytes = 0;
  std::string how;
};

struct MemoryPlan {
  std::int64_t parameters = 0;
  std::int64_t trained = 0;        ///< parameters that are
  std::vector<MemoryUse> always;   ///< from the first update on
  std::vector<MemoryUse> rollout;  ///< while sampling
  std::vector<MemoryUse> update;   ///< while the gradient is computed
  std::int64_t micro_batch_rows = 0;
  std::int64_t sequences_at_once = 0;

  std::int64_t rollout_bytes() const;
  std::int64_t update_bytes() const;
  /// What stays and both phases: the process keeps what a phase gives back (torch/entry.cpp), and a cache of hundreds of
  /// megabytes in one piece finds no room between what was laid there meanwhile.
  std::int64_t peak() const;
};

/// Sizes above 2^60 bytes are cut there: they fit nowhere.
MemoryPlan plan_memory(const ModelConfig& config, const MemorySettings& settings);

/// Rows of the largest micro-batch that packing makes of such groups under a budget.
std::int64_t micro_batch_rows(const MemorySettings& settings);

}  // namespace whet::engine
