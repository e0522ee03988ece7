// 1 for the answer that most rollouts of the group gave. An absent answer is paid 0 and votes for nothing, so a group
// without any answer has no label and pays 0 throughout.
#include "rewards/reward.h"

namespace whet::rewards {
namespace {

class MajorityVote final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    Scored scored{.label_class = majority_class(group)};
    for (const Sample& sample : group.samples) {
      scored.reward.push_back(scored.label_class >= 0 && sample.answer_class == scored.label_class ? 1.0 : 0.0);
    }
    return scored;
  }
};

const base::Registrar kRegistered(rewards(), "majority-vote",
                                  RewardEntry{.family = "ensemble",
                                              .formula = "1 if the answer is in the group's largest class, else 0",
                                              .source = "TTRL, arXiv 2504.16084; SRT, arXiv 2505.21444",
                                              .binary = true,
                                              .make = [] { return std::make_unique<MajorityVote>(); }});

}  // namespace
}  // namespace whet::rewards
