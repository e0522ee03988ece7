// A Hugging Face config.json, read strictly: what would change the result and is not supported is refused by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/families.h"
#include "engine/rope_scaling.h"

namespace whet::engine {

struct ModelConfig {
  std::string architecture = "Qwen3ForCausalLM";
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  double initializer_range = 0.02;
  bool tie_word_embeddings = false;
  bool query_key_value_bias = false;
  bool output_bias = false;  ///< of the attention
  bool mlp_bias = false;
  std::vector<std::int64_t>
      layer_windows;  ///< newest tokens that a layer's queries see, 0: all. Empty: all in every layer
  std::vector<std::int32_t> eos_token_ids;  ///< generation_config.json's if present, else config.json's; may be empty
  std::int32_t bos_token_id = -1;           ///< -1: none. Both are kept for programs that read what this one writes
  std::int32_t pad_token_id = -1;

  /// std::logic_error for an architecture that is no family's.
  const Family& family() const;
  std::int64_t window(std::size_t layer) const { return layer_windows.empty() ? 0 : layer_windows[layer]; }
};

/// Reads config.json (and generation_config.json, if there) of a model folder. UserError naming file and field for a
/// missing or malformed file, an unknown architecture, a missing or out-of-range field, or an unsupported feature.
ModelConfig read_model_config(const std::filesystem::path& folder);

/// The two files' contents for a model written by this program; transformers loads them.
base::Json config_json(const ModelConfig& config);
base::Json generation_config_json(const ModelConfig& config);

}  // namespace whet::engine
