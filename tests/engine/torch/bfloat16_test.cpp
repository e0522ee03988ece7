// Weights in bfloat16: the numbers of a float32 model whose weights were rounded (to the last bit where weights are widened, to the
// rounding of what they are multiplied with where the processor multiplies bfloat16), and masters that move by less than the rounding.
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "engine/safetensors.h"
#include "engine/torch/kernels_product.h"
#include "tests/engine/torch/fixtures.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;

std::vector<ModelConfig> configs() {
  std::vector<ModelConfig> all = family_configs();
  all.push_back(odd_config(4, 2, 12, /*tied=*/true));
  return all;
}

std::shared_ptr<Decoder> half_decoder(const ModelConfig& config, bool has_masters = true) {
  const auto decoder = std::make_shared<Decoder>(config, at::kBFloat16, has_masters);
  decoder->weights().copy_(random_decoder(config, at::kFloat)->weights());
  decoder->round_weights();
  return decoder;
}

/// The model in float32 whose weights were rounded.
std::shared_ptr<Decoder> rounded_decoder(const ModelConfig& config) {
  const auto decoder = random_decoder(config, at::kFloat);
  decoder->weights().copy_(decoder->weights().to(at::kBFloat16));
  return decoder;
}

/// Log-probabilities of fixed responses, with a gradient that is never zero.
std::vector<float> accumulate(TorchModel& model, std::uint64_t seed = 1) {
  std::vector<float> values;
  model.accumulate_gradient(
      varied_groups(seed, 37), 0.9, 64,
      [&](std::size_t first, std::size_t, std::span<const float> logprob, std::span<float> gradient) {
        values.insert(values.end(), logprob.begin(), logprob.end());
        for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] = std::sin(static_cast<float>(first + i + seed));
      });
  return values;
}

std::vector<std::vector<Rollout>> sample(TorchModel& model, int max_active = 0) {
  base::Random random{3};
  std::vector<Prompt> prompts;
  for (const std::int64_t length : {1, 7, 20, 3})
    prompts.push_back({random_tokens(random, length, 37), prompts.size(), 5});
  return model.rollout({prompts, {.max_new_tokens = 12}, 5, max_active});
}

void expect_same_rollouts(const std::vector<std::vector<Rollout>>& a, const std::vector<std::vector<Rollout>>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t p = 0; p < a.size(); ++p) {
    for (std::size_t s = 0; s < a[p].size(); ++s) {
      EXPECT_EQ(a[p][s].tokens, b[p][s].tokens);
      EXPECT_EQ(a[p][s].logprob, b[p][s].logprob);
      EXPECT_EQ(a[p][s].entropy, b[p][s].entropy);
    }
  }
}

TEST(BFloat16, IsTheFloat32ModelWhoseWeightsWereRoundedToTheLastBitWhereTheyAreWidened) {
  const kernels::WidenedProducts scope;
  for (const ModelConfig& config : configs()) {
    const auto half = half_decoder(config), plain = rounded_decoder(config);
    ASSERT_FALSE(same_bytes(half->weights(), plain->weights())) << "the masters are not rounded";
    TorchModel ours(half, {}), theirs(plain, {});
    EXPECT_EQ(accumulate(ours), accumulate(theirs)) << config.architecture;
    EXPECT_EQ(half->gradients().scalar_type(), at::kFloat);
    EXPECT_TRUE(same_bytes(half->gradients(), plain->gradients())) << config.architecture;
    expect_same_rollouts(sample(ours), sample(theirs));
    const std::vector<std::vector<TokenId>> sequences = {{1, 2, 3, 4, 5, 30}, {9, 8}};
    EXPECT_EQ(ours.score(sequences, 1.0)[0].self_certainty, theirs.score(sequences, 1.0)[0].self_certainty);
  }
}

/// |a - b| / |b|, of whole vectors.
double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).to(at::kDouble).norm() / b.to(at::kDouble).norm()).item<double>();
}

TEST(BFloat16, IsNearTheFloat32ModelWhereTheProcessorMultipliesIt) {
  if (!kernels::multiplies_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  double largest_gradient = 0, largest_logprob = 0;
  for (const ModelConfig& config : configs()) {
    const auto half = half_decoder(config), plain = rounded_decoder(config);
    TorchModel ours(half, {}), theirs(plain, {});
    const at::Tensor got = at::tensor(accumulate(ours)), wanted = at::tensor(accumulate(theirs));
    largest_logprob = std::max(largest_logprob, (got - wanted).abs().max().item<double>());
    largest_gradient = std::max(largest_gradient, distance(half->gradients(), plain->gradients()));
  }
  fmt::print("in bfloat16, from the float32 model: log-probabilities {:.1e}, gradients {:.1e}\n", largest_logprob,
             largest_gradient);
  // A number is rounded by at most 2^-9 of itself, .0011 on average (root of the mean square); a gradient has been through two
  // dozen products.
  EXPECT_GT(largest_gradient, 1e-4);
  EXPECT_LT(largest_gradient, 24 * std::ldexp(1.0, -9));
  EXPECT_LT(largest_logprob, 24 * std::ldexp(1.0, -9));
}

TEST(BFloat16, SamplesATokenWithTheProbabilityThatTrainingComputes) {
  double worst = 0;
  std::size_t tokens = 0, equal = 0;
  for (const ModelConfig& config : configs()) {
    TorchModel model(half_decoder(config), {});
    base::Random random{3};
    std::vector<Prompt> prompts;
    for (const std::int64_t length : {1, 7, 20, 3})
      prompts.push_back({random_tokens(random, length, 37), prompts.size(), 5});
    const auto rollouts = model.rollout({prompts, {.max_new_tokens = 30}, 5});
    const auto logprobs = model.logprobs(as_batches(prompts, rollouts), 1.0);
    for (std::size_t p = 0; p < prompts.size(); ++p) {
      for (std::size_t s = 0; s < rollouts[p].size(); ++s) {
        for (std::size_t t = 0; t < rollouts[p][s].tokens.size(); ++t, ++tokens) {
          const double difference = std::abs(static_cast<double>(rollouts[p][s].logprob[t]) - logprobs[p][s][t]);
          worst = std::max(worst, difference);
          equal += difference == 0;
        }
      }
    }
  }
  fmt::print(
      "of {} sampled log-probabilities {:.1f} % are those of training to the last bit, the others within {:.1e}\n",
      tokens, 100.0 * static_cast<double>(equal) / static_cast<double>(tokens), worst);
  // Products are the same; attention adds in another order, and a number that lies between two of bfloat16 may then round to either.
  EXPECT_LT(worst, kernels::multiplies_bfloat16() ? 24 * std::ldexp(1.0, -9) : 1e-5);
}

TEST(BFloat16, IsTheSameWhenNothingIsKeptToTrainIt) {
  for (const ModelConfig& config : configs()) {
    const auto frozen = half_decoder(config, /*has_masters=*/false);
    EXPECT_EQ(frozen->weights().nbytes(), 2 * static_cast<std::size_t>(frozen->weights().numel()));
    TorchModel asked(frozen, {}), trained(half_decoder(config), {});
    expect_same_rollouts(sample(asked), sample(trained));
    EXPECT_EQ(asked.logprobs(varied_groups(4, 37), 1.0), trained.logprobs(varied_groups(4, 37), 1.0));
    EXPECT_THROW(accumulate(asked), std::logic_error);
    EXPECT_THROW(asked.optimizer_step({}), std::logic_error);
    EXPECT_THROW(asked.move_towards(trained, 0.5), std::logic_error);
    // A copy is another's to sample from, and as frozen.
    expect_same_rollouts(sample(dynamic_cast<TorchModel&>(*asked.clone())), sample(trained));
  }
}

TEST(BFloat16, GivesTheSameBytesForAnyBatchAndNumberOfThreads) {
  const auto run = [](int threads, int max_active) {
    const ThreadCount scope(threads);
    const auto decoder = half_decoder(odd_config());
    TorchModel model(decoder, {});
    auto rollouts = sample(model, max_active);
    accumulate(model);
    model.optimizer_step({.learning_rate = 1e-2});
    return std::pair(std::move(rollouts), decoder->weights().clone());
  };
  const auto one = run(1, 0);
  for (const auto& [threads, max_active] : {std::pair{1, 1}, {1, 3}, {2, 0}, {3, 7}}) {
    const auto other = run(threads, max_active);
    expect_same_rollouts(one.first, other.first);
    EXPECT_TRUE(same_bytes(one.second, other.second)) << threads << " threads";
  }
}

TEST(BFloat16, ComputesLayersAgainToTheSameBytes) {
  const auto kept = half_decoder(odd_config()), again = half_decoder(odd_config());
  again->set_checkpointing(true);
  TorchModel a(kept, {}), b(again, {});
  EXPECT_EQ(accumulate(a), accumulate(b));
  EXPECT_TRUE(same_bytes(kept->gradients(), again->gradients()));
}

TEST(BFloat16, MovesByLessThanItsRoundingBecauseOfTheMasters) {
  // Weights of 0.2 are 2^-10 apart in bfloat16; AdamW moves each by about 1e-4 a step.
  const ModelConfig config = odd_config();
  const AdamOptions options{.learning_rate = 1e-4, .weight_decay = 0};
  const auto decoder = half_decoder(config), without = rounded_decoder(config);
  TorchModel model(decoder, {}), control(without, {});
  const at::Tensor masters = decoder->weights().clone(), computed = decoder->computed_weights().clone(),
                   start = without->weights().clone();
  const auto share = [](const at::Tensor& a, const at::Tensor& b) {
    return at::ne(a, b).to(at::kDouble).mean().item<double>();
  };
  for (int step = 1; step <= 30; ++step) {
    accumulate(model);
    accumulate(control);
    model.optimizer_step(options);
    control.optimizer_step(options);
    without->weights().copy_(without->weights().to(at::kBFloat16));  // as if there were no masters
    EXPECT_TRUE(at::equal(decoder->computed_weights(), decoder->weights().to(at::kBFloat16)))
        << "what computes follows the masters";
    if (step == 1) {
      EXPECT_GT(share(decoder->weights(), masters), 0.9);
      EXPECT_LT(share(decoder->computed_weights(), computed), 0.3);
    }
  }
  const double moved = share(decoder->computed_weights(), computed), stuck = share(without->weights(), start);
  fmt::print("after 30 steps of 1e-4: {:.0f} % of the weights in bfloat16 have moved, {:.0f} % without masters\n",
             100 * moved, 100 * stuck);
  EXPECT_GT(moved, 0.75);
  EXPECT_LT(stuck, moved / 2);
}

class BFloat16Files : public testing::Test {
 protected:
  BFloat16Files() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (std::uint64_t step = 0; step < 3; ++step) update(model_, step);
    model_.save(folder_);
    model_.save_optimizer(state_);
  }
  ~BFloat16Files() override { fs::remove_all(folder_); }

  static void update(TorchModel& model, std::uint64_t step) {
    accumulate(model, step);
    model.optimizer_step({.learning_rate = 1e-4});
  }

  std::shared_ptr<Decoder> reopened(at::ScalarType dtype = at::kBFloat16) const {
    auto decoder = std::make_shared<Decoder>(read_model_config(folder_), dtype);
    decoder->load(folder_);
    return decoder;
  }

  void expect_refusal(TorchModel& model, const std::string& part) {
    try {
      model.load_optimizer(state_);
      ADD_FAILURE() << "loaded, want: " << part;
    } catch (const base::UserError& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("whet_bfloat16_{}", ::getpid());
  const fs::path state_ = folder_ / "optimizer.safetensors";
  std::shared_ptr<Decoder> decoder_ = half_decoder(odd_config());
  TorchModel model_{decoder_, {}};
};

TEST_F(BFloat16Files, HoldWhatTheModelComputesWith) {
  const Checkpoint checkpoint(folder_);
  for (const std::string& name : checkpoint.names()) EXPECT_EQ(checkpoint.get(name).dtype, DType::kBF16) << name;
  EXPECT_EQ(base::read_json_file(folder_ / "config.json").at("torch_dtype"), "bfloat16");
  // Read by a float32 model they are the same numbers.
  const kernels::WidenedProducts scope;
  TorchModel plain(reopened(at::kFloat), {});
  expect_same_rollouts(sample(plain), sample(model_));
}

TEST_F(BFloat16Files, ContinueToTheSameBytesBecauseMastersAreSaved) {
  const auto decoder = reopened();
  EXPECT_FALSE(same_bytes(decoder->weights(), decoder_->weights())) << "the folder holds rounded weights";
  TorchModel resumed(decoder, {});
  resumed.load_optimizer(state_);
  EXPECT_TRUE(same_bytes(decoder->weights(), decoder_->weights()));
  for (std::uint64_t step = 3; step < 6; ++step) {
    update(model_, step);
    update(resumed, step);
  }
  EXPECT_TRUE(same_bytes(decoder->weights(), decoder_->weights()));
  EXPECT_TRUE(same_bytes(decoder->computed_weights(), decoder_->computed_weights()));
}

TEST_F(BFloat16Files, AreRefusedWhereMastersDoNotBelong) {
  TorchModel plain(reopened(at::kFloat), {});
  expect_refusal(plain, "want a model that is opened with precision bfloat16");
  const auto moved = reopened();
  moved->weights().add_(1);
  moved->round_weights();
  TorchModel other(moved, {});
  expect_refusal(other, "master_weights do not round to the model's weights");
  plain.save_optimizer(state_);
  TorchModel without(reopened(), {});
  expect_refusal(without, "has no master_weights");
}

TEST_F(BFloat16Files, MergeIntoAnyType) {
  model_.save_merged(folder_, "float32");
  const auto merged = std::make_shared<Decoder>(read_model_config(folder_), at::kFloat);
  merged->load(folder_);
  EXPECT_TRUE(at::equal(merged->weights(), decoder_->computed_weights().to(at::kFloat)));
}

TEST(BFloat16, HasAdaptersInFloat32OverFrozenWeights) {
  const kernels::WidenedProducts scope;
  const LoraOptions lora{.rank = 3, .alpha = 5, .targets = lora_targets(), .seed = 4};
  for (const ModelConfig& config : configs()) {
    const auto half = half_decoder(config, /*has_masters=*/false), plain = rounded_decoder(config);
    const torch::NoGradGuard no_grad;
    for (Decoder* each : {half.get(), plain.get()}) {
      each->add_adapters(lora);
      at::manual_seed(31);
      each->trained().copy_(0.3 * at::randn(each->trained().sizes(), at::kFloat));
    }
    const torch::AutoGradMode with_grad(true);
    TorchModel ours(half, {}), theirs(plain, {});
    EXPECT_EQ(accumulate(ours), accumulate(theirs)) << config.architecture;
    EXPECT_TRUE(same_bytes(half->gradients(), plain->gradients())) << config.architecture;
    const at::Tensor before = half->weights().clone();
    ours.optimizer_step({.learning_rate = 1e-2});
    theirs.optimizer_step({.learning_rate = 1e-2});
    EXPECT_TRUE(same_bytes(half->trained(), plain->trained()));
    EXPECT_TRUE(same_bytes(half->weights(), before));
    expect_same_rollouts(sample(ours), sample(theirs));
    const auto merged = half->merged_weights(), wanted = plain->merged_weights();
    for (std::size_t i = 0; i < merged.size(); ++i)
      EXPECT_TRUE(same_bytes(merged[i].window.contiguous(), wanted[i].window.contiguous()));
  }
}

TEST(BFloat16, AMovingAverageKeepsWhatRoundingWouldLose) {
  const auto goal = half_decoder(odd_config());
  TorchModel policy(goal, {});
  const auto average = policy.clone();
  {
    const torch::NoGradGuard no_grad;
    goal->weights().add_(1e-2);
    goal->round_weights();
  }
  for (int step = 0; step < 200; ++step) average->move_towards(policy, 0.02);  // 2e-4 at first: below the rounding
  const auto groups = varied_groups(8, 37);
  const auto got = average->logprobs(groups, 1.0), wanted = policy.logprobs(groups, 1.0);
  double largest = 0;
  for (std::size_t t = 0; t < got[0][4].size(); ++t)
    largest = std::max(largest, std::abs(static_cast<double>(got[0][4][t] - wanted[0][4][t])));
  EXPECT_LT(largest, 0.05) << "the average has arrived";
}

}  // namespace
}  // namespace whet::engine
