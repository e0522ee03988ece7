// The softmax over the vocabulary, row by row, for log-probabilities and their gradients.
#include <cmath>
#include <limits>

#include "engine/torch/kernels.h"
#include "engine/torch/parallel.h"
#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {
namespace {

template <class T>
WHET_INLINE T log_sum_of(const T* logits, std::int64_t vocabulary, T inverse_temperature) {
  T largest = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::int64_t v = 0; v < vocabulary; ++v) largest = logits[v] > largest ? logits[v] : largest;
  // Block sums in T, the total in double: one float sum over 150,000 tokens would lose digits.
  constexpr std::int64_t kBlock = 1024;
  double total = 0;
  for (std::int64_t begin = 0; begin < vocabulary; begin += kBlock) {
    const std::int64_t end = std::min(vocabulary, begin + kBlock);
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t v = begin; v < end; ++v) sum += fast_exp((logits[v] - largest) * inverse_temperature);
    total += static_cast<double>(sum);
  }
  return largest * inverse_temperature + static_cast<T>(std::log(total));
}

template <class T>
WHET_INLINE void scaled_softmax(T* logits, T log_sum, T factor, std::int64_t vocabulary, T inverse_temperature) {
#pragma omp simd
  for (std::int64_t v = 0; v < vocabulary; ++v) {
    logits[v] = -factor * inverse_temperature * fast_exp(logits[v] * inverse_temperature - log_sum);
  }
}

WHET_MULTIVERSION void log_sum_range(const float* logits, float* out, std::int64_t rows, std::int64_t vocabulary, float it) {
  for (std::int64_t r = 0; r < rows; ++r) out[r] = log_sum_of(logits + r * vocabulary, vocabulary, it);
}
void log_sum_range(const double* logits, double* out, std::int64_t rows, std::int64_t vocabulary, double it) {
  for (std::int64_t r = 0; r < rows; ++r) out[r] = log_sum_of(logits + r * vocabulary, vocabulary, it);
}
WHET_MULTIVERSION void scaled_softmax_range(float* logits, const float* log_sums, const float* factors, std::int64_t rows,
                                            std::int64_t vocabulary, float it) {
  for (std::int64_t r = 0; r < rows; ++r) scaled_softmax(logits + r * vocabulary, log_sums[r], factors[r], vocabulary, it);
}
void scaled_softmax_range(double* logits, const double* log_sums, const double* factors, std::int64_t rows,
                          std::int64_t vocabulary, double it) {
  for (std::int64_t r = 0; r < rows; ++r) scaled_softmax(logits + r * vocabulary, log_sums[r], factors[r], vocabulary, it);
}

std::int64_t rows_per_task(std::int64_t vocabulary) { return std::max<std::int64_t>(1, 16384 / vocabulary); }

}  // namespace

template <class T>
void log_sum_rows(const T* logits, T* log_sums, std::int64_t rows, std::int64_t vocabulary, T inverse_temperature) {
  parallel_blocks(rows, rows_per_task(vocabulary), [&](std::int64_t begin, std::int64_t end) {
    log_sum_range(logits + begin * vocabulary, log_sums + begin, end - begin, vocabulary, inverse_temperature);
  });
}

template <class T>
void scaled_softmax_rows(T* logits, const T* log_sums, const T* row_factors, std::int64_t rows, std::int64_t vocabulary,
                         T inverse_temperature) {
  parallel_blocks(rows, rows_per_task(vocabulary), [&](std::int64_t begin, std::int64_t end) {
    scaled_softmax_range(logits + begin * vocabulary, log_sums + begin, row_factors + begin, end - begin, vocabulary,
                         inverse_temperature);
  });
}

template void log_sum_rows<float>(const float*, float*, std::int64_t, std::int64_t, float);
template void log_sum_rows<double>(const double*, double*, std::int64_t, std::int64_t, double);
template void scaled_softmax_rows<float>(float*, const float*, const float*, std::int64_t, std::int64_t, float);
template void scaled_softmax_rows<double>(double*, const double*, const double*, std::int64_t, std::int64_t, double);

}  // namespace whet::engine::kernels
