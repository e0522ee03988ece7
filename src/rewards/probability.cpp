// The probability of the whole response.
//
// exp(sum_t log pi_t(y_t)) is 0 in any floating-point format once a response is long: all long responses would tie.
// Beside the plain value (good for measuring, and for short responses exact) the reward therefore gives
// exp(log p_i - max_j log p_j): the same numbers divided by the group's largest probability. The group's best has 1
// whatever its length. Normalisation (r - mean) / (std + eps) cancels the divisor up to eps, which then counts relative
// to the largest probability instead of to 1: a group of unlikely responses is trained on like any other, where the
// plain values would vanish beside eps.
#include <algorithm>
#include <cmath>

#include "rewards/token_stats.h"

namespace whet::rewards {
namespace {

class Probability final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    const std::vector<double> logprobs = lowest_when_absent(token_sums(group, kLogprob, "probability"));
    Scored scored;
    if (logprobs.empty()) return scored;
    const double largest = *std::max_element(logprobs.begin(), logprobs.end());
    for (const double logprob : logprobs) {
      scored.reward.push_back(std::exp(logprob));
      scored.rescaled.push_back(std::exp(logprob - largest));
    }
    return scored;
  }
};

const base::Registrar kRegistered(rewards(), "probability",
                                  RewardEntry{.family = "certainty",
                                              .formula = "exp(sum_t log pi_t(y_t))",
                                              .source = "RLSC, arXiv 2506.06395",
                                              .failure = "shorter and shorter: every token costs probability",
                                              .needs = {.token_stats = true},
                                              .form = UnifiedForm{.anchor = Anchor::kSampledToken,
                                                                  .sign = -1,
                                                                  .index_set = IndexSet::kTokensSummed,
                                                                  .transform = Transform::kExp},
                                              .make = make_reward<Probability>});

}  // namespace
}  // namespace whet::rewards
