// Certainty rewards against the definitions: per-token values are computed here from explicit small distributions by
// the textbook sums, handed over as the engine would, and the rewards compared with the same sums over whole responses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <deque>

#include "base/error.h"
#include "rewards/reward.h"

namespace whet::rewards {
namespace {

using Distribution = std::vector<double>;

struct Response {
  std::vector<Distribution> distributions;
  std::vector<std::size_t> tokens;
  std::vector<float> logprob, entropy, self_certainty;

  void add(Distribution distribution, std::size_t token) {
    double h = 0, kl = 0;
    const auto size = static_cast<double>(distribution.size());
    for (const double p : distribution) {
      h -= p * std::log(p);
      kl += 1 / size * std::log(1 / size / p);
    }
    logprob.push_back(static_cast<float>(std::log(distribution[token])));
    entropy.push_back(static_cast<float>(h));
    self_certainty.push_back(static_cast<float>(kl));
    distributions.push_back(std::move(distribution));
    tokens.push_back(token);
  }
};

std::deque<Response> responses() {
  std::deque<Response> all(3);
  all[0].add({0.5, 0.25, 0.25}, 0);
  all[0].add({0.1, 0.1, 0.8}, 2);
  all[1].add({0.98, 0.01, 0.01}, 0);
  all[2].add({1. / 3, 1. / 3, 1. / 3}, 1);
  all[2].add({0.7, 0.2, 0.1}, 2);
  all[2].add({0.6, 0.3, 0.1}, 0);
  return all;
}

Group group_of(const std::deque<Response>& all) {
  Group group;
  for (const Response& response : all) {
    Sample sample;
    sample.logprob = response.logprob;
    sample.entropy = response.entropy;
    sample.self_certainty = response.self_certainty;
    group.samples.push_back(sample);
  }
  return group;
}

Scored score(const std::string& name, const Group& group) {
  base::Random random{0};
  return rewards().find(name).make({})->score(group, random);
}

TEST(SelfCertainty, IsTheMeanDivergenceOfTheUniformFromThePolicy) {
  const auto all = responses();
  const Scored scored = score("self-certainty", group_of(all));
  for (std::size_t i = 0; i < all.size(); ++i) {
    // From the unified form: cross-entropy of the uniform anchor and the policy, less log V.
    double expected = 0;
    for (const Distribution& p : all[i].distributions) {
      expected += -(std::log(p[0]) + std::log(p[1]) + std::log(p[2])) / 3 - std::log(3.0);
    }
    EXPECT_NEAR(scored.reward[i], expected / static_cast<double>(all[i].tokens.size()), 1e-6);
  }
  std::deque<Response> uniform(1);
  uniform[0].add({0.25, 0.25, 0.25, 0.25}, 0);
  EXPECT_NEAR(score("self-certainty", group_of(uniform)).reward[0], 0, 1e-7);
}

TEST(TokenEntropy, IsMinusTheMeanEntropy) {
  const Scored scored = score("token-entropy", group_of(responses()));
  // By hand: H(1/2, 1/4, 1/4) = 1.5 log 2; H(.1, .1, .8) = .2 log 10 + .8 log 1.25.
  EXPECT_NEAR(scored.reward[0], -(1.5 * std::log(2.0) + 0.2 * std::log(10.0) + 0.8 * std::log(1.25)) / 2, 1e-6);
  EXPECT_NEAR(scored.reward[1], 0.98 * std::log(0.98) + 0.02 * std::log(0.01), 1e-6);
  EXPECT_LT(scored.reward[0], 0);  // not silently zero
}

TEST(TrajectoryEntropy, IsTheMeanLogProbability) {
  const Scored scored = score("trajectory-entropy", group_of(responses()));
  EXPECT_NEAR(scored.reward[0], std::log(0.5 * 0.8) / 2, 1e-6);
  EXPECT_NEAR(scored.reward[1], std::log(0.98), 1e-6);
  EXPECT_NEAR(scored.reward[2], std::log(1. / 3 * 0.1 * 0.6) / 3, 1e-6);
}

TEST(Probability, IsTheProductOfTokenProbabilities) {
  const Scored scored = score("probability", group_of(responses()));
  EXPECT_NEAR(scored.reward[0], 0.5 * 0.8, 1e-6);
  EXPECT_NEAR(scored.reward[1], 0.98, 1e-6);
  EXPECT_NEAR(scored.reward[2], 0.02, 1e-7);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(scored.within_group()[i], scored.reward[i] / scored.reward[1], 1e-6);
}

TEST(Probability, KeepsLongResponsesApart) {
  std::vector<float> likely(2000, -1.0f), unlikely(2000, -1.0f), hopeless(9000, -1.0f);
  unlikely[0] = -1.0f - std::log(2.0f);
  Group group;
  for (const auto* values : {&likely, &unlikely, &hopeless}) {
    group.samples.push_back({});
    group.samples.back().logprob = *values;
  }
  const Scored scored = score("probability", group);
  EXPECT_EQ(scored.reward[0], 0);  // e^-2000 is 0 in double: why the rescaled values exist
  EXPECT_EQ(scored.within_group()[0], 1);
  EXPECT_NEAR(scored.within_group()[1], 0.5, 1e-6);
  EXPECT_EQ(scored.within_group()[2], 0);
}

TEST(TokenStats, ReportsALostArrayInsteadOfPayingZero) {
  const auto all = responses();
  Group group = group_of(all);
  group.samples[1].entropy = {};
  try {
    score("token-entropy", group);
    FAIL() << "scored without entropies";
  } catch (const base::UserError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("rollout 1 has 0 values of 'entropy' for 1 tokens"));
  }
  EXPECT_EQ(score("trajectory-entropy", group).reward.size(), 3u);  // which does not need them
}

}  // namespace
}  // namespace whet::rewards
