// Several policies vote, each as much as it agrees with itself on the problem:
//
//   weight(a) = sum over policies p of c_p * n_p(a) / n_p,    c_p = max_a n_p(a) / n_p
//
// with n_p(a) the rollouts of policy p that answered a, and n_p all of its rollouts, answered or not. A policy's
// weight does not grow with the number of its rollouts, and one that never answers has none. The label is the answer
// of the largest weight.
#include <cmath>
#include <map>

#include "rewards/vote.h"

namespace whet::rewards {
namespace {

constexpr const char* kName = "weighted-vote";

struct Weighed {
  std::vector<double> weights, logprobs;
  const std::string* smallest_answer = nullptr;
};

class WeightedVote final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    std::map<int, Weighed> classes;
    for (const Ballot& ballot : policies(group, kName)) {
      const double share = self_consistency(ballot) / static_cast<double>(ballot.votes.size());
      for (const Vote& vote : ballot.votes) {
        if (vote.answer_class < 0) continue;
        Weighed& weighed = classes[vote.answer_class];
        weighed.weights.push_back(share);
        weighed.logprobs.push_back(vote.logprob);
        if (!weighed.smallest_answer || vote.answer < *weighed.smallest_answer) weighed.smallest_answer = &vote.answer;
      }
    }
    std::vector<Candidate> candidates;
    for (auto& [id, weighed] : classes) {
      // Equal weights can be sums of different fractions. Rounded to 2^-40 they are equal again, and the tie is broken
      // as a tie instead of by the last bit of a sum.
      const double weight = std::round(std::ldexp(sorted_sum(std::move(weighed.weights)), 40));
      candidates.push_back({id, weight, sorted_sum(std::move(weighed.logprobs)), *weighed.smallest_answer});
    }
    return pay_class(group, best_candidate(candidates));
  }
};

const base::Registrar kRegistered(rewards(), kName,
                                  RewardEntry{.family = "ensemble",
                                              .formula = "1 if a has the largest sum_p c_p n_p(a) / n_p, else 0; "
                                                         "c_p = max_a n_p(a) / n_p",
                                              .source = "RLCCF, arXiv 2508.12338",
                                              .failure = "a policy that is sure and wrong outvotes several that doubt",
                                              .cost = {.extra_rollouts = "the votes of each other policy"},
                                              .needs = {.answers = true, .votes = Votes::kPolicies},
                                              .binary = true,
                                              .form = kMajorityForm,
                                              .make = make_reward<WeightedVote>});

}  // namespace
}  // namespace whet::rewards
