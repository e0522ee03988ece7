// How far the likeliest token was ahead of the second, over the tokens of the answer. Where a response has an answer
// but nobody knows where it stands (Sample::answer_span), over all of its tokens; without an answer it is paid 0, the
// least that a disparity can be.
#include "rewards/token_stats.h"

namespace whet::rewards {
namespace {

constexpr const char* kName = "probability-disparity";

class ProbabilityDisparity final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    std::vector<std::optional<double>> means = token_means(group, kGap, kName, Tokens::kAnswer);
    for (std::size_t i = 0; i < means.size(); ++i) {
      if (group.samples[i].answer_class < 0) means[i] = 0;
    }
    return {.reward = lowest_when_absent(means)};
  }
};

const base::Registrar kRegistered(
    rewards(), kName,
    RewardEntry{.family = "certainty",
                .formula = "mean over the answer's tokens of (largest - second largest probability)",
                .source = "RLSF, arXiv 2507.21931",
                .failure = "certain of the answer whatever led to it; stops rising once every answer is certain",
                .needs = {.answers = true, .token_stats = true},
                .form = UnifiedForm{.anchor = Anchor::kTopTwo,
                                    .sign = 1,
                                    .index_set = IndexSet::kAnswerTokens,
                                    .transform = Transform::kIdentity,
                                    .inner = Inner::kProbability},
                .make = make_reward<ProbabilityDisparity>});

}  // namespace
}  // namespace whet::rewards
