// One step's update of a policy from its scored groups: what the trainer does to the policy, and the challenger to its
// proposer.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"
#include "train/groups.h"
#include "train/options.h"
#include "train/policy_loss.h"

namespace whet::train {

/// The learning rate of a step (from 1 on), where `peak` is the highest one: linear warm-up, then the run's schedule.
double scheduled_rate(const TrainOptions& options, double peak, std::int64_t step);

struct Update {
  double gradient_norm = 0;  ///< before clipping; the largest of the mini-batches
  PolicyLossResult loss;
};

/// Cuts the groups into --mini-batches, each with a step of its own. Of the groups only prompts and rollouts are read.
/// `reference` is read when the divergence is in the loss, and may be null otherwise. `max_tokens`: a response's length
/// limit. RunError when a loss or a gradient is not finite.
Update update_policy(engine::Model& model, engine::Model* reference, const std::vector<Group>& groups,
                     const std::vector<std::vector<double>>& advantages, const TrainOptions& options,
                     double learning_rate, int max_tokens);

}  // namespace whet::train
