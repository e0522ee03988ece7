// Votes of somebody else: the label of a problem's rollouts is the majority among rollouts on a rephrasing of it
// (co-reward), or among those of a slowly moving average of the policy (teacher-vote). What the samples themselves
// agree on counts for nothing, so they cannot make a label by agreeing.
#include "rewards/vote.h"

namespace whet::rewards {
namespace {

class OthersVote final : public Reward {
 public:
  OthersVote(std::string_view name, Votes votes) : name_(name), votes_(votes) {}

  Scored score(const Group& group, base::Random&) const override {
    return pay_class(group, winning_class(voters(group, votes_, name_)));
  }

 private:
  std::string_view name_;
  Votes votes_;
};

const base::Registrar kCoReward(
    rewards(), "co-reward",
    RewardEntry{
        .family = "ensemble",
        .formula = "1 if the answer is the majority of rollouts on a rephrasing, else 0; and back",
        .source = "Co-rewarding-I, arXiv 2508.00410",
        .failure = "as majority-vote: errors that survive a rephrasing are paid",
        .cost = {.extra_rollouts = "as many on the rephrasing, which are trained on too"},
        .needs = {.answers = true, .votes = Votes::kRephrased},
        .binary = true,
        .form = kMajorityForm,
        .make = [](const RewardOptions&) { return std::make_unique<OthersVote>("co-reward", Votes::kRephrased); }});
const base::Registrar kTeacherVote(
    rewards(), "teacher-vote",
    RewardEntry{
        .family = "ensemble",
        .formula = "1 if the answer is the majority of a moving-average policy's rollouts, else 0",
        .source = "Co-rewarding-II, arXiv 2508.00410",
        .failure = "delayed, not prevented: the teacher follows the policy to the same answer",
        .cost = {.extra_rollouts = "the teacher's votes"},
        .needs = {.answers = true, .votes = Votes::kTeacher},
        .binary = true,
        .form = kMajorityForm,
        .make = [](const RewardOptions&) { return std::make_unique<OthersVote>("teacher-vote", Votes::kTeacher); }});

}  // namespace
}  // namespace whet::rewards
