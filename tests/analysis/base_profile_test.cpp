// What rollouts of a base foretell, counted by hand.
#include "analysis/base_profile.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace whet::analysis {
namespace {

using theory::ProblemCounts;

TEST(BaseProfile, CountsByHand) {
  const std::vector<ProblemCounts> problems = {
      {.answers = {3, 1}, .absent = 0, .right = {true, false}},  // majority right, 3/4
      {.answers = {1, 2}, .absent = 1, .right = {true, false}},  // majority wrong at 1/2, 1/4 right
      {.answers = {4}, .absent = 0, .right = {true}},            // unanimous
      {.answers = {}, .absent = 4, .right = {}},                 // nothing
  };
  const BaseProfile profile = base_profile(problems, 2, 0);
  EXPECT_EQ(profile.problems, 4);
  EXPECT_EQ(profile.rollouts, 16);
  EXPECT_DOUBLE_EQ(profile.avg.value, (0.75 + 0.25 + 1 + 0) / 4);
  EXPECT_DOUBLE_EQ(profile.majority_right.value, 0.5);
  // pass@2 of 3, 1, 4 and 0 right in 4: 1, 1/2, 1, 0.
  EXPECT_DOUBLE_EQ(profile.pass.value, 2.5 / 4);
  EXPECT_DOUBLE_EQ(profile.sharpening_gain.value, profile.majority_right.value - profile.avg.value);
  EXPECT_DOUBLE_EQ(profile.supervised_gain.value, profile.pass.value - profile.avg.value);
  for (const Estimate& estimate :
       {profile.avg, profile.pass, profile.majority_right, profile.sharpening_gain, profile.supervised_gain}) {
    EXPECT_LE(estimate.low, estimate.value);
    EXPECT_GE(estimate.high, estimate.value);
  }
}

TEST(BaseProfile, ForetellsALossForAConfidentlyWrongBase) {
  // Right in a third of the rollouts, and never by majority: labels can gain, sharpening only lose.
  const std::vector<ProblemCounts> problems(30, {.answers = {4, 8}, .absent = 0, .right = {true, false}});
  const BaseProfile profile = base_profile(problems, 8, 0);
  EXPECT_LT(profile.sharpening_gain.high, 0);
  EXPECT_GT(profile.supervised_gain.low, 0.5);
}

TEST(BaseProfile, RefusesNothingAndTooLargeAK) {
  EXPECT_THROW(base_profile({}, 1, 0), base::UserError);
  const std::vector<ProblemCounts> problems = {{.answers = {2}, .absent = 0, .right = {true}}};
  EXPECT_THROW(base_profile(problems, 3, 0), base::UserError);
}

}  // namespace
}  // namespace whet::analysis
