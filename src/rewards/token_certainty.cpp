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

RewardEntry entry(std::string_view name, TokenStat stat, double sign, std::string formula, std::string source) {
  return {.family = "certainty",
          .formula = std::move(formula),
          .source = std::move(source),
          .needs = {.token_stats = true},
          .make = [=] { return std::make_unique<TokenMean>(name, stat, sign); }};
}

const base::Registrar kSelfCertaintyReward(
    rewards(), "self-certainty",
    entry("self-certainty", kSelfCertainty, 1, "mean_t KL(U || pi_t)", "RLIF / Intuitor, arXiv 2505.19590"));
const base::Registrar kTokenEntropyReward(
    rewards(), "token-entropy",
    entry("token-entropy", kEntropy, -1, "-mean_t H(pi_t)", "RENT, arXiv 2505.22660; EM-RL-token, arXiv 2505.15134"));
const base::Registrar kTrajectoryEntropyReward(
    rewards(), "trajectory-entropy",
    entry("trajectory-entropy", kLogprob, 1, "mean_t log pi_t(y_t)", "EM-RL-sequence, arXiv 2505.15134"));

}  // namespace
}  // namespace whet::rewards
