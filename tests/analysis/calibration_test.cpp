// Calibration measures against their definitions, counted out over all pairs.
#include "analysis/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

struct Sampled {
  std::vector<double> scores;
  std::vector<bool> correct;
};

/// Coarse scores, so that ties are common.
Sampled sampled(std::uint64_t seed, int n) {
  base::Random random{seed};
  Sampled result;
  for (int i = 0; i < n; ++i) {
    result.correct.push_back(random.uniform() < 0.4);
    result.scores.push_back(static_cast<double>(random.below(6)) / 5 + (result.correct.back() ? 0.2 : 0.0));
  }
  return result;
}

TEST(Auroc, IsTheShareOfPairsInTheRightOrder) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto [scores, correct] = sampled(seed, 25);
    double wins = 0, pairs = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      for (std::size_t j = 0; j < scores.size(); ++j) {
        if (!correct[i] || correct[j]) continue;
        ++pairs;
        wins += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
      }
    }
    ASSERT_GT(pairs, 0);
    EXPECT_NEAR(*auroc(scores, correct), wins / pairs, 1e-12);
  }
}

TEST(Auroc, ReadsOnlyTheOrderAndMirrors) {
  auto [scores, correct] = sampled(3, 40);
  const double plain = *auroc(scores, correct);
  for (double& score : scores) score = std::exp(3 * score);
  EXPECT_EQ(*auroc(scores, correct), plain);
  for (double& score : scores) score = -score;
  EXPECT_NEAR(*auroc(scores, correct), 1 - plain, 1e-12);
  EXPECT_EQ(*auroc({1, 1, 1}, {true, false, true}), 0.5);
  EXPECT_EQ(*auroc({0.1, 0.9}, {false, true}), 1);
}

TEST(Auroc, IsAbsentWithoutBothKinds) {
  EXPECT_FALSE(auroc({0.1, 0.2}, {true, true}));
  EXPECT_FALSE(auroc({}, {}));
}

TEST(PointBiserial, IsTheTextbookFormulaOfGroupMeans) {
  // r = (M1 - M0) / s_n * sqrt(n1 n0 / n^2), s_n the deviation with n in the denominator.
  const std::vector<double> scores{1, 2, 4, 8, 3};
  const std::vector<bool> correct{false, true, true, true, false};
  const double m1 = 14.0 / 3, m0 = 2, mean = 3.6;
  double variance = 0;
  for (const double score : scores) variance += (score - mean) * (score - mean) / 5;
  EXPECT_NEAR(*point_biserial(scores, correct), (m1 - m0) / std::sqrt(variance) * std::sqrt(6.0 / 25), 1e-12);
  EXPECT_NEAR(*point_biserial({0, 1, 1}, {false, true, true}), 1, 1e-12);
  EXPECT_NEAR(*point_biserial({5, 3}, {false, true}), -1, 1e-12);
}

TEST(PointBiserial, IsAbsentWhereNothingVaries) {
  EXPECT_FALSE(point_biserial({0.1, 0.1, 0.1}, {true, false, true}));
  EXPECT_FALSE(point_biserial({0.1, 0.2}, {false, false}));
  EXPECT_FALSE(point_biserial({}, {}));
}

TEST(Reliability, SortsSamplesIntoBinsAndCountsEachOnce) {
  const auto bins = reliability({0, 0.05, 0.1, 0.3, 0.95, 1}, {false, true, true, false, true, true});
  ASSERT_EQ(bins.size(), 10u);
  EXPECT_EQ(bins[0].count, 2);
  EXPECT_NEAR(bins[0].confidence, 0.025, 1e-12);
  EXPECT_NEAR(bins[0].accuracy, 0.5, 1e-12);
  EXPECT_EQ(bins[1].count, 1);  // 0.1 belongs to [0.1, 0.2)
  EXPECT_EQ(bins[3].count, 1);
  EXPECT_EQ(bins[9].count, 2);  // 1 belongs to the last
  // (2 * .475 + .9 + .3 + 2 * .025) / 6
  EXPECT_NEAR(*expected_calibration_error(bins), (0.95 + 0.9 + 0.3 + 0.05) / 6, 1e-12);
}

TEST(Reliability, EveryBinBoundBelongsToTheBinAbove) {
  for (int count = 1; count <= 60; ++count) {
    std::vector<double> bounds;
    for (int b = 0; b < count; ++b) bounds.push_back(static_cast<double>(b) / count);
    for (const auto& bin : reliability(bounds, std::vector<bool>(bounds.size()), count)) EXPECT_EQ(bin.count, 1);
  }
}

TEST(ExpectedCalibrationError, IsZeroForTheCalibratedAndSmallForASampleOfThem) {
  base::Random random{4};
  std::vector<double> confidences;
  std::vector<bool> correct;
  for (int i = 0; i < 20000; ++i) {
    confidences.push_back(random.uniform());
    correct.push_back(random.uniform() < confidences.back());
  }
  EXPECT_LT(*expected_calibration_error(reliability(confidences, correct)), 0.02);
  for (std::size_t i = 0; i < correct.size(); ++i) correct[i] = false;
  EXPECT_NEAR(*expected_calibration_error(reliability(confidences, correct)), 0.5, 0.01);
  EXPECT_EQ(*expected_calibration_error(reliability({1, 0}, {true, false})), 0);
  EXPECT_FALSE(expected_calibration_error(reliability({}, {})));
}

TEST(BootstrapProblems, DrawsWholeProblemsSoThatCopiesOfASampleTellNothingNew) {
  std::vector<ScoredProblem> single, repeated;
  base::Random random{7};
  for (int p = 0; p < 60; ++p) {
    const double score = random.uniform();
    const bool right = random.uniform() < score;
    single.push_back({{score}, {right}});
    repeated.push_back({std::vector<double>(8, score), std::vector<bool>(8, right)});
  }
  const auto once = bootstrap_problems(single, auroc, 1), often = bootstrap_problems(repeated, auroc, 1);
  EXPECT_NEAR(once->value, often->value, 1e-12);
  EXPECT_NEAR(once->low, often->low, 1e-12);
  EXPECT_NEAR(once->high, often->high, 1e-12);
  EXPECT_LT(once->low, once->value);
  EXPECT_GT(once->high, once->value);
}

TEST(BootstrapProblems, CoversTheTruthAboutNineteenTimesInTwenty) {
  // A score of N(1, 1) where right and N(0, 1) where wrong: AUROC = Phi(1 / sqrt 2).
  const double truth = 0.5 * std::erfc(-0.5);
  int covered = 0;
  constexpr int kTrials = 200;
  for (std::uint64_t trial = 0; trial < kTrials; ++trial) {
    base::Random random{trial, 99};
    std::vector<ScoredProblem> problems(40);
    for (ScoredProblem& problem : problems) {
      problem.correct = {random.uniform() < 0.5};
      problem.scores = {random.normal() + (problem.correct[0] ? 1 : 0)};
    }
    const auto estimate = bootstrap_problems(problems, auroc, trial);
    covered += estimate->low <= truth && truth <= estimate->high ? 1 : 0;
  }
  // Percentile intervals of 40 problems are a little short; 0.87 is five standard errors below 0.95.
  EXPECT_GE(covered, 0.87 * kTrials);
  EXPECT_LT(covered, kTrials);
}

TEST(BootstrapProblems, IsAbsentWithTheMeasureAndNeedsTwoProblems) {
  EXPECT_FALSE(bootstrap_problems({{{0.1}, {true}}, {{0.2}, {true}}}, auroc, 0));
  EXPECT_THROW(bootstrap_problems({{{0.1, 0.2}, {true, false}}}, auroc, 0), base::UserError);
  EXPECT_THROW(bootstrap_problems({{{0.1}, {}}, {{0.2}, {true}}}, auroc, 0), base::UserError);
}

const base::Json& golden() {
  static const base::Json cases =
      base::read_json_file(std::filesystem::path(WHET_SOURCE_DIR) / "tests/golden/within.json");
  return cases;
}

std::vector<ScoredProblem> problems_of(const base::Json& made) {
  std::vector<ScoredProblem> problems;
  for (const base::Json& problem : made.at("problems")) {
    problems.push_back(
        {problem.at("scores").get<std::vector<double>>(), problem.at("correct").get<std::vector<bool>>()});
  }
  return problems;
}

TEST(WithinProblems, AreWhatAllPairsAndTheDeviationsFromEachMeanGive) {
  for (const base::Json& made : golden()) {
    const auto problems = problems_of(made);
    EXPECT_NEAR(auroc_within(problems, 0)->value, made.at("auroc").get<double>(), 1e-12);
    EXPECT_NEAR(point_biserial_within(problems, 0)->value, made.at("point_biserial").get<double>(), 1e-12);
    EXPECT_EQ(mixed_problems(problems), made.at("mixed").get<std::int64_t>());
  }
}

TEST(WithinProblems, DoNotSeeWhatAllSamplesOfAProblemShare) {
  // Right rollouts are the less certain ones of every problem, but easy problems are the more certain ones: together the
  // confidence looks good, and training on it goes the wrong way.
  std::vector<ScoredProblem> problems;
  for (int p = 0; p < 10; ++p) {
    const bool easy = p < 5;
    const double level = easy ? 10 : 0;
    problems.push_back({{level, level + 1, level + 1, level}, {true, easy, false, easy}});
  }
  // Of 20 x 20 pairs 225 are right of an easy problem and wrong of a hard one, all won; within a problem it is 1 of 6.
  EXPECT_NEAR(bootstrap_problems(problems, auroc, 0)->value, 250.0 / 400, 1e-12);
  EXPECT_NEAR(auroc_within(problems, 0)->value, 1.0 / 6, 1e-12);
  EXPECT_LT(point_biserial_within(problems, 0)->high, 0);
}

TEST(WithinProblems, AreAbsentWhereNoProblemHasBothOrScoresDoNotVary) {
  const std::vector<ScoredProblem> sure = {{{1, 2}, {true, true}}, {{3, 4}, {false, false}}};
  EXPECT_FALSE(auroc_within(sure, 0));
  EXPECT_FALSE(point_biserial_within(sure, 0));
  EXPECT_EQ(mixed_problems(sure), 0);
  // Three times 0.1 has a mean that is not 0.1.
  const std::vector<ScoredProblem> flat = {{{0.1, 0.1, 0.1}, {true, false, true}},
                                           {{0.3, 0.3, 0.3}, {true, false, false}}};
  EXPECT_EQ(auroc_within(flat, 0)->value, 0.5);
  EXPECT_FALSE(point_biserial_within(flat, 0));
  EXPECT_THROW(auroc_within({{{1, 2}, {true, false}}}, 0), base::UserError);
  EXPECT_THROW(point_biserial_within({{{1}, {}}, {{2}, {true}}}, 0), base::UserError);
}

TEST(WithinProblems, IntervalsComeFromDrawsOfProblems) {
  // Half of the problems are in the right order throughout, half in the wrong one: a draw's value is its share of the
  // former, so the interval is that of ten coin tosses.
  std::vector<ScoredProblem> problems;
  for (int p = 0; p < 10; ++p)
    problems.push_back(
        {{0, 1, 0, 1},
         p < 5 ? std::vector<bool>{false, true, false, true} : std::vector<bool>{true, false, true, false}});
  const auto estimate = auroc_within(problems, 4);
  EXPECT_EQ(estimate->value, 0.5);
  EXPECT_NEAR(estimate->low, 0.2, 0.1001);
  EXPECT_NEAR(estimate->high, 0.8, 0.1001);
}

TEST(JudgeAlignment, NeedsTheWholeIntervalOnOneSideOfAHalf) {
  EXPECT_EQ(judge_alignment({0.7, 0.51, 0.8}), Alignment::kWorthSharpening);
  EXPECT_EQ(judge_alignment({0.3, 0.2, 0.49}), Alignment::kMostlyWrong);
  EXPECT_EQ(judge_alignment({0.7, 0.5, 0.9}), Alignment::kCannotTell);
  EXPECT_EQ(judge_alignment({0.3, 0.1, 0.5}), Alignment::kCannotTell);
}

TEST(Calibration, RefusesWhatDoesNotFit) {
  EXPECT_THROW(auroc({1}, {}), base::UserError);
  EXPECT_THROW(auroc({std::numeric_limits<double>::quiet_NaN()}, {true}), base::UserError);
  EXPECT_THROW(reliability({1.1}, {true}), base::UserError);
  EXPECT_THROW(reliability({0.5}, {true}, 0), base::UserError);
}

}  // namespace
}  // namespace whet::analysis
