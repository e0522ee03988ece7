// From logits to a token and to what the distribution says, in one walk over the row.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/torch/kernels.h"
#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {
namespace {

/// Sums over a row of logits l, where z = l / temperature: everything the statistics need.
struct RowSums {
  std::int32_t best = 0;   ///< smallest index of the largest logit
  float largest = 0;       ///< of the l
  float second = 0;        ///< second largest l, equal to `largest` on a tie
  double exponentials = 0; ///< sum of e^(z - largest z)
  double weighted = 0;     ///< sum of (z - largest z) e^(z - largest z)
  double shifted = 0;      ///< sum of (z - largest z)
};

/// Fills weights[v] = e^(z_v - largest z). Block sums in float, totals in double: a vocabulary of 150,000 would lose
/// digits in a single float sum.
WHET_MULTIVERSION RowSums sum_row(const float* logits, float* weights, std::int64_t vocabulary, float inverse_temperature) {
  RowSums sums;
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::int64_t v = 0; v < vocabulary; ++v) largest = logits[v] > largest ? logits[v] : largest;
  std::int64_t best = 0;
  while (best < vocabulary - 1 && logits[best] != largest) ++best;
  float second = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : second)
  for (std::int64_t v = 0; v < best; ++v) second = logits[v] > second ? logits[v] : second;
#pragma omp simd reduction(max : second)
  for (std::int64_t v = best + 1; v < vocabulary; ++v) second = logits[v] > second ? logits[v] : second;
  sums.best = static_cast<std::int32_t>(best);
  sums.largest = largest;
  sums.second = second;
  constexpr std::int64_t kBlock = 1024;
  for (std::int64_t begin = 0; begin < vocabulary; begin += kBlock) {
    const std::int64_t end = std::min(vocabulary, begin + kBlock);
    float exponentials = 0, weighted = 0, shifted = 0;
#pragma omp simd reduction(+ : exponentials, weighted, shifted)
    for (std::int64_t v = begin; v < end; ++v) {
      const float z = (logits[v] - largest) * inverse_temperature;
      const float e = fast_exp(z);
      weights[v] = e;
      exponentials += e;
      weighted += z * e;
      shifted += z;
    }
    sums.exponentials += exponentials;
    sums.weighted += weighted;
    sums.shifted += shifted;
  }
  return sums;
}

/// The first index at which the running sum of weights passes `goal`; the last positive weight when rounding leaves a rest.
std::int32_t invert(const float* weights, std::int64_t count, double goal) {
  double running = 0;
  std::int64_t last_positive = 0;
  for (std::int64_t v = 0; v < count; ++v) {
    if (weights[v] <= 0) continue;
    running += weights[v];
    if (running > goal) return static_cast<std::int32_t>(v);
    last_positive = v;
  }
  return static_cast<std::int32_t>(last_positive);
}

/// Zeroes the weights outside the top-k tokens and outside the smallest set of tokens with mass >= top_p (in that order, as
/// transformers does); equal weights are ranked by id. Returns the sum that is left.
double restrict(float* weights, std::int64_t vocabulary, double total, const SamplingOptions& options) {
  thread_local std::vector<std::int32_t> order;
  order.clear();
  for (std::int64_t v = 0; v < vocabulary; ++v) {
    if (weights[v] > 0) order.push_back(static_cast<std::int32_t>(v));
  }
  const auto heavier = [&](std::int32_t a, std::int32_t b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;
  };
  std::size_t kept = order.size();
  if (options.top_k > 0) kept = std::min(kept, static_cast<std::size_t>(options.top_k));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(), heavier);
  double mass = 0;
  for (std::size_t i = 0; i < kept; ++i) mass += weights[order[i]];
  if (options.top_k == 0) mass = total;
  if (options.top_p < 1.0) {
    double running = 0;
    std::size_t count = 0;
    while (count < kept && running < options.top_p * mass) running += weights[order[count++]];
    kept = std::max<std::size_t>(count, 1);
  }
  double left = 0;
  for (std::size_t i = 0; i < kept; ++i) left += weights[order[i]];
  for (std::size_t i = kept; i < order.size(); ++i) weights[order[i]] = 0;
  return left;
}

/// Rounding can put an entropy a hair below 0. What is not a number stays so (std::max would make it 0): a broken model must
/// not look certain.
double at_least_zero(double value) { return value < 0 ? 0 : value; }

}  // namespace

SampledToken sample_token(const float* logits, float* scratch, std::int64_t vocabulary, const SamplingOptions& options,
                          double uniform) {
  const auto inverse_temperature = static_cast<float>(1.0 / options.temperature);
  const RowSums sums = sum_row(logits, scratch, vocabulary, inverse_temperature);
  SampledToken token;
  const double log_sum = std::log(sums.exponentials);
  token.statistics.entropy = static_cast<float>(at_least_zero(log_sum - sums.weighted / sums.exponentials));
  token.statistics.self_certainty = static_cast<float>(
      at_least_zero(log_sum - sums.shifted / static_cast<double>(vocabulary) - std::log(static_cast<double>(vocabulary))));
  // Differences of logits first, scaled after: scaled logits of a hundred, rounded to float, would move a log-prob by 5e-6.
  const auto below_largest = [&](float logit) { return (static_cast<double>(logit) - sums.largest) * inverse_temperature; };
  const double second = vocabulary > 1 ? std::exp(below_largest(sums.second)) : 0.0;
  token.statistics.gap = static_cast<float>((1.0 - second) / sums.exponentials);
  if (options.greedy) {
    token.id = sums.best;
  } else {
    double total = sums.exponentials;
    if (options.top_k > 0 || options.top_p < 1.0) total = restrict(scratch, vocabulary, total, options);
    token.id = invert(scratch, vocabulary, uniform * total);
  }
  token.statistics.logprob = static_cast<float>(-at_least_zero(log_sum - below_largest(logits[token.id])));
  return token;
}

}  // namespace whet::engine::kernels
