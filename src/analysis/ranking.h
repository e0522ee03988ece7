// How models compare: a median over runs some of which never reached what was waited for, and rank correlations over the
// few models that there are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/evaluation.h"

namespace whet::analysis {

/// Where a run reached something, or how far it went without.
struct StepBound {
  std::int64_t step = 0;
  bool reached = false;
};

/// "66", or "> 150" for a run that went 150 steps without.
std::string to_string(const StepBound& bound);

/// The middle of several runs. A run that ended without reaching its mark counts as later than its end, and as nothing
/// more: no number is made up for it.
struct StepMedian {
  /// The median when every such run's step lies right after its end: the truth is this or later.
  double at_least = 0;
  /// The median is at_least, however late those runs would have reached the mark.
  bool exact = false;
  StepBound low, high;  ///< the range of the runs
  std::int64_t runs = 0;
};

/// Of an even number, the mean of the middle two. UserError for no run or a negative step.
StepMedian step_median(std::span<const StepBound> runs);

/// Whether more steps cannot change what is reported: the median is exact, or lies beyond `budget`. `runs` holds every run
/// that was asked for: one that is still going on as not reached so far, one that has not begun as not reached in 0.
bool is_settled(std::span<const StepBound> runs, std::int64_t budget);

/// The chance that the range of that many independent runs holds the median of all possible runs: 1 - 2^(1 - runs).
double range_coverage(std::int64_t runs);

/// Ranks from 1, equal values sharing the mean of theirs. UserError for a NaN; infinities are fine and equal.
std::vector<double> ranks(std::span<const double> values);

/// Spearman's rank correlation: Pearson's of the ranks. Absent when either does not vary, or there are fewer than 3.
/// UserError when their numbers differ.
std::optional<double> spearman(std::span<const double> x, std::span<const double> y);

struct RankCorrelation {
  std::int64_t models = 0;
  double value = 0;
  /// 95 % percentile bootstrap over models, 2,000 draws; draws in which either side does not vary are left out. Wide, and
  /// with fewer than ten models rough.
  double low = 0, high = 0;
  /// Two-sided permutation test: the share of orders of y whose correlation is at least as far from 0. All orders for up
  /// to 8 models, else 20,000 drawn ones, the observed order among them.
  double p_value = 1;
};

/// Absent where spearman() is.
std::optional<RankCorrelation> rank_correlation(std::span<const double> x, std::span<const double> y,
                                                std::uint64_t seed);

/// spearman(a, y) - spearman(b, y), with a 95 % bootstrap interval over models drawn for both at once. Absent when either
/// is.
std::optional<Estimate> correlation_difference(std::span<const double> a, std::span<const double> b,
                                               std::span<const double> y, std::uint64_t seed);

}  // namespace whet::analysis
