// The sequential test of a model's majority, its threshold by enumeration.
#include "analysis/probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/evaluation.h"
#include "base/error.h"

namespace whet::analysis {
namespace {

constexpr double kLog2 = 0.69314718055994530942;

double log_choose(int n, int k) { return std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0); }

/// P(Binomial(n, 1/2) <= k).
double half_cdf(int n, int k) {
  double sum = 0;
  for (int i = 0; i <= k; ++i) sum += std::exp(log_choose(n, i) - n * kLog2);
  return std::min(1.0, sum);
}

/// log L(n, k) of the header.
double log_ratio(int n, int k) {
  return (n + 1) * kLog2 - std::log(n + 1.0) - log_choose(n, k) + std::log(half_cdf(n + 1, k));
}

/// ratios[n][k].
std::vector<std::vector<double>> all_ratios(int most) {
  std::vector<std::vector<double>> ratios(static_cast<std::size_t>(most) + 1);
  for (int n = 0; n <= most; ++n) {
    for (int k = 0; k <= n; ++k) ratios[static_cast<std::size_t>(n)].push_back(log_ratio(n, k));
  }
  return ratios;
}

/// By n the fewest right that reach the threshold: the ratio only grows with k.
std::vector<int> bounds(const std::vector<std::vector<double>>& ratios, double threshold) {
  std::vector<int> result;
  for (const std::vector<double>& row : ratios) {
    result.push_back(static_cast<int>(std::lower_bound(row.begin(), row.end(), threshold) - row.begin()));
  }
  return result;
}

/// The chance, with p = 1/2, of ever having `bound[n]` right among the first n.
double crossing_chance(const std::vector<int>& bound) {
  std::vector<double> alive(bound.size() + 1, 0.0);  // by the number right
  alive[0] = 1;
  double crossed = 0;
  for (std::size_t n = 1; n < bound.size(); ++n) {
    for (std::size_t k = n; k > 0; --k) alive[k] = 0.5 * (alive[k] + alive[k - 1]);
    alive[0] *= 0.5;
    for (std::size_t k = static_cast<std::size_t>(bound[n]); k <= n; ++k) {
      crossed += alive[k];
      alive[k] = 0;
    }
  }
  return crossed;
}

}  // namespace

std::string to_string(ProbeVerdict verdict) {
  switch (verdict) {
    case ProbeVerdict::kAsking:
      return "asking";
    case ProbeVerdict::kAligned:
      return "aligned";
    case ProbeVerdict::kMisaligned:
      return "misaligned";
    case ProbeVerdict::kCannotTell:
      break;
  }
  return "cannot tell";
}

SequentialProbe::SequentialProbe(int most, double confidence) : confidence_(confidence) {
  if (most < 1 || most > kMostProblems) base::user_error("probe", "{} problems, want 1..{}", most, kMostProblems);
  if (!(confidence > 0.5 && confidence < 1)) {
    base::user_error("probe-confidence", "{}, want above 0.5 and below 1", confidence);
  }
  const auto ratios = all_ratios(most);
  std::vector<double> thresholds;
  for (std::size_t n = 1; n < ratios.size(); ++n) {
    for (const double ratio : ratios[n]) {
      if (ratio > 0) thresholds.push_back(ratio);  // both verdicts at once are then impossible
    }
  }
  std::sort(thresholds.begin(), thresholds.end());
  const auto lowest = std::partition_point(thresholds.begin(), thresholds.end(), [&](double threshold) {
    return crossing_chance(bounds(ratios, threshold)) > 1 - confidence;
  });
  bound_ = bounds(ratios, lowest == thresholds.end() ? INFINITY : *lowest);
}

ProbeVerdict SequentialProbe::update(bool majority_is_right) {
  if (verdict_ != ProbeVerdict::kAsking) return verdict_;
  ++asked_;
  right_ += majority_is_right ? 1 : 0;
  if (right_ >= bound(asked_)) {
    verdict_ = ProbeVerdict::kAligned;
  } else if (asked_ - right_ >= bound(asked_)) {
    verdict_ = ProbeVerdict::kMisaligned;
  } else if (asked_ == most()) {
    verdict_ = ProbeVerdict::kCannotTell;
  }
  return verdict_;
}

SequentialProbe::Outlook SequentialProbe::outlook(double p) const {
  if (!(p >= 0 && p <= 1)) base::user_error("probe", "a share of {}, want 0..1", p);
  Outlook result;
  std::vector<double> alive(bound_.size() + 1, 0.0);
  alive[0] = 1;
  for (std::size_t n = 1; n < bound_.size(); ++n) {
    for (const double chance : alive) result.mean_asked += chance;
    for (std::size_t k = n; k > 0; --k) alive[k] = (1 - p) * alive[k] + p * alive[k - 1];
    alive[0] *= 1 - p;
    for (std::size_t k = 0; k <= n; ++k) {
      const bool is_right = static_cast<int>(k) >= bound_[n], is_wrong = static_cast<int>(n - k) >= bound_[n];
      if (!is_right && !is_wrong) continue;
      (is_right ? result.aligned : result.misaligned) += alive[k];
      alive[k] = 0;
    }
  }
  for (const double chance : alive) result.cannot_tell += chance;
  return result;
}

std::string SequentialProbe::describe() const {
  const std::string counts = fmt::format("its majority is right on {} of {} probe problems", right_, asked_);
  const double percent = 100 * confidence_;
  switch (verdict_) {
    case ProbeVerdict::kAsking:
      return fmt::format("no verdict yet: {}", counts);
    case ProbeVerdict::kAligned:
      return fmt::format("aligned: {}, so it is right on most, at {:.4g} % confidence", counts, percent);
    case ProbeVerdict::kMisaligned:
      return fmt::format("misaligned: {}, so it is wrong on most, at {:.4g} % confidence", counts, percent);
    case ProbeVerdict::kCannotTell:
      break;
  }
  const Estimate share = wilson(right_, asked_);
  return fmt::format("cannot tell after {}: {}, a share of {:.2f} to {:.2f}; {:.4g} % confidence needs more problems",
                     asked_, counts, share.low, share.high, percent);
}

MajorityChange majority_change(const std::vector<bool>& before, const std::vector<bool>& now) {
  if (before.size() != now.size() || before.empty()) {
    base::user_error("probe", "{} problems now and {} at the start, want as many, at least one", now.size(),
                     before.size());
  }
  MajorityChange change;
  change.problems = static_cast<int>(now.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    change.right_before += before[i] ? 1 : 0;
    change.right_now += now[i] ? 1 : 0;
    change.lost += before[i] && !now[i] ? 1 : 0;
    change.won += !before[i] && now[i] ? 1 : 0;
  }
  // As many lost or more is as many won or fewer.
  change.chance = half_cdf(change.lost + change.won, change.won);
  return change;
}

}  // namespace whet::analysis
