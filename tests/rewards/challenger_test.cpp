// What a proposer of questions is paid.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/random.h"
#include "rewards/challenger.h"
#include "tests/rewards/evidence.h"

namespace whet::rewards {
namespace {

TEST(ProposerPay, IsLargestWhereTheSolverIsOfTwoMinds) {
  const std::vector<Proposal> proposals{
      {"add 3 and 4", 0.5}, {"sort these letters", 1}, {"how many edges", 0.25}, {std::nullopt, 0.5}};
  const auto pay = proposer_pay(proposals);
  EXPECT_DOUBLE_EQ(pay[0], 0.5 - 0.25);
  EXPECT_DOUBLE_EQ(pay[1], 0 - 0.25);
  EXPECT_DOUBLE_EQ(pay[2], 0.25 - 0.25);
  EXPECT_EQ(pay[3], -1);  // malformed, whatever its agreement says
  EXPECT_DOUBLE_EQ(proposer_pay(proposals, 0)[0], 0.5);
}

TEST(ProposerPay, FinesQuestionsThatAreAlike) {
  const std::vector<Proposal> proposals{{"what is the sum of 3 and 4 ?", 0.5},
                                        {"what is the sum of 3 and 5 ?", 0.5},
                                        {"name a prime above ten", 0.5},
                                        {"what is the sum of 9 and 5 ?", 0.5}};
  const auto pay = proposer_pay(proposals);
  EXPECT_DOUBLE_EQ(pay[0], 0.5 - 0.75);
  EXPECT_DOUBLE_EQ(pay[1], pay[0]);
  EXPECT_DOUBLE_EQ(pay[3], pay[0]);  // alike to the second: in the cluster whatever it is to the first
  EXPECT_DOUBLE_EQ(pay[2], 0.5 - 0.25);
}

TEST(ProposerPay, FollowsTheOrderOfTheBatch) {
  std::vector<Proposal> proposals{{"what is the sum of 3 and 4 ?", 0.5},
                                  {"what is the sum of 3 and 5 ?", 0.75},
                                  {"name a prime above ten", 0.4},
                                  {std::nullopt, 0},
                                  {"", 1}};
  const auto before = proposer_pay(proposals);
  std::vector<std::size_t> order{0, 1, 2, 3, 4};
  base::Random random{1};
  for (int trial = 0; trial < 20; ++trial) {
    random.shuffle(order);
    std::vector<Proposal> shuffled;
    for (const std::size_t i : order) shuffled.push_back(proposals[i]);
    const auto after = proposer_pay(shuffled);
    for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(after[i], before[order[i]]);
  }
}

TEST(ProposerPay, RefusesAnAgreementThatIsNone) {
  for (const double s : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    const std::vector<Proposal> proposals{{"a b", 0.5}, {"c d", s}};
    EXPECT_THROW(proposer_pay(proposals), base::RunError);
  }
  EXPECT_TRUE(proposer_pay({}).empty());
}

TEST(Similarity, IsOneForTheSameWordsAndNothingForNone) {
  EXPECT_DOUBLE_EQ(similarity("add 3 + 4", "add  3+4"), 1);
  EXPECT_EQ(similarity("add 3", "take away"), 0);
  EXPECT_EQ(similarity("", "a"), 0);
  EXPECT_EQ(similarity("a", "a"), 1);
  EXPECT_EQ(similarity("a b c d e", "a b c x y"), similarity("a b c x y", "a b c d e"));
}

TEST(Similarity, IsBleu) {
  // By hand: 3 of 4 words, 2 of 3 pairs, 1 of 2 triples, 0.1 of 1 quadruple; equal lengths, so no brevity penalty.
  EXPECT_NEAR(similarity("a b c d", "a b c x"), std::pow(3. / 4 * 2. / 3 * 1. / 2 * 0.1, 0.25), 1e-12);
  // One way all matches (2/2, 1/1) times exp(1 - 3/2), the other 2/3 and 1/2.
  EXPECT_NEAR(similarity("a b", "a b c"), (std::exp(-0.5) + std::sqrt(2. / 3 / 2)) / 2, 1e-12);
}

TEST(Challenger, PaysTheVoteOnlyWhereTheSolverIsOfTwoMinds) {
  OwnedGroup divided, agreed, lost;
  for (int i = 0; i < 10; ++i) {
    divided.add(i < 5 ? 0 : 1 + i, i < 5 ? "7" : std::string(1, static_cast<char>('a' + i)), {-1});
    agreed.add(i < 8 ? 0 : 1, i < 8 ? "7" : "8", {-1});
    lost.add(i < 2 ? 0 : 1 + i, i < 2 ? "7" : std::string(1, static_cast<char>('a' + i)), {-1});
  }
  const RewardOptions options;
  const Scored paid = score("challenger", divided.group(), options);
  EXPECT_EQ(paid.reward, (std::vector<double>{1, 1, 1, 1, 1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(paid.label_class, 0);
  for (OwnedGroup* group : {&agreed, &lost}) {
    EXPECT_EQ(score("challenger", group->group(), options).reward, std::vector<double>(10, 0.0));
  }
  RewardOptions crossed;
  crossed.agreement_low = 0.8;
  EXPECT_THROW(rewards().find("challenger").make(crossed), base::UserError);
}

TEST(TeachesSolver, TakesTheMiddle) {
  EXPECT_TRUE(teaches_solver(0.3));
  EXPECT_TRUE(teaches_solver(0.7));
  EXPECT_FALSE(teaches_solver(0.29));
  EXPECT_FALSE(teaches_solver(1));
}

}  // namespace
}  // namespace whet::rewards
