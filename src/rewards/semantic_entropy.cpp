// The share of the group that gave the same answer. Absent answers count in the denominator and are paid 0.
#include "rewards/vote.h"

namespace whet::rewards {
namespace {

constexpr const char* kName = "semantic-entropy";

class SemanticEntropy final : public Reward {
 public:
  explicit SemanticEntropy(const RewardOptions& options) : low_(options.entropy_low), high_(options.entropy_high) {}

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
                                  RewardEntry{.family = "ensemble",
                                              .formula = "size of the answer's class / n",
                                              .source = "EMPO, arXiv 2504.05812",
                                              .make = [](const RewardOptions& options) { return std::make_unique<SemanticEntropy>(options); }});

}  // namespace
}  // namespace whet::rewards
