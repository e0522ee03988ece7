#include "engine/families.h"

namespace whet::engine {
namespace {

constexpr Family kFamilies[] = {
    {.architecture = "Qwen3ForCausalLM",
     .model_type = "qwen3",
     .head_norm = HeadNorm::kPerHead,
     .attention_bias = AttentionBias::kByField,
     .sliding_window = SlidingWindow::kByLayer,
     .default_head_dim = 128,
     .default_key_value_heads = 32},
    {.architecture = "Qwen2ForCausalLM",
     .model_type = "qwen2",
     .attention_bias = AttentionBias::kQueryKeyValue,
     .sliding_window = SlidingWindow::kByLayer,
     .default_key_value_heads = 32},
    {.architecture = "LlamaForCausalLM",
     .model_type = "llama",
     .attention_bias = AttentionBias::kByField,
     .has_mlp_bias = true,
     .default_eos_token_id = 2},
    {.architecture = "MistralForCausalLM",
     .model_type = "mistral",
     .sliding_window = SlidingWindow::kEveryLayer,
     .default_key_value_heads = 8,
     .default_eos_token_id = 2},
    {.architecture = "Olmo2ForCausalLM",
     .model_type = "olmo2",
     .head_norm = HeadNorm::kWholeProjection,
     .norms_after = true,
     .attention_bias = AttentionBias::kByField,
     .default_rms_norm_eps = 1e-5,
     .default_eos_token_id = 50279},
};

}  // namespace

std::span<const Family> families() { return kFamilies; }

const Family* find_family(std::string_view architecture) {
  for (const Family& family : kFamilies) {
    if (family.architecture == architecture) return &family;
  }
  return nullptr;
}

}  // namespace whet::engine
