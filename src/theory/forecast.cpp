#include "theory/forecast.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace whet::theory {
namespace {

/// P(Binomial(trials, 1/2) > most), summed in the log domain.
double upper_tail(std::int64_t trials, std::int64_t most) {
  const double n = static_cast<double>(trials);
  double sum = 0;
  for (std::int64_t k = most + 1; k <= trials; ++k) {
    const double x = static_cast<double>(k);
    sum += std::exp(std::lgamma(n + 1) - std::lgamma(x + 1) - std::lgamma(n - x + 1) - n * std::log(2.0));
  }
  return std::min(1.0, sum);
}

double mean_shifted(std::span<const double> masses, double shift) {
  double sum = 0;
  for (const double mass : masses) sum += sigmoid(logit(mass) + shift);
  return sum / static_cast<double>(masses.size());
}

}  // namespace

std::int64_t ProblemCounts::rollouts() const { return std::accumulate(answers.begin(), answers.end(), absent); }

std::optional<std::size_t> ProblemCounts::majority() const {
  const auto largest = std::max_element(answers.begin(), answers.end());
  if (largest == answers.end() || *largest <= 0) return std::nullopt;
  return static_cast<std::size_t>(largest - answers.begin());
}

double ProblemCounts::majority_share() const {
  const auto winner = majority();
  return winner ? static_cast<double>(answers[*winner]) / static_cast<double>(rollouts()) : 0;
}

double ProblemCounts::right_share() const {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) count += is_right(i) ? answers[i] : 0;
  return count > 0 ? static_cast<double>(count) / static_cast<double>(rollouts()) : 0;
}

std::string to_string(Fate fate) {
  switch (fate) {
    case Fate::kRises:
      return "rises";
    case Fate::kFalls:
      return "falls";
    case Fate::kStays:
      return "stays";
    case Fate::kUndecided:
      return "undecided";
  }
  return {};
}

Forecast forecast(const ProblemCounts& problem, double decided) {
  Forecast result;
  const auto winner = problem.majority();
  if (!winner) return result;
  std::int64_t second = 0;
  for (std::size_t i = 0; i < problem.answers.size(); ++i) {
    if (i != *winner) second = std::max(second, problem.answers[i]);
  }
  const std::int64_t first = problem.answers[*winner];
  const bool is_right = problem.is_right(*winner);
  result.confidence = upper_tail(first + second + 1, second);
  result.start = problem.right_share();
  result.limit = is_right ? 1 : 0;
  if (result.start == result.limit) {
    result.fate = Fate::kStays;
  } else if (result.confidence < decided) {
    result.fate = Fate::kUndecided;
  } else {
    result.fate = is_right ? Fate::kRises : Fate::kFalls;
  }
  return result;
}

double right_mass(const ProblemCounts& problem, double shift) {
  const auto winner = problem.majority();
  if (!winner) return 0;
  const double start = problem.majority_share();
  const double mass = sigmoid(logit(start) + shift);
  const double won = problem.is_right(*winner) ? mass : 0;
  const double others = problem.right_share() - (problem.is_right(*winner) ? start : 0);
  return start < 1 ? won + others * (1 - mass) / (1 - start) : won;
}

double predicted_accuracy(std::span<const ProblemCounts> problems, double shift) {
  if (problems.empty()) base::user_error("theory", "no problem to predict, want at least one");
  double sum = 0;
  for (const ProblemCounts& problem : problems) sum += right_mass(problem, shift);
  return sum / static_cast<double>(problems.size());
}

double limit_accuracy(std::span<const ProblemCounts> problems) {
  if (problems.empty()) base::user_error("theory", "no problem to predict, want at least one");
  const auto right = std::count_if(problems.begin(), problems.end(), [](const ProblemCounts& problem) {
    const auto winner = problem.majority();
    return winner && problem.is_right(*winner);
  });
  return static_cast<double>(right) / static_cast<double>(problems.size());
}

double effective_shift(std::span<const double> initial, double observed) {
  if (std::none_of(initial.begin(), initial.end(), [](double mass) { return mass > 0 && mass < 1; })) {
    base::user_error("theory",
                     "no problem whose majority lies between none and all of its rollouts: a shift cannot be seen");
  }
  double low = -60, high = 60;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (mean_shifted(initial, middle) < observed ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::optional<double> effective_beta(std::span<const ShiftPoint> points) {
  double products = 0, squares = 0;
  for (const ShiftPoint& point : points) {
    products += point.step * point.shift;
    squares += point.step * point.step;
  }
  if (!(squares > 0)) base::user_error("theory", "no point after step 0, want at least one");
  const double slope = products / squares;
  if (!(slope > 0)) return std::nullopt;
  return 1 / slope;
}

}  // namespace whet::theory
