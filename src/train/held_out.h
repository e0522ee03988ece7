// What a policy does on held-out problems, with labels and in the eyes of the frozen base.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/watch.h"
#include "base/json.h"
#include "train/groups.h"
#include "train/text_model.h"

namespace whet::train {

/// Measures a policy on the same held-out problems again and again.
class HeldOut {
 public:
  /// Asks the frozen base for its own vote on every problem (16 rollouts each).
  HeldOut(TextModel& policy, engine::Model& base, const tasks::Task& task, std::vector<tasks::Problem> problems, int samples,
          const engine::SamplingOptions& sampling, std::uint64_t seed);

  struct Result {
    base::Json metrics;                        ///< the held-out keys of a metrics line
    std::optional<double> accuracy;            ///< avg@samples; absent without labels
    analysis::BaseView view;                   ///< label-free: what the frozen base says
    std::int64_t tokens = 0;                   ///< sampled
  };

  Result measure(std::int64_t step);

 private:
  TextModel& policy_;
  engine::Model& base_;
  const tasks::Task& task_;
  std::vector<tasks::Problem> problems_;
  int samples_;
  engine::SamplingOptions sampling_;
  std::uint64_t seed_;
  std::vector<std::optional<std::string>> base_votes_;
};

/// Mean per-token log-probability that `model` gives to the groups' responses; absent when there is no token.
std::optional<double> mean_logprob(engine::Model& model, const std::vector<Group>& groups, double temperature);

}  // namespace whet::train
