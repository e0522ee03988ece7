// The registry of rewards, and the vote that several of them (and the measurements) share.
#include "rewards/reward.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "base/error.h"

namespace whet::rewards {

base::Registry<RewardEntry>& rewards() {
  static base::Registry<RewardEntry> registry("reward");
  return registry;
}

namespace {

struct ClassVotes {
  std::vector<double> logprobs;  // one sum per member
  const std::string* smallest_answer = nullptr;

  // Added in sorted order: the rounding of a sum depends on its order, and must not decide a tie by order of arrival.
  double summed_logprob() {
    std::sort(logprobs.begin(), logprobs.end());
    double sum = 0;
    for (const double value : logprobs) sum += value;
    return sum;
  }
};

}  // namespace

int majority_class(const Group& group) {
  std::map<int, ClassVotes> classes;
  for (std::size_t i = 0; i < group.samples.size(); ++i) {
    const Sample& sample = group.samples[i];
    if (sample.answer_class < 0) continue;
    double sum = 0;
    for (const float value : sample.logprob) sum += static_cast<double>(value);
    if (!std::isfinite(sum)) {
      base::run_error("vote", "log-probability of rollout {} is {}, want a finite number", i, sum);
    }
    ClassVotes& votes = classes[sample.answer_class];
    votes.logprobs.push_back(sum);
    if (!votes.smallest_answer || sample.answer < *votes.smallest_answer) votes.smallest_answer = &sample.answer;
  }

  int winner = -1;
  std::size_t winner_size = 0;
  double winner_logprob = 0;
  const std::string* winner_answer = nullptr;
  for (auto& [id, votes] : classes) {
    const std::size_t size = votes.logprobs.size();
    const double logprob = votes.summed_logprob();
    const bool wins = winner < 0 || size > winner_size ||
                      (size == winner_size && (logprob > winner_logprob ||
                                               (logprob == winner_logprob && *votes.smallest_answer < *winner_answer)));
    if (!wins) continue;
    std::tie(winner, winner_size, winner_logprob, winner_answer) = std::tie(id, size, logprob, votes.smallest_answer);
  }
  return winner;
}

std::size_t class_size(const Group& group, int answer_class) {
  if (answer_class < 0) return 0;
  return static_cast<std::size_t>(std::count_if(group.samples.begin(), group.samples.end(), [&](const Sample& sample) {
    return sample.answer_class == answer_class;
  }));
}

}  // namespace whet::rewards
