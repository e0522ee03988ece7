// The label-free watch: hand-made series of every shape, and the law that watching online and looking back agree.
#include "analysis/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

std::vector<ViewPoint> views(const std::vector<double>& logprobs, std::int64_t every = 5) {
  std::vector<ViewPoint> points;
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    points.push_back({static_cast<std::int64_t>(i) * every, {.logprob = logprobs[i], .agreement = {}}});
  }
  return points;
}

/// Both signals: (log-probability, agreement).
std::vector<ViewPoint> both(const std::vector<std::pair<double, double>>& values, std::int64_t every = 5) {
  std::vector<ViewPoint> points;
  for (std::size_t i = 0; i < values.size(); ++i) {
    points.push_back(
        {static_cast<std::int64_t>(i) * every, {.logprob = values[i].first, .agreement = values[i].second}});
  }
  return points;
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(CollapseWatch, WarnsAtTheFirstBreachAndAlarmsAtTheSecond) {
  CollapseWatch watch;
  EXPECT_EQ(watch.update(40, {.logprob = -0.16, .agreement = 0.98}).verdict, Verdict::kTooFewPoints);
  EXPECT_EQ(watch.update(45, {.logprob = -0.15, .agreement = 1.0}).verdict, Verdict::kHealthy);
  EXPECT_EQ(watch.update(50, {.logprob = -0.139, .agreement = 0.99}).verdict, Verdict::kHealthy);
  EXPECT_EQ(watch.update(55, {.logprob = -0.195, .agreement = 0.93}).verdict, Verdict::kWarning);
  EXPECT_EQ(watch.state().warning_step, 55);
  EXPECT_FALSE(watch.state().collapse_step);
  EXPECT_EQ(watch.update(60, {.logprob = -0.21, .agreement = 0.9}).verdict, Verdict::kCollapsed);
  EXPECT_EQ(watch.state().peak_step, 50);
  EXPECT_EQ(watch.state().warning_step, 55);
  EXPECT_EQ(watch.state().collapse_step, 60);
  EXPECT_THAT(watch.state().evidence, testing::AllOf(testing::HasSubstr("-0.139"), testing::HasSubstr("step 50"),
                                                     testing::HasSubstr("step 55"), testing::HasSubstr("step 60")));
}

TEST(CollapseWatch, OneBadMeasurementIsAWarningThatPasses) {
  const auto series = both({{-0.4, 0.9}, {-0.1, 1.0}, {-0.2, 0.9}, {-0.11, 0.99}, {-0.2, 0.9}});
  EXPECT_EQ(watch_series(std::span(series).first(3)).verdict, Verdict::kWarning);
  const WatchState after = watch_series(std::span(series).first(4));
  EXPECT_EQ(after.verdict, Verdict::kFalling);
  EXPECT_FALSE(after.warning_step);
  EXPECT_EQ(watch_series(series).warning_step, 20);
  EXPECT_FALSE(watch_series(series).collapse_step);
}

TEST(CollapseWatch, NeitherSignalAlarmsAlone) {
  // A healthy run on labels: the log-probability wanders, the votes stay.
  EXPECT_FALSE(watch_series(both({{-0.36, 0.9}, {-0.08, 1}, {-0.2, 0.98}, {-0.2, 0.97}, {-0.3, 0.96}})).collapse_step);
  // A weak base that learns better: other votes than the base's, and ever likelier samples.
  EXPECT_FALSE(watch_series(both({{-0.36, 0.9}, {-0.2, 0.8}, {-0.15, 0.7}, {-0.1, 0.6}})).collapse_step);
}

TEST(CollapseWatch, TheMarginGrowsWithTheRise) {
  // A fifth of the rise of 1.0 is .2: .15 below is not yet a breach, .2 is.
  EXPECT_FALSE(watch_series(views({-1.2, -0.2, -0.35, -0.35})).collapse_step);
  EXPECT_EQ(watch_series(views({-1.2, -0.2, -0.4, -0.4})).collapse_step, 15);
}

TEST(CollapseWatch, ThePeakIsFrozenByTheAlarm) {
  const WatchState state = watch_series(views({-0.5, -0.2, -0.3, -0.3, -0.01}));
  EXPECT_EQ(state.peak_step, 5);
  EXPECT_EQ(state.collapse_step, 15);
  EXPECT_EQ(state.verdict, Verdict::kCollapsed);
}

TEST(CollapseWatch, StaysQuietOnARiseAPlateauAndSmallNoise) {
  EXPECT_EQ(watch_series(views({-0.4, -0.3, -0.2, -0.1})).verdict, Verdict::kHealthy);
  EXPECT_EQ(watch_series(views({-0.2, -0.2, -0.2})).verdict, Verdict::kHealthy);
  EXPECT_EQ(watch_series(views({-0.2, -0.2, -0.2})).peak_step, 0);
  const WatchState plateau = watch_series(views({-0.39, -0.2, -0.105, -0.12, -0.13, -0.14, -0.12}));
  EXPECT_EQ(plateau.verdict, Verdict::kFalling);
  EXPECT_FALSE(plateau.collapse_step);
  base::Random random{3};
  std::vector<double> noisy;
  for (int i = 0; i < 100; ++i) noisy.push_back(-0.2 + 0.039 * random.uniform());
  EXPECT_FALSE(watch_series(views(noisy)).collapse_step);
}

TEST(CollapseWatch, AFallFromTheStartPeaksAtTheStart) {
  const WatchState state = watch_series(views({-0.2, -0.3, -0.4}));
  EXPECT_EQ(state.peak_step, 0);
  EXPECT_EQ(state.warning_step, 5);
  EXPECT_EQ(state.collapse_step, 10);
}

TEST(CollapseWatch, TheMarginIsAParameterAndItsEdgeBelongsToTheBreach) {
  const WatchOptions once{.confirmations = 1};
  EXPECT_EQ(watch_series(views({-0.1, -0.14}), once).collapse_step, 5);
  EXPECT_FALSE(watch_series(views({-0.1, -0.139}), once).collapse_step);
  EXPECT_FALSE(watch_series(views({-0.1, -0.3}), {.logprob_margin = 0.25, .confirmations = 1}).collapse_step);
  EXPECT_THROW(CollapseWatch({.logprob_margin = 0}), base::UserError);
  EXPECT_THROW(CollapseWatch({.logprob_margin = kNan}), base::UserError);
  EXPECT_THROW(CollapseWatch({.agreement_margin = -1}), base::UserError);
  EXPECT_THROW(CollapseWatch({.rise_share = -0.1}), base::UserError);
  EXPECT_THROW(CollapseWatch({.confirmations = 0}), base::UserError);
}

TEST(CollapseWatch, SaysThatOnePointIsTooFew) {
  const WatchState one = watch_series(views({-0.2}));
  EXPECT_EQ(one.verdict, Verdict::kTooFewPoints);
  EXPECT_THAT(one.evidence, testing::HasSubstr("only 1 point"));
  EXPECT_EQ(watch_series({}).verdict, Verdict::kTooFewPoints);
  EXPECT_EQ(to_string(one.verdict), "too few points");
}

TEST(CollapseWatch, JudgesByAgreementWhereThereIsNothingElse) {
  CollapseWatch watch;
  watch.update(0, {.logprob = {}, .agreement = 0.6});
  watch.update(10, {.logprob = {}, .agreement = 0.9});
  EXPECT_EQ(watch.update(20, {.logprob = {}, .agreement = 0.87}).verdict, Verdict::kFalling);
  EXPECT_EQ(watch.update(30, {.logprob = {}, .agreement = 0.8}).verdict, Verdict::kWarning);
  EXPECT_EQ(watch.update(40, {.logprob = {}, .agreement = 0.7}).verdict, Verdict::kCollapsed);
  EXPECT_EQ(watch.state().peak_step, 10);
  EXPECT_EQ(watch.state().signal, "agreement with the base");
}

TEST(CollapseWatch, ReportsAgreementAsASecondWitness) {
  const WatchState state = watch_series(both({{-0.4, 0.6}, {-0.2, 0.8}, {-0.1, 0.7}}));
  EXPECT_EQ(state.peak_step, 10);
  EXPECT_EQ(state.agreement_peak_step, 5);
  EXPECT_THAT(state.evidence, testing::HasSubstr("agreement with the base 0.700, its best 0.800 at step 5"));
}

TEST(CollapseWatch, RefusesAPointWithoutItsSignal) {
  CollapseWatch watch;
  EXPECT_THROW(watch.update(0, {}), base::UserError);
  watch.update(0, {.logprob = -0.1, .agreement = {}});
  EXPECT_THROW(watch.update(5, {.logprob = {}, .agreement = 0.5}), base::UserError);
  EXPECT_THROW(watch.update(5, {.logprob = kNan, .agreement = {}}), base::UserError);
  EXPECT_THROW(watch.update(0, {.logprob = -0.1, .agreement = {}}), base::UserError);
}

// The verdict at a step depends on the past only: it is what the shorter series would have given.
TEST(CollapseWatch, OnlineAndLookingBackAgreeAtEveryStep) {
  base::Random random{6};
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<std::pair<double, double>> values{{-0.3, 0.8}};
    for (int i = 0; i < 30; ++i) {
      values.emplace_back(values.back().first + 0.02 * random.normal(), values.back().second + 0.02 * random.normal());
    }
    const auto points = both(values);
    CollapseWatch watch;
    for (std::size_t i = 0; i < points.size(); ++i) {
      watch.update(points[i].step, points[i].view);
      const WatchState back = watch_series(std::span(points).first(i + 1));
      EXPECT_EQ(watch.state().verdict, back.verdict);
      EXPECT_EQ(watch.state().peak_step, back.peak_step);
      EXPECT_EQ(watch.state().warning_step, back.warning_step);
      EXPECT_EQ(watch.state().collapse_step, back.collapse_step);
    }
  }
}

}  // namespace
}  // namespace whet::analysis
