// Ways of failing: made series of each, healthy ones, and the law that nothing is named too early.
#include "analysis/failure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"

namespace whet::analysis {
namespace {

using Change = std::function<void(SignalPoint&, double)>;

/// 60 steps: the vote sharpens in the first 20; from step 30 to 50 `change` is blended in, its argument from 0 to 1.
std::vector<SignalPoint> run_of(const Change& change, int steps = 60) {
  std::vector<SignalPoint> series;
  for (int step = 1; step <= steps; ++step) {
    SignalPoint point;
    point.step = step;
    const double jitter = step % 2 == 0 ? 0.01 : -0.01;
    point.signals.majority_ratio = 0.5 + 0.45 * std::min(step / 20.0, 1.0) + jitter;
    point.signals.mutual_information = 3.5 + 0.6 * std::min(step / 20.0, 1.0) + jitter;
    point.signals.length = 200 + 20 * jitter;
    point.signals.repetition = 0.03 + jitter;
    point.signals.answered = 0.98 + jitter;
    point.kl = 0.08 * std::min(step / 20.0, 1.0);
    change(point, std::clamp((step - 30) / 20.0, 0.0, 1.0));
    series.push_back(point);
  }
  return series;
}

WatchState watched(const std::vector<SignalPoint>& series) {
  SignalWatch watch;
  for (const SignalPoint& point : series) watch.update(point);
  return watch.state();
}

void stay(SignalPoint&, double) {}

TEST(NameFailure, FindsNothingInARunThatOnlySharpens) {
  const auto report = name_failure(run_of(stay));
  EXPECT_EQ(report.failure, Failure::kNone);
  EXPECT_TRUE(report.signs.empty());
}

TEST(NameFailure, NamesEachWayWithTheNumbersThatShowIt) {
  const std::vector<std::pair<Failure, Change>> ways{
      {Failure::kConstantAnswer, [](SignalPoint& p, double x) { *p.signals.mutual_information *= 1 - 0.98 * x; }},
      {Failure::kShortening, [](SignalPoint& p, double x) { *p.signals.length *= 1 - 0.8 * x; }},
      {Failure::kRepetition, [](SignalPoint& p, double x) { *p.signals.repetition += 0.7 * x; }},
      {Failure::kNoAnswer, [](SignalPoint& p, double x) { *p.signals.answered *= 1 - 0.9 * x; }},
      {Failure::kConfidentDrift, [](SignalPoint& p, double x) { *p.kl += 2 * x; }},
  };
  for (const auto& [failure, change] : ways) {
    const auto report = name_failure(run_of(change));
    EXPECT_EQ(report.failure, failure) << to_string(failure);
    ASSERT_EQ(report.signs.size(), 1u) << to_string(failure);
    EXPECT_GT(report.signs[0].since, 30);
    EXPECT_LE(report.signs[0].since, 50);
    EXPECT_LE(report.signs[0].from_step, 35);
    EXPECT_THAT(report.signs[0].evidence, testing::StartsWith(to_string(failure) + ": "));
    EXPECT_THAT(report.signs[0].evidence, testing::HasSubstr("(step 60)"));
  }
}

TEST(NameFailure, CallsSilenceNoAnswerAndNotAConstantOne) {
  const auto report = name_failure(run_of([](SignalPoint& p, double x) {
    *p.signals.answered *= 1 - x;
    *p.signals.mutual_information *= 1 - x;
    *p.signals.repetition += 0.6 * x;
  }));
  EXPECT_EQ(report.failure, Failure::kNoAnswer);
  ASSERT_EQ(report.signs.size(), 2u);
  EXPECT_EQ(report.signs[1].failure, Failure::kRepetition);
}

TEST(NameFailure, SeesADriftWhileTheVoteGoesOnSharpening) {
  const auto sharpening = [](double kl) {
    return [kl](SignalPoint& p, double x) {
      p.signals.majority_ratio = 0.5 + 0.008 * static_cast<double>(p.step);
      *p.kl += kl * x;
    };
  };
  const auto report = name_failure(run_of(sharpening(1)));
  EXPECT_EQ(report.failure, Failure::kConfidentDrift);
  ASSERT_EQ(report.signs.size(), 1u);
  EXPECT_GT(report.signs[0].since, 30);
  EXPECT_THAT(report.signs[0].evidence, testing::HasSubstr("(step 5)"));  // since the first mean there is
  EXPECT_EQ(name_failure(run_of(sharpening(0.3))).failure,
            Failure::kNone);  // what labels do to a base that is mostly wrong
}

TEST(NameFailure, ForgetsWhatPassed) {
  auto series = run_of(stay);
  for (std::size_t i = 30; i < 40; ++i) series[i].signals.answered = 0.2;
  EXPECT_EQ(name_failure(series).failure, Failure::kNone);
}

TEST(NameFailure, SaysNothingOfAFewSteps) {
  auto series = run_of([](SignalPoint& p, double) { p.signals.length = p.step == 1 ? 500 : 1; }, 9);
  EXPECT_EQ(name_failure(series).failure, Failure::kNone);
}

TEST(NameFailure, RefusesWhatIsNoSeries) {
  auto series = run_of(stay);
  series[3].step = 3;
  EXPECT_THROW(name_failure(series), base::UserError);
  series = run_of(stay);
  series[3].signals.length = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(name_failure(series), base::UserError);
}

TEST(SignalWatch, StaysCalmWhileTheVoteSharpens) {
  const WatchState state = watched(run_of(stay));
  EXPECT_NE(state.verdict, Verdict::kCollapsed);
  EXPECT_NE(state.verdict, Verdict::kWarning);
  EXPECT_FALSE(state.collapse_step);
  EXPECT_EQ(state.peak_step, 60);
}

TEST(SignalWatch, RaisesTheAlarmWhenVotesSplitAgainAndWarnsBefore) {
  const WatchState state = watched(run_of([](SignalPoint& p, double x) { *p.signals.majority_ratio -= 0.15 * x; }));
  EXPECT_EQ(state.verdict, Verdict::kCollapsed);
  ASSERT_TRUE(state.collapse_step && state.warning_step && state.peak_step);
  EXPECT_LT(*state.warning_step, *state.collapse_step);
  EXPECT_LE(*state.peak_step, 32);
  EXPECT_GE(*state.collapse_step, 36);
  EXPECT_LE(*state.collapse_step, 46);
  EXPECT_EQ(state.signal, "majority ratio");
}

TEST(SignalWatch, NeedsAGreaterFallWhereStepsAreNoisier) {
  const auto noisy = [](SignalPoint& p, double x) {
    *p.signals.majority_ratio += (p.step * 7 % 5 - 2) * 0.1 - 0.05 * x;
  };
  EXPECT_FALSE(watched(run_of(noisy)).collapse_step);
  EXPECT_TRUE(watched(run_of([](SignalPoint& p, double x) { *p.signals.majority_ratio -= 0.06 * x; })).collapse_step);
}

TEST(SignalWatch, JudgesAStepByWhatCameBefore) {
  const auto series = run_of([](SignalPoint& p, double x) { *p.signals.answered *= 1 - x; });
  const WatchState whole = watched(series);
  ASSERT_TRUE(whole.collapse_step);
  const auto end = static_cast<std::size_t>(*whole.collapse_step);
  EXPECT_EQ(watched({series.begin(), series.begin() + static_cast<std::ptrdiff_t>(end)}).collapse_step,
            whole.collapse_step);
  EXPECT_FALSE(watched({series.begin(), series.begin() + static_cast<std::ptrdiff_t>(end) - 1}).collapse_step);
}

TEST(SignalWatch, HasNoVerdictBeforeTwoWindows) {
  EXPECT_EQ(watched(run_of(stay, 9)).verdict, Verdict::kTooFewPoints);
  EXPECT_NE(watched(run_of(stay, 10)).verdict, Verdict::kTooFewPoints);
}

}  // namespace
}  // namespace whet::analysis
