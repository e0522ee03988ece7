// Collapse: hand-made series of every shape, and the law that watching online and looking back agree.
#include "analysis/collapse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

std::vector<Point> series(const std::vector<double>& values, std::int64_t every = 1) {
  std::vector<Point> points;
  for (std::size_t i = 0; i < values.size(); ++i) points.push_back({static_cast<std::int64_t>(i) * every, values[i]});
  return points;
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(SummarisePeak, FindsRiseAndFall) {
  const auto summary = summarise_peak(series({0.51, 0.8, 0.9, 0.9, 0.45}, 10));
  EXPECT_EQ(summary->peak_step, 20);  // the earlier of two equals
  EXPECT_EQ(summary->peak, 0.9);
  EXPECT_EQ(summary->first, 0.51);
  EXPECT_EQ(summary->final_step, 40);
  EXPECT_NEAR(summary->gain(), 0.39, 1e-12);
  EXPECT_NEAR(summary->lost_share(), 0.5, 1e-12);
}

TEST(SummarisePeak, SaysNothingIsLostWhereNothingIs) {
  const auto rising = summarise_peak(series({0.1, 0.2, 0.3}));
  EXPECT_EQ(rising->peak_step, 2);
  EXPECT_EQ(rising->lost(), 0);
  EXPECT_EQ(summarise_peak(series({0, 0}))->lost_share(), 0);
  EXPECT_EQ(summarise_peak(series({0.4, 0.2}))->peak_step, 0);
  EXPECT_FALSE(summarise_peak({}));
}

TEST(Series, MustIncreaseAndBeNumbers) {
  const std::vector<Point> backwards{{2, 0.1}, {2, 0.2}}, broken{{0, 0.1}, {7, kNan}};
  EXPECT_THROW(summarise_peak(backwards), base::UserError);
  EXPECT_THROW(watch_marks(backwards), base::UserError);
  try {
    watch_marks(broken);
    FAIL() << "accepted";
  } catch (const base::UserError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("step 7"));
  }
}

TEST(ParseMark, ReadsNumbersPercentAndHalfPeak) {
  EXPECT_DOUBLE_EQ(parse_mark("0.01").level, 0.01);
  EXPECT_DOUBLE_EQ(parse_mark("1%").level, 0.01);
  EXPECT_FALSE(parse_mark("1%").of_peak);
  EXPECT_TRUE(parse_mark("half-peak").of_peak);
  for (const char* bad : {"", "%", "1", "0", "-0.1", "100%", "0.1x", "nan", "half"}) {
    EXPECT_THROW(parse_mark(bad), base::UserError) << bad;
  }
}

TEST(MarkWatch, MarksTheStepsOfASmoothedFall) {
  // Means of three, at steps 2...: .6 .7 .6 .4 .2 .08 .02 .005 (of the values below)
  const MarkWatch watch = watch_marks(series({0.5, 0.6, 0.7, 0.8, 0.3, 0.1, 0.2, 0.0, 0.04, 0.02, 0.0, 0.0}));
  EXPECT_EQ(watch.early_peak()->step, 3);
  EXPECT_NEAR(watch.early_peak()->value, 0.7, 1e-12);
  EXPECT_EQ(watch.mark("half-peak").step, 6);  // (.3 + .1 + .2) / 3 = .2 < .35; the mean before, .4, is not
  EXPECT_EQ(watch.mark("10%").step, 8);        // .08; at step 7 (.1 + .2 + 0) / 3 is .1, not below
  EXPECT_EQ(watch.mark("1%").step, 11);        // .0067
  EXPECT_EQ(watch.describe(watch.mark("1%")), "1%: step 11");
}

TEST(MarkWatch, OneBadStepIsNotACollapse) {
  const MarkWatch watch = watch_marks(series({0.6, 0.6, 0.6, 0.0, 0.6, 0.6}));
  for (const MarkResult& result : watch.marks()) EXPECT_FALSE(result.step) << result.mark.name;
  const MarkWatch unsmoothed = watch_marks(series({0.6, 0.6, 0.6, 0.0, 0.6, 0.6}), default_marks(), 1);
  for (const MarkResult& result : unsmoothed.marks()) EXPECT_EQ(result.step, 3) << result.mark.name;
}

TEST(MarkWatch, SaysWhenAMarkWasNotReached) {
  const MarkWatch plateau = watch_marks(series(std::vector<double>(31, 0.5), 10));
  EXPECT_FALSE(plateau.mark("1%").step);
  EXPECT_EQ(plateau.describe(plateau.mark("1%")), "1%: not reached in 300 steps");
  const MarkWatch rising = watch_marks(series({0.2, 0.4, 0.6, 0.8}));
  EXPECT_EQ(rising.describe(rising.mark("half-peak")), "half-peak: not reached in 3 steps");
  // RECIPE's weak base: a wrong consensus at 4 % is below 10 % and half its peak, and never below 1 %.
  const MarkWatch weak = watch_marks(series({0.3, 0.3, 0.3, 0.04, 0.04, 0.04, 0.04}));
  EXPECT_FALSE(weak.mark("1%").step);
  EXPECT_TRUE(weak.mark("10%").step);
  EXPECT_TRUE(weak.mark("half-peak").step);
}

TEST(MarkWatch, SaysWhenThereAreTooFewPoints) {
  const MarkWatch watch = watch_marks(series({0.0, 0.0}));
  EXPECT_FALSE(watch.enough());
  EXPECT_FALSE(watch.mark("1%").step);  // although both are below
  EXPECT_FALSE(watch.early_peak());
  EXPECT_EQ(watch.describe(watch.mark("1%")), "1%: too few points (2, want 3)");
}

TEST(MarkWatch, TakesAThresholdOfItsOwn) {
  const MarkWatch watch = watch_marks(series({0.5, 0.5, 0.5, 0.2, 0.2, 0.2}), {parse_mark("0.25")});
  EXPECT_EQ(watch.mark("0.25").step, 5);
  EXPECT_THROW(watch.mark("10%"), base::UserError);
  EXPECT_THROW(MarkWatch({}, 0), base::UserError);
}

TEST(MarkWatch, AMarkKeepsItsFirstStep) {
  const MarkWatch watch = watch_marks(series({0.5, 0.0, 0.5, 0.0}), {parse_mark("0.1")}, 1);
  EXPECT_EQ(watch.mark("0.1").step, 1);
}

// The verdict at a step depends on the past only: it is what the shorter series would have given.
TEST(MarkWatch, OnlineAndLookingBackAgreeAtEveryStep) {
  base::Random random{6};
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<double> values{-0.3};
    for (int i = 0; i < 30; ++i) values.push_back(values.back() + 0.02 * random.normal());
    const auto accuracies = series(values);
    const std::vector<CollapseMark> watched{{.name = "half", .level = 0.5, .of_peak = true},
                                            {.name = "low", .level = -0.35}};
    MarkWatch marks(watched);
    for (std::size_t i = 0; i < accuracies.size(); ++i) {
      marks.update(accuracies[i].step, accuracies[i].value);
      const MarkWatch back = watch_marks(std::span(accuracies).first(i + 1), watched);
      EXPECT_EQ(marks.mark("low").step, back.mark("low").step);
      EXPECT_EQ(marks.mark("half").step, back.mark("half").step);
    }
  }
}

}  // namespace
}  // namespace whet::analysis
