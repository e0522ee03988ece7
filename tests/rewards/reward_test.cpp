// Rewards: laws that every registered one obeys, and values by hand.
#include "rewards/reward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "rewards/vote.h"

namespace whet::rewards {
namespace {

/// A group that owns its arrays.
class OwnedGroup {
 public:
  /// Adds a response whose tokens have these values; an empty answer means none.
  Sample& add(int answer_class, const std::string& answer, const std::vector<float>& logprob) {
    const auto keep = [&](float scale, float shift) {
      std::vector<float> values = logprob;
      for (float& value : values) value = scale * value + shift;
      arrays_.push_back(std::move(values));
      return std::span<const float>(arrays_.back());
    };
    Sample sample;
    sample.answer_class = answer_class;
    sample.answer = answer;
    sample.logprob = keep(1, 0);
    sample.entropy = keep(-0.5f, 0.125f);
    sample.self_certainty = keep(0.25f, 3);
    sample.gap = keep(0.125f, 0.5f);
    sample.correct = answer == "7";
    group_.samples.push_back(sample);
    return group_.samples.back();
  }
  Group& group() { return group_; }

 private:
  std::deque<std::vector<float>> arrays_;  // a deque does not move what spans point to
  Group group_;
};

Scored score(const std::string& name, const Group& group) {
  base::Random random{1, 2};
  return rewards().find(name).make({})->score(group, random);
}

OwnedGroup mixed_group() {
  OwnedGroup owned;
  owned.add(0, "7", {-0.5f, -0.25f});
  owned.add(1, "8", {-1, -0.125f, -0.5f});
  owned.add(-1, "", {-2});
  owned.add(1, "8", {-0.75f});
  owned.add(-1, "", {});  // zero tokens
  owned.add(2, "9", {-3, -0.5f, -0.25f, -0.125f});
  owned.add(0, "7", {-0.375f, -0.375f});
  return owned;
}

class EveryReward : public testing::TestWithParam<std::string> {};

TEST_P(EveryReward, FollowsTheOrderOfItsGroup) {
  OwnedGroup owned = mixed_group();
  const Scored before = score(GetParam(), owned.group());
  ASSERT_EQ(before.reward.size(), 7u);
  std::vector<std::size_t> order(7);
  std::iota(order.begin(), order.end(), std::size_t{0});
  base::Random random{5};
  for (int trial = 0; trial < 50; ++trial) {
    random.shuffle(order);
    Group shuffled;
    for (const std::size_t i : order) shuffled.samples.push_back(owned.group().samples[i]);
    const Scored after = score(GetParam(), shuffled);
    EXPECT_EQ(after.label_class, before.label_class);
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(after.reward[i], before.reward[order[i]]);
      EXPECT_EQ(after.within_group()[i], before.within_group()[order[i]]);
    }
  }
}

TEST_P(EveryReward, DoesNotDependOnHowClassesAreNumbered) {
  OwnedGroup owned = mixed_group();
  const Scored before = score(GetParam(), owned.group());
  for (Sample& sample : owned.group().samples) {
    if (sample.answer_class >= 0) sample.answer_class = 10 - sample.answer_class;
  }
  EXPECT_EQ(score(GetParam(), owned.group()).reward, before.reward);
}

TEST_P(EveryReward, ScoresAGroupOfOne) {
  OwnedGroup owned;
  owned.add(0, "7", {-0.5f, -0.5f});
  const Scored scored = score(GetParam(), owned.group());
  ASSERT_EQ(scored.reward.size(), 1u);
  EXPECT_TRUE(std::isfinite(scored.reward[0]));
}

TEST_P(EveryReward, WithoutAnyAnswerNoAnswerIsPaid) {
  OwnedGroup owned;
  for (int i = 0; i < 3; ++i) owned.add(-1, "", {-0.5f, -0.25f * static_cast<float>(i)});
  const Scored scored = score(GetParam(), owned.group());
  EXPECT_EQ(scored.label_class, -1);
  ASSERT_EQ(scored.reward.size(), 3u);
  const RewardEntry& entry = rewards().find(GetParam());
  // Certainty and the coin do not read answers; all others pay nothing.
  if (entry.family == "certainty" || GetParam() == "random") {
    for (const double reward : scored.reward) EXPECT_TRUE(std::isfinite(reward));
  } else {
    EXPECT_THAT(scored.reward, testing::Each(0.0));
  }
}

TEST_P(EveryReward, NeverPaysAnEmptyResponseMoreThanTheRest) {
  if (GetParam() == "random") return;  // a coin is allowed to
  OwnedGroup owned = mixed_group();
  const Scored scored = score(GetParam(), owned.group());
  const std::size_t empty = 4;
  EXPECT_EQ(scored.reward[empty], *std::min_element(scored.reward.begin(), scored.reward.end()));
  EXPECT_EQ(scored.within_group()[empty],
            *std::min_element(scored.within_group().begin(), scored.within_group().end()));
}

TEST_P(EveryReward, IsBinaryIfItSaysSo) {
  OwnedGroup owned = mixed_group();
  const Scored scored = score(GetParam(), owned.group());
  if (rewards().find(GetParam()).binary) {
    EXPECT_THAT(scored.reward, testing::Each(testing::AnyOf(0.0, 1.0)));
  } else {
    EXPECT_THAT(scored.reward, testing::Contains(testing::Not(testing::AnyOf(0.0, 1.0))));
  }
}

TEST_P(EveryReward, AsksForWhatItNeeds) {
  OwnedGroup owned = mixed_group();
  for (Sample& sample : owned.group().samples) {
    sample.logprob = sample.entropy = sample.self_certainty = sample.gap = {};
    sample.correct.reset();
  }
  const RewardEntry& entry = rewards().find(GetParam());
  if (entry.needs.label || entry.needs.token_stats) {
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

TEST_P(EveryReward, AcceptsAGroupWithoutSamples) { EXPECT_TRUE(score(GetParam(), {}).reward.empty()); }

TEST_P(EveryReward, RefusesWhatIsNotANumberInWhatItReads) {
  const RewardEntry& entry = rewards().find(GetParam());
  if (!entry.needs.token_stats) return;
  OwnedGroup owned = mixed_group();
  std::vector<float> broken{-0.5f, std::numeric_limits<float>::quiet_NaN()};
  Sample& sample = owned.group().samples[6];
  sample.logprob = sample.entropy = sample.self_certainty = sample.gap = broken;
  try {
    score(GetParam(), owned.group());
    FAIL() << "scored what is not a number";
  } catch (const base::RunError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr(GetParam()), testing::HasSubstr("rollout 6")));
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryReward, testing::ValuesIn(rewards().names()), [](const auto& tested) {
  std::string name = tested.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Rewards, AreTheExpectedOnes) {
  EXPECT_THAT(rewards().names(),
              testing::IsSupersetOf({"majority-vote", "ground-truth", "self-certainty", "token-entropy",
                                     "trajectory-entropy", "probability", "semantic-entropy", "random", "format"}));
}

TEST(MajorityVote, PaysTheLargestClassOnly) {
  OwnedGroup owned;
  owned.add(0, "7", {-1});
  owned.add(1, "8", {-5});
  owned.add(-1, "", {-0.1f});
  owned.add(1, "8", {-5});
  owned.add(-1, "", {-0.1f});
  owned.add(-1, "", {-0.1f});
  const Scored scored = score("majority-vote", owned.group());
  EXPECT_EQ(scored.label_class, 1);  // three absent answers outvote nobody
  EXPECT_EQ(scored.reward, (std::vector<double>{0, 1, 0, 1, 0, 0}));
}

TEST(MajorityClass, BreaksATieByTheLargerSummedLogProbability) {
  OwnedGroup owned;
  owned.add(0, "1", {-1, -1});      // class 0: -2 - 0.5 = -2.5
  owned.add(1, "2", {-1.25f});      // class 1: -1.25 - 1 = -2.25
  owned.add(0, "1", {-0.5f});
  owned.add(1, "2", {-0.5f, -0.5f});
  EXPECT_EQ(majority_class(owned.group()), 1);
}

TEST(MajorityClass, BreaksAFullTieByTheSmallestAnswer) {
  OwnedGroup owned;
  owned.add(0, "8", {-1});
  owned.add(1, "12", {-1});
  EXPECT_EQ(majority_class(owned.group()), 1);  // byte order: "12" < "8"
  std::swap(owned.group().samples[0], owned.group().samples[1]);
  EXPECT_EQ(majority_class(owned.group()), 1);
}

TEST(MajorityClass, DoesNotLetRoundingPreferAnOrderOfArrival) {
  // Small to large these add up to -1 - 2.2e-16, large to small to -1; the classes are equally likely all the same.
  const std::vector<std::vector<float>> tokens{{-1e-16f}, {-1e-16f}, {-1}};
  OwnedGroup owned;
  for (std::size_t i = 0; i < 3; ++i) owned.add(0, "8", tokens[i]);
  for (std::size_t i = 3; i-- > 0;) owned.add(1, "7", tokens[i]);
  EXPECT_EQ(majority_class(owned.group()), 1);
  std::reverse(owned.group().samples.begin(), owned.group().samples.end());
  EXPECT_EQ(majority_class(owned.group()), 1);
}

TEST(MajorityClass, VotesWithoutLogProbabilities) {
  Group group;
  for (const char* answer : {"b", "a", "b", "a"}) {
    group.samples.push_back({});
    group.samples.back().answer = answer;
    group.samples.back().answer_class = answer[0] == 'b' ? 0 : 1;
  }
  EXPECT_EQ(majority_class(group), 1);
  EXPECT_EQ(count_votes(ballot_of(group.samples, "vote"), 0), 2u);
  EXPECT_EQ(count_votes(ballot_of(group.samples, "vote"), -1), 0u);
}

TEST(SemanticEntropy, PaysTheShareOfTheClass) {
  OwnedGroup owned = mixed_group();
  EXPECT_EQ(score("semantic-entropy", owned.group()).reward,
            (std::vector<double>{2. / 7, 2. / 7, 0, 2. / 7, 0, 1. / 7, 2. / 7}));
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
  OwnedGroup owned = mixed_group();
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
