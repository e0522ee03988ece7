// The challenger's second policy: it writes the problems that the first one is trained on (R-Zero, arXiv 2508.05004).
#pragma once

#include <memory>

#include "train/evidence.h"

namespace whet::train {

/// A step: the proposer is asked for as many problems as the run has --prompts; those that are well formed take the place
/// of the task's own; the solver answers each --samples times; the proposer is paid by how divided the solver was
/// (rewards/challenger.h) and updated; then the solver is, on the problems that could teach it something. The proposer
/// begins as --proposer, or as a copy of the base, and is saved in every checkpoint under proposer/.
/// UserError when the task has no form in which problems are asked for. A step without any well-formed problem ends the
/// run with a RunError: with nothing to solve, neither side can learn.
///
/// Metrics: proposer_reward (mean pay), proposals_well_formed and proposals_distinct (shares of the proposals),
/// proposals_teaching (share of the well-formed ones whose agreement lies within the solver's bounds),
/// proposer_gradient_norm.
std::unique_ptr<Gatherer> make_proposer(const EvidenceContext& context);

}  // namespace whet::train
