#include "rewards/vote.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "base/error.h"

namespace whet::rewards {
namespace {

struct ClassVotes {
  std::vector<double> logprobs;  // one sum per member
  const std::string* smallest_answer = nullptr;
};

std::size_t largest_count(const Ballot& ballot) {
  std::map<int, std::size_t> sizes;
  std::size_t largest = 0;
  for (const Vote& vote : ballot.votes) {
    if (vote.answer_class >= 0) largest = std::max(largest, ++sizes[vote.answer_class]);
  }
  return largest;
}

std::string_view how_to_add(Votes votes) {
  switch (votes) {
    case Votes::kRephrased:
      return "rollouts on a rephrasing of the problem: a task or a file that has rephrasings";
    case Votes::kTeacher:
      return "rollouts of a teacher, which a training run keeps";
    case Votes::kPolicies:
      return "rollouts of one or more policies";
    case Votes::kOwn:
      return "rollouts of the policy itself";
    case Votes::kNone:
      break;
  }
  return "none";
}

}  // namespace

double sorted_sum(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return std::accumulate(values.begin(), values.end(), 0.0);
}

Ballot ballot_of(const std::vector<Sample>& samples, std::string_view reward) {
  Ballot ballot;
  ballot.votes.reserve(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    double sum = 0;
    for (const float value : samples[i].logprob) sum += static_cast<double>(value);
    if (!std::isfinite(sum)) {
      base::run_error(reward, "log-probability of rollout {} is {}, want a finite number", i, sum);
    }
    ballot.votes.push_back({samples[i].answer_class, samples[i].answer, sum});
  }
  return ballot;
}

void require_finite(const Ballot& ballot, std::string_view reward) {
  for (std::size_t i = 0; i < ballot.votes.size(); ++i) {
    if (std::isfinite(ballot.votes[i].logprob)) continue;
    base::run_error(reward, "log-probability of voting rollout {} is {}, want a finite number", i,
                    ballot.votes[i].logprob);
  }
}

Ballot voters(const Group& group, Votes votes, std::string_view reward) {
  if (votes == Votes::kOwn && group.ballots.empty()) return ballot_of(group.samples, reward);
  if (group.ballots.size() != 1) {
    base::user_error(reward, "{} ballots, want one: {}", group.ballots.size(), how_to_add(votes));
  }
  require_finite(group.ballots[0], reward);
  return group.ballots[0];
}

const std::vector<Ballot>& policies(const Group& group, std::string_view reward) {
  if (group.ballots.empty()) base::user_error(reward, "no ballots, want {}", how_to_add(Votes::kPolicies));
  for (const Ballot& ballot : group.ballots) require_finite(ballot, reward);
  return group.ballots;
}

int winning_class(const Ballot& ballot) {
  std::map<int, ClassVotes> classes;
  for (const Vote& vote : ballot.votes) {
    if (vote.answer_class < 0) continue;
    ClassVotes& votes = classes[vote.answer_class];
    votes.logprobs.push_back(vote.logprob);
    if (!votes.smallest_answer || vote.answer < *votes.smallest_answer) votes.smallest_answer = &vote.answer;
  }
  std::vector<Candidate> candidates;
  for (auto& [id, votes] : classes) {
    const auto size = static_cast<double>(votes.logprobs.size());
    candidates.push_back({id, size, sorted_sum(std::move(votes.logprobs)), *votes.smallest_answer});
  }
  return best_candidate(candidates);
}

int best_candidate(const std::vector<Candidate>& candidates) {
  const auto better = [](const Candidate& a, const Candidate& b) {
    return std::tie(a.weight, a.logprob, b.answer) > std::tie(b.weight, b.logprob, a.answer);
  };
  const Candidate* best = nullptr;
  for (const Candidate& candidate : candidates) {
    if (!best || better(candidate, *best)) best = &candidate;
  }
  return best ? best->id : -1;
}

int majority_class(const Group& group, std::string_view reward) {
  return winning_class(ballot_of(group.samples, reward));
}

std::size_t count_votes(const Ballot& ballot, int answer_class) {
  if (answer_class < 0) return 0;
  return static_cast<std::size_t>(std::count_if(ballot.votes.begin(), ballot.votes.end(),
                                                [&](const Vote& vote) { return vote.answer_class == answer_class; }));
}

double self_consistency(const Ballot& ballot) {
  if (ballot.votes.empty()) return 0;
  return static_cast<double>(largest_count(ballot)) / static_cast<double>(ballot.votes.size());
}

double answer_entropy(const Ballot& ballot) {
  std::map<int, std::size_t> sizes;
  for (const Vote& vote : ballot.votes) ++sizes[std::max(vote.answer_class, -1)];
  std::vector<double> terms;
  for (const auto& [id, size] : sizes) {
    const double share = static_cast<double>(size) / static_cast<double>(ballot.votes.size());
    terms.push_back(-share * std::log(share));
  }
  return sorted_sum(std::move(terms));
}

Scored pay_class(const Group& group, int label_class) {
  Scored scored{.label_class = label_class};
  scored.reward.reserve(group.samples.size());
  for (const Sample& sample : group.samples) {
    scored.reward.push_back(label_class >= 0 && sample.answer_class == label_class ? 1.0 : 0.0);
  }
  return scored;
}

std::vector<std::size_t> choose_samples(std::size_t votes, std::size_t samples, base::Random& random) {
  if (samples > votes) {
    base::user_error("votes", "{}, want at least the {} samples that are trained on", votes, samples);
  }
  std::vector<std::size_t> places(votes);
  std::iota(places.begin(), places.end(), std::size_t{0});
  random.shuffle(places);
  places.resize(samples);
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace whet::rewards
