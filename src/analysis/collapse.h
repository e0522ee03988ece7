// When a training run collapsed, measured with labels: peak of accuracy, Model Collapse Step. (Without: watch.h.)
//
// The marks are judged on a smoothed series of reward accuracy. They work online, step by step, and give the same verdict
// on a finished series, because it is the same code.
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
  std::string name;  ///< "1%", "10%", "half-peak", or as given
  double level = 0;  ///< smoothed reward accuracy below this; or below this share of the peak so far
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

}  // namespace whet::analysis
