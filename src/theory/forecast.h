// What sharpening will do to each problem, foretold from the base model's rollouts alone.
//
// Sharpening moves a problem's mass to the answer that most rollouts gave at the start, so that a problem's fate is
// decided by whether that answer is right. How fast is a matter of one number, the shift of the majority's logit: k / beta
// after k exact steps. Real training has no beta; its effective shift is read from the first updates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "theory/sharpening.h"

namespace whet::theory {

/// What the rollouts of one problem answered.
struct ProblemCounts {
  std::vector<std::int64_t> answers;  ///< rollouts of each class of equal answers
  std::int64_t absent = 0;            ///< rollouts without an answer
  std::vector<bool> right = {};       ///< by class; a task may accept several. Empty: none is right, or no label

  std::int64_t rollouts() const;
  /// Index of the largest class, the first of equals; absent when there is no answer.
  std::optional<std::size_t> majority() const;
  /// Share of the rollouts, absent answers included in the denominator; 0 without an answer.
  double majority_share() const;
  double right_share() const;
  bool is_right(std::size_t answer) const { return answer < right.size() && right[answer]; }
};

enum class Fate {
  kRises,      ///< the majority is right, and not yet everything
  kFalls,      ///< the majority is wrong, and something right is left to lose
  kStays,      ///< all rollouts agree, or there is no answer or nothing right: accuracy has nowhere to go
  kUndecided,  ///< two answers are too close for these rollouts to say which will win
};

/// "rises", "falls", "stays", "undecided".
std::string to_string(Fate fate);

struct Forecast {
  Fate fate = Fate::kStays;
  /// The chance that the majority of the rollouts is ahead of the runner-up in the policy itself: with a uniform prior on
  /// the two, P(theta_1 > theta_2) = P(Binomial(c_1 + c_2 + 1, 1/2) > c_2).
  double confidence = 1;
  double start = 0;  ///< share of right rollouts now
  double limit = 0;  ///< where full sharpening leads: 1 or 0
};

/// `decided`: least confidence for a verdict.
Forecast forecast(const ProblemCounts& problem, double decided = 0.9);

/// Right mass of a problem after its majority's logit has been shifted by `shift`: the majority gains, all other mass
/// shrinks in proportion.
double right_mass(const ProblemCounts& problem, double shift);

/// Mean over problems of right_mass: the accuracy foretold at that shift. UserError without problems.
double predicted_accuracy(std::span<const ProblemCounts> problems, double shift);
/// Share of problems whose majority is right: the accuracy at the limit of sharpening.
double limit_accuracy(std::span<const ProblemCounts> problems);

/// The one shift of logits that turns the `initial` masses (in [0, 1]) into masses of mean `observed`, by bisection in
/// [-60, 60]; its ends when the mean is beyond reach. UserError when there is no mass strictly between 0 and 1.
double effective_shift(std::span<const double> initial, double observed);

struct ShiftPoint {
  double step = 0;
  double shift = 0;
};

/// The effective beta: its inverse is the slope of the least-squares line through the origin and the points. Absent when
/// the slope is not positive (nothing sharpened). UserError without a point whose step is positive.
std::optional<double> effective_beta(std::span<const ShiftPoint> points);

}  // namespace whet::theory
