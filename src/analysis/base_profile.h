// What the rollouts of a base model foretell of training it, before any training.
#pragma once

#include <cstdint>
#include <span>

#include "analysis/evaluation.h"
#include "theory/forecast.h"

namespace whet::analysis {

/// All intervals are 95 % over problems: bootstraps, and Wilson's for majority_right.
struct BaseProfile {
  std::int64_t problems = 0;
  std::int64_t rollouts = 0;  ///< over all problems
  int k = 0;
  Estimate avg;   ///< share of right rollouts
  Estimate pass;  ///< pass@k
  /// Share of problems whose majority is right: the limit of sharpening, and a forecast of the order of Model Collapse Steps,
  /// as good as any that was tried (docs/findings/F6.md).
  Estimate majority_right;
  /// Foretold gain without labels: where full sharpening leads, minus where the base is.
  Estimate sharpening_gain;
  /// Foretold gain with labels: what is right at least once in k, minus where the base is.
  Estimate supervised_gain;
};

/// The majorities of few rollouts are themselves uncertain, which pulls majority_right towards the middle: 16 rollouts or
/// more are wanted. UserError for no problem, or a k that exceeds a problem's rollouts.
BaseProfile base_profile(std::span<const theory::ProblemCounts> problems, int k, std::uint64_t seed);

}  // namespace whet::analysis
