// Somebody reads the response and says whether it is right: a verifier whose verdicts are sampled (self-verification),
// or a program that checks more cheaply than it could solve (program).
#include <algorithm>

#include "base/error.h"
#include "rewards/reward.h"

namespace whet::rewards {
namespace {

/// The share of a response's readings that said "right". A reading whose verdict could not be read counts among them
/// and pays nothing; to leave it out would pay for verdicts that are hard to read. A response without an answer is
/// paid 0 without being read: whatever a verifier says of it, it cannot be right.
class SelfVerification final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    Scored scored;
    for (std::size_t i = 0; i < group.samples.size(); ++i) {
      const Sample& sample = group.samples[i];
      if (sample.answer_class < 0) {
        scored.reward.push_back(0);
        continue;
      }
      if (sample.verdicts.empty()) {
        base::user_error("self-verification", "rollout {} has no verdicts, want at least one reading by a verifier", i);
      }
      const auto yes = std::count(sample.verdicts.begin(), sample.verdicts.end(), std::optional<bool>(true));
      scored.reward.push_back(static_cast<double>(yes) / static_cast<double>(sample.verdicts.size()));
    }
    return scored;
  }
};

class Program final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    Scored scored;
    for (std::size_t i = 0; i < group.samples.size(); ++i) {
      const Sample& sample = group.samples[i];
      if (sample.answer_class >= 0 && !sample.checked) {
        base::user_error("program", "rollout {} was not checked, want a task that has a checker (countdown, sort)", i);
      }
      scored.reward.push_back(sample.answer_class >= 0 && *sample.checked ? 1.0 : 0.0);
    }
    return scored;
  }
};

const base::Registrar kSelfVerification(
    rewards(), "self-verification",
    RewardEntry{.family = "external",
                .formula = "share of k verdicts on the response that say it is right",
                .source = "arXiv 2603.08660; Countdown after TinyZero",
                .failure = "a verifier that says yes too easily is what the policy learns to please",
                .cost = {.extra_rollouts = "k verdicts a rollout"},
                .needs = {.answers = true, .verdicts = true},
                .binary = true,
                .make = make_reward<SelfVerification>});
const base::Registrar kProgram(rewards(), "program",
                               RewardEntry{.family = "external",
                                           .formula = "1 if the task's checker accepts the answer, else 0",
                                           .source = "program checks, arXiv 2603.08660",
                                           .failure = "does what the checker checks, and no more",
                                           .needs = {.answers = true, .checker = true},
                                           .binary = true,
                                           .make = make_reward<Program>});

}  // namespace
}  // namespace whet::rewards
