// Whether confidence goes with being right: AUROC, reliability, expected calibration error, point-biserial correlation.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "analysis/evaluation.h"

namespace whet::analysis {

// In all of these, scores[i] belongs to correct[i]; UserError when their numbers differ or a score is not finite.

/// The chance that a right sample has a higher score than a wrong one, ties counting one half (the Mann-Whitney U
/// statistic divided by its largest value). Absent unless there are both right and wrong samples.
std::optional<double> auroc(const std::vector<double>& scores, const std::vector<bool>& correct);

/// Pearson's correlation of the scores with 0/1. Absent when either does not vary.
std::optional<double> point_biserial(const std::vector<double>& scores, const std::vector<bool>& correct);

/// Samples whose confidence lies in [low, high); the last bin includes 1.
struct ReliabilityBin {
  double low = 0;
  double high = 0;
  std::int64_t count = 0;
  double confidence = 0;  ///< mean; 0 when empty
  double accuracy = 0;    ///< share right; 0 when empty
};

/// `bins` equally wide bins over [0, 1]. UserError for a confidence outside or bins < 1.
std::vector<ReliabilityBin> reliability(const std::vector<double>& confidences, const std::vector<bool>& correct,
                                        int bins = 10);

/// Expected calibration error: mean over samples of their bin's |accuracy - mean confidence| (Naeini et al., 2015).
/// Absent when there is no sample.
std::optional<double> expected_calibration_error(const std::vector<ReliabilityBin>& bins);

/// The samples of one problem.
struct ScoredProblem {
  std::vector<double> scores;
  std::vector<bool> correct;
};

/// A number that the scores and the correctness of samples have, or have not.
using Measure = std::function<std::optional<double>(const std::vector<double>&, const std::vector<bool>&)>;

/// A measure of all samples together, with a 95 % percentile interval from 1,000 draws of whole problems with
/// replacement under `seed`. Absent when the measure is. A draw without a value (say one in which everything is right)
/// says nothing about where the value lies, and is left out. UserError for fewer than 2 problems: one alone would seem
/// to leave no doubt.
std::optional<Estimate> bootstrap_problems(const std::vector<ScoredProblem>& problems, const Measure& measure,
                                           std::uint64_t seed);

// Training compares the rollouts of one problem only: a confidence that tells easy problems from hard ones, and nothing
// within a problem, moves no policy. So, beside the measures of all samples together, the same within problems. Intervals
// are those of bootstrap_problems(), and so are the errors.

/// Over all pairs of a right and a wrong sample of the same problem, the share in which the right one has the higher
/// score, ties counting one half. Absent when no problem has both.
std::optional<Estimate> auroc_within(const std::vector<ScoredProblem>& problems, std::uint64_t seed);

/// Pearson's correlation of score and 0/1 after each problem's own mean is taken from both. Absent when either does not
/// vary within any problem.
std::optional<Estimate> point_biserial_within(const std::vector<ScoredProblem>& problems, std::uint64_t seed);

/// How many problems have both right and wrong samples: those that the measures within problems come from.
std::int64_t mixed_problems(const std::vector<ScoredProblem>& problems);

enum class Alignment { kWorthSharpening, kMostlyWrong, kCannotTell };

/// What sharpening, which drives each problem to its majority, would come to: kWorthSharpening when the interval of the
/// share of problems with the right majority lies above one half, kMostlyWrong when it lies below, else kCannotTell.
Alignment judge_alignment(const Estimate& majority_right);

std::string_view to_string(Alignment alignment);

}  // namespace whet::analysis
