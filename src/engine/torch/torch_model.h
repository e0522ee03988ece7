// engine::Model over libtorch.
#pragma once

#include <memory>

#include "engine/engine.h"
#include "engine/safetensors.h"
#include "engine/torch/decoder.h"

namespace whet::engine {

class TorchModel final : public Model {
 public:
  /// `folder`: what the weights were read from, for adapters to name; empty for new ones.
  TorchModel(std::shared_ptr<Decoder> decoder, const EngineOptions& options, std::filesystem::path folder = {});

  const ModelConfig& config() const override { return decoder_->config(); }
  std::int64_t parameter_count() const override { return decoder_->weights().numel(); }
  std::vector<std::vector<Rollout>> rollout(const RolloutRequest& request) override;
  std::vector<std::vector<std::vector<float>>> logprobs(std::span<const SharedPromptBatch> groups,
                                                        double temperature) override;
  std::vector<TokenScores> score(std::span<const std::vector<TokenId>> sequences, double temperature) override;
  void accumulate_gradient(std::span<const SharedPromptBatch> groups, double temperature, std::int64_t token_budget,
                           const PolicyGradient& gradient_of) override;
  double optimizer_step(const AdamOptions& options) override;
  void save(const std::filesystem::path& folder) const override;
  void load_adapters(const std::filesystem::path& folder) override;
  void save_merged(const std::filesystem::path& folder, const std::string& dtype) const override;
  void save_optimizer(const std::filesystem::path& file) const override;
  void load_optimizer(const std::filesystem::path& file) override;
  void move_towards(const Model& other, double share) override;
  std::unique_ptr<Model> clone() const override;

 private:
  /// The masters in an optimizer's file, checked against the weights; undefined for a model that has none.
  at::Tensor masters_of(const SafetensorsFile& stored, const std::filesystem::path& file) const;

  std::shared_ptr<Decoder> decoder_;
  EngineOptions options_;
  std::filesystem::path folder_;
  std::int64_t vocabulary_;
  ModelWork work_;
  at::Tensor first_moment_, second_moment_;  // of what is trained, made at the first step
  std::int64_t steps_ = 0;
};

}  // namespace whet::engine
