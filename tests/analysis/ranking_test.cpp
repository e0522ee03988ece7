// Medians over runs that never got there, and rank correlations.
#include "analysis/ranking.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

StepBound at(std::int64_t step) { return {step, true}; }
StepBound beyond(std::int64_t step) { return {step, false}; }

std::vector<double> numbers(const base::Json& list) {
  std::vector<double> values;
  for (const base::Json& value : list) {
    values.push_back(value.is_string() ? std::numeric_limits<double>::infinity() : value.get<double>());
  }
  return values;
}

const base::Json& golden() {
  static const base::Json cases =
      base::read_json_file(std::filesystem::path(WHET_SOURCE_DIR) / "tests/golden/ranking.json");
  return cases;
}

TEST(StepMedian, TakesTheMiddleOfWhatWasReached) {
  const std::vector<StepBound> three = {at(90), at(40), at(60)};
  const StepMedian median = step_median(three);
  EXPECT_EQ(median.at_least, 60);
  EXPECT_TRUE(median.exact);
  EXPECT_EQ(to_string(median.low), "40");
  EXPECT_EQ(to_string(median.high), "90");
  const std::vector<StepBound> two = {at(40), at(61)};
  EXPECT_EQ(step_median(two).at_least, 50.5);
}

TEST(StepMedian, MakesUpNoNumberForARunThatWasNotReached) {
  const std::vector<StepBound> one_late = {at(40), at(60), beyond(150)};
  EXPECT_EQ(step_median(one_late).at_least, 60);
  EXPECT_TRUE(step_median(one_late).exact);
  EXPECT_EQ(to_string(step_median(one_late).high), "> 150");

  const std::vector<StepBound> two_late = {at(40), beyond(150), beyond(150)};
  EXPECT_EQ(step_median(two_late).at_least, 150);
  EXPECT_FALSE(step_median(two_late).exact);

  // A run that ended early might have been before or after the one that stands in the middle.
  const std::vector<StepBound> ended_early = {at(40), beyond(50), at(100)};
  EXPECT_EQ(step_median(ended_early).at_least, 50);
  EXPECT_FALSE(step_median(ended_early).exact);
}

TEST(StepMedian, RefusesNothingAndNegativeSteps) {
  EXPECT_THROW(step_median({}), base::UserError);
  const std::vector<StepBound> negative = {at(-1)};
  EXPECT_THROW(step_median(negative), base::UserError);
}

TEST(IsSettled, SaysWhenMoreStepsCannotChangeTheMedian) {
  const auto settled = [](std::vector<StepBound> runs) { return is_settled(runs, 150); };
  EXPECT_FALSE(settled({beyond(149)}));
  EXPECT_TRUE(settled({beyond(150)}));
  // Two seeds beyond the budget: the third can be anything.
  EXPECT_TRUE(settled({beyond(150), beyond(150), beyond(0)}));
  // Two seeds at 40 and 60: the third decides, until it has gone beyond 60.
  EXPECT_FALSE(settled({at(40), at(60), beyond(0)}));
  EXPECT_FALSE(settled({at(40), at(60), beyond(59)}));
  EXPECT_TRUE(settled({at(40), at(60), beyond(60)}));
  EXPECT_TRUE(settled({at(40), at(40), beyond(0)}));
  EXPECT_FALSE(settled({at(40), beyond(150), beyond(100)}));
}

TEST(RangeCoverage, IsTheChanceThatRunsFallOnBothSidesOfTheMedian) {
  EXPECT_EQ(range_coverage(1), 0);
  EXPECT_EQ(range_coverage(3), 0.75);
  EXPECT_EQ(range_coverage(5), 0.9375);
}

TEST(Ranks, ShareTheMeanOfEquals) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {5, infinity, 2, 5, infinity};
  EXPECT_EQ(ranks(values), (std::vector<double>{2.5, 4.5, 1, 2.5, 4.5}));
  const std::vector<double> broken = {1, std::nan("")};
  EXPECT_THROW(ranks(broken), base::UserError);
}

TEST(Spearman, IsScipys) {
  ASSERT_GE(golden().size(), 8u);
  for (const base::Json& made : golden()) {
    const auto rho = spearman(numbers(made["x"]), numbers(made["y"]));
    ASSERT_TRUE(rho.has_value()) << made.dump();
    EXPECT_NEAR(*rho, made["rho"].get<double>(), 1e-12) << made.dump();
  }
}

TEST(Spearman, IsAbsentWithoutVariationOrModels) {
  const std::vector<double> flat = {1, 1, 1}, rising = {1, 2, 3}, two = {1, 2};
  EXPECT_FALSE(spearman(flat, rising).has_value());
  EXPECT_FALSE(rank_correlation(rising, flat, 0).has_value());
  EXPECT_FALSE(spearman(two, two).has_value());
  EXPECT_THROW(spearman(two, rising), base::UserError);
}

TEST(RankCorrelation, HasScipysExactPermutationPValue) {
  int checked = 0;
  for (const base::Json& made : golden()) {
    if (!made.contains("p")) continue;
    const auto found = rank_correlation(numbers(made["x"]), numbers(made["y"]), 3);
    ASSERT_TRUE(found.has_value());
    EXPECT_NEAR(found->p_value, made["p"].get<double>(), 1e-12) << made.dump();
    ++checked;
  }
  EXPECT_GE(checked, 5);
}

TEST(RankCorrelation, DrawsOrdersWhereThereAreTooManyToTryAll) {
  std::vector<double> x, y;
  for (int i = 0; i < 10; ++i) {
    x.push_back(i);
    y.push_back(i * i);
  }
  const auto strong = rank_correlation(x, y, 1);
  ASSERT_TRUE(strong.has_value());
  EXPECT_EQ(strong->value, 1);
  EXPECT_LT(strong->p_value, 0.001);
  EXPECT_GT(strong->p_value, 0);
}

TEST(RankCorrelation, HasAnIntervalThatUsuallyHoldsTheTruth) {
  // Pairs whose true Spearman correlation is 0: 30 sets of 15.
  base::Random random{7};
  int held = 0;
  double p = 0;
  for (int set = 0; set < 30; ++set) {
    std::vector<double> x, y;
    for (int i = 0; i < 15; ++i) {
      x.push_back(random.normal());
      y.push_back(random.normal());
    }
    const auto found = rank_correlation(x, y, static_cast<std::uint64_t>(set));
    ASSERT_TRUE(found.has_value());
    EXPECT_LE(found->low, found->value);
    EXPECT_GE(found->high, found->value);
    held += found->low <= 0 && found->high >= 0 ? 1 : 0;
    p += found->p_value / 30;
  }
  EXPECT_GE(held, 25);
  EXPECT_NEAR(p, 0.5, 0.15);
}

TEST(CorrelationDifference, TellsAGoodPredictorFromABadOne) {
  base::Random random{11};
  std::vector<double> good, bad, outcome;
  for (int i = 0; i < 20; ++i) {
    outcome.push_back(i);
    good.push_back(i + random.normal());
    bad.push_back(random.normal());
  }
  const auto difference = correlation_difference(good, bad, outcome, 0);
  ASSERT_TRUE(difference.has_value());
  EXPECT_GT(difference->low, 0);
  EXPECT_NEAR(difference->value, *spearman(good, outcome) - *spearman(bad, outcome), 1e-12);
  const auto same = correlation_difference(good, good, outcome, 0);
  ASSERT_TRUE(same.has_value());
  EXPECT_EQ(same->low, 0);
  EXPECT_EQ(same->high, 0);
}

}  // namespace
}  // namespace whet::analysis
