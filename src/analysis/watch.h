// Collapse, seen without labels: how a frozen copy of the base model judges the policy's samples on held-out prompts.
//
// While training only sharpens, the policy moves to what the base already found likely: the base's log-probability of its
// samples rises and its vote stays the base's vote. Once it exploits the reward, it leaves, and both fall. One of them alone
// says too little: the log-probability of a healthy run on labels wanders by more than its fall in the first steps of a
// collapse, and the agreement of a weak base falls when the policy learns better. Hence the rule: both, twice in a row.
//
// Blind, as any label-free signal, where the base's majority is confidently wrong: there sharpening goes straight to wrong
// answers and everything looks well.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace whet::analysis {

/// What the frozen base says of the policy, on held-out prompts and without labels.
struct BaseView {
  /// Mean per-token log-probability that the frozen base gives to the policy's samples.
  std::optional<double> logprob;
  /// Share of prompts on which the policy's vote is the frozen base's vote.
  std::optional<double> agreement;
};

/// Chosen on one set of runs and judged on another (docs/watching.md).
struct WatchOptions {
  /// Breach: the base's log-probability at least this far (nats) below the best so far ...
  double logprob_margin = 0.04;
  /// ... and at least this share of how far it had risen, so that a run that rose a nat may wander more ...
  double rise_share = 0.2;
  /// ... and the agreement at least this far below its best. Where only one of the two is known, it decides alone.
  double agreement_margin = 0.05;
  /// The alarm: this many measurements in a row in breach.
  int confirmations = 2;
};

enum class Verdict {
  kTooFewPoints,  ///< fewer than two: nothing can have fallen
  kHealthy,       ///< the latest value is the best so far
  kFalling,       ///< below the best, not in breach
  kWarning,       ///< in breach, not confirmed yet
  kCollapsed,     ///< the alarm was raised, now or earlier
};

/// "too few points", "healthy", "falling", "warning", "collapsed".
std::string to_string(Verdict verdict);

struct WatchState {
  Verdict verdict = Verdict::kTooFewPoints;
  std::optional<std::int64_t> peak_step;     ///< the checkpoint to keep: best so far, frozen by the alarm
  std::optional<std::int64_t> warning_step;  ///< where the latest breach began; after the alarm: the one that led to it
  std::optional<std::int64_t> collapse_step;  ///< of the alarm
  double peak = 0;                            ///< value at peak_step
  double current = 0;
  /// Peak of the agreement, as a second witness; absent if it was not given.
  std::optional<std::int64_t> agreement_peak_step;
  std::int64_t points = 0;
  std::int64_t last_step = 0;
  std::string signal;    ///< "base log-probability" or "agreement with the base"
  std::string evidence;  ///< one sentence for a person
};

/// Works online, step by step, and gives the same verdict on a finished series. The verdict of a step depends on the
/// values up to it only; a resumed run restores the watch by replaying them.
class CollapseWatch {
 public:
  /// UserError for a margin that is not positive, a negative share or fewer than one confirmation.
  explicit CollapseWatch(const WatchOptions& options = {});

  /// Steps must increase. UserError when they do not, when neither value is there, or when one is not finite. Which signals
  /// are judged is settled by the first update; later updates must have them too.
  const WatchState& update(std::int64_t step, const BaseView& view);

  const WatchState& state() const { return state_; }

 private:
  void judge(std::int64_t step, double value, const std::optional<double>& agreement);
  bool is_breach(double value, const std::optional<double>& agreement) const;
  void describe();

  WatchOptions options_;
  WatchState state_;
  bool by_logprob_ = true;
  bool by_agreement_ = true;
  double first_ = 0;
  double agreement_peak_ = 0;
  double agreement_ = 0;
  int breaches_ = 0;  ///< in a row
};

struct ViewPoint {
  std::int64_t step = 0;
  BaseView view;
};

/// The same over a finished series.
WatchState watch_series(std::span<const ViewPoint> series, const WatchOptions& options = {});

}  // namespace whet::analysis
