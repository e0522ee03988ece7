// Solving against checking: rates, intervals and the advice that follows from them.
#include "analysis/asymmetry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

using testing::HasSubstr;

JudgedResponse response(bool correct, int says_true, int readings = 1, std::string kind = "wrong") {
  JudgedResponse made;
  made.correct = correct;
  made.kind = correct ? "" : std::move(kind);
  made.says_true = says_true;
  made.readings = readings;
  return made;
}

/// `problems` problems of 8 responses; right ones with chance `accuracy`, called True with the given chances.
std::vector<JudgedProblem> simulated(int problems, double accuracy, double true_rate, double false_rate,
                                     std::uint64_t seed = 1) {
  base::Random random{seed};
  std::vector<JudgedProblem> made(static_cast<std::size_t>(problems));
  for (JudgedProblem& problem : made) {
    for (int i = 0; i < 8; ++i) {
      const bool correct = random.uniform() < accuracy;
      problem.responses.push_back(response(correct, random.uniform() < (correct ? true_rate : false_rate) ? 1 : 0));
    }
  }
  return made;
}

TEST(Asymmetry, CountsByHand) {
  std::vector<JudgedProblem> problems(2);
  problems[0].responses = {response(true, 1, 2), response(true, 2, 2), response(false, 0, 2, "near"),
                           response(false, 1, 2, "far")};
  problems[0].majority_correct = true;
  problems[1].responses = {response(true, 0, 2), response(false, 2, 2, "near"), response(false, 2, 2, "far")};
  problems[1].responses.push_back(response(false, 0, 2, "no answer"));
  problems[1].responses.back().asked = false;
  problems[0].responses[0].unreadable = 1;
  const Asymmetry result = asymmetry(problems, 0);
  EXPECT_EQ(result.problems, 2);
  EXPECT_EQ(result.responses, 8);
  EXPECT_EQ(result.asked, 7);
  EXPECT_DOUBLE_EQ(result.accuracy.value, (.5 + .25) / 2);
  EXPECT_DOUBLE_EQ(result.majority.value, .5);
  EXPECT_DOUBLE_EQ(result.true_positive_rate->value, (.5 + 1 + 0) / 3);
  EXPECT_DOUBLE_EQ(result.false_positive_rate->value, (0 + .5 + 1 + 1 + 0) / 5);
  EXPECT_DOUBLE_EQ(result.informedness->value, .5 - .5);
  EXPECT_DOUBLE_EQ(result.advantage->value, 0 - 3.0 / 8);
  EXPECT_DOUBLE_EQ(*result.precision, 1.5 / (1.5 + 2.5));
  EXPECT_DOUBLE_EQ(*result.unreadable, 1.0 / 14);
  EXPECT_DOUBLE_EQ(result.chosen.value, (1 + 0) / 2.0) << "the one with both readings True; two wrong ones";
  EXPECT_DOUBLE_EQ(result.chosen_minus_majority.value, 0);
  ASSERT_EQ(result.kinds.size(), 3u);
  EXPECT_EQ(result.kinds[0].kind, "far");
  EXPECT_EQ(result.kinds[0].responses, 2);
  EXPECT_DOUBLE_EQ(result.kinds[0].says_true.value, .75);
  EXPECT_EQ(result.kinds[2].kind, "no answer");
  EXPECT_DOUBLE_EQ(result.kinds[2].says_true.value, 0);
}

TEST(Asymmetry, AVerifierThatLikesAllAlikeChoosesAtRandom) {
  auto problems = simulated(50, .4, 1, 1);
  const Asymmetry result = asymmetry(problems, 0);
  EXPECT_NEAR(result.chosen.value, result.accuracy.value, 1e-12);
  EXPECT_NEAR(result.chosen_minus_accuracy.high, 0, 1e-12);
  EXPECT_EQ(result.informedness->value, 0);
}

TEST(Asymmetry, IntervalsHoldTheTruthMostOfTheTimeAndNeverHaveNoWidth) {
  int true_held = 0, false_held = 0, informed_held = 0;
  constexpr int kTrials = 100;
  for (int trial = 0; trial < kTrials; ++trial) {
    const Asymmetry result = asymmetry(simulated(60, .5, .8, .1, 100 + static_cast<std::uint64_t>(trial)), 0);
    true_held += result.true_positive_rate->low <= .8 && .8 <= result.true_positive_rate->high ? 1 : 0;
    false_held += result.false_positive_rate->low <= .1 && .1 <= result.false_positive_rate->high ? 1 : 0;
    informed_held += result.informedness->low <= .7 && .7 <= result.informedness->high ? 1 : 0;
  }
  // 95 of 100 expected; fewer than 86 has a chance below 1e-3.
  EXPECT_GE(true_held, 86);
  EXPECT_GE(false_held, 86);
  EXPECT_GE(informed_held, 86);

  const Asymmetry perfect = asymmetry(simulated(20, .5, 1, 0), 0);
  EXPECT_EQ(perfect.true_positive_rate->value, 1);
  EXPECT_LT(perfect.true_positive_rate->low, .99);
  EXPECT_GT(perfect.false_positive_rate->high, .01);
}

TEST(Advice, FollowsItsCriterion) {
  const auto of = [](const std::vector<JudgedProblem>& problems) { return advise(asymmetry(problems, 0)); };
  const Advice good = of(simulated(200, .3, .95, .05));
  EXPECT_EQ(good.easier, Answer::kYes);
  EXPECT_EQ(good.worth, Answer::kYes) << fmt::format("{}", fmt::join(good.reasons, "; "));

  const Advice coin = of(simulated(200, .3, .5, .5));
  EXPECT_EQ(coin.easier, Answer::kNo);
  EXPECT_NE(coin.worth, Answer::kYes);

  const Advice worse = of(simulated(200, .3, .3, .7));
  EXPECT_EQ(worse.worth, Answer::kNo);

  const Advice solver = of(simulated(200, .97, .8, .4));
  EXPECT_EQ(solver.easier, Answer::kNo) << "who nearly always solves gains nothing by checking";

  for (const int few : {2, 19}) {
    const Advice unclear = of(simulated(few, .5, .9, .1));
    EXPECT_EQ(unclear.worth, Answer::kUnclear);
    EXPECT_EQ(unclear.easier, Answer::kUnclear);
    EXPECT_THAT(unclear.reasons.at(0), HasSubstr("want at least 20"));
  }
}

TEST(Advice, OneKindOfErrorThatPassesSpoilsIt) {
  auto problems = simulated(200, .4, .9, .05);
  for (std::size_t p = 0; p < 40; ++p) problems[p].responses.push_back(response(false, 1, 1, "doubled"));
  const Advice advice = advise(asymmetry(problems, 0));
  EXPECT_EQ(advice.easier, Answer::kYes);
  EXPECT_EQ(advice.worth, Answer::kNo);
  EXPECT_THAT(fmt::format("{}", fmt::join(advice.reasons, "\n")),
              HasSubstr("fails: 'doubled' passes at a rate of 1.000"));

  problems = simulated(200, .4, .9, .05);
  problems[0].responses.push_back(response(false, 1, 1, "doubled"));
  const Advice rare = advise(asymmetry(problems, 0));
  EXPECT_EQ(rare.worth, Answer::kYes);
  EXPECT_THAT(fmt::format("{}", fmt::join(rare.reasons, "\n")), HasSubstr("'doubled' was seen only 1 times"));
}

TEST(Advice, VerdictsThatCannotBeReadSpoilIt) {
  auto problems = simulated(200, .4, .9, .05);
  for (JudgedProblem& problem : problems) {
    for (std::size_t i = 0; i < 3; ++i) {
      problem.responses[i].says_true = 0;
      problem.responses[i].unreadable = 1;
    }
  }
  EXPECT_EQ(advise(asymmetry(problems, 0)).worth, Answer::kNo);
}

TEST(Advice, WithoutRightOrWrongAnswersThereIsNothingToCompare) {
  EXPECT_EQ(advise(asymmetry(simulated(30, 1, .9, 0), 0)).worth, Answer::kNo);
  const Asymmetry hopeless = asymmetry(simulated(30, 0, 0, .5), 0);
  EXPECT_FALSE(hopeless.true_positive_rate || hopeless.informedness);
  EXPECT_EQ(advise(hopeless).worth, Answer::kUnclear);
  EXPECT_THROW(asymmetry({}, 0), base::UserError);
  EXPECT_THROW(asymmetry({JudgedProblem{}}, 0), base::UserError);
}

}  // namespace
}  // namespace whet::analysis
