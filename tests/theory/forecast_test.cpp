#include "theory/forecast.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace whet::theory {
namespace {

TEST(Forecast, FollowsTheInitialMajority) {
  EXPECT_EQ(forecast({.answers = {14, 2}, .right = {true, false}}).fate, Fate::kRises);
  EXPECT_EQ(forecast({.answers = {14, 2}, .right = {false, true}}).fate, Fate::kFalls);
  EXPECT_EQ(forecast({.answers = {14, 2}, .right = {false, true}}).limit, 0.0);
}

TEST(Forecast, DoesNotJudgeWhatIsTooClose) {
  const Forecast tie = forecast({.answers = {8, 8}, .right = {true, false}});
  EXPECT_EQ(tie.fate, Fate::kUndecided);
  EXPECT_NEAR(tie.confidence, 0.5, 1e-12);
  // Binomial(6, 1/2) > 1, by hand: (64 - 1 - 6) / 64.
  EXPECT_NEAR(forecast({.answers = {4, 1}, .right = {true, false}}).confidence, 57.0 / 64, 1e-12);
}

TEST(Forecast, StaysWhereAccuracyHasNowhereToGo) {
  EXPECT_EQ(forecast({.answers = {16}, .right = {true}}).fate, Fate::kStays);
  EXPECT_EQ(forecast({.answers = {10, 6}, .right = {}}).fate, Fate::kStays);
  EXPECT_EQ(forecast({.answers = {}, .absent = 16, .right = {}}).fate, Fate::kStays);
}

TEST(Forecast, AbsentAnswersCountInTheDenominatorAndVoteForNothing) {
  const ProblemCounts problem{.answers = {4}, .absent = 12, .right = {true}};
  EXPECT_EQ(problem.majority(), 0U);
  EXPECT_DOUBLE_EQ(problem.right_share(), 0.25);
  EXPECT_EQ(forecast(problem).fate, Fate::kRises);
}

TEST(Forecast, PredictedAccuracyGoesFromTheBaseToTheShareOfRightMajorities) {
  const std::vector<ProblemCounts> problems = {{.answers = {12, 4}, .right = {true, false}},
                                               {.answers = {12, 4}, .right = {false, true}},
                                               {.answers = {9, 7}, .right = {true, false}}};
  EXPECT_NEAR(predicted_accuracy(problems, 0), (12 + 4 + 9) / 48.0, 1e-12);
  EXPECT_NEAR(predicted_accuracy(problems, 50), limit_accuracy(problems), 1e-12);
  EXPECT_NEAR(limit_accuracy(problems), 2.0 / 3, 1e-12);
  // A shift of log 3 takes odds of 3 to odds of 9.
  EXPECT_NEAR(right_mass(problems[0], std::log(3.0)), 0.9, 1e-12);
  EXPECT_NEAR(right_mass(problems[1], std::log(3.0)), 0.1, 1e-12);
}

TEST(Forecast, SeveralAnswersMayBeRight) {
  const ProblemCounts problem{.answers = {6, 2}, .right = {true, true}};
  EXPECT_DOUBLE_EQ(right_mass(problem, 0), 1.0);
  EXPECT_DOUBLE_EQ(right_mass(problem, 3), 1.0);
  EXPECT_EQ(forecast(problem).fate, Fate::kStays);
}

TEST(Forecast, RecoversTheBetaThatMadeThePath) {
  const std::vector<double> start = {0.2, 0.5, 0.9};
  const double beta = 12.5;
  std::vector<ShiftPoint> points;
  for (const double step : {5.0, 10.0, 20.0}) {
    double mean = 0;
    for (const double mass : start) mean += majority_mass(mass, beta, step) / 3;
    points.push_back({step, effective_shift(start, mean)});
  }
  ASSERT_TRUE(effective_beta(points));
  EXPECT_NEAR(*effective_beta(points), beta, 1e-9);
}

TEST(Forecast, HasNoBetaWhereNothingSharpens) {
  const std::vector<ShiftPoint> backwards = {{1, -0.5}, {2, -1}};
  EXPECT_FALSE(effective_beta(backwards));
  EXPECT_THROW(effective_beta(std::vector<ShiftPoint>{{0, 1}}), base::UserError);
  EXPECT_THROW(effective_shift(std::vector<double>{1.0, 0.0}, 0.5), base::UserError);
}

}  // namespace
}  // namespace whet::theory
