// When a training run collapsed: with labels (peak of accuracy, Model Collapse Step) and without.
//
// The marks with labels are judged on a smoothed series of reward accuracy, those without on how a frozen copy of the
// base model judges the policy's samples. Both work online, step by step, and give the same verdict on a finished
// series, because they are the same code.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace whet::analysis {

struct Point {
  std::int64_t step = 0;
  double value = 0;
};

/// Rise and fall of a held-out accuracy.
struct PeakSummary {
  std::int64_t first_step = 0, peak_step = 0, final_step = 0;
  double first = 0, peak = 0, final = 0;
  double gain() const { return peak - first; }
  double lost() const { return peak - final; }
  /// Share of the peak that is gone at the end; 0 when the peak is 0.
  double lost_share() const { return peak > 0 ? lost() / peak : 0; }
};

/// The highest point (the earliest of equals), the first and the last. Absent for an empty series. A maximum over many
/// noisy points lies above the truth: do not compare it with a single measurement. UserError naming the step when a
/// value is not finite or steps do not increase.
std::optional<PeakSummary> summarise_peak(std::span<const Point> series);

/// What "collapsed" means for reward accuracy.
struct CollapseMark {
  std::string name;       ///< "1%", "10%", "half-peak", or as given
  double level = 0;       ///< smoothed reward accuracy below this; or below this share of the peak so far
  bool of_peak = false;
};

/// "0.01" or "1%": below that reward accuracy. "half-peak": below half of the peak so far. UserError otherwise.
CollapseMark parse_mark(const std::string& text);

/// The marks that are always reported: 1% (the paper's), 10% and half-peak (for small models, which may settle in a
/// wrong consensus above 1%).
std::vector<CollapseMark> default_marks();

struct MarkResult {
  CollapseMark mark;
  std::optional<std::int64_t> step;  ///< first step below; absent: not reached
};

/// Watches reward accuracy, one step at a time.
///
/// The value of a step is the mean of the last `window` points, itself included; before there are that many there is no
/// value. The early peak is the highest such value up to that step, so that "below half of its early peak" can be
/// judged while the run goes on. A mark's step is the last of the window's.
class MarkWatch {
 public:
  explicit MarkWatch(std::vector<CollapseMark> marks = default_marks(), int window = 3);

  /// Steps must increase. UserError when they do not, or the value is not finite.
  void update(std::int64_t step, double reward_accuracy);

  const std::vector<MarkResult>& marks() const { return results_; }
  /// UserError for a name that is not watched.
  const MarkResult& mark(const std::string& name) const;
  /// The highest smoothed value and where it was; absent while there are fewer points than the window.
  const std::optional<Point>& early_peak() const { return peak_; }
  std::optional<double> smoothed() const { return smoothed_; }
  std::int64_t points() const { return points_; }
  std::int64_t last_step() const { return last_step_; }
  int window() const { return window_; }
  bool enough() const { return points_ >= window_; }

  /// One line for a person: "1%: step 66", "1%: not reached in 300 steps" or "1%: too few points (2, want 3)".
  std::string describe(const MarkResult& result) const;

 private:
  int window_;
  std::deque<double> recent_;
  std::vector<MarkResult> results_;
  std::optional<Point> peak_;
  std::optional<double> smoothed_;
  std::int64_t points_ = 0;
  std::int64_t last_step_ = 0;
};

/// The same over a finished series.
MarkWatch watch_marks(std::span<const Point> reward_accuracy, std::vector<CollapseMark> marks = default_marks(),
                      int window = 3);

/// What the frozen base says of the policy, on held-out prompts and without labels.
struct BaseView {
  /// Mean per-token log-probability that the frozen base gives to the policy's samples.
  std::optional<double> logprob;
  /// Share of prompts on which the policy's vote is the frozen base's vote.
  std::optional<double> agreement;
};

struct WatchOptions {
  /// The alarm: the base's log-probability this far (nats) below the best so far. From 14 runs of small models, where
  /// the rule kept at least 99 % of the peak wherever the base's majority was mostly right.
  double logprob_margin = 0.04;
  /// Used only where there is no log-probability: about two standard errors of an agreement measured on 100 prompts.
  double agreement_margin = 0.1;
};

enum class Verdict {
  kTooFewPoints,  ///< fewer than two: nothing can have fallen
  kHealthy,       ///< the latest value is the best so far
  kFalling,       ///< below the best, within the margin
  kCollapsed,     ///< the alarm was raised, now or earlier
};

/// "too few points", "healthy", "falling", "collapsed".
std::string to_string(Verdict verdict);

struct WatchState {
  Verdict verdict = Verdict::kTooFewPoints;
  std::optional<std::int64_t> peak_step;      ///< the checkpoint to keep: best so far, frozen by the alarm
  std::optional<std::int64_t> collapse_step;  ///< first step beyond the margin
  double peak = 0;                            ///< value at peak_step
  double current = 0;
  /// Peak of the agreement, as a second witness; absent if it was not given.
  std::optional<std::int64_t> agreement_peak_step;
  std::int64_t points = 0;
  std::int64_t last_step = 0;
  std::string signal;                         ///< "base log-probability" or "agreement with the base"
  std::string evidence;                       ///< one sentence for a person
};

/// Label-free collapse watch. While training only sharpens, the policy moves to what the base already found likely, and
/// the base's log-probability of its samples rises; once it exploits the reward, it leaves. So: keep the best so far,
/// and stop when it is a margin below.
///
/// Blind, as any label-free signal, where the base's majority is confidently wrong: there sharpening goes straight to
/// wrong answers and everything looks well.
///
/// The verdict of a step depends on the values up to it only; a resumed run restores the watch by replaying them.
class CollapseWatch {
 public:
  /// UserError for a margin that is not positive.
  explicit CollapseWatch(const WatchOptions& options = {});

  /// Steps must increase. UserError when they do not, when neither value is there, or when one is not finite. Which
  /// signal decides is settled by the first update: the log-probability if it is there; later updates must have it too.
  const WatchState& update(std::int64_t step, const BaseView& view);

  const WatchState& state() const { return state_; }

 private:
  void judge(std::int64_t step, double value);
  void describe();

  WatchOptions options_;
  WatchState state_;
  bool by_logprob_ = true;
  double agreement_peak_ = 0;
};

struct ViewPoint {
  std::int64_t step = 0;
  BaseView view;
};

/// The same over a finished series.
WatchState watch_series(std::span<const ViewPoint> series, const WatchOptions& options = {});

}  // namespace whet::analysis
