// Signals of a step: a small batch counted by hand, and mutual information against its definition.
#include "analysis/signals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "base/random.h"

namespace whet::analysis {
namespace {

RolloutView rollout(int answer_class, std::string_view answer, double reward, std::optional<bool> correct = {}) {
  RolloutView view;
  view.answer_class = answer_class;
  view.answer = answer;
  view.reward = reward;
  view.correct = correct;
  return view;
}

/// Each text is a problem's answers, one letter a rollout; '-' is none.
std::vector<GroupView> batch(const std::vector<std::string>& texts) {
  static const std::string kLetters = "abcdefghijklmnopqrstuvwxyz";
  std::vector<GroupView> groups;
  for (const std::string& text : texts) {
    GroupView group;
    for (const char letter : text) {
      const int id = letter == '-' ? -1 : letter - 'a';
      const std::string_view answer = id < 0 ? "" : std::string_view(kLetters).substr(static_cast<std::size_t>(id), 1);
      group.rollouts.push_back(rollout(id, answer, 0));
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

TEST(StepSignals, CountsAMajorityVoteBatchByHand) {
  const std::vector<float> entropy{1, 0.5f}, logprob{-1, -2};
  const std::vector<std::int32_t> tokens{1, 2}, loop{5, 5, 5, 5, 5, 5};
  std::vector<GroupView> groups(2);
  groups[0].majority_class = 0;  // right
  groups[0].rollouts = {rollout(0, "7", 1, true), rollout(0, "7", 1, true), rollout(1, "8", 0, false),
                        rollout(-1, "", 0, false)};
  groups[1].majority_class = 0;  // wrong
  groups[1].rollouts = {rollout(0, "3", 1, false), rollout(0, "3", 1, false), rollout(0, "3", 1, false),
                        rollout(1, "4", 0, true)};
  groups[0].rollouts[0].entropy = entropy;
  groups[0].rollouts[0].logprob = logprob;
  groups[0].rollouts[0].tokens = tokens;
  groups[0].rollouts[3].tokens = loop;
  groups[0].rollouts[3].truncated = true;
  groups[1].rollouts[3].advantage = -1.5;

  const StepSignals s = step_signals(groups, true);
  EXPECT_DOUBLE_EQ(*s.label_accuracy, 0.5);
  EXPECT_DOUBLE_EQ(*s.reward_accuracy, 4.0 / 8);  // all of the first group, none of the second
  EXPECT_DOUBLE_EQ(*s.true_reward, 3.0 / 8);
  EXPECT_DOUBLE_EQ(*s.pass_at_n, 1);
  EXPECT_DOUBLE_EQ(*s.reward_mean, 5.0 / 8);
  EXPECT_NEAR(*s.reward_std, std::sqrt((5 * 9.0 / 64 + 3 * 25.0 / 64) / 7), 1e-12);
  EXPECT_DOUBLE_EQ(*s.majority_ratio, (2.0 / 4 + 3.0 / 4) / 2);
  EXPECT_DOUBLE_EQ(*s.token_entropy, 0.75);
  EXPECT_DOUBLE_EQ(*s.logprob, -1.5);
  EXPECT_DOUBLE_EQ(*s.answered, 7.0 / 8);
  EXPECT_DOUBLE_EQ(*s.truncated, 1.0 / 8);
  EXPECT_DOUBLE_EQ(*s.length, 8.0 / 8);
  EXPECT_DOUBLE_EQ(*s.repetition, 2.0 / 3);  // 5555 three times, two of them again
  EXPECT_DOUBLE_EQ(*s.zero_advantage_groups, 0.5);
  const double first = 0.5 * std::log(2.0) + 2 * 0.25 * std::log(4.0);
  const double second = 0.75 * std::log(4.0 / 3) + 0.25 * std::log(4.0);
  EXPECT_NEAR(*s.answer_entropy, (first + second) / 2, 1e-12);
}

TEST(StepSignals, JudgesARealRewardByTheRolloutItPaysBest) {
  std::vector<GroupView> groups(2);
  groups[0].rollouts = {rollout(0, "7", -0.1, true), rollout(1, "8", -0.5, false)};
  groups[1].rollouts = {rollout(0, "7", -0.3, true), rollout(1, "8", -0.3, false), rollout(1, "8", -0.9, false)};
  const StepSignals s = step_signals(groups, false);
  EXPECT_DOUBLE_EQ(*s.reward_accuracy, (1 + 0.5) / 2);  // a tie at the top counts with its mean
  // Pearson of rewards (-.1, -.5, -.3, -.3, -.9) with (1, 0, 1, 0, 0): covariance sum .44, variances .368 and 1.2.
  EXPECT_NEAR(*s.reward_correlation, 0.44 / std::sqrt(0.368 * 1.2), 1e-12);
}

TEST(StepSignals, LeavesOutWhatCannotBeKnown) {
  const StepSignals unlabelled = step_signals(batch({"aab", "-bb"}), true);
  EXPECT_FALSE(unlabelled.label_accuracy);
  EXPECT_FALSE(unlabelled.reward_accuracy);
  EXPECT_FALSE(unlabelled.true_reward);
  EXPECT_FALSE(unlabelled.pass_at_n);
  EXPECT_FALSE(unlabelled.token_entropy);
  EXPECT_FALSE(unlabelled.repetition);
  EXPECT_TRUE(unlabelled.majority_ratio);
  StepSignals nothing = step_signals({}, true);
  visit_signals(nothing, [](const auto& value, const char* name, const char*) { EXPECT_FALSE(value) << name; });
}

TEST(StepSignals, UsesTheLabelledGroupsOnlyForWhatNeedsLabels) {
  std::vector<GroupView> groups = batch({"ab", "aa"});
  groups[0].rollouts[0].correct = true;
  groups[0].rollouts[1].correct = false;
  groups[1].rollouts[0].correct = true;  // half labelled: not at all
  const StepSignals s = step_signals(groups, true);
  EXPECT_DOUBLE_EQ(*s.true_reward, 0.5);
  EXPECT_DOUBLE_EQ(*s.majority_ratio, 0.75);
}

TEST(StepSignals, AGroupWithoutAnswersHasNoMajorityAndNoRightLabel) {
  std::vector<GroupView> groups = batch({"---"});
  for (RolloutView& view : groups[0].rollouts) view.correct = false;
  const StepSignals s = step_signals(groups, true);
  EXPECT_EQ(*s.majority_ratio, 0);
  EXPECT_EQ(*s.label_accuracy, 0);
  EXPECT_EQ(*s.reward_accuracy, 1);  // paid 0 and worth 0
  EXPECT_EQ(*s.answer_entropy, 0);
}

TEST(StepSignals, DoNotDependOnTheOrderOfRolloutsOrGroups) {
  base::Random random{8};
  std::vector<GroupView> groups = batch({"aabc-", "bbba-", "ccaba"});
  for (GroupView& group : groups) {
    group.majority_class = 0;
    for (RolloutView& view : group.rollouts) {
      view.reward = static_cast<double>(random.below(4));  // few values: ties
      view.correct = random.uniform() < 0.5;
    }
  }
  StepSignals before = step_signals(groups, false);
  std::vector<std::optional<double>> expected;
  visit_signals(before, [&](const auto& value, const char*, const char*) { expected.push_back(value); });
  for (int trial = 0; trial < 20; ++trial) {
    random.shuffle(groups);
    for (GroupView& group : groups) random.shuffle(group.rollouts);
    StepSignals after = step_signals(groups, false);
    std::size_t i = 0;
    visit_signals(after, [&](const auto& value, const char* name, const char*) {
      ASSERT_EQ(value.has_value(), expected[i].has_value()) << name;
      if (value) {
        EXPECT_NEAR(*value, *expected[i], 1e-12) << name;
      }
      ++i;
    });
  }
}

TEST(VisitSignals, NamesEachOnce) {
  std::set<std::string> names;
  std::size_t count = 0;
  StepSignals signals;
  visit_signals(signals, [&](const auto&, const char* name, const char*) {
    names.insert(name);
    ++count;
  });
  EXPECT_EQ(names.size(), count);
  EXPECT_EQ(count * sizeof(std::optional<double>), sizeof(StepSignals));  // none is left out
}

/// sum over (x, a) of p(x, a) log(p(x, a) / (p(x) p(a))).
double by_definition(const std::vector<std::string>& texts) {
  std::map<std::pair<std::size_t, char>, double> joint;
  std::map<char, double> answers;
  std::map<std::size_t, double> problems;
  double total = 0;
  for (const std::string& text : texts) total += static_cast<double>(text.size());
  for (std::size_t x = 0; x < texts.size(); ++x) {
    for (const char a : texts[x]) {
      joint[{x, a}] += 1 / total;
      answers[a] += 1 / total;
      problems[x] += 1 / total;
    }
  }
  double sum = 0;
  for (const auto& [key, p] : joint) sum += p * std::log(p / (problems[key.first] * answers[key.second]));
  return sum;
}

TEST(MutualInformation, EqualsItsDefinition) {
  base::Random random{2};
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<std::string> texts(1 + random.below(6));
    for (std::string& text : texts) {
      const std::uint64_t n = 1 + random.below(8);
      for (std::uint64_t i = 0; i < n; ++i) text += "abcd-"[random.below(5)];
    }
    EXPECT_NEAR(*mutual_information(batch(texts)), by_definition(texts), 1e-12);
  }
}

TEST(MutualInformation, IsZeroWhenAnswersIgnoreTheProblemAndFullWhenTheyNameIt) {
  EXPECT_NEAR(*mutual_information(batch({"aabc", "abca", "caab"})), 0, 1e-12);
  EXPECT_NEAR(*mutual_information(batch({"aaaa", "aaaa"})), 0, 1e-12);
  EXPECT_NEAR(*mutual_information(batch({"----", "----"})), 0, 1e-12);
  EXPECT_NEAR(*mutual_information(batch({"aaaa", "bbbb", "cccc"})), std::log(3.0), 1e-12);
  EXPECT_FALSE(mutual_information(batch({})));
  EXPECT_FALSE(mutual_information(batch({""})));
}

TEST(MutualInformation, TellsAnswersApartByTextAcrossProblemsNotByClassNumber) {
  std::vector<GroupView> groups(2);
  groups[0].rollouts = {rollout(0, "7", 0), rollout(0, "7", 0)};
  groups[1].rollouts = {rollout(0, "8", 0), rollout(0, "8", 0)};
  EXPECT_NEAR(*mutual_information(groups), std::log(2.0), 1e-12);
  // Within a group one class is one answer, however it is written.
  groups[0].rollouts = {rollout(0, "7.0", 0), rollout(0, "7", 0)};
  groups[1].rollouts = {rollout(3, "7", 0), rollout(3, "7", 0)};
  EXPECT_NEAR(*mutual_information(groups), 0, 1e-12);
}

TEST(RepeatedFourGrams, CountsOnlyThoseSeenBefore) {
  const auto repeats = [](const std::vector<std::int32_t>& tokens) {
    const Repeats r = repeated_four_grams(tokens);
    return std::pair(r.repeated, r.total);
  };
  EXPECT_EQ(repeats({1, 2, 3}), (std::pair<std::int64_t, std::int64_t>(0, 0)));
  EXPECT_EQ(repeats({1, 2, 3, 4, 5}), (std::pair<std::int64_t, std::int64_t>(0, 2)));
  EXPECT_EQ(repeats({1, 2, 3, 4, 1, 2, 3, 4}), (std::pair<std::int64_t, std::int64_t>(1, 5)));
  EXPECT_EQ(repeats({7, 7, 7, 7, 7}), (std::pair<std::int64_t, std::int64_t>(1, 2)));
}

}  // namespace
}  // namespace whet::analysis
