// The rollout engine against the plain reference and against itself in other orders.
#include "base/error.h"
#include "tests/engine/torch/fixtures.h"
#include "tests/engine/torch/reference.h"

namespace whet::engine {
namespace {

std::vector<Prompt> random_prompts(std::size_t count, int samples, std::uint64_t seed, std::int64_t vocabulary = 37) {
  base::Random random{seed};
  std::vector<Prompt> prompts;
  for (std::size_t i = 0; i < count; ++i) {
    prompts.push_back({random_tokens(random, random.between(1, 20), vocabulary), 1000 + i, samples});
  }
  return prompts;
}

class RolloutTest : public testing::Test {
 protected:
  std::shared_ptr<Decoder> decoder_ = random_decoder(odd_config(), at::kFloat, 31);
  TorchModel model_{decoder_, {}};
};

class FamilyRolloutTest : public testing::TestWithParam<ModelConfig> {
 protected:
  std::shared_ptr<Decoder> decoder_ = random_decoder(GetParam(), at::kFloat, 31);
  TorchModel model_{decoder_, {}};
};

TEST_P(FamilyRolloutTest, EveryTokensLogprobIsTheOneThatTrainingComputes) {
  const auto prompts = random_prompts(24, 8, 1);
  for (const double temperature : {0.6, 1.0, 1.5}) {
    const auto rollouts = model_.rollout({prompts, {.temperature = temperature, .max_new_tokens = 40}, 7});
    std::vector<SharedPromptBatch> groups;
    for (std::size_t p = 0; p < prompts.size(); ++p) groups.push_back(as_batch(prompts[p], rollouts[p]));
    const auto logprobs = model_.logprobs(groups, temperature);
    double worst = 0;
    for (std::size_t p = 0; p < prompts.size(); ++p) {
      for (std::size_t s = 0; s < rollouts[p].size(); ++s) {
        const Rollout& rollout = rollouts[p][s];
        ASSERT_EQ(rollout.logprob.size(), rollout.tokens.size());
        ASSERT_EQ(logprobs[p][s].size(), rollout.tokens.size());
        for (std::size_t t = 0; t < rollout.tokens.size(); ++t) {
          worst = std::max(worst, std::abs(static_cast<double>(rollout.logprob[t]) - logprobs[p][s][t]));
        }
      }
    }
    EXPECT_LE(worst, 1e-5) << "temperature " << temperature;
    RecordProperty(fmt::format("worst_at_{}", temperature), fmt::format("{}", worst));
  }
}

TEST_F(RolloutTest, StatisticsAreThoseOfTheReferencesLogits) {
  const auto prompts = random_prompts(6, 3, 2);
  const double temperature = 0.8;
  const reference::Model plain = reference::model_of(*decoder_);
  const auto rollouts =
      model_.rollout({prompts, {.temperature = temperature, .top_p = 0.9, .top_k = 20, .max_new_tokens = 30}, 8});
  const torch::NoGradGuard no_grad;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    for (const Rollout& rollout : rollouts[p]) {
      std::vector<TokenId> tokens = prompts[p].tokens;
      tokens.insert(tokens.end(), rollout.tokens.begin(), rollout.tokens.end() - 1);
      const auto count = static_cast<std::int64_t>(rollout.tokens.size());
      const at::Tensor logprobs =
          (plain.logits(tokens).narrow(0, static_cast<std::int64_t>(prompts[p].tokens.size()) - 1, count) / temperature)
              .log_softmax(-1);
      const at::Tensor probabilities = logprobs.exp();
      const at::Tensor entropy = -(probabilities * logprobs).sum(-1);
      const at::Tensor self_certainty = -logprobs.mean(-1) - std::log(37.0);
      const at::Tensor top = std::get<0>(probabilities.topk(2, -1));
      for (std::int64_t t = 0; t < count; ++t) {
        const auto i = static_cast<std::size_t>(t);
        EXPECT_NEAR(rollout.logprob[i], logprobs[t][rollout.tokens[i]].item<double>(), 2e-5);
        EXPECT_NEAR(rollout.entropy[i], entropy[t].item<double>(), 1e-5);
        EXPECT_NEAR(rollout.self_certainty[i], self_certainty[t].item<double>(), 2e-5);
        EXPECT_NEAR(rollout.gap[i], (top[t][0] - top[t][1]).item<double>(), 1e-5);
      }
    }
  }
}

void expect_greedy_is_arg_max(const std::shared_ptr<Decoder>& decoder) {
  const torch::NoGradGuard no_grad;
  TorchModel model(decoder, {});
  const reference::Model plain = reference::model_of(*decoder);
  const auto prompts = random_prompts(8, 1, 3);
  const auto rollouts = model.rollout({prompts, {.max_new_tokens = 40, .greedy = true}, 1});
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    std::vector<TokenId> tokens = prompts[p].tokens;
    for (const TokenId token : rollouts[p][0].tokens) {
      const at::Tensor last = plain.logits(tokens).select(0, static_cast<std::int64_t>(tokens.size()) - 1);
      ASSERT_EQ(token, last.argmax().item<std::int64_t>()) << "prompt " << p << ", token " << tokens.size();
      tokens.push_back(token);
    }
  }
}

TEST_F(RolloutTest, GreedyDecodingWithACacheIsTheArgMaxOfFullForwardPasses) {
  for (const bool tied : {false, true})
    expect_greedy_is_arg_max(random_decoder(odd_config(3, 1, 20, tied), at::kFloat, 33));
}

TEST_P(FamilyRolloutTest, GreedyDecodingWithACacheIsTheArgMaxOfFullForwardPasses) {
  expect_greedy_is_arg_max(decoder_);
}

TEST_P(FamilyRolloutTest, BatchSizeAndThreadsChangeNoBit) {
  const auto prompts = random_prompts(16, 4, 4);
  const SamplingOptions sampling{.max_new_tokens = 30};
  const auto wanted = model_.rollout({prompts, sampling, 9, 64});
  for (const int threads : {1, 3}) {
    const ThreadCount scope(threads);
    for (const int max_active : {1, 7, 0}) {
      const auto got = model_.rollout({prompts, sampling, 9, max_active});
      for (std::size_t p = 0; p < prompts.size(); ++p) {
        for (std::size_t s = 0; s < got[p].size(); ++s) {
          EXPECT_EQ(got[p][s].tokens, wanted[p][s].tokens);
          EXPECT_EQ(got[p][s].logprob, wanted[p][s].logprob);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyRolloutTest, testing::ValuesIn(family_configs()),
                         [](const auto& one) { return one.param.architecture; });

TEST_F(RolloutTest, BatchSizeOrderAndThreadsChangeNoBit) {
  const auto prompts = random_prompts(40, 6, 4);
  const SamplingOptions sampling{.max_new_tokens = 40};
  const auto wanted = model_.rollout({prompts, sampling, 9, 64});
  std::size_t tokens = 0, other_tokens = 0, other_bits = 0;
  const auto compare = [&](std::size_t p, const std::vector<Rollout>& got) {
    for (std::size_t s = 0; s < got.size(); ++s) {
      const Rollout& a = got[s];
      const Rollout& b = wanted[p][s];
      tokens += a.tokens.size();
      other_tokens += a.tokens != b.tokens || a.truncated != b.truncated;
      other_bits +=
          a.logprob != b.logprob || a.entropy != b.entropy || a.self_certainty != b.self_certainty || a.gap != b.gap;
    }
  };
  for (const int threads : {1, 2, 3}) {
    const ThreadCount scope(threads);
    for (const int max_active : {1, 3, 64, 0}) {
      const auto got = model_.rollout({prompts, sampling, 9, max_active});
      for (std::size_t p = 0; p < prompts.size(); ++p) compare(p, got[p]);
    }
  }
  std::vector<std::size_t> order(prompts.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  base::Random{5}.shuffle(order);
  std::vector<Prompt> shuffled;
  for (const std::size_t i : order) shuffled.push_back(prompts[i]);
  const auto got = model_.rollout({shuffled, sampling, 9, 17});
  for (std::size_t i = 0; i < order.size(); ++i) compare(order[i], got[i]);
  // A prompt on its own, with fewer samples than before.
  for (const std::size_t p : {std::size_t{0}, std::size_t{13}}) {
    Prompt alone = prompts[p];
    alone.samples = 2;
    compare(p, model_.rollout({std::span(&alone, 1), sampling, 9})[0]);
  }
  fmt::print("{} tokens: {} responses with other tokens, {} with other bits\n", tokens, other_tokens, other_bits);
  EXPECT_EQ(other_tokens, 0u);
  EXPECT_EQ(other_bits, 0u);
}

TEST_F(RolloutTest, AnotherStreamKeyOrSampleGivesOtherDraws) {
  std::vector<Prompt> prompts = random_prompts(20, 4, 6);
  const SamplingOptions sampling{.max_new_tokens = 20};
  const auto first = model_.rollout({prompts, sampling, 1});
  const auto again = model_.rollout({prompts, sampling, 1});
  const auto other_stream = model_.rollout({prompts, sampling, 2});
  for (Prompt& prompt : prompts) prompt.key += 7777;
  const auto other_key = model_.rollout({prompts, sampling, 1});
  std::size_t same_stream = 0, same_key = 0, same_sample = 0;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    for (std::size_t s = 0; s < 4; ++s) {
      EXPECT_EQ(first[p][s].tokens, again[p][s].tokens);
      same_stream += first[p][s].tokens == other_stream[p][s].tokens;
      same_key += first[p][s].tokens == other_key[p][s].tokens;
      same_sample += s > 0 && first[p][s].tokens == first[p][0].tokens;
    }
  }
  // Of 80 responses, few are so short and likely that they come twice.
  EXPECT_LE(same_stream, 4u);
  EXPECT_LE(same_key, 4u);
  EXPECT_LE(same_sample, 4u);
}

TEST_F(RolloutTest, SampledFirstTokensFollowTheModelsDistribution) {
  std::vector<Prompt> prompts = {{{3, 1, 4}, 5, 20000}};
  const auto rollouts = model_.rollout({prompts, {.temperature = 1.2, .max_new_tokens = 1}, 77});
  std::vector<double> seen(37, 0);
  for (const Rollout& rollout : rollouts[0]) ++seen[static_cast<std::size_t>(rollout.tokens[0])];
  const torch::NoGradGuard no_grad;
  const at::Tensor wanted = (reference::model_of(*decoder_).logits(prompts[0].tokens)[2] / 1.2).softmax(-1) * 20000;
  double chi_square = 0, rare_seen = 0, rare_wanted = 0;
  for (std::int64_t v = 0; v < 37; ++v) {
    const double expected = wanted[v].item<double>();
    if (expected < 5) {
      rare_seen += seen[static_cast<std::size_t>(v)];
      rare_wanted += expected;
    } else {
      chi_square += std::pow(seen[static_cast<std::size_t>(v)] - expected, 2) / expected;
    }
  }
  EXPECT_LT(chi_square, 73.4);
  EXPECT_NEAR(rare_seen, rare_wanted, 5 * std::sqrt(rare_wanted + 1));
}

TEST_F(RolloutTest, AResponseEndsAtItsFirstEndTokenAndIsTruncatedOnlyWithoutOne) {
  ModelConfig config = odd_config();
  config.eos_token_ids = {0, 11, 30};
  TorchModel model(random_decoder(config, at::kFloat, 34), {});
  const auto prompts = random_prompts(30, 8, 7);
  const auto rollouts =
      model.rollout({prompts, {.max_new_tokens = 12}, 3, /*max_active=*/16});  // far more samples than slots
  std::size_t truncated = 0, ended = 0;
  for (const auto& group : rollouts) {
    ASSERT_EQ(group.size(), 8u);
    for (const Rollout& rollout : group) {
      ASSERT_FALSE(rollout.tokens.empty());
      for (std::size_t t = 0; t < rollout.tokens.size(); ++t) {
        const bool is_end = rollout.tokens[t] == 0 || rollout.tokens[t] == 11 || rollout.tokens[t] == 30;
        EXPECT_EQ(is_end, t + 1 == rollout.tokens.size() && !rollout.truncated);
      }
      EXPECT_EQ(rollout.entropy.size(), rollout.tokens.size());
      EXPECT_EQ(rollout.self_certainty.size(), rollout.tokens.size());
      EXPECT_EQ(rollout.gap.size(), rollout.tokens.size());
      EXPECT_TRUE(!rollout.truncated || rollout.tokens.size() == 12u);
      EXPECT_LE(rollout.tokens.size(), 12u);
      truncated += rollout.truncated;
      ended += !rollout.truncated;
    }
  }
  EXPECT_GT(truncated, 10u);
  EXPECT_GT(ended, 10u);
}

TEST_F(RolloutTest, WithoutAnEndTokenEveryResponseIsTruncated) {
  ModelConfig config = odd_config();
  config.eos_token_ids = {};
  TorchModel model(random_decoder(config, at::kFloat, 35), {});
  for (const int limit : {1, 2, 9}) {
    for (const auto& group : model.rollout({random_prompts(5, 3, 8), {.max_new_tokens = limit}, 3})) {
      for (const Rollout& rollout : group) {
        EXPECT_TRUE(rollout.truncated);
        EXPECT_EQ(rollout.tokens.size(), static_cast<std::size_t>(limit));
      }
    }
  }
}

TEST_F(RolloutTest, RowsBeyondTheVocabularyInUseAreNeverSampledNorCounted) {
  const auto decoder = random_decoder(odd_config(), at::kFloat, 36);
  decoder->head().detach().narrow(0, 23, 14).mul_(30);  // padding that would win every draw
  TorchModel model(decoder, {.vocabulary_in_use = 23});
  const reference::Model plain = reference::model_of(*decoder);
  const auto prompts = random_prompts(10, 6, 9, 23);
  const auto rollouts = model.rollout({prompts, {.max_new_tokens = 20}, 3});
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    for (const Rollout& rollout : rollouts[p]) {
      for (const TokenId token : rollout.tokens) EXPECT_LT(token, 23);
      const torch::NoGradGuard no_grad;
      const at::Tensor wanted = plain.logprobs(prompts[p].tokens, rollout.tokens, 23, 1.0);
      for (std::size_t t = 0; t < rollout.tokens.size(); ++t) {
        EXPECT_NEAR(rollout.logprob[t], wanted[static_cast<std::int64_t>(t)].item<double>(), 2e-5);
      }
    }
  }
  EXPECT_THROW(model.rollout({std::vector<Prompt>{{{23}, 1, 1}}, {}, 1}), base::UserError);
  EXPECT_THROW(TorchModel(decoder, {.vocabulary_in_use = 38}), base::UserError);
}

TEST_F(RolloutTest, PromptsWithoutSamplesGiveEmptyGroupsInPlace) {
  std::vector<Prompt> prompts = random_prompts(5, 2, 10);
  prompts[0].samples = prompts[3].samples = 0;
  const auto rollouts = model_.rollout({prompts, {.max_new_tokens = 5}, 3});
  ASSERT_EQ(rollouts.size(), 5u);
  for (std::size_t p = 0; p < 5; ++p) EXPECT_EQ(rollouts[p].size(), p == 0 || p == 3 ? 0u : 2u);
  EXPECT_TRUE(model_.rollout({{}, {}, 1}).empty());
}

TEST_F(RolloutTest, RefusesOptionsOutOfRangeAndPromptsThatDoNotFit) {
  const std::vector<Prompt> prompts = {{{1, 2, 3}, 1, 1}};
  const auto refused = [&](const SamplingOptions& sampling) {
    EXPECT_THROW(model_.rollout({prompts, sampling, 1}), base::UserError);
  };
  refused({.temperature = 0});
  refused({.temperature = -1});
  refused({.temperature = NAN});
  refused({.top_p = 0});
  refused({.top_p = 1.01});
  refused({.top_k = -1});
  refused({.max_new_tokens = 0});
  refused({.max_new_tokens = 94});  // 3 + 94 > 96
  EXPECT_NO_THROW(model_.rollout({prompts, {.max_new_tokens = 93}, 1}));
  EXPECT_THROW(model_.rollout({std::vector<Prompt>{{{}, 1, 1}}, {}, 1}), base::UserError);
}

TEST_F(RolloutTest, FinishedSequencesLeaveTheirSlotsToOthers) {
  // With 4 slots, 200 samples and short responses, a batch that waited for its longest would take 50 x 12 steps.
  const auto prompts = random_prompts(25, 8, 12);
  const auto few = model_.rollout({prompts, {.max_new_tokens = 12}, 4, 4});
  const auto many = model_.rollout({prompts, {.max_new_tokens = 12}, 4, 200});
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    for (std::size_t s = 0; s < 8; ++s) EXPECT_EQ(few[p][s].tokens, many[p][s].tokens);
  }
}

}  // namespace
}  // namespace whet::engine
