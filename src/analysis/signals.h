// What one step of training shows: with labels (how right the vote and the rewards are) and without (how sure, how
// long, how much alike the responses are).
//
// A value that cannot be had is absent, never 0: no labels, no group, no token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace whet::analysis {

/// One rollout, as it was scored. Spans hold a number per token and may be empty where nothing is known.
struct RolloutView {
  int answer_class = -1;         ///< within its group; -1: no answer
  std::string_view answer = {};  ///< canonical form; empty when absent
  std::span<const std::int32_t> tokens = {};
  std::span<const float> logprob = {};
  std::span<const float> entropy = {};
  bool truncated = false;
  std::optional<bool> correct = {};  ///< the true reward, where there is a label
  double reward = 0;                 ///< the pseudo-reward
  double advantage = 0;
};

/// The rollouts of one problem.
struct GroupView {
  std::vector<RolloutView> rollouts;
  int majority_class = -1;  ///< winner of the vote (rewards::majority_class); -1: no answers
};

/// Every signal is over one batch.
struct StepSignals {
  // With labels: over the groups all of whose rollouts have one.
  std::optional<double> label_accuracy;
  std::optional<double> reward_accuracy;
  std::optional<double> reward_correlation;
  std::optional<double> true_reward;
  std::optional<double> pass_at_n;
  // Without.
  std::optional<double> reward_mean;
  std::optional<double> reward_std;
  std::optional<double> majority_ratio;
  std::optional<double> token_entropy;
  std::optional<double> logprob;
  std::optional<double> answer_entropy;
  std::optional<double> mutual_information;
  std::optional<double> answered;
  std::optional<double> truncated;
  std::optional<double> length;
  std::optional<double> repetition;
  std::optional<double> zero_advantage_groups;
};

/// Names the signals once, in the order in which they are written: visit(value, name, meaning).
template <class Visitor>
void visit_signals(StepSignals& s, Visitor&& visit) {
  visit(s.label_accuracy, "label_accuracy", "share of groups whose majority is right; a group without answers is not");
  visit(s.reward_accuracy, "reward_accuracy",
        "share of rollouts whose pseudo-reward equals the true one; for a real-valued reward the mean true reward of "
        "the rollout that each group pays best");
  visit(s.reward_correlation, "reward_correlation", "point-biserial correlation of pseudo-reward and true reward");
  visit(s.true_reward, "true_reward", "share of rollouts that are right");
  visit(s.pass_at_n, "pass_at_n", "share of groups with a right rollout");
  visit(s.reward_mean, "reward", "mean pseudo-reward");
  visit(s.reward_std, "reward_std", "standard deviation (n - 1) of the pseudo-reward over the batch");
  visit(s.majority_ratio, "majority_ratio", "mean over groups of the largest class / n, absent answers in n");
  visit(s.token_entropy, "token_entropy", "mean over all tokens of the entropy, nats");
  visit(s.logprob, "logprob", "mean over all tokens of the log-probability, nats");
  visit(s.answer_entropy, "answer_entropy", "mean over groups of their answers' entropy, nats; none is an outcome");
  visit(s.mutual_information, "mutual_information", "of problem and answer, nats; 0 if answers ignore the problem");
  visit(s.answered, "answered", "share of rollouts with an answer");
  visit(s.truncated, "truncated", "share of rollouts cut at the length limit");
  visit(s.length, "length", "mean tokens of a rollout");
  visit(s.repetition, "repetition", "share of 4-grams that occurred before in their rollout");
  visit(s.zero_advantage_groups, "zero_advantage_groups", "share of groups from which nothing is learned");
}

/// `binary_reward`: whether the pseudo-reward takes the values 0 and 1 only (rewards::RewardEntry::binary), which
/// decides what reward accuracy means. Groups without rollouts are skipped.
StepSignals step_signals(std::span<const GroupView> groups, bool binary_reward);

/// Plug-in estimate of the mutual information I(problem; answer) in nats: H(answers of all rollouts) - sum over groups
/// of share of rollouts * H(answers of the group). Answers are told apart by canonical form across problems (within a
/// group, by class, represented by its smallest form); no answer is an outcome of its own. At most log(number of
/// groups). Biased upward where a group has fewer rollouts than answers are possible: compare it at equal n and number
/// of groups only. Absent when there is no rollout.
std::optional<double> mutual_information(std::span<const GroupView> groups);

/// 4-grams of `tokens` that occurred before in it, and 4-grams in all.
struct Repeats {
  std::int64_t repeated = 0;
  std::int64_t total = 0;
};
Repeats repeated_four_grams(std::span<const std::int32_t> tokens);

}  // namespace whet::analysis
