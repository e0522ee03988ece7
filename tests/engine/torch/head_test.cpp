// The head: log-probabilities and statistics of given tokens against plain operations, with the gradients of the former; and
// Model::score, which gives them for whole sequences.
#include <cmath>

#include "base/error.h"
#include "engine/torch/functions.h"
#include "tests/engine/torch/fixtures.h"
#include "tests/engine/torch/gradients.h"

namespace whet::engine {
namespace {

TEST(TargetLogprobsFunction, IsTheReferenceWithItsGradient) {
  base::Random random{6};
  // The first tokens of all responses of a group share one row, which may have the same target twice.
  const std::vector<SharedPromptBatch> groups = {random_group(random, 3, {2, 1, 4, 1, 1}, 5),
                                                 random_group(random, 2, {3}, 5)};
  const auto batches = pack(groups, 1 << 20, 5);
  const PackedBatch& batch = batches[0];
  for (const double temperature : {0.5, 1.0, 1.7}) {
    at::manual_seed(15);
    const auto plain = [&](const Values& in) {
      const at::Tensor all = (at::matmul(in[0], in[1].t()) / temperature).log_softmax(-1);
      return all.index_select(0, at::tensor(batch.target_heads))
          .gather(1, at::tensor(batch.target_ids).unsqueeze(1))
          .squeeze(1);
    };
    const auto rows = static_cast<std::int64_t>(batch.head_rows.size());
    expect_same_function([&](const Values& in) { return target_logprobs(in[0], in[1], batch, temperature); }, plain,
                         {random_values({rows, 13}), random_values({37, 13})});
  }
}

TEST(TargetLogprobsFunction, ComputesALargeVocabularyInPieces) {
  base::Random random{7};
  const std::int64_t vocabulary = 151936;  // 441 rows at once
  const std::vector<SharedPromptBatch> groups = {random_group(random, 3, {390, 1, 60, 80}, vocabulary)};
  const auto batches = pack(groups, 1 << 20, vocabulary);
  const PackedBatch& batch = batches[0];
  at::manual_seed(16);
  const auto rounded = [](at::IntArrayRef sizes) { return at::randn(sizes, at::kFloat).to(at::kDouble); };
  const at::Tensor hidden = rounded({static_cast<std::int64_t>(batch.head_rows.size()), 4}),
                   weight = rounded({vocabulary, 4});
  const at::Tensor direction = rounded({static_cast<std::int64_t>(batch.target_ids.size())});
  const auto plain = [&](at::ScalarType dtype) {
    const at::Tensor h = hidden.to(dtype, false, true).requires_grad_(true),
                     w = weight.to(dtype, false, true).requires_grad_(true);
    const at::Tensor value = at::matmul(h, w.t())
                                 .log_softmax(-1)
                                 .index_select(0, at::tensor(batch.target_heads))
                                 .gather(1, at::tensor(batch.target_ids).unsqueeze(1))
                                 .squeeze(1);
    (value * direction.to(dtype)).sum().backward();
    return Values{value.detach(), h.grad(), w.grad()};
  };
  const auto ours = [&](at::ScalarType dtype) {
    const at::Tensor h = hidden.to(dtype, false, true).requires_grad_(true),
                     w = weight.to(dtype, false, true).requires_grad_(true);
    const at::Tensor value = target_logprobs(h, w, batch, 1.0);
    (value * direction.to(dtype)).sum().backward();
    return Values{value.detach(), h.grad(), w.grad()};
  };
  const Values exact = plain(at::kDouble), in_double = ours(at::kDouble), in_float = ours(at::kFloat),
               plain_float = plain(at::kFloat);
  const char* names[] = {"value", "gradient of hidden", "gradient of weight"};
  for (std::size_t i = 0; i < exact.size(); ++i) {
    expect_close(in_double[i], exact[i], 1e-12, names[i]);
    // Sums over 150,000 tokens lose digits in float; the plain operations lose as many.
    expect_close(in_float[i], exact[i], 2 * relative_difference(plain_float[i], exact[i]) + 1e-6, names[i]);
    fmt::print("{}: relative error in float {:.1e}, of plain operations {:.1e}\n", names[i],
               relative_difference(in_float[i], exact[i]), relative_difference(plain_float[i], exact[i]));
  }
}

TEST(TargetLogprobsFunction, AddsTheWeightsGradientWhereItIsToldTo) {
  base::Random random{8};
  const std::vector<SharedPromptBatch> groups = {random_group(random, 3, {2, 9, 4, 1, 1}, 37)};
  const auto batches = pack(groups, 1 << 20, 37);
  const auto rows = static_cast<std::int64_t>(batches[0].head_rows.size());
  at::manual_seed(17);
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    const at::Tensor hidden = random_values({rows, 13}).to(dtype), weight = random_values({37, 13}).to(dtype);
    const at::Tensor before = random_values({37, 13}).to(dtype);
    const auto run = [&](const HeadGradient& place) {
      const at::Tensor h = hidden.clone().requires_grad_(true), w = weight.clone().requires_grad_(true);
      target_logprobs(h, w, batches[0], 0.7, place).sum().backward();
      return Values{h.grad(), w.grad()};
    };
    const at::Tensor place = before.clone();
    const Values returned = run({}), placed = run({place});
    EXPECT_TRUE(same_bytes(returned[0], placed[0]));
    EXPECT_FALSE(placed[1].defined());
    expect_close(place, before + returned[1], dtype == at::kDouble ? 1e-14 : 1e-6, "gradient");
  }
}

TEST(TargetLogprobsFunction, ComputesNoGradientForAWeightThatWantsNone) {
  base::Random random{8};
  const std::vector<SharedPromptBatch> groups = {random_group(random, 3, {2, 9}, 37)};
  const auto batches = pack(groups, 1 << 20, 37);
  at::manual_seed(18);
  const at::Tensor hidden =
      random_values({static_cast<std::int64_t>(batches[0].head_rows.size()), 13}).requires_grad_(true);
  const at::Tensor weight = random_values({37, 13});
  target_logprobs(hidden, weight, batches[0], 1.0).sum().backward();
  EXPECT_TRUE(hidden.grad().defined());
  EXPECT_FALSE(weight.grad().defined());
}

/// By the definitions, in double.
std::vector<at::Tensor> plain_statistics(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch,
                                         double temperature) {
  const at::Tensor rows = hidden.to(at::kDouble).index_select(0, at::tensor(batch.target_heads));
  const at::Tensor log_p = (at::matmul(rows, weight.to(at::kDouble).t()) / temperature).log_softmax(-1),
                   p = log_p.exp();
  const auto largest = std::get<0>(p.topk(2, -1));
  return {log_p.gather(1, at::tensor(batch.target_ids).unsqueeze(1)).squeeze(1), -(p * log_p).sum(-1),
          -log_p.mean(-1) - std::log(static_cast<double>(weight.size(0))), largest.select(1, 0) - largest.select(1, 1)};
}

TEST(TargetStatistics, AreThoseOfTheirDefinitions) {
  base::Random random{9};
  for (const std::int64_t vocabulary : {2, 37, 5000, 151936}) {
    const std::vector<SharedPromptBatch> groups = {random_group(random, 3, {2, 1, 40, 1, 1}, vocabulary),
                                                   random_group(random, 2, {90}, vocabulary)};
    const auto batches = pack(groups, 1 << 20, vocabulary);
    const PackedBatch& batch = batches[0];
    at::manual_seed(19);
    const at::Tensor hidden = at::randn({static_cast<std::int64_t>(batch.head_rows.size()), 4}),
                     weight = 2 * at::randn({vocabulary, 4});
    for (const double temperature : {0.5, 1.0, 1.7}) {
      const TargetStatistics got = target_statistics(hidden, weight, batch, temperature);
      const auto wanted = plain_statistics(hidden, weight, batch, temperature);
      const at::Tensor* ours[] = {&got.logprob, &got.entropy, &got.self_certainty, &got.gap};
      const char* names[] = {"logprob", "entropy", "self-certainty", "gap"};
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        expect_close(*ours[i], wanted[i], 3e-6,
                     fmt::format("{} of {} tokens at {}", names[i], vocabulary, temperature));
      }
      // The same numbers as those that are trained on, to the last bit.
      EXPECT_TRUE(same_bytes(got.logprob, target_logprobs(hidden, weight, batch, temperature)));
    }
  }
}

TEST(TargetStatistics, OfABrokenRowAreNotNumbers) {
  base::Random random{10};
  const std::vector<SharedPromptBatch> groups = {random_group(random, 1, {3}, 37)};
  const auto batches = pack(groups, 1 << 20, 37);
  at::Tensor hidden = at::ones({3, 4});
  hidden[1].fill_(std::nan(""));
  const TargetStatistics got = target_statistics(hidden, at::ones({37, 4}), batches[0], 1.0);
  for (const at::Tensor* values : {&got.logprob, &got.entropy, &got.self_certainty, &got.gap}) {
    EXPECT_TRUE(std::isfinite((*values)[0].item<float>()));
    EXPECT_TRUE(std::isnan((*values)[1].item<float>()));
  }
}

TEST(Score, SaysOfARolloutWhatTheSamplerSaid) {
  TorchModel model(random_decoder(odd_config(), at::kFloat), {});
  base::Random random{11};
  std::vector<Prompt> prompts;
  for (std::uint64_t i = 0; i < 6; ++i)
    prompts.push_back({random_tokens(random, 1 + static_cast<std::int64_t>(i) * 4, 37), i, 3});
  const auto rollouts = model.rollout({prompts, {.temperature = 0.8, .max_new_tokens = 20}, 5});
  std::vector<std::vector<TokenId>> sequences;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    for (const Rollout& rollout : rollouts[i]) {
      sequences.push_back(prompts[i].tokens);
      sequences.back().insert(sequences.back().end(), rollout.tokens.begin(), rollout.tokens.end());
    }
  }
  const auto scores = model.score(sequences, 0.8);
  ASSERT_EQ(scores.size(), sequences.size());
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const std::size_t prompt = prompts[s / 3].tokens.size();
    const Rollout& rollout = rollouts[s / 3][s % 3];
    ASSERT_EQ(scores[s].logprob.size(), sequences[s].size() - 1);
    for (std::size_t t = 0; t < rollout.tokens.size(); ++t) {
      EXPECT_NEAR(scores[s].logprob[prompt - 1 + t], rollout.logprob[t], 2e-5);
      EXPECT_NEAR(scores[s].entropy[prompt - 1 + t], rollout.entropy[t], 2e-5);
      EXPECT_NEAR(scores[s].self_certainty[prompt - 1 + t], rollout.self_certainty[t], 2e-5);
      EXPECT_NEAR(scores[s].gap[prompt - 1 + t], rollout.gap[t], 2e-5);
    }
  }
}

TEST(Score, DoesNotDependOnWhatStandsBesideASequence) {
  TorchModel model(random_decoder(odd_config(), at::kFloat), {});
  base::Random random{12};
  std::vector<std::vector<TokenId>> sequences = {{}, {5}};  // nothing to predict: no values
  for (int i = 0; i < 90; ++i) sequences.push_back(random_tokens(random, 2 + i, 37));
  const auto together = model.score(sequences, 1.0);
  EXPECT_TRUE(together[0].logprob.empty() && together[1].logprob.empty() && together[1].gap.empty());
  for (const std::size_t i : {2u, 40u, 91u}) {
    const auto alone = model.score(std::span(sequences).subspan(i, 1), 1.0);
    EXPECT_EQ(alone[0].logprob, together[i].logprob);
    EXPECT_EQ(alone[0].entropy, together[i].entropy);
    EXPECT_EQ(alone[0].self_certainty, together[i].self_certainty);
    EXPECT_EQ(alone[0].gap, together[i].gap);
  }
}

TEST(Score, RefusesWhatDoesNotFit) {
  TorchModel model(random_decoder(odd_config(), at::kFloat), {});
  const std::vector<std::vector<TokenId>> longest = {std::vector<TokenId>(96, 1)},
                                          longer = {std::vector<TokenId>(97, 1)}, outside = {{1, 37}};
  EXPECT_EQ(model.score(longest, 1.0)[0].gap.size(), 95u);
  EXPECT_THROW(model.score(longer, 1.0), base::UserError);
  EXPECT_THROW(model.score(outside, 1.0), base::UserError);
}

}  // namespace
}  // namespace whet::engine
