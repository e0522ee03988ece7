// The share of the group that gave the same answer. Absent answers count in the denominator and are paid 0.
#include "rewards/reward.h"

namespace whet::rewards {
namespace {

class SemanticEntropy final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    Scored scored{.label_class = majority_class(group)};
    for (const Sample& sample : group.samples) {
      scored.reward.push_back(static_cast<double>(class_size(group, sample.answer_class)) /
                              static_cast<double>(group.samples.size()));
    }
    return scored;
  }
};

const base::Registrar kRegistered(rewards(), "semantic-entropy",
                                  RewardEntry{.family = "ensemble",
                                              .formula = "size of the answer's class / n",
                                              .source = "EMPO, arXiv 2504.05812",
                                              .make = [] { return std::make_unique<SemanticEntropy>(); }});

}  // namespace
}  // namespace whet::rewards
