#include "theory/sharpening.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/random.h"

namespace whet::theory {
namespace {

std::vector<double> random_distribution(std::size_t answers, std::uint64_t seed) {
  base::Random random{seed};
  std::vector<double> p(answers);
  double sum = 0;
  for (double& value : p) sum += value = 0.01 + random.uniform();
  for (double& value : p) value /= sum;
  return p;
}

/// E[r] - beta KL(p || reference).
double objective(std::span<const double> p, std::span<const double> reference, std::span<const double> reward,
                 double beta) {
  double value = -beta * divergence(p, reference);
  for (std::size_t i = 0; i < p.size(); ++i) value += p[i] * reward[i];
  return value;
}

TEST(Sharpening, MaximisesRewardLessDivergence) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto reference = random_distribution(5, seed);
    const auto reward = random_distribution(5, 100 + seed);
    const double beta = 0.05 + 0.1 * static_cast<double>(seed);
    const auto best = sharpened(reference, reward, beta);
    const double top = objective(best, reference, reward, beta);
    for (std::uint64_t other = 0; other < 50; ++other) {
      // Any other distribution, near or far, does worse.
      auto rival = random_distribution(5, 1000 + other);
      for (std::size_t i = 0; i < rival.size(); ++i) rival[i] = 0.99 * best[i] + 0.01 * rival[i];
      EXPECT_LT(objective(rival, reference, reward, beta), top);
    }
  }
}

TEST(Sharpening, MajorityMassFollowsItsLogitLinearPath) {
  const auto reference = random_distribution(6, 3);
  const double start = reference[majority(reference)];
  for (const int steps : {0, 1, 2, 5, 10}) {
    const auto policy = sharpened_to_majority(reference, 0.7, steps);
    EXPECT_NEAR(policy[majority(reference)], majority_mass(start, 0.7, steps), 1e-12) << steps;
  }
}

TEST(Sharpening, WhatIsLeftShrinksByTheSameFactorEachStepInTheLimit) {
  const double beta = 0.8;
  const double before = 1 - majority_mass(0.4, beta, 10), after = 1 - majority_mass(0.4, beta, 11);
  EXPECT_NEAR(after / before, std::exp(-1 / beta), 1e-5);
}

TEST(Sharpening, LeavesTheProportionsOfTheMinorityAlone) {
  const std::vector<double> reference = {0.5, 0.3, 0.2};
  const auto policy = sharpened_to_majority(reference, 1.0, 4);
  EXPECT_NEAR(policy[1] / policy[2], 1.5, 1e-12);
}

TEST(Sharpening, LogProbabilityRewardGivesPowersOfTheReference) {
  const auto reference = random_distribution(4, 9);
  std::vector<double> policy = reference;
  const double beta = 2.0;
  for (int step = 0; step < 3; ++step) {
    std::vector<double> reward;
    for (const double p : policy) reward.push_back(std::log(p));
    policy = sharpened(policy, reward, beta);
  }
  const auto closed = sharpened_to_likely(reference, beta, 3);
  for (std::size_t i = 0; i < policy.size(); ++i) EXPECT_NEAR(policy[i], closed[i], 1e-12);
}

TEST(Sharpening, PowersDoNotUnderflow) {
  const std::vector<double> reference = {1e-200, 2e-200, 1.0};
  const auto policy = power(reference, 5);
  EXPECT_DOUBLE_EQ(policy[2], 1.0);
  const std::vector<double> tiny = {1e-200, 2e-200};
  EXPECT_NEAR(power(tiny, 2)[1], 0.8, 1e-12);
}

TEST(Sharpening, WhatHasNoMassNeverGetsAny) {
  const std::vector<double> reference = {0.0, 1.0}, reward = {5.0, 0.0};
  EXPECT_EQ(sharpened(reference, reward, 0.1)[0], 0.0);
}

TEST(Sharpening, EntropyAndDivergenceAreThoseOfTheTextbooks) {
  const std::vector<double> half = {0.5, 0.5}, quarter = {0.25, 0.75};
  EXPECT_NEAR(entropy(half), std::log(2.0), 1e-15);
  EXPECT_NEAR(divergence(half, quarter), 0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3), 1e-15);
  EXPECT_EQ(divergence(half, half), 0.0);
  EXPECT_EQ(divergence(half, std::vector<double>{1.0, 0.0}), std::numeric_limits<double>::infinity());
}

TEST(Sharpening, RefusesWhatIsNoDistribution) {
  const std::vector<double> none, negative = {-0.1, 1.1}, massless = {0.0, 0.0}, good = {1.0};
  for (const auto& bad : {none, negative, massless}) EXPECT_THROW(majority(bad), base::UserError);
  EXPECT_THROW(sharpened(good, good, 0.0), base::UserError);
  EXPECT_THROW(sharpened(good, negative, 1.0), base::UserError);
  EXPECT_THROW(logit(1.5), base::UserError);
}

}  // namespace
}  // namespace whet::theory
