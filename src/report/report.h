// The pictures of runs: one HTML file that carries everything it needs, light and dark.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "store/run.h"

namespace whet::report {

struct ReportOptions {
  std::string title;  ///< empty: made from the runs' tasks
  int samples = 4;    ///< responses shown at each moment of a run
};

/// A page that overlays `runs` in the order given: what happened to each in words, a table, charts of every signal that
/// the runs have, and sample rollouts before, at and after the collapse. The same runs give the same bytes.
/// UserError when there are no runs, or a rollout file of theirs cannot be read.
std::string render(const std::vector<store::Run>& runs, const ReportOptions& options = {});

/// Loads the runs and writes their page, whole or not at all. UserError when a folder holds no run, or `output` is
/// something else than a page.
void write_report(std::span<const std::filesystem::path> runs, const std::filesystem::path& output,
                  const ReportOptions& options = {});

}  // namespace whet::report
