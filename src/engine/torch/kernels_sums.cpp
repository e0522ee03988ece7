// Sums into parts of a matrix: rows that tokens name, columns that an adapter corrects.
#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/torch/kernels.h"
#include "engine/torch/parallel.h"

namespace whet::engine::kernels {

template <class T>
void add_to_rows(const T* x, const std::int64_t* ids, T* table, std::int64_t rows, std::int64_t width) {
  // Cut by columns: rows may name the same token, and its sum keeps their order whatever the number of threads.
  constexpr std::int64_t kColumns = 64;
  parallel_blocks(width, kColumns, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = 0; r < rows; ++r) {
      T* to = table + ids[r] * width;
      for (std::int64_t i = begin; i < end; ++i) to[i] += x[r * width + i];
    }
  });
}

template <class T>
void add_columns(T* y, const T* v, std::int64_t rows, std::int64_t y_width, std::int64_t first, std::int64_t v_width,
                 T scale) {
  parallel_blocks(rows, std::max<std::int64_t>(1, 16384 / v_width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      T* to = y + r * y_width + first;
      const T* from = v + r * v_width;
      for (std::int64_t i = 0; i < v_width; ++i) to[i] += scale * from[i];
    }
  });
}

double sum_of_squares(const float* values, std::int64_t count) {
  constexpr std::int64_t kBlock = 1 << 14;
  std::vector<double> parts(static_cast<std::size_t>((count + kBlock - 1) / kBlock));
  parallel_blocks(count, kBlock, [&](std::int64_t begin, std::int64_t end) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = begin; i < end; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    parts[static_cast<std::size_t>(begin / kBlock)] = sum;
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

#define WHET_INSTANTIATE(T)                                                                    \
  template void add_to_rows<T>(const T*, const std::int64_t*, T*, std::int64_t, std::int64_t); \
  template void add_columns<T>(T*, const T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, T);
WHET_INSTANTIATE(float)
WHET_INSTANTIATE(double)
#undef WHET_INSTANTIATE

}  // namespace whet::engine::kernels
