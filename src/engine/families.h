// The families of models that the engine runs: one row of data each. What differs inside a layer is one of the few variants
// named here; everything else comes from config.json.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace whet::engine {

/// How queries and keys are normalised before their positions turn them.
enum class HeadNorm {
  kNone,
  kPerHead,          ///< each head by itself, one weight of a head's width for all (Qwen3)
  kWholeProjection,  ///< all heads of a token together (OLMo-2)
};

/// Which projections of the attention have a bias.
enum class AttentionBias {
  kNever,
  kQueryKeyValue,  ///< always on queries, keys and values (Qwen2)
  kByField,        ///< on these and on the output where config.json's attention_bias says so
};

/// Where a query sees the last `sliding_window` tokens only.
enum class SlidingWindow {
  kNever,
  kByLayer,     ///< use_sliding_window turns it on, for layer_types or from max_window_layers on (Qwen2, Qwen3)
  kEveryLayer,  ///< wherever sliding_window is set (Mistral)
};

struct Family {
  std::string_view architecture;
  std::string_view model_type;
  HeadNorm head_norm = HeadNorm::kNone;
  bool norms_after = false;  ///< norms stand after attention and MLP, before the residual sum, not at their entry
  AttentionBias attention_bias = AttentionBias::kNever;
  bool has_mlp_bias = false;  ///< config.json's mlp_bias is read
  SlidingWindow sliding_window = SlidingWindow::kNever;
  // Where the file leaves a field out, transformers' configuration class (5.24) fills in:
  std::int64_t default_head_dim = 0;         ///< 0: hidden_size / num_attention_heads
  std::int64_t default_key_value_heads = 0;  ///< 0: num_attention_heads
  double default_rms_norm_eps = 1e-6;
  std::int32_t default_eos_token_id = -1;  ///< -1: none
};

std::span<const Family> families();

/// nullptr when there is none of that name.
const Family* find_family(std::string_view architecture);

}  // namespace whet::engine
