// The policy loss: finite differences in double for every combination of options, and values by hand.
#include "train/policy_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace whet::train {
namespace {

/// A batch that owns its arrays.
struct Batch {
  std::vector<std::vector<double>> logprob, old_logprob, reference, gradient;
  std::vector<double> advantage;
  LossTotals totals;

  PolicyLossResult loss(const PolicyLossOptions& options) {
    gradient.clear();
    for (const auto& values : logprob) gradient.emplace_back(values.size(), 0.0);
    std::vector<LossResponse<double>> responses(logprob.size());
    for (std::size_t i = 0; i < logprob.size(); ++i) {
      responses[i].logprob = logprob[i];
      if (!old_logprob.empty()) responses[i].old_logprob = old_logprob[i];
      if (!reference.empty()) responses[i].reference_logprob = reference[i];
      responses[i].advantage = advantage[i];
      responses[i].gradient = gradient[i];
    }
    return policy_loss<double>(responses, totals, options);
  }
};

Batch random_batch(std::uint64_t seed, double spread) {
  base::Random random{seed};
  Batch batch;
  for (const std::size_t length : {3u, 1u, 0u, 5u, 2u}) {
    std::vector<double> now, old, reference;
    for (std::size_t t = 0; t < length; ++t) {
      now.push_back(-1.5 + 0.5 * random.normal());
      old.push_back(now.back() + spread * random.normal());
      reference.push_back(now.back() + 0.4 * random.normal());
    }
    batch.logprob.push_back(now);
    batch.old_logprob.push_back(old);
    batch.reference.push_back(reference);
    batch.advantage.push_back(random.normal());
    batch.totals.tokens += static_cast<std::int64_t>(length);
  }
  batch.totals.responses = 5;
  batch.totals.max_tokens = 8;
  return batch;
}

Batch single(double logprob, double old, double advantage) {
  Batch batch{.logprob = {{logprob}},
              .old_logprob = {{old}},
              .reference = {},
              .gradient = {},
              .advantage = {advantage},
              .totals = {.tokens = 1, .responses = 1, .max_tokens = 1}};
  return batch;
}

std::vector<PolicyLossOptions> every_combination() {
  std::vector<PolicyLossOptions> all;
  for (const char* aggregation : {"token-mean", "sequence-mean", "constant"})
    for (const char* level : {"token", "sequence"})
      for (const char* estimator : {"k1", "k2", "k3"})
        for (const double coefficient : {0.0, 0.05})
          for (const double high : {0.2, 0.28})
            all.push_back({.clip_low = 0.2,
                           .clip_high = high,
                           .loss_aggregation = aggregation,
                           .ratio_level = level,
                           .kl_coefficient = coefficient,
                           .kl_estimator = estimator});
  return all;
}

TEST(PolicyLoss, GradientIsThatOfTheLossForEveryCombination) {
  constexpr double kStep = 1e-6;
  std::int64_t clipped = 0, checked = 0;
  for (const PolicyLossOptions& options : every_combination()) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      Batch batch = random_batch(seed, 0.4);
      clipped += batch.loss(options).clipped;
      const auto gradient = batch.gradient;
      for (std::size_t i = 0; i < batch.logprob.size(); ++i) {
        for (std::size_t t = 0; t < batch.logprob[i].size(); ++t) {
          double& value = batch.logprob[i][t];
          const double kept = value;
          value = kept + kStep;
          const double above = batch.loss(options).loss;
          value = kept - kStep;
          const double below = batch.loss(options).loss;
          value = kept;
          EXPECT_NEAR(gradient[i][t], (above - below) / (2 * kStep), 1e-8)
              << options.loss_aggregation << " " << options.ratio_level << " " << options.kl_estimator << " response "
              << i;
          ++checked;
        }
      }
    }
  }
  EXPECT_EQ(checked, 3 * 2 * 3 * 2 * 2 * 4 * 11);
  EXPECT_GT(clipped, 100);  // the clipped branch was among what was checked
}

TEST(PolicyLoss, OnPolicyGradientIsMinusAdvantageOverTokens) {
  for (const bool old_given : {true, false}) {
    Batch batch = random_batch(1, 0.0);
    batch.reference.clear();
    if (!old_given) batch.old_logprob.clear();
    const PolicyLossResult result = batch.loss({});
    double loss = 0;
    for (std::size_t i = 0; i < batch.logprob.size(); ++i) {
      for (const double slope : batch.gradient[i]) EXPECT_DOUBLE_EQ(slope, -batch.advantage[i] / 11);
      loss -= batch.advantage[i] * static_cast<double>(batch.logprob[i].size()) / 11;
    }
    EXPECT_NEAR(result.loss, loss, 1e-12);
    EXPECT_EQ(result.clipped, 0);
    EXPECT_EQ(result.ratio_min, 1);
    EXPECT_EQ(result.ratio_max, 1);
    EXPECT_EQ(result.tokens, 11);
  }
}

TEST(PolicyLoss, ClipsOnlyTheSideThatWouldGoFurther) {
  struct Case {
    double ratio, advantage, loss, gradient;
  };
  const Case cases[] = {
      {1.5, 2, -2.4, 0},     // pushed up far enough: min(1.5 * 2, 1.2 * 2)
      {1.5, -2, 3, 3},       // bad and more likely than before: full pull down
      {0.5, -2, 1.6, 0},     // pulled down far enough: min(0.5 * -2, 0.8 * -2)
      {0.5, 2, -1, -1},      // good and less likely than before: full push up
      {1.1, 2, -2.2, -2.2},  // inside
      {1.5, 0, 0, 0},
  };
  for (const Case& c : cases) {
    Batch batch = single(-1, -1 - std::log(c.ratio), c.advantage);
    const PolicyLossResult result = batch.loss({});
    EXPECT_NEAR(result.loss, c.loss, 1e-12);
    EXPECT_NEAR(batch.gradient[0][0], c.gradient, 1e-12);
    EXPECT_EQ(result.clipped, c.gradient == 0 && c.advantage != 0 ? 1 : 0);
    EXPECT_NEAR(result.ratio_mean(), c.ratio, 1e-12);
  }
  EXPECT_NEAR(single(-1, -1 - std::log(1.5), 2).loss({.clip_high = 0.28}).loss, -2.56, 1e-12);
}

TEST(PolicyLoss, AggregationsWeighTokensAsTheirNamesSay) {
  // Two responses of 1 and 3 tokens, advantages 1 and -1, on-policy; length limit 10.
  Batch batch{.logprob = {{-1}, {-1, -1, -1}},
              .old_logprob = {},
              .reference = {},
              .gradient = {},
              .advantage = {1, -1},
              .totals = {.tokens = 4, .responses = 2, .max_tokens = 10}};
  EXPECT_NEAR(batch.loss({.loss_aggregation = "token-mean"}).loss, (-1.0 + 3.0) / 4, 1e-12);
  EXPECT_NEAR(batch.loss({.loss_aggregation = "sequence-mean"}).loss, 0, 1e-12);
  EXPECT_NEAR(batch.gradient[1][2], 1.0 / 6, 1e-12);
  EXPECT_NEAR(batch.loss({.loss_aggregation = "constant"}).loss, (-1.0 + 3.0) / 20, 1e-12);
  EXPECT_NEAR(batch.gradient[0][0], -1.0 / 20, 1e-12);
}

TEST(PolicyLoss, SequenceRatioIsTheGeometricMean) {
  Batch batch{.logprob = {{-1, -2}},
              .old_logprob = {{-1 - std::log(1.21), -2}},
              .reference = {},
              .gradient = {},
              .advantage = {1},
              .totals = {.tokens = 2, .responses = 1, .max_tokens = 2}};
  const PolicyLossResult result = batch.loss({.loss_aggregation = "sequence-mean", .ratio_level = "sequence"});
  EXPECT_EQ(result.ratios, 1);
  EXPECT_NEAR(result.ratio_mean(), 1.1, 1e-12);
  EXPECT_NEAR(result.loss, -1.1, 1e-12);
  EXPECT_NEAR(batch.gradient[0][1], -1.1 / 2, 1e-12);
  // The same tokens one by one: 1.21 is clipped to 1.2.
  EXPECT_NEAR(batch.loss({}).loss, -(1.2 + 1) / 2, 1e-12);
}

TEST(PolicyLoss, EstimatorsHaveTheirPublishedValues) {
  const double d = std::log(2.0);  // the policy is twice as likely as the reference
  Batch batch = single(-1, -1, 0);
  batch.reference = {{-1 - d}};
  const PolicyLossOptions k1{.kl_coefficient = 0.5, .kl_estimator = "k1"};
  const PolicyLossOptions k2{.kl_coefficient = 0.5, .kl_estimator = "k2"};
  const PolicyLossOptions k3{.kl_coefficient = 0.5, .kl_estimator = "k3"};
  EXPECT_NEAR(batch.loss(k1).kl_loss, d, 1e-12);
  EXPECT_NEAR(batch.gradient[0][0], 0.5, 1e-12);
  EXPECT_NEAR(batch.loss(k2).kl_loss, d * d / 2, 1e-12);
  EXPECT_NEAR(batch.gradient[0][0], 0.5 * d, 1e-12);
  EXPECT_NEAR(batch.loss(k3).kl_loss, 0.5 - 1 + d, 1e-12);
  EXPECT_NEAR(batch.gradient[0][0], 0.5 * 0.5, 1e-12);
  EXPECT_NEAR(batch.loss(k3).loss, 0.5 * (0.5 - 1 + d), 1e-12);
}

// The documented expectations under the policy: no pull for k1, the gradient of KL(pi || ref) for k2, of KL(ref || pi)
// for k3. Exact sums over a vocabulary of three; d log pi_v / d logit_j = [v = j] - pi_j.
TEST(PolicyLoss, ExpectedGradientOfEachEstimatorIsTheDocumentedOne) {
  const double policy[] = {0.5, 0.3, 0.2}, reference[] = {0.2, 0.2, 0.6};
  double kl = 0;
  for (int v = 0; v < 3; ++v) kl += policy[v] * std::log(policy[v] / reference[v]);
  for (const char* estimator : {"k1", "k2", "k3"}) {
    for (int j = 0; j < 3; ++j) {
      double expected = 0;
      for (int v = 0; v < 3; ++v) {
        Batch batch = single(std::log(policy[v]), std::log(policy[v]), 0);
        batch.reference = {{std::log(reference[v])}};
        batch.loss({.kl_coefficient = 1, .kl_estimator = estimator});
        expected += policy[v] * batch.gradient[0][0] * ((v == j ? 1 : 0) - policy[j]);
      }
      const double forward = policy[j] * (std::log(policy[j] / reference[j]) - kl);
      const double backward = policy[j] - reference[j];
      const std::string name = estimator;
      EXPECT_NEAR(expected, name == "k1" ? 0 : name == "k2" ? forward : backward, 1e-12) << name << " logit " << j;
    }
  }
}

TEST(PolicyLoss, MicroBatchesAddUpToTheBatch) {
  for (const PolicyLossOptions& options : every_combination()) {
    Batch batch = random_batch(9, 0.4);
    const PolicyLossResult whole = batch.loss(options);
    PolicyLossResult parts;
    for (std::size_t i = 0; i < batch.logprob.size(); ++i) {
      Batch one{.logprob = {batch.logprob[i]},
                .old_logprob = {batch.old_logprob[i]},
                .reference = {batch.reference[i]},
                .gradient = {},
                .advantage = {batch.advantage[i]},
                .totals = batch.totals};
      parts.add(one.loss(options));
      EXPECT_EQ(one.gradient[0], batch.gradient[i]);
    }
    EXPECT_NEAR(parts.loss, whole.loss, 1e-12);
    EXPECT_EQ(parts.clipped, whole.clipped);
    EXPECT_EQ(parts.ratios, whole.ratios);
    EXPECT_EQ(parts.ratio_min, whole.ratio_min);
    EXPECT_EQ(parts.ratio_max, whole.ratio_max);
    EXPECT_NEAR(parts.old_kl(), whole.old_kl(), 1e-12);
  }
}

TEST(PolicyLoss, FloatAgreesWithDouble) {
  const std::vector<float> now{-1.5f, -0.25f}, old{-1.25f, -0.5f}, reference{-1.f, -1.f};
  std::vector<float> gradient(2);
  LossResponse<float> response;
  response.logprob = now, response.old_logprob = old, response.reference_logprob = reference;
  response.advantage = 0.5, response.gradient = gradient;
  const PolicyLossOptions options{.kl_coefficient = 0.1};
  const LossTotals totals{.tokens = 2, .responses = 1, .max_tokens = 2};
  const PolicyLossResult single_precision = policy_loss<float>({&response, 1}, totals, options);
  Batch batch{.logprob = {{-1.5, -0.25}},
              .old_logprob = {{-1.25, -0.5}},
              .reference = {{-1, -1}},
              .gradient = {},
              .advantage = {0.5},
              .totals = totals};
  EXPECT_NEAR(single_precision.loss, batch.loss(options).loss, 1e-12);  // the inputs are exact in float
  for (std::size_t t = 0; t < 2; ++t) EXPECT_NEAR(gradient[t], batch.gradient[0][t], 1e-7);
}

TEST(PolicyLoss, RefusesNonsenseByName) {
  const auto message = [](Batch batch, const PolicyLossOptions& options) -> std::string {
    try {
      batch.loss(options);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "accepted";
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(single(nan, -1, 1).loss({}), base::RunError);
  EXPECT_THROW(single(-1, nan, 1).loss({}), base::RunError);
  EXPECT_THROW(single(-1, -1, nan).loss({}), base::RunError);
  EXPECT_THROW(single(0, -1e4, -1).loss({}), base::RunError);  // the ratio overflows
  EXPECT_THAT(message(single(nan, -1, 1), {}), testing::HasSubstr("response 0"));
  EXPECT_THROW(single(-1, -1, 1).loss({.kl_coefficient = 0.1}), base::UserError);
  EXPECT_THAT(message(single(-1, -1, 1), {.loss_aggregation = "mean"}),
              testing::HasSubstr("[loss-aggregation] 'mean'"));
  EXPECT_THAT(message(single(-1, -1, 1), {.clip_low = -0.1}), testing::HasSubstr("[clip-low] -0.1"));
  Batch empty = single(-1, -1, 1);
  empty.totals.tokens = 0;
  EXPECT_THROW(empty.loss({}), base::UserError);
}

}  // namespace
}  // namespace whet::train
