// What became of each held-out problem of a run, and what sharpening alone foretold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/facts.h"
#include "store/run.h"
#include "theory/forecast.h"

namespace whet::report {

/// One held-out problem: the share of right rollouts at each evaluation.
struct ProblemPath {
  double first_share = 0;  ///< of the base's rollouts that gave its vote; 0 without an answer
  std::vector<double> right;
};

struct ProblemPaths {
  std::vector<std::int64_t> steps;
  /// By whether the base's own vote was right (no answer is not right); the surest vote first, then as they were asked.
  std::vector<ProblemPath> right_first, wrong_first;
  /// What the base's voting rollouts answered, by problem as they were asked.
  std::vector<theory::ProblemCounts> base;
  /// Accuracy that sharpening predicts: the mean mass on the base's vote gives the shift of logits, and that the accuracy.
  /// All three are empty where no vote of the base leaves room for a shift.
  Series on_vote, shift, predicted;
  double limit = 0;  ///< share of the problems whose first vote was right
};

/// Absent for a run without heldout.jsonl, or without labels. UserError naming the file and the step when a line does
/// not fit the others.
std::optional<ProblemPaths> paths_of(const store::Run& run);

/// Mean over problems of the share of right rollouts, at one evaluation; absent without problems.
std::optional<double> mean_right(const std::vector<ProblemPath>& problems, std::size_t evaluation);

/// Two sentences: what happened to either kind, and how far off the forecast was. Not escaped.
std::string sentence_of(const ProblemPaths& paths, const Series& accuracy);

}  // namespace whet::report
