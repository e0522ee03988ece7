// From logits to a token and to what the distribution says, in one walk over the row.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/torch/kernels.h"
#include "engine/torch/row_sums.h"

namespace whet::engine::kernels {
namespace {

WHET_MULTIVERSION RowSums<float> sum_sampled_row(const float* logits, float* weights, std::int64_t vocabulary,
                                                 float inverse_temperature) {
  return sum_row<true, true>(logits, weights, vocabulary, inverse_temperature);
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

}  // namespace

SampledToken sample_token(const float* logits, float* scratch, std::int64_t vocabulary, const SamplingOptions& options,
                          double uniform) {
  const auto inverse_temperature = static_cast<float>(1.0 / options.temperature);
  const RowSums<float> sums = sum_sampled_row(logits, scratch, vocabulary, inverse_temperature);
  SampledToken token;
  token.statistics.entropy = static_cast<float>(entropy(sums));
  token.statistics.self_certainty = static_cast<float>(self_certainty(sums, vocabulary));
  token.statistics.gap = static_cast<float>(gap(sums, vocabulary, inverse_temperature));
  if (options.greedy) {
    token.id = static_cast<std::int32_t>(sums.best);
  } else {
    double total = sums.exponentials;
    if (options.top_k > 0 || options.top_p < 1.0) total = restrict(scratch, vocabulary, total, options);
    token.id = invert(scratch, vocabulary, uniform * total);
  }
  token.statistics.logprob = static_cast<float>(
      log_probability(logits[token.id], sums.largest, std::log(sums.exponentials), inverse_temperature));
  return token;
}

}  // namespace whet::engine::kernels
