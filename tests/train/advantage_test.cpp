// Advantages: values by hand, and the laws that every kind obeys.
#include "train/advantage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace whet::train {
namespace {

using Rewards = std::vector<double>;

Rewards advantages(const Rewards& rewards, AdvantageKind kind) { return batch_advantages({rewards}, kind).at(0); }

std::vector<AdvantageKind> all_kinds() {
  std::vector<AdvantageKind> kinds;
  for (const std::string& name : advantage_names()) kinds.push_back(advantage_kind(name));
  return kinds;
}

TEST(Advantage, DividesByTheUnbiasedDeviation) {
  // Mean 1/4; squares 9/16 + 3/16 = 3/4; unbiased deviation sqrt(3/4 / 3) = 1/2.
  const Rewards result = group_advantages({1, 0, 0, 0});
  EXPECT_NEAR(result[0], 0.75 / (0.5 + 1e-6), 1e-12);
  for (int i = 1; i < 4; ++i) EXPECT_NEAR(result[static_cast<std::size_t>(i)], -0.25 / (0.5 + 1e-6), 1e-12);
}

TEST(Advantage, WithoutDeviationIsTheDistanceToTheMean) {
  EXPECT_EQ(group_advantages({1, 0, 0, 0}, AdvantageKind::kGroupMean), (Rewards{0.75, -0.25, -0.25, -0.25}));
}

TEST(Advantage, LeaveOneOutComparesWithTheOthersMean) {
  const Rewards rewards{3, 1, 4, 1.5};
  const Rewards result = group_advantages(rewards, AdvantageKind::kLeaveOneOut);
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    double others = 0;
    for (std::size_t j = 0; j < rewards.size(); ++j) others += j == i ? 0 : rewards[j];
    EXPECT_NEAR(result[i], rewards[i] - others / 3, 1e-12);
  }
}

TEST(Advantage, BatchNormalisationComparesGroupsWithEachOther) {
  // All four: mean 1/2, unbiased deviation sqrt(4 * 1/4 / 3).
  const double unit = 0.5 / (std::sqrt(1.0 / 3) + 1e-6);
  const auto result = batch_advantages({{1, 1}, {0, 0}}, AdvantageKind::kBatch);
  EXPECT_NEAR(result[0][0], unit, 1e-12);
  EXPECT_NEAR(result[1][1], -unit, 1e-12);
  // With the group's own mean taken first, groups of equal rewards stay at zero.
  const auto baseline = batch_advantages({{1, 1}, {1, 0}}, AdvantageKind::kGroupMeanBatch);
  EXPECT_EQ(baseline[0], (Rewards{0, 0}));
  EXPECT_NEAR(baseline[1][0], 0.5 / (std::sqrt(0.5 / 3) + 1e-6), 1e-12);
}

TEST(Advantage, GroupOfOneAndEqualRewardsGiveExactlyZero) {
  for (const AdvantageKind kind : all_kinds()) {
    EXPECT_EQ(advantages({0.7}, kind), (Rewards{0}));
    EXPECT_EQ(advantages({0.1, 0.1, 0.1}, kind), (Rewards{0, 0, 0}));  // 3 * 0.1 / 3 is not 0.1 in binary
    EXPECT_EQ(advantages({}, kind), Rewards{});
  }
}

TEST(Advantage, SumsToZeroAndIgnoresAShift) {
  const Rewards rewards{0.3, -1.25, 2, 0.5, 0};
  for (const AdvantageKind kind : all_kinds()) {
    Rewards shifted = rewards;
    for (double& value : shifted) value += 10;
    const Rewards plain = advantages(rewards, kind), moved = advantages(shifted, kind);
    double sum = 0;
    for (std::size_t i = 0; i < rewards.size(); ++i) {
      sum += plain[i];
      EXPECT_NEAR(plain[i], moved[i], 1e-12);
    }
    EXPECT_NEAR(sum, 0, 1e-12);
  }
}

TEST(Advantage, NormalisedOnesIgnoreTheScaleUpToEpsilon) {
  const Rewards plain = group_advantages({1, 2, 4}), scaled = group_advantages({1000, 2000, 4000});
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(plain[i], scaled[i], 2e-6);
  EXPECT_NEAR(group_advantages({1, 2, 4}, AdvantageKind::kGroupMean)[2] * 10,
              group_advantages({10, 20, 40}, AdvantageKind::kGroupMean)[2], 1e-12);
}

TEST(Advantage, NoiseFarBelowEpsilonIsNotMagnified) {
  for (const double value : group_advantages({0.5, 0.5 + 1e-12})) EXPECT_LT(std::abs(value), 1e-5);
}

TEST(Advantage, RefusesWhatIsNotANumberAndNamesTheRollout) {
  for (const AdvantageKind kind : all_kinds()) {
    try {
      advantages({1, std::numeric_limits<double>::quiet_NaN()}, kind);
      FAIL() << "accepted";
    } catch (const base::RunError& error) {
      EXPECT_NE(std::string(error.what()).find("rollout 1"), std::string::npos);
    }
  }
  EXPECT_THROW(advantage_kind("grop"), base::UserError);
}

}  // namespace
}  // namespace whet::train
