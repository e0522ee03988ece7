// The gatherer of `self-verification`: a verifier reads every rollout that is trained on.
#pragma once

#include <memory>

#include "train/evidence.h"

namespace whet::train {

/// Asks the policy as it is, the model it started from, or another one, as the options say. Metrics: verifier_* (see
/// verdict_metrics). UserError when that model cannot be opened or cannot be asked.
std::unique_ptr<Gatherer> make_verdicts(const EvidenceContext& context);

}  // namespace whet::train
