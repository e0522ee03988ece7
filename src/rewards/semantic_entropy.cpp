// The share of the votes that agree with a response's answer. Absent answers count in the denominator and are paid 0.
//
// The entropy window: groups that are too certain or too uncertain pay nothing. The entropy is that of the metric
// `answer_entropy` (nats, no answer an outcome of its own), so that a run shows where a window would cut.
#include "base/error.h"
#include "rewards/vote.h"

namespace whet::rewards {
namespace {

constexpr const char* kName = "semantic-entropy";

class SemanticEntropy final : public Reward {
 public:
  explicit SemanticEntropy(const RewardOptions& options) : low_(options.entropy_low), high_(options.entropy_high) {
    if (high_ > 0 && high_ < low_) base::user_error("entropy-high", "{}, want at least --entropy-low {}", high_, low_);
  }

  Scored score(const Group& group, base::Random&) const override {
    const Ballot ballot = voters(group, Votes::kOwn, kName);
    const double entropy = answer_entropy(ballot);
    // A group outside the window has no label either: it is not a wrong vote but none.
    const bool counts = entropy >= low_ && (high_ == 0 || entropy <= high_);
    Scored scored{.label_class = counts ? winning_class(ballot) : -1};
    for (const Sample& sample : group.samples) {
      const auto votes = static_cast<double>(count_votes(ballot, sample.answer_class));
      scored.reward.push_back(counts ? votes / static_cast<double>(ballot.votes.size()) : 0.0);
    }
    return scored;
  }

 private:
  double low_, high_;
};

const base::Registrar kRegistered(rewards(), kName,
                                  RewardEntry{
                                      .family = "ensemble",
                                      .formula = "votes for the answer's class / votes; 0 outside the entropy window",
                                      .source = "EMPO, arXiv 2504.05812",
                                      .failure = "as majority-vote; minorities are paid too",
                                      .cost = {.extra_rollouts = "votes - samples"},
                                      .needs = {.answers = true, .votes = Votes::kOwn},
                                      .options = {"entropy-low", "entropy-high"},
                                      .form = UnifiedForm{.anchor = Anchor::kSampledAnswer,
                                                          .sign = -1,
                                                          .index_set = IndexSet::kAnswer,
                                                          .transform = Transform::kExp},
                                      .make = make_reward<SemanticEntropy>});

}  // namespace
}  // namespace whet::rewards
