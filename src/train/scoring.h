// Groups to rewards, advantages and signals: one reward, or a weighted sum of several.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "analysis/signals.h"
#include "base/json.h"
#include "train/groups.h"
#include "train/options.h"

namespace whet::train {

/// What a batch of groups is worth.
struct ScoredBatch {
  std::vector<std::vector<double>> rewards;     ///< [group][rollout], the weighted sum of the plain rewards
  std::vector<std::vector<double>> advantages;  ///< [group][rollout]
  analysis::StepSignals signals;
  base::Json metrics;  ///< what is known of each term, and of what the votes elected
};

class Scoring {
 public:
  /// UserError for an unknown reward, a malformed sum, or options that a reward cannot work with.
  explicit Scoring(const TrainOptions& options);

  std::vector<rewards::Term> terms() const;

  /// Draws are keyed by (seed, step, problem). RunError naming reward and rollout for a value that is not finite.
  ///
  /// Metrics of a sum: "reward.NAME", the mean plain reward of each term. Of votes that are not (only) the rollouts':
  /// "X_accuracy", the share of groups whose elected label is right, and "X_agreement", the share of groups whose
  /// elected label is the rollouts' own majority; X is votes, rephrasing, teacher or policies. A group that elects no
  /// label counts as wrong and as disagreeing.
  ScoredBatch score(const std::vector<Group>& groups, const tasks::Task& task, std::uint64_t seed,
                    std::int64_t step) const;

 private:
  struct Entry {
    rewards::Term term;
    const rewards::RewardEntry* entry = nullptr;
    std::unique_ptr<rewards::Reward> reward;
    bool binary = false;
  };

  std::vector<Entry> entries_;
  AdvantageKind advantage_;
  bool combine_rewards_;
};

}  // namespace whet::train
