// The memory plan: parameters against real checkpoints of every family, and how the plan follows settings.
#include "engine/memory.h"

#include <gtest/gtest.h>

#include "engine/safetensors.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;

TEST(ParameterCount, IsTheNumberOfWeightsOfEveryCheckpoint) {
  int checked = 0;
  for (const auto& root : {fs::path(WHET_SOURCE_DIR) / "tests/golden", fs::path(WHET_SOURCE_DIR) / "models"}) {
    for (const auto& entry : fs::directory_iterator(root)) {
      if (!fs::exists(entry.path() / "model.safetensors")) continue;
      std::int64_t count = 0;
      const Checkpoint checkpoint(entry.path());
      for (const std::string& name : checkpoint.names()) {
        std::int64_t size = 1;
        for (const std::int64_t extent : checkpoint.get(name).shape) size *= extent;
        count += size;
      }
      EXPECT_EQ(parameter_count(read_model_config(entry.path())), count) << entry.path();
      ++checked;
    }
  }
  EXPECT_GE(checked, 4);
}

/// Qwen3-0.6B.
ModelConfig large() {
  ModelConfig config;
  config.vocab_size = 151936;
  config.hidden_size = 1024;
  config.intermediate_size = 3072;
  config.num_hidden_layers = 28;
  config.num_attention_heads = 16;
  config.num_key_value_heads = 8;
  config.head_dim = 128;
  config.max_position_embeddings = 40960;
  config.tie_word_embeddings = true;
  return config;
}

TEST(MemoryPlan, CountsTheParametersOfAKnownModel) { EXPECT_EQ(parameter_count(large()), 596'049'920); }

TEST(MemoryPlan, AsksForMoreWhenARunAsksForMore) {
  const MemorySettings settings{
      .prompts = 2, .samples = 8, .prompt_tokens = 100, .response_tokens = 1024, .token_budget = 2048};
  const MemoryPlan plan = plan_memory(large(), settings);
  const auto with = [&](auto change) {
    MemorySettings changed = settings;
    change(changed);
    return plan_memory(large(), changed);
  };
  EXPECT_GT(with([](auto& s) { s.token_budget = 8192; }).update_bytes(), 3 * plan.update_bytes());
  EXPECT_GT(with([](auto& s) { s.prompts = 4; }).rollout_bytes(), plan.rollout_bytes());
  EXPECT_EQ(with([](auto& s) { s.prompts = 4; }).update_bytes(), plan.update_bytes());
  EXPECT_GT(with([](auto& s) { s.response_tokens = 2048; }).peak(), plan.peak());
  EXPECT_EQ(with([](auto& s) { s.prompts = 4; }).peak() - plan.peak(),
            with([](auto& s) { s.prompts = 4; }).rollout_bytes() - plan.rollout_bytes())
      << "the process keeps what a phase gives back";
  EXPECT_EQ(with([](auto& s) { s.frozen_models = 2; }).peak() - plan.peak(), 4 * plan.parameters);
  EXPECT_LT(with([](auto& s) { s.vocabulary = 1000; }).rollout_bytes(), plan.rollout_bytes());
}

TEST(MemoryPlan, KnowsWhatAdaptersAndComputingLayersAgainSave) {
  MemorySettings settings{.prompts = 2, .samples = 8, .prompt_tokens = 100, .response_tokens = 1024};
  const MemoryPlan full = plan_memory(large(), settings);
  settings.checkpoint_activations = true;
  const MemoryPlan again = plan_memory(large(), settings);
  EXPECT_LT(again.update_bytes(), full.update_bytes() / 4);
  settings.lora = {.rank = 8, .alpha = 16, .targets = {"q_proj", "v_proj"}};
  const MemoryPlan adapted = plan_memory(large(), settings);
  EXPECT_EQ(adapted.trained, 28 * 8 * ((1024 + 2048) + (1024 + 1024)));
  EXPECT_LT(adapted.peak(), again.peak() - 15 * again.parameters);  // frozen copy, gradients, moments: 16 bytes each
}

TEST(MemoryPlan, CountsMastersWhereWeightsInBFloat16AreTrained) {
  const auto always = [](MemorySettings settings, Precision precision) {
    settings.precision = precision;
    std::int64_t total = 0;
    for (const MemoryUse& use : plan_memory(large(), settings).always) total += use.bytes;
    return total;
  };
  const auto saved = [&](const MemorySettings& settings) {  // bytes for each parameter
    return static_cast<double>(always(settings, Precision::kFloat32) - always(settings, Precision::kBFloat16)) /
           static_cast<double>(parameter_count(large()));
  };
  EXPECT_EQ(saved({}), 0);  // the base's half is what the policy's second copy takes
  EXPECT_EQ(saved({.frozen_models = 3}), 4);
  EXPECT_EQ(saved({.averaged_models = 1}), -2);
  EXPECT_EQ(saved({.other_policies = 1}), -2);
  EXPECT_EQ(saved({.lora = {.rank = 8, .alpha = 16, .targets = {"q_proj"}}}), 2);
}

TEST(MemoryPlan, SharesWeightsUnderAdaptersWithTheBaseAndAnAverageAlone) {
  const LoraOptions lora{.rank = 8, .alpha = 16, .targets = {"q_proj"}};
  const std::int64_t adapters = 4 * adapter_parameter_count(large(), lora), weights = 4 * parameter_count(large());
  const std::int64_t one = plan_memory(large(), {.lora = lora}).peak();
  EXPECT_EQ(plan_memory(large(), {.averaged_models = 1, .lora = lora}).peak() - one, adapters);
  EXPECT_EQ(plan_memory(large(), {.frozen_models = 2, .lora = lora}).peak() - one, weights);
}

TEST(MemoryPlan, HasMicroBatchesAsPackingCutsThem) {
  const auto rows = [](std::int64_t prompts, std::int64_t samples, std::int64_t prompt, std::int64_t response,
                       std::int64_t budget) {
    return micro_batch_rows({.prompts = prompts,
                             .samples = samples,
                             .prompt_tokens = prompt,
                             .response_tokens = response,
                             .token_budget = budget});
  };
  EXPECT_EQ(rows(64, 8, 10, 11, 16384), 22 * 90);  // whole groups of 90 rows, about 2,048 together
  EXPECT_EQ(rows(4, 8, 10, 11, 16384), 4 * 90);    // all there are
  EXPECT_EQ(rows(64, 8, 100, 1001, 16384), 8100);  // a group of more rows stays whole
  EXPECT_EQ(rows(64, 8, 100, 1001, 4096), 100 + 3000);
  EXPECT_EQ(rows(64, 8, 100, 1001, 10), 100 + 1000);  // one response always goes
}

TEST(MemoryPlan, DoesNotOverflow) {
  ModelConfig config = large();
  config.hidden_size = 1'000'000;
  config.intermediate_size = 4'000'000;
  const MemoryPlan plan = plan_memory(config, {.prompts = 1 << 30,
                                               .samples = 1,
                                               .prompt_tokens = 1 << 30,
                                               .response_tokens = 1 << 30,
                                               .token_budget = std::int64_t{1} << 40});
  EXPECT_EQ(plan.update[0].bytes, std::int64_t{1} << 60);
  EXPECT_GT(plan.peak(), std::int64_t{1} << 60);
}

}  // namespace
}  // namespace whet::engine
