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
  /// Asks the frozen base for its own vote on every problem (16 rollouts each). Without `grading` no label is looked at, as if
  /// the problems had none.
  HeldOut(TextModel& policy, engine::Model& base, const tasks::Task& task, std::vector<tasks::Problem> problems,
          int samples, const engine::SamplingOptions& sampling, std::uint64_t seed, bool grading = true);

  struct Result {
    base::Json metrics;              ///< the held-out keys of a metrics line
    base::Json problems;             ///< the line of heldout.jsonl, see below
    std::optional<double> accuracy;  ///< avg@samples; absent without labels
    analysis::BaseView view;         ///< label-free: what the frozen base says
    std::int64_t tokens = 0;         ///< sampled
  };

  /// `problems` of the result, every array in the order of the held-out problems:
  ///   step
  ///   right     share of the problem's rollouts that are right; absent unless all problems have labels
  ///   on_vote   share of its rollouts whose answer is the base's vote; null where the base had none
  ///   same      whether the policy's vote is the base's; null where the base had none
  /// and at step 0, where a reader learns what all else is compared with:
  ///   samples   rollouts of each problem in `right` and `on_vote`
  ///   base      of each problem what the base's voting rollouts answered: `answers`, the size of every class of equal
  ///             answers, the vote's first; `absent`, rollouts without an answer; `right`, whether each class is (absent
  ///             without a label)
  Result measure(std::int64_t step);

 private:
  TextModel& policy_;
  engine::Model& base_;
  const tasks::Task& task_;
  std::vector<tasks::Problem> problems_;
  int samples_;
  engine::SamplingOptions sampling_;
  std::uint64_t seed_;
  bool grading_;
  std::vector<std::optional<std::string>> base_votes_;
  base::Json base_answers_ = base::Json::array();  ///< `base` above
};

}  // namespace whet::train
