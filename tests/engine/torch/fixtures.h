// Small odd-shaped models, random groups, and comparisons that say where two tensors part.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "base/random.h"
#include "engine/torch/decoder.h"
#include "engine/torch/packing.h"
#include "engine/torch/torch_model.h"

namespace whet::engine {

/// What a failing test prints of its parameter.
inline void PrintTo(const ModelConfig& config, std::ostream* out) { *out << config_json(config).dump(); }

/// Nothing here is a multiple of 16, and several queries share a key.
inline ModelConfig odd_config(std::int64_t query_heads = 4, std::int64_t key_heads = 2, std::int64_t width = 12,
                              bool tied = false) {
  ModelConfig config;
  config.vocab_size = 37;
  config.hidden_size = 26;
  config.intermediate_size = 35;
  config.num_hidden_layers = 2;
  config.num_attention_heads = query_heads;
  config.num_key_value_heads = key_heads;
  config.head_dim = width;
  config.max_position_embeddings = 96;
  config.rms_norm_eps = 1e-5;
  config.initializer_range = 0.25;  // far from uniform, so that a mistake shows
  config.tie_word_embeddings = tied;
  config.eos_token_ids = {0};
  return config;
}

/// A small model of each family, with its variants turned on: biases, windows, positions that are stretched.
inline std::vector<ModelConfig> family_configs() {
  std::vector<ModelConfig> all;
  for (const Family& family : families()) {
    ModelConfig config = odd_config();
    config.architecture = family.architecture;
    config.query_key_value_bias = family.attention_bias != AttentionBias::kNever;
    config.output_bias = family.attention_bias == AttentionBias::kByField;
    config.mlp_bias = family.has_mlp_bias;
    if (family.sliding_window == SlidingWindow::kByLayer) config.layer_windows = {0, 7};
    if (family.sliding_window == SlidingWindow::kEveryLayer) config.layer_windows = {5, 5};
    if (family.has_mlp_bias) config.rope_scaling = {RopeType::kLlama3, 4, 20};
    if (family.norms_after) config.rope_scaling = {RopeType::kYarn, 4, 20, 1, 4, 1.2};
    all.push_back(config);
  }
  return all;
}

inline std::shared_ptr<Decoder> random_decoder(const ModelConfig& config, at::ScalarType dtype,
                                               std::uint64_t seed = 1) {
  auto decoder = std::make_shared<Decoder>(config, dtype);
  decoder->initialize(seed);
  at::manual_seed(seed);
  for (const auto& entry : decoder->named_weights()) {
    if (entry.window.dim() == 1) entry.window.add_(0.3 * at::randn(entry.window.sizes(), at::kDouble));
  }
  return decoder;
}

inline std::vector<TokenId> random_tokens(base::Random& random, std::int64_t length, std::int64_t vocabulary) {
  std::vector<TokenId> tokens;
  for (std::int64_t i = 0; i < length; ++i) {
    tokens.push_back(static_cast<TokenId>(random.below(static_cast<std::uint64_t>(vocabulary))));
  }
  return tokens;
}

/// A group with a prompt and responses of the given lengths.
inline SharedPromptBatch random_group(base::Random& random, std::int64_t prompt,
                                      const std::vector<std::int64_t>& responses, std::int64_t vocabulary) {
  SharedPromptBatch group{random_tokens(random, prompt, vocabulary), {}};
  for (const std::int64_t length : responses) group.responses.push_back(random_tokens(random, length, vocabulary));
  return group;
}

/// A prompt with what was sampled for it, as training and log-probabilities take it.
inline SharedPromptBatch as_batch(const Prompt& prompt, const std::vector<Rollout>& rollouts) {
  SharedPromptBatch group{prompt.tokens, {}};
  for (const Rollout& rollout : rollouts) group.responses.push_back(rollout.tokens);
  return group;
}
inline std::vector<SharedPromptBatch> as_batches(const std::vector<Prompt>& prompts,
                                                 const std::vector<std::vector<Rollout>>& rollouts) {
  std::vector<SharedPromptBatch> groups;
  for (std::size_t p = 0; p < prompts.size(); ++p) groups.push_back(as_batch(prompts[p], rollouts[p]));
  return groups;
}

/// Groups in which each case occurs: responses of one token (no row of their own), a prompt longer than its responses and
/// shorter, many responses, a group of one.
inline std::vector<SharedPromptBatch> varied_groups(std::uint64_t seed, std::int64_t vocabulary) {
  base::Random random{seed};
  return {random_group(random, 19, {1, 2, 5, 1, 17}, vocabulary), random_group(random, 1, {9, 1, 23}, vocabulary),
          random_group(random, 33, {1}, vocabulary),
          random_group(random, 4, {3, 8, 2, 1, 6, 7, 4, 4, 11, 2, 3, 30, 1, 5, 2, 16}, vocabulary)};
}

/// The engine's logits of every row of every sequence, packed together.
inline at::Tensor all_logits(Decoder& decoder, const std::vector<std::vector<TokenId>>& sequences) {
  std::vector<Prompt> prompts;
  for (const auto& sequence : sequences) prompts.push_back({sequence, 0, 1});
  std::vector<const Prompt*> pointers;
  for (const Prompt& prompt : prompts) pointers.push_back(&prompt);
  const PackedBatch batch = pack_prompts(pointers, decoder.config().vocab_size);
  const at::Tensor normed = rms_norm(decoder.forward(batch), decoder.final_norm(), decoder.config().rms_norm_eps);
  return at::mm(normed, decoder.head().to(normed.scalar_type()).t());
}

/// Largest difference, relative to the largest magnitude of `wanted`.
inline double relative_difference(const at::Tensor& got, const at::Tensor& wanted) {
  const at::Tensor g = got.detach().to(at::kDouble), w = wanted.detach().to(at::kDouble);
  return ((g - w).abs().max() / w.abs().max().clamp_min(1e-30)).item<double>();
}

inline void expect_close(const at::Tensor& got, const at::Tensor& wanted, double tolerance, const std::string& what) {
  ASSERT_EQ(got.sizes(), wanted.sizes()) << what;
  EXPECT_LE(relative_difference(got, wanted), tolerance) << what;
}

inline bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  return a.nbytes() == b.nbytes() && std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

/// Puts the number of threads back when a test ends.
class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(at::get_num_threads()) { at::set_num_threads(threads); }
  ~ThreadCount() { at::set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace whet::engine
