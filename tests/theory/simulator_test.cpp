#include "theory/simulator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace whet::theory {
namespace {

constexpr SimulatedReward kRewards[] = {SimulatedReward::kMajorityVote, SimulatedReward::kGroundTruth,
                                        SimulatedReward::kAnswerShare, SimulatedReward::kLogProbability};

TEST(Simulator, GradientOfAGroupIsThatOfGrpo) {
  // Four rollouts, 3 of answer 0 and 1 of answer 1: rewards 1 1 1 0, mean .75, unbiased deviation .5.
  const std::vector<int> counts = {3, 1};
  const std::vector<double> p = {0.6, 0.4};
  const auto gradient = group_gradient(counts, p, 0, SimulatedReward::kMajorityVote);
  EXPECT_NEAR(gradient[0], 3 * 0.25 / 0.5 / 4, 1e-5);
  EXPECT_NEAR(gradient[1], -0.75 / 0.5 / 4, 1e-5);
}

TEST(Simulator, ATiedVotePrefersNoAnswer) {
  const std::vector<int> counts = {4, 4, 0};
  const std::vector<double> p = {0.4, 0.4, 0.2};
  for (const double value : group_gradient(counts, p, 0, SimulatedReward::kMajorityVote)) EXPECT_NEAR(value, 0, 1e-15);
}

TEST(Simulator, GradientsSumToZeroAndVanishWithoutDisagreement) {
  const std::vector<double> p = {0.2, 0.5, 0.3};
  for (const SimulatedReward reward : kRewards) {
    for (const auto& counts : {std::vector<int>{2, 5, 1}, std::vector<int>{0, 4, 4}, std::vector<int>{1, 1, 6}}) {
      const auto gradient = group_gradient(counts, p, 0, reward);
      EXPECT_NEAR(std::accumulate(gradient.begin(), gradient.end(), 0.0), 0, 1e-12);
    }
    for (const double value : group_gradient(std::vector<int>{0, 8, 0}, p, 0, reward)) EXPECT_EQ(value, 0.0);
  }
}

TEST(Simulator, ExpectedGradientIsTheMeanOfSampledOnes) {
  const std::vector<double> p = {0.3, 0.45, 0.25};
  for (const SimulatedReward reward : kRewards) {
    const auto expected = expected_gradient(p, 0, reward, 4);
    std::vector<double> mean(3, 0.0), square(3, 0.0);
    constexpr int kGroups = 40000;
    base::Random random{17};
    for (int g = 0; g < kGroups; ++g) {
      std::vector<int> counts(3, 0);
      for (int i = 0; i < 4; ++i) {
        const double u = random.uniform();
        ++counts[u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2];
      }
      const auto gradient = group_gradient(counts, p, 0, reward);
      for (std::size_t a = 0; a < 3; ++a) {
        mean[a] += gradient[a] / kGroups;
        square[a] += gradient[a] * gradient[a] / kGroups;
      }
    }
    for (std::size_t a = 0; a < 3; ++a) {
      const double error = std::sqrt((square[a] - mean[a] * mean[a]) / kGroups);
      EXPECT_NEAR(mean[a], expected[a], 5 * error);
    }
  }
}

TEST(Simulator, WithoutSharingEachProblemGoesWhereItsMajorityPoints) {
  SimulatorOptions options{.problems = 60,
                           .own_wrong = 2,
                           .degenerate = 0,
                           .right_mean = 0.5,
                           .update = SimulatedUpdate::kExpected,
                           .batch = 60,
                           .steps = 400,
                           .rate = 1.0,
                           .generalisation = 0};
  const auto run = simulate(options);
  int right = 0;
  for (std::size_t x = 0; x < run.final_mass.size(); ++x) {
    const double expected = run.initially_right[x] ? 1 : 0;
    right += run.initially_right[x] ? 1 : 0;
    EXPECT_NEAR(run.final_mass[x], expected, 0.1) << x << " began at " << run.initial_mass[x];
  }
  EXPECT_GT(right, 10);
  EXPECT_LT(right, 50);
}

TEST(Simulator, VoteRisesAndFallsWhereADegenerateAnswerIsLiked) {
  for (const std::uint64_t seed : {0U, 1U, 2U}) {
    const auto run = simulate({.seed = seed});
    EXPECT_GT(run.peak().accuracy, 1.2 * run.steps.front().accuracy);
    EXPECT_LT(run.steps.back().accuracy, 0.2 * run.peak().accuracy);
    EXPECT_GT(run.steps.back().majority_mass, 0.9);
  }
}

TEST(Simulator, LabelsDoNotFallInTheSameWorld) {
  const auto run = simulate({.reward = SimulatedReward::kGroundTruth});
  EXPECT_GT(run.steps.back().accuracy, run.steps.front().accuracy);
  EXPECT_GT(run.steps.back().accuracy, run.peak().accuracy - 0.02);
}

TEST(Simulator, VoteOnlyRisesWhereNothingDegenerateIsLiked) {
  const auto run = simulate({.degenerate_mean = -2});
  EXPECT_GT(run.steps.back().accuracy, run.peak().accuracy - 0.02);
  EXPECT_NEAR(run.steps.back().accuracy, run.steps.front().majority_right, 0.05);
}

TEST(Simulator, RepeatsUnderASeed) {
  const SimulatorOptions options{.problems = 50, .steps = 20};
  EXPECT_EQ(simulate(options).final_mass, simulate(options).final_mass);
  SimulatorOptions other = options;
  other.seed = 1;
  EXPECT_NE(simulate(options).final_mass, simulate(other).final_mass);
}

TEST(Simulator, RefusesOptionsThatMeanNothing) {
  EXPECT_THROW(simulate({.problems = 0}), base::UserError);
  EXPECT_THROW(simulate({.samples = 1}), base::UserError);
  EXPECT_THROW(simulate({.own_wrong = 0, .degenerate = 0}), base::UserError);
  EXPECT_THROW(simulate({.rate = 0}), base::UserError);
  EXPECT_THROW(simulate({.update = SimulatedUpdate::kExpected, .samples = 32}), base::UserError);
}

}  // namespace
}  // namespace whet::theory
