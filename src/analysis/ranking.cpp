// Medians with runs that never got there, and rank correlations.
#include "analysis/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

constexpr int kDraws = 2000;
constexpr int kPermutations = 20000;
constexpr std::size_t kMostEnumerated = 8;
constexpr double kRounding = 1e-12;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::vector<double> at(std::span<const double> values, const std::vector<std::size_t>& places) {
  std::vector<double> picked;
  for (const std::size_t place : places) picked.push_back(values[place]);
  return picked;
}

std::vector<std::size_t> draw(std::size_t n, base::Random& random) {
  std::vector<std::size_t> places(n);
  for (std::size_t& place : places) place = random.below(n);
  return places;
}

/// The 2.5 % and 97.5 % points.
std::pair<double, double> middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t cut = values.size() / 40;
  return {values[cut], values[values.size() - 1 - cut]};
}

/// Ranks minus their mean.
std::vector<double> centred_ranks(std::span<const double> values) {
  std::vector<double> result = ranks(values);
  for (double& rank : result) rank -= (static_cast<double>(values.size()) + 1) / 2;
  return result;
}

/// An order of y changes nothing of a rank correlation but the sum of products of centred ranks.
double permutation_p(std::span<const double> x, std::span<const double> y, std::uint64_t seed) {
  const std::vector<double> a = centred_ranks(x);
  std::vector<double> b = centred_ranks(y);
  const auto sum = [&] { return std::abs(std::inner_product(a.begin(), a.end(), b.begin(), 0.0)); };
  const double observed = sum();
  std::int64_t as_far = 0, seen = 0;
  const auto look = [&] {
    ++seen;
    as_far += sum() >= observed - kRounding ? 1 : 0;
  };
  if (b.size() <= kMostEnumerated) {
    // By places, so that equal values are told apart and every order counts once.
    const std::vector<double> as_given = b;
    std::vector<std::size_t> places(b.size());
    std::iota(places.begin(), places.end(), std::size_t{0});
    do {
      for (std::size_t i = 0; i < b.size(); ++i) b[i] = as_given[places[i]];
      look();
    } while (std::next_permutation(places.begin(), places.end()));
  } else {
    look();
    base::Random random{seed, base::hash_text("permutations")};
    while (seen < kPermutations) {
      random.shuffle(b);
      look();
    }
  }
  return static_cast<double>(as_far) / static_cast<double>(seen);
}

}  // namespace

std::string to_string(const StepBound& bound) { return fmt::format("{}{}", bound.reached ? "" : "> ", bound.step); }

StepMedian step_median(std::span<const StepBound> runs) {
  if (runs.empty()) base::user_error("median", "no run, want at least one");
  std::vector<double> earliest, latest;
  StepMedian result{.low = runs.front(), .high = runs.front(), .runs = static_cast<std::int64_t>(runs.size())};
  for (const StepBound& run : runs) {
    if (run.step < 0) base::user_error("median", "step {}, want >= 0", run.step);
    earliest.push_back(static_cast<double>(run.step));
    latest.push_back(run.reached ? earliest.back() : std::numeric_limits<double>::infinity());
    // Of two runs with the same number, the one that reached it is the earlier.
    const auto before = [](const StepBound& a, const StepBound& b) {
      return a.step < b.step || (a.step == b.step && a.reached && !b.reached);
    };
    if (before(run, result.low)) result.low = run;
    if (before(result.high, run)) result.high = run;
  }
  result.at_least = median(earliest);
  result.exact = median(latest) <= result.at_least;
  return result;
}

bool is_settled(std::span<const StepBound> runs, std::int64_t budget) {
  const StepMedian now = step_median(runs);
  return now.exact || now.at_least >= static_cast<double>(budget);
}

double range_coverage(std::int64_t runs) { return 1 - std::pow(2.0, 1 - static_cast<double>(runs)); }

std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); })) {
    base::user_error("ranks", "a value is not a number, want numbers");
  }
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t i = begin; i < end; ++i) result[order[i]] = static_cast<double>(begin + 1 + end) / 2;
    begin = end;
  }
  return result;
}

std::optional<double> spearman(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size()) base::user_error("spearman", "{} and {} values, want as many of each", x.size(), y.size());
  if (x.size() < 3) return std::nullopt;
  const std::vector<double> a = centred_ranks(x), b = centred_ranks(y);
  const double products = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  const double a_squares = std::inner_product(a.begin(), a.end(), a.begin(), 0.0);
  const double b_squares = std::inner_product(b.begin(), b.end(), b.begin(), 0.0);
  if (a_squares == 0 || b_squares == 0) return std::nullopt;
  return products / std::sqrt(a_squares * b_squares);
}

std::optional<RankCorrelation> rank_correlation(std::span<const double> x, std::span<const double> y,
                                                std::uint64_t seed) {
  const std::optional<double> value = spearman(x, y);
  if (!value) return std::nullopt;
  base::Random random{seed, base::hash_text("rank correlation")};
  std::vector<double> drawn;
  for (int i = 0; i < kDraws; ++i) {
    const auto places = draw(x.size(), random);
    if (const auto rho = spearman(at(x, places), at(y, places))) drawn.push_back(*rho);
  }
  RankCorrelation result{.models = static_cast<std::int64_t>(x.size()), .value = *value, .low = *value, .high = *value};
  if (!drawn.empty()) std::tie(result.low, result.high) = middle(std::move(drawn));
  result.p_value = permutation_p(x, y, seed);
  return result;
}

std::optional<Estimate> correlation_difference(std::span<const double> a, std::span<const double> b,
                                               std::span<const double> y, std::uint64_t seed) {
  const auto of_a = spearman(a, y), of_b = spearman(b, y);
  if (!of_a || !of_b) return std::nullopt;
  base::Random random{seed, base::hash_text("correlation difference")};
  std::vector<double> drawn;
  for (int i = 0; i < kDraws; ++i) {
    const auto places = draw(y.size(), random);
    const auto outcome = at(y, places);
    const auto left = spearman(at(a, places), outcome), right = spearman(at(b, places), outcome);
    if (left && right) drawn.push_back(*left - *right);
  }
  Estimate result{.value = *of_a - *of_b, .low = *of_a - *of_b, .high = *of_a - *of_b};
  if (!drawn.empty()) std::tie(result.low, result.high) = middle(std::move(drawn));
  return result;
}

}  // namespace whet::analysis
