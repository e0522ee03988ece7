// Rewards: laws that every registered one obeys, and values by hand.
#include "rewards/reward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "tests/rewards/evidence.h"

namespace whet::rewards {
namespace {

/// Seven responses with two absent answers, one of them without a token; others vote where the reward wants others.
OwnedGroup mixed_group(const std::string& reward) {
  OwnedGroup owned;
  owned.add(0, "7", {-0.5f, -0.25f});
  owned.add(1, "8", {-1, -0.125f, -0.5f});
  owned.add(-1, "", {-2});
  owned.add(1, "8", {-0.75f});
  owned.add(-1, "", {});  // zero tokens
  owned.add(2, "9", {-3, -0.5f, -0.25f, -0.125f});
  owned.add(0, "7", {-0.375f, -0.375f});
  if (needs_ballots(rewards().find(reward))) {
    owned.add_ballot({{0, "7"}, {-1, ""}, {1, "8"}, {0, "7"}, {3, "12"}});
  }
  return owned;
}

class EveryReward : public testing::TestWithParam<std::string> {};

TEST_P(EveryReward, FollowsTheOrderOfItsGroup) {
  OwnedGroup owned = mixed_group(GetParam());
  const Scored before = score(GetParam(), owned.group());
  ASSERT_EQ(before.reward.size(), 7u);
  std::vector<std::size_t> order(7);
  std::iota(order.begin(), order.end(), std::size_t{0});
  base::Random random{5};
  for (int trial = 0; trial < 50; ++trial) {
    random.shuffle(order);
    Group shuffled{.samples = {}, .ballots = owned.group().ballots};
    for (const std::size_t i : order) shuffled.samples.push_back(owned.group().samples[i]);
    const Scored after = score(GetParam(), shuffled);
    EXPECT_EQ(after.label_class, before.label_class);
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(after.reward[i], before.reward[order[i]]);
      EXPECT_EQ(after.within_group()[i], before.within_group()[order[i]]);
    }
  }
}

TEST_P(EveryReward, DoesNotDependOnTheOrderOfTheVotes) {
  OwnedGroup owned = mixed_group(GetParam());
  if (!needs_ballots(rewards().find(GetParam()))) {
    if (rewards().find(GetParam()).needs.votes != Votes::kOwn) return;
    owned.add_ballot({{0, "7"}, {-1, ""}, {1, "8"}, {0, "7"}, {3, "12"}});
  }
  const Scored before = score(GetParam(), owned.group());
  base::Random random{6};
  for (int trial = 0; trial < 20; ++trial) {
    random.shuffle(owned.group().ballots[0].votes);
    const Scored after = score(GetParam(), owned.group());
    EXPECT_EQ(after.reward, before.reward);
    EXPECT_EQ(after.label_class, before.label_class);
  }
}

TEST_P(EveryReward, DoesNotDependOnHowClassesAreNumbered) {
  OwnedGroup owned = mixed_group(GetParam());
  const Scored before = score(GetParam(), owned.group());
  const auto renumber = [](auto& answers) {
    for (auto& answer : answers) {
      if (answer.answer_class >= 0) answer.answer_class = 10 - answer.answer_class;
    }
  };
  renumber(owned.group().samples);
  for (Ballot& ballot : owned.group().ballots) renumber(ballot.votes);
  EXPECT_EQ(score(GetParam(), owned.group()).reward, before.reward);
}

TEST_P(EveryReward, ScoresAGroupOfOne) {
  OwnedGroup owned;
  owned.add(0, "7", {-0.5f, -0.5f});
  if (needs_ballots(rewards().find(GetParam()))) owned.add_ballot({{0, "7"}});
  const Scored scored = score(GetParam(), owned.group());
  ASSERT_EQ(scored.reward.size(), 1u);
  EXPECT_TRUE(std::isfinite(scored.reward[0]));
}

TEST_P(EveryReward, PaysNothingInAGroupWithoutAnswersIfItReadsAnswers) {
  OwnedGroup owned;
  for (int i = 0; i < 3; ++i) owned.add(-1, "", {-0.5f, -0.25f * static_cast<float>(i)}).verdicts = {true};
  const RewardEntry& entry = rewards().find(GetParam());
  if (needs_ballots(entry)) owned.add_ballot({{0, "7"}, {0, "7"}, {-1, ""}});
  const Scored scored = score(GetParam(), owned.group());
  ASSERT_EQ(scored.reward.size(), 3u);
  if (entry.needs.answers) {
    EXPECT_THAT(scored.reward, testing::Each(0.0));
  } else {
    for (const double reward : scored.reward) EXPECT_TRUE(std::isfinite(reward));
  }
}

TEST_P(EveryReward, HasNoLabelAndPaysNothingWhenNoVoterAnswers) {
  const RewardEntry& entry = rewards().find(GetParam());
  if (entry.needs.votes == Votes::kNone) return;
  OwnedGroup owned;
  owned.add(0, "7", {-0.5f});
  owned.add(1, "8", {-0.5f});
  owned.add_ballot({{-1, ""}, {-1, ""}});
  const Scored scored = score(GetParam(), owned.group());
  EXPECT_EQ(scored.label_class, -1);
  EXPECT_THAT(scored.reward, testing::Each(0.0));
}

TEST_P(EveryReward, IsDescribed) {
  const RewardEntry& entry = rewards().find(GetParam());
  EXPECT_THAT(entry.family, testing::AnyOf("certainty", "ensemble", "external", "control"));
  for (const std::string* text :
       {&entry.formula, &entry.source, &entry.failure, &entry.cost.forward_passes, &entry.cost.extra_rollouts}) {
    EXPECT_FALSE(text->empty());
  }
  EXPECT_EQ(entry.intrinsic(), entry.form.has_value());
  EXPECT_EQ(entry.family == "ensemble", entry.needs.votes != Votes::kNone);
}

TEST_P(EveryReward, NeverPaysAnEmptyResponseMoreThanTheRest) {
  if (GetParam() == "random") return;  // a coin is allowed to
  OwnedGroup owned = mixed_group(GetParam());
  const Scored scored = score(GetParam(), owned.group());
  const std::size_t empty = 4;
  EXPECT_EQ(scored.reward[empty], *std::min_element(scored.reward.begin(), scored.reward.end()));
  EXPECT_EQ(scored.within_group()[empty],
            *std::min_element(scored.within_group().begin(), scored.within_group().end()));
}

TEST_P(EveryReward, IsBinaryIfItSaysSo) {
  OwnedGroup owned = mixed_group(GetParam());
  const Scored scored = score(GetParam(), owned.group());
  if (rewards().find(GetParam()).binary) {
    EXPECT_THAT(scored.reward, testing::Each(testing::AnyOf(0.0, 1.0)));
  } else {
    EXPECT_THAT(scored.reward, testing::Contains(testing::Not(testing::AnyOf(0.0, 1.0))));
  }
}

TEST_P(EveryReward, AsksForWhatItNeeds) {
  OwnedGroup owned = mixed_group(GetParam());
  for (Sample& sample : owned.group().samples) {
    sample.logprob = sample.entropy = sample.self_certainty = sample.gap = {};
    sample.correct.reset();
    sample.checked.reset();
    sample.length.reset();
    sample.verdicts.clear();
  }
  owned.group().ballots.clear();
  const RewardEntry& entry = rewards().find(GetParam());
  const Needs& needs = entry.needs;
  if (needs.label || needs.token_stats || needs.checker || needs.length || needs.verdicts || needs_ballots(entry)) {
    try {
      score(GetParam(), owned.group());
      FAIL() << "scored without what it needs";
    } catch (const base::UserError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("[" + GetParam() + "]"));
    }
  } else {
    EXPECT_EQ(score(GetParam(), owned.group()).reward.size(), 7u);
  }
}

TEST_P(EveryReward, AcceptsAGroupWithoutSamples) {
  Group group;
  if (needs_ballots(rewards().find(GetParam()))) group.ballots.emplace_back();
  EXPECT_TRUE(score(GetParam(), group).reward.empty());
}

TEST_P(EveryReward, RefusesWhatIsNotANumberInWhatItReads) {
  const RewardEntry& entry = rewards().find(GetParam());
  if (!entry.needs.token_stats && entry.needs.votes == Votes::kNone) return;
  OwnedGroup owned = mixed_group(GetParam());
  std::string culprit = "rollout 6";
  std::vector<float> broken{-0.5f, std::numeric_limits<float>::quiet_NaN()};
  if (needs_ballots(entry)) {
    owned.group().ballots[0].votes[3].logprob = std::numeric_limits<double>::quiet_NaN();
    culprit = "rollout 3";
  } else {
    Sample& sample = owned.group().samples[6];
    sample.logprob = sample.entropy = sample.self_certainty = sample.gap = broken;
  }
  try {
    score(GetParam(), owned.group());
    FAIL() << "scored what is not a number";
  } catch (const base::RunError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::StartsWith("[" + GetParam() + "]"), testing::HasSubstr(culprit)));
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryReward, testing::ValuesIn(rewards().names()), [](const auto& tested) {
  std::string name = tested.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Rewards, AreTheExpectedOnes) {
  EXPECT_THAT(rewards().names(),
              testing::IsSupersetOf({"self-certainty", "token-entropy", "trajectory-entropy", "probability",
                                     "probability-disparity", "majority-vote", "semantic-entropy", "pairwise-vote",
                                     "co-reward", "teacher-vote", "weighted-vote", "self-verification", "program",
                                     "ground-truth", "random", "format", "length"}));
}

TEST(GroundTruth, PaysTheRightAnswerWhateverTheMajoritySays) {
  OwnedGroup owned;
  owned.add(0, "7", {-1});
  owned.add(1, "8", {-1});
  owned.add(1, "8", {-1});
  const Scored scored = score("ground-truth", owned.group());
  EXPECT_EQ(scored.reward, (std::vector<double>{1, 0, 0}));
}

TEST(Format, PaysAnAnswer) {
  OwnedGroup owned = mixed_group("format");
  EXPECT_EQ(score("format", owned.group()).reward, (std::vector<double>{1, 1, 0, 1, 0, 1, 1}));
}

TEST(Coin, IsFairAndTossedForEachSampleAndStep) {
  OwnedGroup owned;
  for (int i = 0; i < 4; ++i) owned.add(0, "7", {-1});  // alike in everything
  double heads = 0;
  int mixed = 0;
  constexpr int kSteps = 2000;
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    base::Random random{step};
    const auto reward = rewards().find("random").make({})->score(owned.group(), random).reward;
    const double sum = std::accumulate(reward.begin(), reward.end(), 0.0);
    heads += sum;
    mixed += sum > 0 && sum < 4 ? 1 : 0;
  }
  EXPECT_NEAR(heads / (4 * kSteps), 0.5, 5 * 0.5 / std::sqrt(4.0 * kSteps));
  EXPECT_NEAR(mixed / static_cast<double>(kSteps), 7.0 / 8, 5 * std::sqrt(7.0 / 64 / kSteps));
}

}  // namespace
}  // namespace whet::rewards
