// What there is to say about a run in words and in a table. Peaks, marks and the label-free watch are those of
// src/analysis, so that a report says what the trainer said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/collapse.h"
#include "analysis/failure.h"
#include "analysis/watch.h"
#include "store/run.h"

namespace whet::report {

using Series = std::vector<analysis::Point>;

/// The values of one key, at the steps whose lines have it as a finite number.
Series series_of(const store::Run& run, std::string_view key);

/// The value at a step, if the series has one there.
std::optional<double> value_at(const Series& series, std::optional<std::int64_t> step);

/// One option of a run as text: a member of its config, or of one of the config's tables; `key` has underscores, the
/// config may have dashes. Empty when there is none.
std::string option_of(const store::Run& run, std::string_view key);

struct RunFacts {
  std::string name;  ///< what tells the run apart from the others of its report; unique among them
  int color = 0;     ///< 0 to 5: one each for up to six runs, one a reward for more
  int dash = 0;      ///< 0 (solid) to 3: tells runs of one color apart
  std::int64_t last_step = 0;
  bool finished = false;
  std::optional<analysis::PeakSummary> accuracy;             ///< of held-out accuracy
  std::size_t evaluations = 0;                               ///< its points
  std::optional<analysis::PeakSummary> reward;               ///< of the pseudo-reward
  bool has_reward_accuracy = false;                          ///< enough of it to judge the marks below
  std::optional<std::int64_t> collapse;                      ///< reward accuracy below half of its peak so far
  std::optional<std::int64_t> below_tenth, below_hundredth;  ///< reward accuracy below 10 % and 1 %
  std::optional<std::int64_t> kept;                          ///< checkpoint that the label-free watch keeps
  std::optional<double> kept_accuracy;                       ///< held-out accuracy there
  std::size_t averaged = 0;                ///< steps whose weights make up the kept model; 0: no average
  std::optional<double> average_accuracy;  ///< its held-out accuracy
  std::optional<std::int64_t> warning;     ///< step at which the breach began that led to the alarm
  std::optional<std::int64_t> alarm;       ///< step of the label-free alarm
};

/// The label-free signals of each training step that has some.
std::vector<analysis::SignalPoint> signals_of(const store::Run& run);

/// How the run fails by the end, from the label-free signals of its steps; nothing where they show nothing.
analysis::FailureReport failure_of(const store::Run& run);

/// The label-free watch over the steps at which the run has what it needs; of an empty series where none has.
analysis::WatchState watch_run(const store::Run& run);

/// The facts of every run, in order. A name is made of the reward, task, model, learning rate and seed, less those that
/// all runs share; names that would still be equal are told apart by their folders.
std::vector<RunFacts> facts_of(const std::vector<store::Run>& runs);

/// What all runs share but the task, for a line under the title; with one run, what its name leaves out. May be empty.
std::string shared_by(const std::vector<store::Run>& runs);

/// A paragraph in plain words: base, peak, end, collapse, and what the pseudo-reward did meanwhile. Not escaped.
std::string sentence_of(const RunFacts& facts);

}  // namespace whet::report
