// A model that writes what a function tells it to, so that what happens around a model can be tested without one.
#pragma once

#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "tests/store/temp_folder.h"
#include "tokenizer/tokenizer.h"
#include "train/text_model.h"

namespace whet::train {

/// The response to a prompt; draws are keyed as the engine keys them.
using Writer = std::function<std::string(const std::string& prompt, base::Random& random)>;

/// A tokenizer of single characters; the end token has id 0.
inline tokenizer::Tokenizer character_tokenizer(std::string_view alphabet) {
  const store::TempFolder folder;
  tokenizer::write_character_tokenizer(folder.path(), alphabet);
  return tokenizer::Tokenizer::load(folder.path());
}

class FakeModel final : public engine::Model {
 public:
  FakeModel(std::string alphabet, Writer writer)
      : alphabet_(std::move(alphabet)), writer_(std::move(writer)), tokenizer_(character_tokenizer(alphabet_)) {
    config_.vocab_size = tokenizer_.vocab_size();
    config_.max_position_embeddings = 1000;
    config_.eos_token_ids = {0};
  }

  const engine::ModelConfig& config() const override { return config_; }
  std::int64_t parameter_count() const override { return 1; }

  std::vector<std::vector<engine::Rollout>> rollout(const engine::RolloutRequest& request) override {
    std::vector<std::vector<engine::Rollout>> result;
    for (const engine::Prompt& prompt : request.prompts) {
      ++prompts_sampled;
      auto& rollouts = result.emplace_back();
      for (int sample = 0; sample < prompt.samples; ++sample) {
        base::Random random{request.stream, prompt.key, static_cast<std::uint64_t>(sample)};
        engine::Rollout rollout;
        rollout.tokens = tokenizer_.encode(writer_(tokenizer_.decode(prompt.tokens), random));
        rollout.tokens.push_back(0);
        for (std::size_t t = 0; t < rollout.tokens.size(); ++t) {
          rollout.logprob.push_back(-0.25f - static_cast<float>(random.uniform()));
          rollout.entropy.push_back(0.5f);
          rollout.self_certainty.push_back(0.5f);
          rollout.gap.push_back(static_cast<float>(random.uniform()));
        }
        rollouts.push_back(std::move(rollout));
      }
    }
    return result;
  }
  void load_adapters(const std::filesystem::path&) override {
    throw std::logic_error("the fake model has no adapters");
  }
  void save_merged(const std::filesystem::path&, const std::string&) const override {
    throw std::logic_error("the fake model has no weights");
  }

  void move_towards(const engine::Model& other, double share) override {
    weight += share * (dynamic_cast<const FakeModel&>(other).weight - weight);
  }

  std::unique_ptr<engine::Model> clone() const override {
    auto copy = std::make_unique<FakeModel>(alphabet_, writer_);
    copy->weight = weight;
    copies.push_back(copy.get());
    return copy;
  }

  std::vector<std::vector<std::vector<float>>> logprobs(std::span<const engine::SharedPromptBatch>, double) override {
    throw std::logic_error("the fake model only samples");
  }
  std::vector<engine::TokenScores> score(std::span<const std::vector<engine::TokenId>>, double) override {
    throw std::logic_error("the fake model only samples");
  }
  void accumulate_gradient(std::span<const engine::SharedPromptBatch>, double, std::int64_t,
                           const engine::PolicyGradient&) override {
    throw std::logic_error("the fake model only samples");
  }
  double optimizer_step(const engine::AdamOptions&) override { throw std::logic_error("the fake model only samples"); }
  void save(const std::filesystem::path&) const override { throw std::logic_error("the fake model only samples"); }
  void save_optimizer(const std::filesystem::path&) const override {
    throw std::logic_error("the fake model only samples");
  }
  void load_optimizer(const std::filesystem::path&) override { throw std::logic_error("the fake model only samples"); }

  void set_writer(Writer writer) { writer_ = std::move(writer); }

  double weight = 0;  ///< the one parameter
  std::int64_t prompts_sampled = 0;
  mutable std::vector<FakeModel*> copies;  ///< that clone() made; owned by who asked

 private:
  std::string alphabet_;
  Writer writer_;
  tokenizer::Tokenizer tokenizer_;
  engine::ModelConfig config_;
};

/// A text model around a fake one, and the fake itself to be told what to write.
inline TextModel fake_text_model(const std::string& alphabet, Writer writer) {
  return {"fake", character_tokenizer(alphabet), std::make_unique<FakeModel>(alphabet, std::move(writer))};
}

inline FakeModel& fake_of(TextModel& model) { return dynamic_cast<FakeModel&>(*model.model); }

}  // namespace whet::train
