// The runs that a Model Collapse Step is measured by: one a seed, each a folder that can be gone on with. For `whet mcs` and
// `whet rank`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analysis/collapse.h"
#include "analysis/ranking.h"
#include "train/trainer.h"

namespace whet::app {

/// One finished run, read from its folder: the same whether it was made now or earlier.
struct SeedOutcome {
  std::int64_t seed = 0;
  std::filesystem::path folder;
  analysis::StepBound labelled;    ///< reward accuracy below the threshold
  analysis::StepBound label_free;  ///< the watch's estimate of the same, without labels
  std::string ended;               ///< "threshold", "hopeless", "settled" or "budget"
  std::int64_t steps = 0;
  std::optional<analysis::PeakSummary> accuracy;
  std::vector<analysis::MarkResult> marks;  ///< the three that are always reported
  base::Json summary;                       ///< summary.json
  std::int64_t tokens = 0;                  ///< sampled, in training and measuring
  std::int64_t training_tokens = 0;         ///< sampled in training
  std::int64_t first_step_tokens = 0;       ///< of them, in step 1; 0 when there was none
  double seconds = 0;                       ///< of its steps
};

/// UserError when the folder holds no finished run.
SeedOutcome read_outcome(const std::filesystem::path& folder, const analysis::CollapseMark& mark);

/// UserError "[place] ..." for --guard, and for a --probe that may end the run: a run that ends before its collapse has no collapse step.
void refuse_guard(const train::TrainOptions& options, const char* place);

/// What is told of a run as it begins or goes on.
using Begun = std::function<void(const train::Trainer&)>;

/// Runs `options` in `folder`, goes on with the run that is there, or leaves a finished one. False when interrupted.
bool complete_run(const train::TrainOptions& options, const std::filesystem::path& folder, const Begun& begun,
                  const train::Observer& observer);

/// A base is hopeless when the share of its right answers is below this with 95 % confidence: none of n held-out rollouts
/// right excludes more than 1 - 0.05^(1/n), which is below it from 299 rollouts on.
inline constexpr double kHopeless = 0.01;
bool is_hopeless(double accuracy, std::int64_t rollouts);

/// Whether the median of `seeds` runs can no longer change, whatever those that have not begun would show. `running_at`: the
/// step at which one more stands without having collapsed.
bool is_settled(const std::vector<SeedOutcome>& finished, std::int64_t seeds, std::int64_t budget,
                std::optional<std::int64_t> running_at = {});

/// Runs until the threshold is reached, the base is seen to be hopeless, the budget is spent, or the median of all seeds is
/// settled. `finished` are the other seeds' outcomes, of `seeds` in all. Nothing when interrupted.
std::optional<SeedOutcome> measure_seed(const train::TrainOptions& options, const std::filesystem::path& folder,
                                        const analysis::CollapseMark& mark, const std::vector<SeedOutcome>& finished,
                                        std::int64_t seeds, const Begun& begun, const train::Observer& observer);

/// All seeds together.
struct McsOutcome {
  std::vector<SeedOutcome> seeds;  ///< those that were run; fewer than asked for when the median was settled before
  std::int64_t asked = 0;
  analysis::StepMedian labelled, label_free;
  std::int64_t tokens = 0, training_tokens = 0;
  double seconds = 0;
  /// Training tokens of a supervised run of the whole budget, as far as step 1 tells: its tokens times the steps. Absent
  /// when no step was made.
  std::optional<double> supervised_tokens;

  /// A number to sort models by: the median, and above all others where it lies beyond the budget.
  double order() const;
};

McsOutcome summarise_seeds(std::vector<SeedOutcome> seeds, std::int64_t asked, std::int64_t budget);

/// "66", "> 150".
std::string median_text(const analysis::StepMedian& median);
/// "54 .. 123"
std::string range_text(const analysis::StepMedian& median);

base::Json median_json(const analysis::StepMedian& median);
base::Json outcome_json(const SeedOutcome& outcome);

}  // namespace whet::app
