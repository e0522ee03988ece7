// Whether confidence goes with being right.
#include "analysis/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

constexpr int kDraws = 1000;

void append(ScoredProblem& all, const ScoredProblem& more) {
  all.scores.insert(all.scores.end(), more.scores.begin(), more.scores.end());
  all.correct.insert(all.correct.end(), more.correct.begin(), more.correct.end());
}

void check(const std::vector<double>& scores, const std::vector<bool>& correct) {
  if (scores.size() != correct.size()) {
    base::user_error("calibration", "{} scores for {} samples, want one each", scores.size(), correct.size());
  }
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!std::isfinite(scores[i])) {
      base::user_error("calibration", "score {} is {}, want a finite number", i, scores[i]);
    }
  }
}

void require_several(std::size_t problems) {
  if (problems < 2)
    base::user_error("calibration", "{} problems, want at least 2 for an interval over problems", problems);
}

/// `value` with the middle 95 % of what `draw(random)` gives in 1,000 draws; draws without a value are left out.
template <class Draw>
std::optional<Estimate> with_interval(double value, std::uint64_t seed, Draw draw) {
  base::Random random{seed, base::hash_text("bootstrap-problems")};
  std::vector<double> drawn_values;
  for (int i = 0; i < kDraws; ++i) {
    if (const std::optional<double> drawn = draw(random)) drawn_values.push_back(*drawn);
  }
  if (drawn_values.empty()) return std::nullopt;
  std::sort(drawn_values.begin(), drawn_values.end());
  const std::size_t tail = drawn_values.size() / 40;
  return Estimate{value, drawn_values[tail], drawn_values[drawn_values.size() - 1 - tail]};
}

/// What a measure within problems adds up.
using Sums = std::array<double, 3>;

/// A measure of sums over problems: a draw of problems adds up others.
template <class OfProblem, class OfSums>
std::optional<Estimate> of_sums(const std::vector<ScoredProblem>& problems, std::uint64_t seed, OfProblem of_problem,
                                OfSums measure) {
  require_several(problems.size());
  std::vector<Sums> each;
  Sums all{};
  const auto add = [](Sums& to, const Sums& more) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += more[i];
  };
  for (const ScoredProblem& problem : problems) {
    check(problem.scores, problem.correct);
    each.push_back(of_problem(problem));
    add(all, each.back());
  }
  const std::optional<double> value = measure(all);
  if (!value) return std::nullopt;
  return with_interval(*value, seed, [&](base::Random& random) {
    Sums drawn{};
    for (std::size_t i = 0; i < each.size(); ++i) add(drawn, random.pick(each));
    return measure(drawn);
  });
}

}  // namespace

std::optional<double> auroc(const std::vector<double>& scores, const std::vector<bool>& correct) {
  check(scores, correct);
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });

  // Runs of equal scores: each right sample beats the wrong ones below and half of those beside it.
  double wrong_below = 0, right_total = 0, wins = 0;
  for (std::size_t first = 0; first < order.size();) {
    double right = 0, wrong = 0;
    std::size_t next = first;
    for (; next < order.size() && scores[order[next]] == scores[order[first]]; ++next) {
      ++(correct[order[next]] ? right : wrong);
    }
    wins += right * (wrong_below + wrong / 2);
    wrong_below += wrong;
    right_total += right;
    first = next;
  }
  if (right_total == 0 || wrong_below == 0) return std::nullopt;
  return wins / (right_total * wrong_below);
}

std::optional<double> point_biserial(const std::vector<double>& scores, const std::vector<bool>& correct) {
  check(scores, correct);
  if (scores.empty()) return std::nullopt;
  const auto n = static_cast<double>(scores.size());
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  const auto right = static_cast<double>(std::count(correct.begin(), correct.end(), true));
  if (*low == *high || right == 0 || right == n) return std::nullopt;
  const double mean = std::accumulate(scores.begin(), scores.end(), 0.0) / n;
  const double share = right / n;
  double covariance = 0, variance = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    covariance += (scores[i] - mean) * ((correct[i] ? 1 : 0) - share);
    variance += (scores[i] - mean) * (scores[i] - mean);
  }
  return covariance / std::sqrt(variance * n * share * (1 - share));
}

std::vector<ReliabilityBin> reliability(const std::vector<double>& confidences, const std::vector<bool>& correct,
                                        int bins) {
  check(confidences, correct);
  if (bins < 1) base::user_error("calibration", "{} bins, want at least 1", bins);
  std::vector<ReliabilityBin> result(static_cast<std::size_t>(bins));
  for (int b = 0; b < bins; ++b) {
    result[static_cast<std::size_t>(b)].low = static_cast<double>(b) / bins;
    result[static_cast<std::size_t>(b)].high = static_cast<double>(b + 1) / bins;
  }
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    const double confidence = confidences[i];
    if (confidence < 0 || confidence > 1) {
      base::user_error("calibration", "confidence {} is {}, want 0..1", i, confidence);
    }
    // The bounds themselves decide, not confidence * bins, whose rounding can differ from theirs.
    const auto above = std::upper_bound(result.begin(), result.end(), confidence,
                                        [](double value, const ReliabilityBin& bin) { return value < bin.low; });
    ReliabilityBin& bin = *std::prev(above);
    ++bin.count;
    bin.confidence += confidence;
    bin.accuracy += correct[i] ? 1 : 0;
  }
  for (ReliabilityBin& bin : result) {
    if (bin.count == 0) continue;
    bin.confidence /= static_cast<double>(bin.count);
    bin.accuracy /= static_cast<double>(bin.count);
  }
  return result;
}

std::optional<double> expected_calibration_error(const std::vector<ReliabilityBin>& bins) {
  double sum = 0, count = 0;
  for (const ReliabilityBin& bin : bins) {
    sum += static_cast<double>(bin.count) * std::abs(bin.accuracy - bin.confidence);
    count += static_cast<double>(bin.count);
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::optional<Estimate> bootstrap_problems(const std::vector<ScoredProblem>& problems, const Measure& measure,
                                           std::uint64_t seed) {
  require_several(problems.size());
  ScoredProblem all;
  for (const ScoredProblem& problem : problems) {
    check(problem.scores, problem.correct);
    append(all, problem);
  }
  const std::optional<double> value = measure(all.scores, all.correct);
  if (!value) return std::nullopt;
  ScoredProblem drawn;
  return with_interval(*value, seed, [&](base::Random& random) {
    drawn.scores.clear();
    drawn.correct.clear();
    for (std::size_t i = 0; i < problems.size(); ++i) append(drawn, random.pick(problems));
    return measure(drawn.scores, drawn.correct);
  });
}

std::optional<Estimate> auroc_within(const std::vector<ScoredProblem>& problems, std::uint64_t seed) {
  return of_sums(
      problems, seed,
      [](const ScoredProblem& problem) {
        const auto right = static_cast<double>(std::count(problem.correct.begin(), problem.correct.end(), true));
        const double pairs = right * (static_cast<double>(problem.correct.size()) - right);
        return Sums{pairs == 0 ? 0 : *auroc(problem.scores, problem.correct) * pairs, pairs, 0};
      },
      [](const Sums& sums) { return sums[1] > 0 ? std::optional(sums[0] / sums[1]) : std::nullopt; });
}

std::optional<Estimate> point_biserial_within(const std::vector<ScoredProblem>& problems, std::uint64_t seed) {
  return of_sums(
      problems, seed,
      [](const ScoredProblem& problem) {
        const auto n = static_cast<double>(problem.scores.size());
        const double mean = std::accumulate(problem.scores.begin(), problem.scores.end(), 0.0) / n;
        const double share = static_cast<double>(std::count(problem.correct.begin(), problem.correct.end(), true)) / n;
        Sums sums{};
        // Equal scores minus their mean are not 0 but rounding.
        const auto [low, high] = std::minmax_element(problem.scores.begin(), problem.scores.end());
        const bool varies = !problem.scores.empty() && *low != *high;
        for (std::size_t i = 0; i < problem.scores.size(); ++i) {
          const double score = varies ? problem.scores[i] - mean : 0, right = (problem.correct[i] ? 1 : 0) - share;
          sums[0] += score * right;
          sums[1] += score * score;
          sums[2] += right * right;
        }
        return sums;
      },
      [](const Sums& sums) {
        return sums[1] > 0 && sums[2] > 0 ? std::optional(sums[0] / std::sqrt(sums[1] * sums[2])) : std::nullopt;
      });
}

std::int64_t mixed_problems(const std::vector<ScoredProblem>& problems) {
  return std::count_if(problems.begin(), problems.end(), [](const ScoredProblem& problem) {
    return std::adjacent_find(problem.correct.begin(), problem.correct.end(), std::not_equal_to<>()) !=
           problem.correct.end();
  });
}

Alignment judge_alignment(const Estimate& majority_right) {
  if (majority_right.low > 0.5) return Alignment::kWorthSharpening;
  if (majority_right.high < 0.5) return Alignment::kMostlyWrong;
  return Alignment::kCannotTell;
}

std::string_view to_string(Alignment alignment) {
  switch (alignment) {
    case Alignment::kWorthSharpening:
      return "worth sharpening";
    case Alignment::kMostlyWrong:
      return "mostly wrong majority";
    case Alignment::kCannotTell:
      break;
  }
  return "cannot tell";
}

}  // namespace whet::analysis
