// Which steps are averaged: hand-made series, and the law that who is in at the end was in from its measurement on.
#include "analysis/contenders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Contenders fed(const std::vector<double>& values, const ContenderOptions& options = {}) {
  Contenders contenders(options);
  for (std::size_t i = 0; i < values.size(); ++i) contenders.update(static_cast<std::int64_t>(i) * 5, values[i]);
  return contenders;
}

TEST(Contenders, AreTheBestStepsWithinTheMarginInTheirOrder) {
  EXPECT_THAT(fed({-0.35, -0.15, -0.115, -0.10, -0.11, -0.13, -0.20}).steps(), ElementsAre(10, 15, 20));
  EXPECT_THAT(fed({-0.35, -0.15, -0.115, -0.10, -0.11, -0.13, -0.20}, {.count = 2}).steps(), ElementsAre(15, 20));
  EXPECT_THAT(fed({-0.5, -0.125, -0.0}, {.margin = 0.125}).steps(), ElementsAre(10));  // the margin's edge is outside
  EXPECT_THAT(fed({-0.5, -0.125, -0.0}, {.margin = 0.25}).steps(), ElementsAre(5, 10));
  EXPECT_THAT(fed({}).steps(), IsEmpty());
}

TEST(Contenders, OfEqualValuesTheEarlierStay) {
  EXPECT_THAT(fed({-0.1, -0.1, -0.1}, {.count = 2}).steps(), ElementsAre(0, 5));
  const Contenders one = fed({-0.1, -0.1}, {.count = 1});
  EXPECT_TRUE(one.contains(0));
  EXPECT_FALSE(one.contains(5));
}

TEST(Contenders, WithOneOnlyAreThePeakOfTheWatch) {
  base::Random random{7};
  for (int series = 0; series < 200; ++series) {
    CollapseWatch watch;
    Contenders one({.count = 1});
    for (std::int64_t step = 0; step < 20; ++step) {
      const WatchState& state =
          watch.update(step, {.logprob = -static_cast<double>(random.below(8)) / 100, .agreement = 1.0});
      one.update(step, state.current);
      EXPECT_THAT(one.steps(), ElementsAre(*state.peak_step));
    }
  }
}

TEST(Contenders, WhoIsInAtTheEndWasInFromItsMeasurementOn) {
  base::Random random{11};
  for (int series = 0; series < 300; ++series) {
    Contenders contenders({.count = 4, .margin = 0.1});
    std::vector<std::int64_t> alive;
    std::vector<std::pair<double, std::int64_t>> all;
    for (std::int64_t step = 0; step < 30; ++step) {
      const double value = -static_cast<double>(random.below(40)) / 100;
      contenders.update(step, value);
      all.emplace_back(value, step);
      std::erase_if(alive, [&](std::int64_t other) { return !contenders.contains(other); });
      if (contenders.contains(step)) alive.push_back(step);
      EXPECT_EQ(contenders.steps(), alive);  // nobody comes back
    }
    // And looking back: the four best by value, the earlier first, within the margin.
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<std::int64_t> wanted;
    for (std::size_t i = 0; i < 4; ++i) {
      if (all[i].first > all[0].first - 0.1) wanted.push_back(all[i].second);
    }
    std::sort(wanted.begin(), wanted.end());
    EXPECT_EQ(contenders.steps(), wanted);
  }
}

TEST(Contenders, TheBaseIsNeverAveraged) {
  EXPECT_THAT(steps_to_average(fed({-0.12, -0.11, -0.10}), 10), ElementsAre(5, 10));
  EXPECT_THAT(steps_to_average(fed({-0.10, -0.11, -0.12}), 0), IsEmpty());
}

TEST(Contenders, AnAverageThatIsWorseByABreachDoesNotStandForItsBest) {
  const BaseView best{.logprob = -0.10, .agreement = 0.98};
  EXPECT_TRUE(stands_for({.logprob = -0.13, .agreement = 0.95}, best));
  EXPECT_TRUE(stands_for({.logprob = -0.05, .agreement = 1.0}, best));
  EXPECT_TRUE(
      stands_for({.logprob = -0.15, .agreement = 0.98}, best));  // one witness alone says too little, as in the watch
  EXPECT_TRUE(stands_for({.logprob = -0.10, .agreement = 0.90}, best));
  EXPECT_FALSE(stands_for({.logprob = -0.15, .agreement = 0.90}, best));
  EXPECT_FALSE(stands_for({.logprob = {}, .agreement = 0.98}, best));  // it writes nothing
  EXPECT_TRUE(stands_for({.logprob = -0.10, .agreement = {}}, {.logprob = -0.10, .agreement = {}}));
  EXPECT_FALSE(stands_for({.logprob = -0.15, .agreement = {}}, {.logprob = -0.10, .agreement = {}}));
  EXPECT_FALSE(stands_for({.logprob = {}, .agreement = 0.90}, {.logprob = {}, .agreement = 0.98}));
}

TEST(Contenders, MistakesAreNamed) {
  EXPECT_THROW(Contenders({.count = 0}), base::UserError);
  EXPECT_THROW(Contenders({.margin = 0}), base::UserError);
  Contenders contenders;
  contenders.update(5, -0.1);
  EXPECT_THROW(contenders.update(5, -0.1), std::logic_error);
}

}  // namespace
}  // namespace whet::analysis
