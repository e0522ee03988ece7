// Rewards that are means of a per-token certainty: how far the model's distributions are from uniform, how little
// entropy they have, how likely the sampled tokens were. They do not look at answers.
#include "rewards/token_stats.h"

namespace whet::rewards {
namespace {

/// sign * mean over tokens of one per-token value.
class TokenMean final : public Reward {
 public:
  TokenMean(std::string_view name, TokenStat stat, double sign) : name_(name), stat_(stat), sign_(sign) {}

  Scored score(const Group& group, base::Random&) const override {
    std::vector<std::optional<double>> means = token_means(group, stat_, name_);
    for (auto& mean : means) {
      if (mean) *mean *= sign_;
    }
    return {.reward = lowest_when_absent(means)};
  }

 private:
  std::string_view name_;
  TokenStat stat_;
  double sign_;
};

RewardEntry entry(std::string_view name, TokenStat stat, double sign) {
  return {.family = "certainty",
          .formula = {},
          .source = {},
          .failure = {},
          .needs = {.token_stats = true},
          .make = [=](const RewardOptions&) { return std::make_unique<TokenMean>(name, stat, sign); }};
}

RewardEntry self_certainty() {
  RewardEntry result = entry("self-certainty", kSelfCertainty, 1);
  result.formula = "mean_t KL(U || pi_t)";
  result.source = "RLIF / Intuitor, arXiv 2505.19590";
  result.failure = "drifts to confident wrong answers, in the end one for all";
  result.form = UnifiedForm{
      .anchor = Anchor::kUniform, .sign = 1, .index_set = IndexSet::kTokens, .transform = Transform::kLessLogV};
  return result;
}

RewardEntry token_entropy() {
  RewardEntry result = entry("token-entropy", kEntropy, -1);
  result.formula = "-mean_t H(pi_t)";
  result.source = "RENT, arXiv 2505.22660; EM-RL-token, arXiv 2505.15134";
  result.failure = "repeats itself, or says next to nothing: neither has entropy";
  result.form = UnifiedForm{.anchor = Anchor::kPolicy, .sign = -1, .index_set = IndexSet::kTokens};
  return result;
}

RewardEntry trajectory_entropy() {
  RewardEntry result = entry("trajectory-entropy", kLogprob, 1);
  result.formula = "mean_t log pi_t(y_t)";
  result.source = "EM-RL-sequence, arXiv 2505.15134";
  result.failure = "repeats itself: a loop is likely at every step";
  result.form = UnifiedForm{.anchor = Anchor::kSampledToken, .sign = -1, .index_set = IndexSet::kTokens};
  return result;
}

const base::Registrar kSelfCertaintyReward(rewards(), "self-certainty", self_certainty());
const base::Registrar kTokenEntropyReward(rewards(), "token-entropy", token_entropy());
const base::Registrar kTrajectoryEntropyReward(rewards(), "trajectory-entropy", trajectory_entropy());

}  // namespace
}  // namespace whet::rewards
