// As majority-vote, but an answer's votes are those that a comparison in pairs, in either direction, calls equivalent
// to it. Nothing is closed under the relation: with a~b and b~c but not a~c, b has three votes and a two, and a label
// of a would not pay c. Where the relation is an equivalence the two rewards are the same.
#include <map>
#include <numeric>
#include <utility>

#include "rewards/vote.h"

namespace whet::rewards {
namespace {

constexpr const char* kName = "pairwise-vote";

/// Answers that differ in writing or in class, each with the log-probabilities of its votes.
struct Answer {
  int answer_class;
  std::string text;
  std::vector<double> logprobs;
};

bool agree(const Group& group, int class_a, std::string_view a, int class_b, std::string_view b) {
  if (!group.equivalent) return class_a == class_b;
  return a == b || group.equivalent(a, b) || group.equivalent(b, a);
}

class PairwiseVote final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    const Ballot ballot = voters(group, Votes::kOwn, kName);
    std::map<std::pair<std::string_view, int>, Answer> by_text;
    for (const Vote& vote : ballot.votes) {
      if (vote.answer_class < 0) continue;
      Answer& answer = by_text[{vote.answer, vote.answer_class}];
      answer.answer_class = vote.answer_class;
      answer.text = vote.answer;
      answer.logprobs.push_back(vote.logprob);
    }
    std::vector<Answer> answers;
    for (auto& [key, answer] : by_text) answers.push_back(std::move(answer));

    std::vector<Candidate> candidates;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      std::vector<double> logprobs;
      for (const Answer& other : answers) {
        if (!agree(group, answers[i].answer_class, answers[i].text, other.answer_class, other.text)) continue;
        logprobs.insert(logprobs.end(), other.logprobs.begin(), other.logprobs.end());
      }
      const auto votes = static_cast<double>(logprobs.size());
      candidates.push_back({static_cast<int>(i), votes, sorted_sum(std::move(logprobs)), answers[i].text});
    }
    const int label = best_candidate(candidates);
    Scored scored;
    if (label >= 0) scored.label_class = answers[static_cast<std::size_t>(label)].answer_class;
    for (const Sample& sample : group.samples) {
      const bool is_paid = label >= 0 && sample.answer_class >= 0 &&
                           agree(group, sample.answer_class, sample.answer, scored.label_class,
                                 answers[static_cast<std::size_t>(label)].text);
      scored.reward.push_back(is_paid ? 1.0 : 0.0);
    }
    return scored;
  }
};

const base::Registrar kRegistered(
    rewards(), kName,
    RewardEntry{.family = "ensemble",
                .formula = "1 if equivalent, in either direction, to the answer with most equivalents, else 0",
                .source = "SeRL, arXiv 2505.20347",
                .failure = "as majority-vote; a lax comparison lets one vague answer gather everybody's votes",
                .cost = {.extra_rollouts = "votes - samples"},
                .needs = {.answers = true, .votes = Votes::kOwn},
                .binary = true,
                .form = kMajorityForm,
                .make = make_reward<PairwiseVote>});

}  // namespace
}  // namespace whet::rewards
