// What one step of training shows.
#include "analysis/signals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "analysis/calibration.h"

namespace whet::analysis {
namespace {

/// A mean that is absent when nothing was added.
class Mean {
 public:
  void add(double value, double count = 1) {
    sum_ += value;
    count_ += count;
  }
  std::optional<double> value() const { return count_ > 0 ? std::optional(sum_ / count_) : std::nullopt; }

 private:
  double sum_ = 0;
  double count_ = 0;
};

/// How often each outcome came; -1 is "no answer".
std::map<int, std::int64_t> class_counts(const GroupView& group) {
  std::map<int, std::int64_t> counts;
  for (const RolloutView& rollout : group.rollouts) ++counts[std::max(rollout.answer_class, -1)];
  return counts;
}

template <class Key>
double entropy_of(const std::map<Key, std::int64_t>& counts) {
  double total = 0;
  for (const auto& [key, count] : counts) total += static_cast<double>(count);
  double entropy = 0;
  for (const auto& [key, count] : counts) {
    const double share = static_cast<double>(count) / total;
    entropy -= share * std::log(share);
  }
  return std::max(entropy, 0.0);  // -1 * log(1) is -0
}

bool labelled(const GroupView& group) {
  return std::all_of(group.rollouts.begin(), group.rollouts.end(),
                     [](const RolloutView& rollout) { return rollout.correct.has_value(); });
}

bool majority_is_right(const GroupView& group) {
  return group.majority_class >= 0 &&
         std::any_of(group.rollouts.begin(), group.rollouts.end(), [&](const RolloutView& rollout) {
           return rollout.answer_class == group.majority_class && *rollout.correct;
         });
}

/// Mean true reward of the rollouts that are paid best. Of several, because choosing one of them would let the order of
/// arrival decide.
double true_reward_of_best(const GroupView& group) {
  double best = -HUGE_VAL;
  for (const RolloutView& rollout : group.rollouts) best = std::max(best, rollout.reward);
  Mean mean;
  for (const RolloutView& rollout : group.rollouts) {
    if (rollout.reward == best) mean.add(*rollout.correct ? 1 : 0);
  }
  return mean.value().value_or(0);
}

void add_labelled_signals(std::span<const GroupView> groups, bool binary_reward, StepSignals& signals) {
  Mean labels, accuracy, truth, passes;
  std::vector<double> rewards;
  std::vector<bool> right;
  for (const GroupView& group : groups) {
    if (group.rollouts.empty() || !labelled(group)) continue;
    labels.add(majority_is_right(group) ? 1 : 0);
    if (!binary_reward) accuracy.add(true_reward_of_best(group));
    bool any = false;
    for (const RolloutView& rollout : group.rollouts) {
      const bool correct = *rollout.correct;
      any = any || correct;
      truth.add(correct ? 1 : 0);
      if (binary_reward) accuracy.add(rollout.reward == (correct ? 1.0 : 0.0) ? 1 : 0);
      rewards.push_back(rollout.reward);
      right.push_back(correct);
    }
    passes.add(any ? 1 : 0);
  }
  signals.label_accuracy = labels.value();
  signals.reward_accuracy = accuracy.value();
  signals.true_reward = truth.value();
  signals.pass_at_n = passes.value();
  signals.reward_correlation = point_biserial(rewards, right);
}

std::optional<double> deviation(std::span<const GroupView> groups, double mean) {
  double squares = 0, count = 0;
  for (const GroupView& group : groups) {
    for (const RolloutView& rollout : group.rollouts) {
      squares += (rollout.reward - mean) * (rollout.reward - mean);
      ++count;
    }
  }
  return count > 1 ? std::optional(std::sqrt(squares / (count - 1))) : std::nullopt;
}

void add_tokens(std::span<const float> values, Mean& mean) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value);
  mean.add(sum, static_cast<double>(values.size()));
}

}  // namespace

Repeats repeated_four_grams(std::span<const std::int32_t> tokens) {
  constexpr std::size_t kGram = 4;
  if (tokens.size() < kGram) return {};
  std::set<std::array<std::int32_t, kGram>> distinct;
  const std::size_t total = tokens.size() - kGram + 1;
  for (std::size_t i = 0; i < total; ++i) distinct.insert({tokens[i], tokens[i + 1], tokens[i + 2], tokens[i + 3]});
  return {static_cast<std::int64_t>(total - distinct.size()), static_cast<std::int64_t>(total)};
}

std::optional<double> mutual_information(std::span<const GroupView> groups) {
  // The flag keeps "no answer" apart from an answer whose text is empty.
  using Outcome = std::pair<bool, std::string>;
  std::map<Outcome, std::int64_t> all;
  double conditional = 0, rollouts = 0;
  for (const GroupView& group : groups) {
    if (group.rollouts.empty()) continue;
    std::map<int, std::string_view> form;
    for (const RolloutView& rollout : group.rollouts) {
      const auto [found, is_new] = form.emplace(std::max(rollout.answer_class, -1), rollout.answer);
      if (!is_new) found->second = std::min(found->second, rollout.answer);
    }
    const auto counts = class_counts(group);
    for (const auto& [id, count] : counts) all[Outcome(id >= 0, id >= 0 ? form[id] : "")] += count;
    const auto n = static_cast<double>(group.rollouts.size());
    conditional += n * entropy_of(counts);
    rollouts += n;
  }
  if (rollouts == 0) return std::nullopt;
  // Rounding may leave a difference of equal entropies a hair below 0, which the quantity cannot be.
  return std::max(0.0, entropy_of(all) - conditional / rollouts);
}

StepSignals step_signals(std::span<const GroupView> groups, bool binary_reward) {
  StepSignals signals;
  Mean reward, ratio, entropy, logprob, answer_entropy, answered, truncated, length, repetition, idle;
  for (const GroupView& group : groups) {
    if (group.rollouts.empty()) continue;
    const auto counts = class_counts(group);
    std::int64_t largest = 0;
    for (const auto& [id, count] : counts) largest = id >= 0 ? std::max(largest, count) : largest;
    ratio.add(static_cast<double>(largest) / static_cast<double>(group.rollouts.size()));
    answer_entropy.add(entropy_of(counts));
    bool learns = false;
    for (const RolloutView& rollout : group.rollouts) {
      reward.add(rollout.reward);
      add_tokens(rollout.entropy, entropy);
      add_tokens(rollout.logprob, logprob);
      answered.add(rollout.answer_class >= 0 ? 1 : 0);
      truncated.add(rollout.truncated ? 1 : 0);
      length.add(static_cast<double>(std::max(rollout.tokens.size(), rollout.logprob.size())));
      const Repeats repeats = repeated_four_grams(rollout.tokens);
      repetition.add(static_cast<double>(repeats.repeated), static_cast<double>(repeats.total));
      learns = learns || rollout.advantage != 0;
    }
    idle.add(learns ? 0 : 1);
  }
  signals.reward_mean = reward.value();
  if (signals.reward_mean) signals.reward_std = deviation(groups, *signals.reward_mean);
  signals.majority_ratio = ratio.value();
  signals.token_entropy = entropy.value();
  signals.logprob = logprob.value();
  signals.answer_entropy = answer_entropy.value();
  signals.mutual_information = mutual_information(groups);
  signals.answered = answered.value();
  signals.truncated = truncated.value();
  signals.length = length.value();
  signals.repetition = repetition.value();
  signals.zero_advantage_groups = idle.value();
  add_labelled_signals(groups, binary_reward, signals);
  return signals;
}

}  // namespace whet::analysis
