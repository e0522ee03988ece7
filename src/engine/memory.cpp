#include "engine/memory.h"

#include <fmt/format.h>

#include <algorithm>

namespace whet::engine {
namespace {

constexpr std::int64_t kFloat = 4;
/// As the sampler, the packing and the head have them (sampler.cpp, packing.cpp, functions_head.cpp).
constexpr std::int64_t kMaxActive = 1024;
constexpr std::int64_t kMaxCacheBytes = std::int64_t{4} << 30;
constexpr std::int64_t kPrefillRows = 8192;
constexpr std::int64_t kRowsTogether = 2048;
constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 26;
/// The program with its libraries: the largest resident set of 'whet eval' on one problem with a model of 0.6 MB was 123 MiB.
constexpr std::int64_t kProgram = std::int64_t{125} << 20;

std::int64_t sum(const std::vector<MemoryUse>& uses) {
  std::int64_t total = 0;
  for (const MemoryUse& use : uses) total += use.bytes;
  return total;
}

/// Products of sizes that a config may have, which need not fit 64 bits.
std::int64_t bytes(std::initializer_list<std::int64_t> factors) {
  double product = 1;
  for (const std::int64_t factor : factors) product *= static_cast<double>(factor);
  return product < 1.1e18 ? static_cast<std::int64_t>(product) : std::int64_t{1} << 60;
}

std::string millions(std::int64_t count) { return fmt::format("{:.4g}M", static_cast<double>(count) / 1e6); }

}  // namespace

std::int64_t parameter_count(const ModelConfig& c) {
  const std::int64_t queries = c.num_attention_heads * c.head_dim, keys = c.num_key_value_heads * c.head_dim;
  const std::int64_t d = c.hidden_size, f = c.intermediate_size, qkv = queries + 2 * keys;
  std::int64_t layer = qkv * d + queries * d + 3 * f * d + 2 * d;  // two norms in every family
  if (c.query_key_value_bias) layer += qkv;
  if (c.output_bias) layer += d;
  if (c.mlp_bias) layer += 2 * f + d;
  if (c.family().head_norm == HeadNorm::kPerHead) layer += 2 * c.head_dim;
  if (c.family().head_norm == HeadNorm::kWholeProjection) layer += queries + keys;
  return (c.tie_word_embeddings ? 1 : 2) * c.vocab_size * d + c.num_hidden_layers * layer + d;
}

std::int64_t adapter_parameter_count(const ModelConfig& c, const LoraOptions& lora) {
  const std::int64_t d = c.hidden_size, f = c.intermediate_size;
  const std::int64_t queries = c.num_attention_heads * c.head_dim, keys = c.num_key_value_heads * c.head_dim;
  const auto sizes = [&](const std::string& target) {  // inputs and outputs of a projection
    if (target == "q_proj") return d + queries;
    if (target == "k_proj" || target == "v_proj") return d + keys;
    return target == "o_proj" ? queries + d : d + f;
  };
  std::int64_t layer = 0;
  for (const std::string& target : lora.targets) layer += lora.rank * sizes(target);
  return c.num_hidden_layers * layer;
}

std::int64_t MemoryPlan::rollout_bytes() const { return sum(rollout); }
std::int64_t MemoryPlan::update_bytes() const { return sum(update); }

std::int64_t MemoryPlan::peak() const {
  constexpr std::int64_t kLargest = std::int64_t{1} << 60;
  return sum(always) + std::min(rollout_bytes(), kLargest) + std::min(update_bytes(), kLargest);
}

std::int64_t micro_batch_rows(const MemorySettings& s) {
  const std::int64_t response = std::max<std::int64_t>(1, s.response_tokens - 1);  // the last token is no input
  const std::int64_t group = s.prompt_tokens + s.samples * response, limit = std::min(s.token_budget, kRowsTogether);
  if (group <= limit) return std::min(s.prompts, limit / group) * group;
  const std::int64_t together = std::max<std::int64_t>(1, (s.token_budget - s.prompt_tokens) / response);
  return s.prompt_tokens + std::min(s.samples, together) * response;
}

MemoryPlan plan_memory(const ModelConfig& c, const MemorySettings& s) {
  const std::int64_t queries = c.num_attention_heads * c.head_dim, keys = c.num_key_value_heads * c.head_dim;
  const std::int64_t d = c.hidden_size, f = c.intermediate_size, layers = c.num_hidden_layers, qkv = queries + 2 * keys;
  const std::int64_t vocabulary = s.vocabulary > 0 ? s.vocabulary : c.vocab_size;
  MemoryPlan plan;
  plan.parameters = parameter_count(c);
  const bool has_adapters = s.lora.rank > 0;
  plan.trained = has_adapters ? adapter_parameter_count(c, s.lora) : plan.parameters;
  const std::string count = millions(plan.parameters), trained = millions(plan.trained);

  // What is computed with, and what float32 masters of it take where it is trained in bfloat16.
  const std::int64_t stored = s.precision == Precision::kBFloat16 ? kFloat / 2 : kFloat;
  const std::int64_t masters = s.precision == Precision::kBFloat16 ? kFloat : 0;
  plan.always.push_back({"weights", bytes({plan.parameters, stored}), fmt::format("{} x {} bytes", count, stored)});
  if (masters > 0 && !has_adapters)
    plan.always.push_back({"masters", bytes({plan.parameters, masters}), count + " x 4 bytes, in float32"});
  // Under adapters the base and a moving average share the policy's frozen weights, and have adapters of their own.
  const std::int64_t frozen = has_adapters ? s.frozen_models - 1 : s.frozen_models;
  if (has_adapters) {
    const std::int64_t sets = 2 + s.averaged_models;
    plan.always.push_back(
        {"adapters", bytes({sets, plan.trained, kFloat}),
         fmt::format("{} x {} x 4 bytes, the policy's and those of models that share its frozen weights", sets,
                     trained)});
  } else if (s.averaged_models > 0) {
    plan.always.push_back(
        {"averaged models", bytes({s.averaged_models, plan.parameters, stored + masters}),
         fmt::format("{} x {} x {} bytes: moving averages of the policy", s.averaged_models, count, stored + masters)});
  }
  if (frozen > 0) {
    plan.always.push_back({"frozen models", bytes({frozen, plan.parameters, stored}),
                           fmt::format("{} x {} x {} bytes: {}{}", frozen, count, stored,
                                       has_adapters ? "" : "the base that the run is measured against",
                                       has_adapters ? "those that the reward asks"
                                       : frozen > 1 ? ", and those that the reward asks"
                                                    : "")});
  }
  if (s.other_policies > 0) {
    const std::int64_t each = stored + masters + 3 * kFloat;
    plan.always.push_back(
        {"other policies", bytes({s.other_policies, plan.parameters, each}),
         fmt::format("{} x {} x {} bytes: weights, gradients and optimizer", s.other_policies, count, each)});
  }
  plan.always.push_back({"gradients", bytes({plan.trained, kFloat}), trained + " x 4 bytes"});
  plan.always.push_back(
      {"optimizer", bytes({plan.trained, 2 * kFloat}), trained + " x 8 bytes: AdamW's two moments in float32"});
  plan.always.push_back({"program", kProgram, "code and libraries"});

  // Sampling: the caches of the sequences that are written at once, those of their prompts, and a step's work space.
  const std::int64_t capacity = std::max<std::int64_t>(1, s.response_tokens - 1);
  const std::int64_t token_cache = bytes({layers, 2, keys, kFloat});
  const std::int64_t slot = bytes({capacity, token_cache});
  const std::int64_t sequences = std::max(s.prompts * s.samples, s.other_sequences);
  const std::int64_t slots = std::max<std::int64_t>(1, std::min({kMaxActive, sequences, kMaxCacheBytes / slot}));
  plan.sequences_at_once = slots;
  plan.rollout.push_back(
      {"cache of responses", bytes({slots, slot}),
       fmt::format("{} sequences x {} tokens x {} bytes of keys and values", slots, capacity, token_cache)});
  const std::int64_t open = std::min(std::max(s.prompts, s.other_sequences / std::max<std::int64_t>(1, s.samples)),
                                     (slots + s.samples - 1) / s.samples + 1);
  plan.rollout.push_back({"cache of prompts", bytes({open, s.prompt_tokens, token_cache}),
                          fmt::format("{} prompts x {} tokens", open, s.prompt_tokens)});
  plan.rollout.push_back(
      {"logits of sampling", bytes({slots + 2 * open, vocabulary, kFloat}),
       fmt::format("{} sequences and 2 x {} prompts x {} words x 4 bytes", slots, open, vocabulary)});
  const std::int64_t prefill = std::min(std::max(kPrefillRows, s.prompt_tokens), open * s.prompt_tokens);
  plan.rollout.push_back({"work space", bytes({slots + prefill, 3 * d + 2 * qkv + queries + 3 * f, kFloat}),
                          fmt::format("{} rows of one layer", slots + prefill)});

  // The update: what the layers keep for the way back, the head's rows, and what is computed on the way.
  const std::int64_t rows = micro_batch_rows(s);
  plan.micro_batch_rows = rows;
  const std::int64_t heads = 2 + 2 * c.num_attention_heads + c.num_key_value_heads;
  const std::int64_t kept = 4 * d + 2 * qkv + queries + 3 * f + heads;
  if (s.checkpoint_activations) {
    plan.update.push_back(
        {"activations", bytes({rows, layers * d + kept, kFloat}),
         fmt::format("{} rows x ({} layers x {} + {} of the one computed again) x 4 bytes", rows, layers, d, kept)});
  } else {
    plan.update.push_back({"activations", bytes({rows, layers, kept, kFloat}),
                           fmt::format("{} rows x {} layers x {} numbers x 4 bytes", rows, layers, kept)});
  }
  const std::int64_t logits = std::min(std::max(kLogitsAtOnce, vocabulary), bytes({rows, vocabulary}));
  const std::int64_t head_work = bytes({logits, kFloat}) + bytes({rows, 4 * d, kFloat}),
                     layer_work = bytes({rows, 3 * d + 3 * f, kFloat});
  plan.update.push_back({"logits and gradients of rows", std::max(head_work, layer_work),
                         fmt::format("{} logits at once and the head's states, or a layer's gradients", logits)});
  return plan;
}

}  // namespace whet::engine
