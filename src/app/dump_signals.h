// The label-free signals of each step of somebody's rollout dumps.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/failure.h"
#include "store/dumps.h"
#include "tasks/task.h"

namespace whet::app {

struct DumpSignals {
  std::vector<analysis::SignalPoint> points;  ///< by step
  std::vector<std::string> notes;             ///< what was left out
  std::string format;                         ///< "verl"; empty when there was no row
};

/// Reads the dumps at a path (store/dumps.h) a step at a time, and what is written there later. Rows without a step belong to
/// the step that their file is. Words stand for tokens, and mutual information is a share of the logarithm of the number of
/// problems. Groups with fewer rollouts than the largest of their step are left out, and so is a last step with fewer rows than
/// the one before, which may be half written.
class DumpFollower {
 public:
  /// UserError for a task that is unknown.
  DumpFollower(std::string path, const std::string& task, std::optional<store::DumpFormat> format);
  ~DumpFollower();

  /// All steps so far. Reads only what is new, or everything again where what was read has changed. UserError as DumpReader,
  /// and when steps do not increase.
  DumpSignals look();

 private:
  struct State;
  void read_new_rows();

  std::string path_;
  store::DumpOptions options_;
  std::unique_ptr<tasks::Task> task_;
  std::unique_ptr<State> state_;  ///< what was read; nothing before the first look
};

}  // namespace whet::app
