// 1 for the answer that most of the policy's rollouts gave: of the group, or of a larger ballot of which the group is a
// part. An absent answer is paid 0 and votes for nothing, so a group without any answer has no label and pays 0
// throughout.
#include "rewards/vote.h"

namespace whet::rewards {
namespace {

constexpr const char* kName = "majority-vote";

class MajorityVote final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    return pay_class(group, winning_class(voters(group, Votes::kOwn, kName)));
  }
};

const base::Registrar kRegistered(rewards(), kName,
                                  RewardEntry{.family = "ensemble",
                                              .formula = "1 if the answer is in the votes' largest class, else 0",
                                              .source = "TTRL, arXiv 2504.16084; SRT, arXiv 2505.21444",
                                              .failure = "every problem goes to its first majority, right or wrong; "
                                                         "then one answer for all",
                                              .cost = {.extra_rollouts = "votes - samples"},
                                              .needs = {.answers = true, .votes = Votes::kOwn},
                                              .binary = true,
                                              .form = kMajorityForm,
                                              .make = make_reward<MajorityVote>});

}  // namespace
}  // namespace whet::rewards
