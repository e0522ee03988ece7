// Groups for tests: responses that own their arrays, with everything that any reward could ask for.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "rewards/vote.h"

namespace whet::rewards {

/// Options with which every reward can be made.
inline RewardOptions usable_options() {
  RewardOptions options;
  options.length_min = 2;
  options.length_max = 3;
  options.agreement_low = 0;  // as wide open as the entropy window is by default
  options.agreement_high = 1;
  return options;
}

inline Scored score(const std::string& name, const Group& group, const RewardOptions& options = usable_options(),
                    std::uint64_t seed = 1) {
  base::Random random{seed, 2};
  return rewards().find(name).make(options)->score(group, random);
}

/// A group that owns its arrays.
class OwnedGroup {
 public:
  /// Adds a response whose tokens have these log-probabilities; an empty answer means none. It is right, and accepted
  /// by checker and verifier, when the answer is "7".
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
    sample.gap = keep(0.125f, 0.625f);
    sample.length = static_cast<std::int64_t>(logprob.size());
    sample.correct = sample.checked = answer == "7";
    sample.verdicts = {answer == "7"};
    group_.samples.push_back(sample);
    return group_.samples.back();
  }

  /// Another policy's rollouts: classes and answers, each of log-probability -1.
  void add_ballot(const std::vector<std::pair<int, std::string>>& answers) {
    Ballot ballot;
    for (const auto& [answer_class, answer] : answers) ballot.votes.push_back({answer_class, answer, -1});
    group_.ballots.push_back(ballot);
  }

  Group& group() { return group_; }

 private:
  std::deque<std::vector<float>> arrays_;  // a deque does not move what spans point to
  Group group_;
};

inline bool needs_ballots(const RewardEntry& entry) {
  return entry.needs.votes != Votes::kNone && entry.needs.votes != Votes::kOwn;
}

}  // namespace whet::rewards
