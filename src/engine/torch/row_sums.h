// One walk over a row of logits: the sums from which everything about its distribution follows. Shared by sampling and by
// the head that scores given tokens, so that both say the same of the same row.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {

/// Sums over a row of logits l, where z = l / temperature.
template <class T>
struct RowSums {
  std::int64_t best = 0;    ///< smallest index of the largest logit
  T largest = 0;            ///< of the l
  T second = 0;             ///< second largest l, equal to `largest` on a tie
  double exponentials = 0;  ///< sum of e^(z - largest z)
  double weighted = 0;      ///< sum of (z - largest z) e^(z - largest z)
  double shifted = 0;       ///< sum of (z - largest z)
};

/// Only `largest` and `exponentials` without kStatistics. With kWeights, weights[v] = e^(z_v - largest z).
/// Block sums in T, totals in double: a vocabulary of 150,000 would lose digits in a single float sum.
template <bool kStatistics, bool kWeights, class T>
WHET_INLINE RowSums<T> sum_row(const T* logits, T* weights, std::int64_t vocabulary, T inverse_temperature) {
  RowSums<T> sums;
  T largest = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::int64_t v = 0; v < vocabulary; ++v) largest = logits[v] > largest ? logits[v] : largest;
  sums.largest = largest;
  if constexpr (kStatistics) {
    std::int64_t best = 0;
    while (best < vocabulary - 1 && logits[best] != largest) ++best;
    T second = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : second)
    for (std::int64_t v = 0; v < best; ++v) second = logits[v] > second ? logits[v] : second;
#pragma omp simd reduction(max : second)
    for (std::int64_t v = best + 1; v < vocabulary; ++v) second = logits[v] > second ? logits[v] : second;
    sums.best = best;
    sums.second = second;
  }
  constexpr std::int64_t kBlock = 1024;
  for (std::int64_t begin = 0; begin < vocabulary; begin += kBlock) {
    const std::int64_t end = begin + kBlock < vocabulary ? begin + kBlock : vocabulary;
    T exponentials = 0, weighted = 0, shifted = 0;
#pragma omp simd reduction(+ : exponentials, weighted, shifted)
    for (std::int64_t v = begin; v < end; ++v) {
      const T z = (logits[v] - largest) * inverse_temperature;
      const T e = fast_exp(z);
      if constexpr (kWeights) weights[v] = e;
      exponentials += e;
      if constexpr (kStatistics) {
        weighted += z * e;
        shifted += z;
      }
    }
    sums.exponentials += static_cast<double>(exponentials);
    sums.weighted += static_cast<double>(weighted);
    sums.shifted += static_cast<double>(shifted);
  }
  return sums;
}

/// Rounding can put an entropy a hair below 0. What is not a number stays so (std::max would make it 0): a broken model must
/// not look certain.
WHET_INLINE double at_least_zero(double value) { return value < 0 ? 0 : value; }

/// Nats.
template <class T>
WHET_INLINE double entropy(const RowSums<T>& sums) {
  return at_least_zero(std::log(sums.exponentials) - sums.weighted / sums.exponentials);
}

/// KL(U || pi), nats.
template <class T>
WHET_INLINE double self_certainty(const RowSums<T>& sums, std::int64_t vocabulary) {
  const auto count = static_cast<double>(vocabulary);
  return at_least_zero(std::log(sums.exponentials) - sums.shifted / count - std::log(count));
}

/// Largest minus second largest probability.
template <class T>
WHET_INLINE double gap(const RowSums<T>& sums, std::int64_t vocabulary, T inverse_temperature) {
  const double below =
      (static_cast<double>(sums.second) - static_cast<double>(sums.largest)) * static_cast<double>(inverse_temperature);
  return (1.0 - (vocabulary > 1 ? std::exp(below) : 0.0)) / sums.exponentials;
}

/// log pi of the token with this logit. log_sum: the logarithm of sums.exponentials. Differences of logits first, scaled
/// after: scaled logits of a hundred, rounded to float, would move a log-prob by 5e-6.
template <class T>
WHET_INLINE double log_probability(T logit, T largest, double log_sum, T inverse_temperature) {
  const double below =
      (static_cast<double>(logit) - static_cast<double>(largest)) * static_cast<double>(inverse_temperature);
  return -at_least_zero(log_sum - below);
}

}  // namespace whet::engine::kernels
