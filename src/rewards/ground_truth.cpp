// The true reward: supervised training, the baseline and the oracle. The only reward that reads the label.
#include "base/error.h"
#include "rewards/reward.h"

namespace whet::rewards {
namespace {

class GroundTruth final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    Scored scored;
    for (std::size_t i = 0; i < group.samples.size(); ++i) {
      const Sample& sample = group.samples[i];
      if (!sample.correct) {
        base::user_error("ground-truth", "rollout {} has no label to compare with; give the problem an 'answer'", i);
      }
      scored.reward.push_back(*sample.correct ? 1.0 : 0.0);
    }
    return scored;
  }
};

const base::Registrar kRegistered(rewards(), "ground-truth",
                                  RewardEntry{.family = "external",
                                              .formula = "1 if the answer is right, else 0",
                                              .source = "supervised RLVR",
                                              .failure = "needs labels",
                                              .needs = {.answers = true, .label = true},
                                              .binary = true,
                                              .make = make_reward<GroundTruth>});

}  // namespace
}  // namespace whet::rewards
