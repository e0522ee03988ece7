// A query's attention scores, in whole vectors of sixteen: hidden keys are masked, so that no loop has a rest to do one by one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {

/// Scores that are computed together.
inline constexpr std::int64_t kScores = 16;

/// Hides what a query does not see: all but [first, end) of scores [0, count); count is a multiple of kScores.
template <class T>
WHET_INLINE void hide(T* scores, std::int64_t first, std::int64_t end, std::int64_t count) {
  const auto hide_vector = [&](std::int64_t j) {
#pragma omp simd
    for (std::int64_t t = 0; t < kScores; ++t) {
      scores[j + t] = j + t >= first && j + t < end ? scores[j + t] : -std::numeric_limits<T>::infinity();
    }
  };
  for (std::int64_t j = 0; j < first; j += kScores) hide_vector(j);
  for (std::int64_t j = end / kScores * kScores; j < count; j += kScores) hide_vector(j);
}

/// The largest of scores [0, count), whole vectors.
template <class T>
WHET_INLINE T largest_of(const T* scores, std::int64_t count) {
  T lanes[kScores];
  std::fill(lanes, lanes + kScores, -std::numeric_limits<T>::infinity());
  for (std::int64_t j = 0; j < count; j += kScores) {
#pragma omp simd
    for (std::int64_t t = 0; t < kScores; ++t) lanes[t] = scores[j + t] > lanes[t] ? scores[j + t] : lanes[t];
  }
  T largest = lanes[0];
#pragma omp simd reduction(max : largest)
  for (std::int64_t t = 0; t < kScores; ++t) largest = lanes[t] > largest ? lanes[t] : largest;
  return largest;
}

/// Scores [0, count), whole vectors, become e^(score - shift); their sum.
template <class T>
WHET_INLINE T exponentials(T* scores, std::int64_t count, T shift) {
  T lanes[kScores] = {};
  for (std::int64_t j = 0; j < count; j += kScores) {
#pragma omp simd
    for (std::int64_t t = 0; t < kScores; ++t) {
      scores[j + t] = fast_exp(scores[j + t] - shift);
      lanes[t] += scores[j + t];
    }
  }
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t t = 0; t < kScores; ++t) sum += lanes[t];
  return sum;
}

}  // namespace whet::engine::kernels
