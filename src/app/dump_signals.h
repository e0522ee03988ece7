// The label-free signals of each step of somebody's rollout dumps.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/failure.h"
#include "store/dumps.h"

namespace whet::app {

struct DumpSignals {
  std::vector<analysis::SignalPoint> points;  ///< by step
  std::vector<std::string> notes;             ///< what was left out
  std::string format;                         ///< "verl"; empty when there was no row
};

/// Reads the dumps at `path` (store/dumps.h) a step at a time. Rows without a step belong to the step that their file is.
/// Words stand for tokens, and mutual information is a share of the logarithm of the number of problems. Groups with fewer
/// rollouts than the largest of their step are left out, and so is a last step with fewer rows than the one before, which
/// may be half written. UserError as DumpReader, for a task that is unknown, and when steps do not increase.
DumpSignals dump_signals(const std::string& path, const std::string& task, std::optional<store::DumpFormat> format);

}  // namespace whet::app
