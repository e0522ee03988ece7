// Gatherers of votes: who elects the label when it is not the rollouts that are trained on.
#pragma once

#include <memory>

#include "train/evidence.h"

namespace whet::train {

/// Rollouts sampled of each problem for voting: --votes, or --samples where it is 0.
int vote_count(const TrainOptions& options);

/// All rollouts of the policy as a ballot of kind Votes::kOwn.
std::unique_ptr<Gatherer> make_own_votes();

/// Adds a rephrasing of each problem to the batch; both vote for each other (co-reward). A problem without one (a text
/// that can be put in one way only) votes for itself. UserError when no problem of the run has any.
std::unique_ptr<Gatherer> make_rephrased_votes(const EvidenceContext& context);

/// A moving average of the policy votes. It starts as the policy, and after update s keeps the share
/// teacher_decay(s) of itself. Saved in the checkpoint's folder `teacher`, a model folder like any other.
std::unique_ptr<Gatherer> make_teacher_votes(const EvidenceContext& context);

/// The share: a cosine from --teacher-decay at the first update to --teacher-decay-end at the last (Co-rewarding-II,
/// arXiv 2508.00410).
double teacher_decay(const TrainOptions& options, std::int64_t step);

/// The policy and each model of --voters vote, a ballot each. UserError when there is no voter, or one cannot read the
/// problems.
std::unique_ptr<Gatherer> make_policy_votes(const EvidenceContext& context);

}  // namespace whet::train
