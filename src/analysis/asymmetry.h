// How much easier checking is than solving, for one model and task: how often its answers are right, against how often
// its verdicts on them are, kind of error by kind of error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/evaluation.h"

namespace whet::analysis {

/// One response and what a verifier said of it.
struct JudgedResponse {
  bool correct = false;
  std::string kind;    ///< of the error, when it is not
  bool asked = true;   ///< false: no verdict was asked for, which counts as one that is not True
  int readings = 0;    ///< verdicts asked for, > 0
  int says_true = 0;   ///< of them
  int unreadable = 0;  ///< of them
};

struct JudgedProblem {
  std::vector<JudgedResponse> responses;
  bool majority_correct = false;
};

/// Responses of one kind, and how often a verdict on them is True.
struct KindRate {
  std::string kind;
  std::int64_t responses = 0;
  Estimate says_true;
};

/// The intervals are wide enough for two kinds of doubt: the percentile bootstrap over problems (1,000 draws; responses
/// to one problem hang together), and where it is wider Wilson's interval over responses, because a bootstrap of rates
/// that were never seen to vary has no width.
struct Asymmetry {
  std::int64_t problems = 0, responses = 0, asked = 0;
  Estimate accuracy;  ///< avg@n
  Estimate majority;  ///< maj@n
  /// ver@n: share of problems whose solution that the verifier likes best (most readings True) is right; where several
  /// are liked best, their share that is right.
  Estimate chosen;
  Estimate chosen_minus_accuracy, chosen_minus_majority;  ///< by problem
  std::optional<Estimate> true_positive_rate;             ///< absent without a right response
  std::optional<Estimate> false_positive_rate;            ///< absent without a wrong one
  std::optional<Estimate> informedness;  ///< true minus false positive rate: 0 for a coin, 1 for an oracle
  std::optional<Estimate> advantage;     ///< informedness minus accuracy
  std::optional<double> precision;       ///< of verdicts True, the share on right responses
  std::optional<double> unreadable;      ///< share of readings asked for; absent when none was
  std::vector<KindRate> kinds;           ///< of errors, the most frequent first
};

/// UserError for no problem, or a problem without responses.
Asymmetry asymmetry(const std::vector<JudgedProblem>& problems, std::uint64_t seed);

enum class Answer { kYes, kNo, kUnclear };

/// What follows for a run, with the reasons in plain words.
struct Advice {
  /// Whether checking is easier than solving: informedness above accuracy, both being what chance alone does not give.
  /// Unclear while the interval of their difference holds 0.
  Answer easier = Answer::kUnclear;
  /// Whether self-verification is worth a run. Yes when all of these hold:
  /// - choosing by verdict beats a random choice (ver@n - avg@n above 0 with its interval);
  /// - every kind of error passes less often than right solutions do, by the intervals: training goes where True is most
  ///   likely. It fails where a kind's rate is no lower than theirs. Kinds of fewer than kFewResponses responses are
  ///   named and not judged;
  /// - at most kMostUnreadable of the verdicts cannot be read.
  /// No when one of them fails, unclear while the intervals leave one open.
  Answer worth = Answer::kUnclear;
  std::vector<std::string> reasons;
};

/// With fewer problems than kFewProblems nothing is judged: resampling them would understate the doubt.
inline constexpr std::int64_t kFewProblems = 20;
inline constexpr std::int64_t kFewResponses = 10;
inline constexpr double kMostUnreadable = 0.2;

Advice advise(const Asymmetry& measured);

}  // namespace whet::analysis
