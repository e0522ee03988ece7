// Advantages: what a reward is worth compared with its group (or its batch). Pure functions of numbers.
#pragma once

#include <string>
#include <vector>

namespace whet::train {

enum class AdvantageKind {
  kGroup,           ///< (r - mean) / (std + 1e-6) within the group (GRPO, arXiv 2402.03300)
  kGroupMean,       ///< r - mean within the group (Dr.GRPO, arXiv 2503.20783)
  kLeaveOneOut,     ///< r - mean of the group's others (RLOO, arXiv 2402.14740)
  kBatch,           ///< (r - mean) / (std + 1e-6) over the batch (REINFORCE++, arXiv 2501.03262)
  kGroupMeanBatch,  ///< kGroupMean, then normalised over the batch (REINFORCE++-baseline)
};

/// "grpo", "dr-grpo", "rloo", "reinforce++", "reinforce++-baseline": the choices of --advantage.
std::vector<std::string> advantage_names();
/// UserError listing the names.
AdvantageKind advantage_kind(const std::string& name);

/// Whether the advantages of a group depend on that group alone (and, for kGroup, not on the scale of its rewards).
bool within_group(AdvantageKind kind);

/// One advantage per reward of a single group. The standard deviation is the unbiased one (n - 1). A group of one, or
/// of equal rewards, has advantage 0: there is nothing to compare. `kind` must satisfy within_group.
/// RunError naming the rollout when a reward is not finite.
std::vector<double> group_advantages(const std::vector<double>& rewards, AdvantageKind kind = AdvantageKind::kGroup);

/// Advantages of a whole batch, [group][rollout]. Errors as above.
std::vector<std::vector<double>> batch_advantages(const std::vector<std::vector<double>>& rewards, AdvantageKind kind);

}  // namespace whet::train
