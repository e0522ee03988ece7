// The softmax over the vocabulary, row by row, for the statistics of given tokens and the gradients of their log-probabilities.
#include <algorithm>
#include <cmath>

#include "engine/torch/kernels.h"
#include "engine/torch/parallel.h"
#include "engine/torch/row_sums.h"

namespace whet::engine::kernels {
namespace {

template <bool kStatistics, class T>
WHET_INLINE void summarise(const T* logits, RowSummary<T>* out, std::int64_t rows, std::int64_t vocabulary,
                           T inverse_temperature) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const RowSums<T> sums =
        sum_row<kStatistics, false, T>(logits + r * vocabulary, nullptr, vocabulary, inverse_temperature);
    out[r].largest = sums.largest;
    out[r].log_sum = std::log(sums.exponentials);
    if constexpr (kStatistics) {
      out[r].entropy = static_cast<T>(entropy(sums));
      out[r].self_certainty = static_cast<T>(self_certainty(sums, vocabulary));
      out[r].gap = static_cast<T>(gap(sums, vocabulary, inverse_temperature));
    }
  }
}

WHET_MULTIVERSION void summarise_range(const float* logits, RowSummary<float>* out, std::int64_t rows,
                                       std::int64_t vocabulary, float inverse_temperature) {
  summarise<false>(logits, out, rows, vocabulary, inverse_temperature);
}
WHET_MULTIVERSION void describe_range(const float* logits, RowSummary<float>* out, std::int64_t rows,
                                      std::int64_t vocabulary, float inverse_temperature) {
  summarise<true>(logits, out, rows, vocabulary, inverse_temperature);
}
void summarise_range(const double* logits, RowSummary<double>* out, std::int64_t rows, std::int64_t vocabulary,
                     double inverse_temperature) {
  summarise<false>(logits, out, rows, vocabulary, inverse_temperature);
}
void describe_range(const double* logits, RowSummary<double>* out, std::int64_t rows, std::int64_t vocabulary,
                    double inverse_temperature) {
  summarise<true>(logits, out, rows, vocabulary, inverse_temperature);
}

template <class T>
WHET_INLINE void scaled_softmax(T* logits, T largest, T log_sum, T factor, std::int64_t vocabulary,
                                T inverse_temperature) {
#pragma omp simd
  for (std::int64_t v = 0; v < vocabulary; ++v) {
    logits[v] = -factor * inverse_temperature * fast_exp((logits[v] - largest) * inverse_temperature - log_sum);
  }
}

WHET_MULTIVERSION void scaled_softmax_range(float* logits, const RowSummary<float>* summaries, const float* factors,
                                            std::int64_t rows, std::int64_t vocabulary, float it) {
  for (std::int64_t r = 0; r < rows; ++r) {
    scaled_softmax(logits + r * vocabulary, summaries[r].largest, static_cast<float>(summaries[r].log_sum), factors[r],
                   vocabulary, it);
  }
}
void scaled_softmax_range(double* logits, const RowSummary<double>* summaries, const double* factors, std::int64_t rows,
                          std::int64_t vocabulary, double it) {
  for (std::int64_t r = 0; r < rows; ++r) {
    scaled_softmax(logits + r * vocabulary, summaries[r].largest, summaries[r].log_sum, factors[r], vocabulary, it);
  }
}

std::int64_t rows_per_task(std::int64_t vocabulary) { return std::max<std::int64_t>(1, 16384 / vocabulary); }

}  // namespace

template <class T>
void summarise_rows(const T* logits, RowSummary<T>* summaries, std::int64_t rows, std::int64_t vocabulary,
                    T inverse_temperature, bool with_statistics) {
  parallel_blocks(rows, rows_per_task(vocabulary), [&](std::int64_t begin, std::int64_t end) {
    if (with_statistics) {
      describe_range(logits + begin * vocabulary, summaries + begin, end - begin, vocabulary, inverse_temperature);
    } else {
      summarise_range(logits + begin * vocabulary, summaries + begin, end - begin, vocabulary, inverse_temperature);
    }
  });
}

template <class T>
void scaled_softmax_rows(T* logits, const RowSummary<T>* summaries, const T* row_factors, std::int64_t rows,
                         std::int64_t vocabulary, T inverse_temperature) {
  parallel_blocks(rows, rows_per_task(vocabulary), [&](std::int64_t begin, std::int64_t end) {
    scaled_softmax_range(logits + begin * vocabulary, summaries + begin, row_factors + begin, end - begin, vocabulary,
                         inverse_temperature);
  });
}

template void summarise_rows<float>(const float*, RowSummary<float>*, std::int64_t, std::int64_t, float, bool);
template void summarise_rows<double>(const double*, RowSummary<double>*, std::int64_t, std::int64_t, double, bool);
template void scaled_softmax_rows<float>(float*, const RowSummary<float>*, const float*, std::int64_t, std::int64_t,
                                         float);
template void scaled_softmax_rows<double>(double*, const RowSummary<double>*, const double*, std::int64_t, std::int64_t,
                                          double);

}  // namespace whet::engine::kernels
