// Whether confidence goes with being right: AUROC, reliability, expected calibration error, point-biserial correlation.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

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

}  // namespace whet::analysis
