// The shape of a run: whether it rose, whether it fell, and when. The statistics that several findings share.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "analysis/collapse.h"
#include "findings/finding.h"
#include "store/run.h"

namespace whet::findings {

/// Share of the peak below which accuracy has collapsed, and the rise that counts as one: several standard errors of an
/// evaluation (avg@4 on 200 problems: about .02).
inline constexpr double kCollapsedShare = 0.5;
inline constexpr double kRise = 0.1;
/// Evaluations whose mean is "the end", and steps whose mean is a pseudo-reward: one of either is noisy.
inline constexpr std::size_t kLastEvaluations = 3;
inline constexpr std::size_t kRewardWindow = 5;

struct Shape {
  double base = 0;
  double peak = 0;  ///< the best of many noisy evaluations, so a little high
  std::int64_t peak_step = 0;
  double end = 0;  ///< mean of the last kLastEvaluations
  std::int64_t last_step = 0;
  std::optional<std::int64_t> fall;          ///< first evaluation after the peak below kCollapsedShare of it
  double reward_first = 0, reward_last = 0;  ///< mean pseudo-reward of the first and last kRewardWindow steps

  bool rose() const { return peak - base >= kRise; }
  /// Lower at the end than half of the peak.
  bool collapsed() const { return end < kCollapsedShare * peak; }
  bool reward_rose() const { return reward_last > reward_first; }
};

/// Absent for a run with fewer than kLastEvaluations evaluations after the base's, or fewer than two windows of steps.
std::optional<Shape> shape_of(const store::Run& run);

/// The judgement of a finding one of whose runs does not go far enough.
Judgement too_short(const store::Run& run);

/// The mean of the last `count` points, of which there must be that many.
double mean_of_last(std::span<const analysis::Point> series, std::size_t count);

/// First step at which reward accuracy, averaged over three steps, is below half of its highest value so far.
std::optional<std::int64_t> collapse_step(const store::Run& run);

/// ".98 @ 55"
std::string peak_text(const Shape& shape);
/// "54", or "> 300".
std::string step_text(std::optional<std::int64_t> step, std::int64_t last_step);
/// Two digits.
std::string share_text(double share);

}  // namespace whet::findings
