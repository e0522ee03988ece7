// Attention over packed segments, forward and backward.
//
// A thread takes one group and one key head, so that the keys of a shared prompt are laid out once for all responses and
// their gradients are summed in a fixed order. Products run on register tiles of 8 queries x 16 numbers.
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/torch/kernels.h"
#include "engine/torch/parallel.h"
#include "engine/torch/score_rows.h"
#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {
namespace {

constexpr std::int64_t kTile = kScores;
constexpr std::int64_t kQueries = 8;

std::int64_t padded(std::int64_t n) { return (n + kTile - 1) / kTile * kTile; }

/// out[u][j] = sum_c a[u][c] * b[c][j] for j < columns (rounded up to a tile). a: kQueries rows of a_stride, b and out: rows
/// of b_stride, out_stride, both a multiple of kTile.
template <class T>
WHET_INLINE void tile_product(const T* a, std::int64_t a_stride, const T* b, std::int64_t b_stride, T* out,
                              std::int64_t out_stride, std::int64_t inner, std::int64_t columns) {
  for (std::int64_t j = 0; j < columns; j += kTile) {
    T sum[kQueries][kTile] = {};
    for (std::int64_t c = 0; c < inner; ++c) {
      const T* row = b + c * b_stride + j;
      for (std::int64_t u = 0; u < kQueries; ++u) {
        const T factor = a[u * a_stride + c];
#pragma omp simd
        for (std::int64_t t = 0; t < kTile; ++t) sum[u][t] += factor * row[t];
      }
    }
    for (std::int64_t u = 0; u < kQueries; ++u) {
#pragma omp simd
      for (std::int64_t t = 0; t < kTile; ++t) out[u * out_stride + j + t] = sum[u][t];
    }
  }
}

/// target[j][c] += sum_u a[u][j] * b[u][c] for j < rows; target rows of b_stride (a multiple of kTile).
template <class T>
WHET_INLINE void add_outer(const T* a, std::int64_t a_stride, const T* b, std::int64_t b_stride, T* target,
                           std::int64_t rows) {
  for (std::int64_t tile = 0; tile < b_stride; tile += kTile) {
    T rows_of_b[kQueries][kTile];  // stay in registers: the compiler cannot know that target is not b
    for (std::int64_t u = 0; u < kQueries; ++u)
      std::memcpy(rows_of_b[u], b + u * b_stride + tile, sizeof(rows_of_b[u]));
    for (std::int64_t j = 0; j < rows; ++j) {
      T* row = target + j * b_stride + tile;
      T sum[kTile];
      std::memcpy(sum, row, sizeof(sum));
      for (std::int64_t u = 0; u < kQueries; ++u) {
        const T factor = a[u * a_stride + j];
#pragma omp simd
        for (std::int64_t t = 0; t < kTile; ++t) sum[t] += factor * rows_of_b[u][t];
      }
      std::memcpy(row, sum, sizeof(sum));
    }
  }
}

/// The keys and values that the queries of one group see, for one key head, laid out for the products above.
template <class T>
struct Laid {
  std::int64_t capacity = 0;                          ///< prefix plus longest segment, padded
  std::int64_t width = 0;                             ///< head width, padded
  std::vector<T> keys, values;                        ///< [capacity, width]
  std::vector<T> keys_transposed, values_transposed;  ///< [width, capacity]
  std::vector<T> d_keys, d_values;                    ///< [capacity, width]
  std::vector<T> query, d_out, scores, d_scores, result;

  void resize(std::int64_t keys_seen, std::int64_t head_width, bool backward) {
    capacity = padded(keys_seen);
    width = padded(head_width);
    const auto matrix = static_cast<std::size_t>(capacity * width);
    keys.assign(matrix, T(0));
    values.assign(matrix, T(0));
    keys_transposed.assign(matrix, T(0));
    query.assign(static_cast<std::size_t>(kQueries * width), T(0));
    result.assign(static_cast<std::size_t>(kQueries * width), T(0));
    scores.assign(static_cast<std::size_t>(kQueries * capacity), T(0));
    if (!backward) return;
    values_transposed.assign(matrix, T(0));
    d_keys.assign(matrix, T(0));
    d_values.assign(matrix, T(0));
    d_out.assign(static_cast<std::size_t>(kQueries * width), T(0));
    d_scores.assign(static_cast<std::size_t>(kQueries * capacity), T(0));
  }
};

/// One group and key head: what a task works on.
template <class T>
struct Job {
  const T* prepared;
  const PackedBatch* batch;
  HeadShape shape;
  SegmentGroup group;
  std::int64_t key_head;
  std::int64_t window;  ///< 0: none

  /// First key that the query at this position of its sequence sees.
  std::int64_t first_seen(std::int64_t position) const {
    return window > 0 ? std::max<std::int64_t>(0, position + 1 - window) : 0;
  }
  std::int64_t key_column() const { return (shape.query_heads + key_head) * shape.width; }
  std::int64_t value_column() const { return (shape.query_heads + shape.key_heads + key_head) * shape.width; }
  std::int64_t queries_per_key() const { return shape.query_heads / shape.key_heads; }
};

/// Lays rows [begin, begin + count) of the packed batch at positions [at, at + count).
template <class T>
WHET_INLINE void lay(const Job<T>& job, Laid<T>& laid, std::int64_t begin, std::int64_t count, std::int64_t at,
                     bool backward) {
  const std::int64_t stride = job.shape.qkv_width();
  for (std::int64_t i = 0; i < count; ++i) {
    const T* key = job.prepared + (begin + i) * stride + job.key_column();
    const T* value = job.prepared + (begin + i) * stride + job.value_column();
    for (std::int64_t c = 0; c < job.shape.width; ++c) {
      laid.keys[static_cast<std::size_t>((at + i) * laid.width + c)] = key[c];
      laid.values[static_cast<std::size_t>((at + i) * laid.width + c)] = value[c];
      laid.keys_transposed[static_cast<std::size_t>(c * laid.capacity + at + i)] = key[c];
      if (backward) laid.values_transposed[static_cast<std::size_t>(c * laid.capacity + at + i)] = value[c];
    }
  }
}

/// Up to kQueries query rows of one head, scaled, into laid.query; rows that do not exist are zero.
template <class T>
WHET_INLINE void load_rows(const T* source, std::int64_t stride, std::int64_t count, std::int64_t width, T factor,
                           T* target, std::int64_t target_stride) {
  for (std::int64_t u = 0; u < kQueries; ++u) {
    for (std::int64_t c = 0; c < width; ++c)
      target[u * target_stride + c] = u < count ? source[u * stride + c] * factor : T(0);
  }
}

template <class T>
WHET_INLINE void forward_job(const Job<T>& job, Laid<T>& laid, T* out, T* log_sum) {
  const HeadShape shape = job.shape;
  const T scale = T(1) / std::sqrt(static_cast<T>(shape.width));
  bool prefix_laid = false;
  for (std::size_t s = job.group.begin; s < job.group.end; ++s) {
    const Segment& segment = job.batch->segments[s];
    if (segment.prefix_length > 0 && !prefix_laid) {
      lay(job, laid, segment.prefix_begin, segment.prefix_length, 0, false);
      prefix_laid = true;
    }
    lay(job, laid, segment.begin, segment.length, segment.prefix_length, false);
    for (std::int64_t g = 0; g < job.queries_per_key(); ++g) {
      const std::int64_t head = job.key_head * job.queries_per_key() + g;
      for (std::int64_t q = 0; q < segment.length; q += kQueries) {
        const std::int64_t count = std::min(kQueries, segment.length - q);
        const std::int64_t row = segment.begin + q;
        const std::int64_t seen = segment.prefix_length + q + count;  // by the last query of the block
        const std::int64_t from =
            job.first_seen(segment.prefix_length + q) / kTile * kTile;  // products begin at a tile
        load_rows(job.prepared + row * shape.qkv_width() + head * shape.width, shape.qkv_width(), count, shape.width,
                  scale, laid.query.data(), laid.width);
        tile_product(laid.query.data(), laid.width, laid.keys_transposed.data() + from, laid.capacity,
                     laid.scores.data() + from, laid.capacity, shape.width, seen - from);
        const std::int64_t end = padded(seen);
        T inverse[kQueries];
        for (std::int64_t u = 0; u < count; ++u) {
          T* score = laid.scores.data() + u * laid.capacity;
          const std::int64_t visible = segment.prefix_length + q + u + 1;
          hide(score + from, job.first_seen(visible - 1) - from, visible - from, end - from);
          const T largest = largest_of(score + from, end - from);
          const T sum = exponentials(score + from, end - from, largest);
          inverse[u] = T(1) / sum;
          log_sum[(row + u) * shape.query_heads + head] = largest + std::log(sum);
        }
        tile_product(laid.scores.data() + from, laid.capacity, laid.values.data() + from * laid.width, laid.width,
                     laid.result.data(), laid.width, seen - from, shape.width);
        for (std::int64_t u = 0; u < count; ++u) {
          const T* result = laid.result.data() + u * laid.width;
          T* target = out + (row + u) * shape.query_width() + head * shape.width;
          for (std::int64_t c = 0; c < shape.width; ++c) target[c] = result[c] * inverse[u];
        }
      }
    }
  }
}

/// Adds the gradients of laid keys and values [at, at + count) to rows [begin, begin + count) and clears them.
template <class T>
WHET_INLINE void add_back(const Job<T>& job, Laid<T>& laid, T* d_prepared, std::int64_t begin, std::int64_t count,
                          std::int64_t at) {
  for (std::int64_t i = 0; i < count; ++i) {
    T* row = d_prepared + (begin + i) * job.shape.qkv_width();
    T* d_key = laid.d_keys.data() + (at + i) * laid.width;
    T* d_value = laid.d_values.data() + (at + i) * laid.width;
    for (std::int64_t c = 0; c < job.shape.width; ++c) {
      row[job.key_column() + c] += d_key[c];
      row[job.value_column() + c] += d_value[c];
    }
    std::fill(d_key, d_key + laid.width, T(0));
    std::fill(d_value, d_value + laid.width, T(0));
  }
}

template <class T>
WHET_INLINE void backward_job(const Job<T>& job, Laid<T>& laid, const T* d_out, const T* out, const T* log_sum,
                              T* d_prepared) {
  const HeadShape shape = job.shape;
  const T scale = T(1) / std::sqrt(static_cast<T>(shape.width));
  const Segment* with_prefix = nullptr;
  for (std::size_t s = job.group.begin; s < job.group.end; ++s) {
    const Segment& segment = job.batch->segments[s];
    for (std::int64_t i = 0; i < segment.length; ++i) {
      T* row = d_prepared + (segment.begin + i) * shape.qkv_width();
      std::fill(row + job.key_column(), row + job.key_column() + shape.width, T(0));
      std::fill(row + job.value_column(), row + job.value_column() + shape.width, T(0));
    }
  }
  for (std::size_t s = job.group.begin; s < job.group.end; ++s) {
    const Segment& segment = job.batch->segments[s];
    if (segment.prefix_length > 0 && with_prefix == nullptr) {
      lay(job, laid, segment.prefix_begin, segment.prefix_length, 0, true);
      with_prefix = &segment;
    }
    lay(job, laid, segment.begin, segment.length, segment.prefix_length, true);
    for (std::int64_t g = 0; g < job.queries_per_key(); ++g) {
      const std::int64_t head = job.key_head * job.queries_per_key() + g;
      for (std::int64_t q = 0; q < segment.length; q += kQueries) {
        const std::int64_t count = std::min(kQueries, segment.length - q);
        const std::int64_t row = segment.begin + q;
        const std::int64_t seen = segment.prefix_length + q + count;
        const std::int64_t from = job.first_seen(segment.prefix_length + q) / kTile * kTile;
        const T* d_rows = d_out + row * shape.query_width() + head * shape.width;
        load_rows(job.prepared + row * shape.qkv_width() + head * shape.width, shape.qkv_width(), count, shape.width,
                  scale, laid.query.data(), laid.width);
        load_rows(d_rows, shape.query_width(), count, shape.width, T(1), laid.d_out.data(), laid.width);
        tile_product(laid.query.data(), laid.width, laid.keys_transposed.data() + from, laid.capacity,
                     laid.scores.data() + from, laid.capacity, shape.width, seen - from);
        tile_product(laid.d_out.data(), laid.width, laid.values_transposed.data() + from, laid.capacity,
                     laid.d_scores.data() + from, laid.capacity, shape.width, seen - from);
        const std::int64_t end = padded(seen);
        for (std::int64_t u = 0; u < kQueries; ++u) {
          T* score = laid.scores.data() + u * laid.capacity;
          T* d_score = laid.d_scores.data() + u * laid.capacity;
          if (u >= count) {
            std::fill(score + from, score + end, T(0));
            std::fill(d_score + from, d_score + end, T(0));
            continue;
          }
          const std::int64_t visible = segment.prefix_length + q + u + 1;
          const T* o = out + (row + u) * shape.query_width() + head * shape.width;
          T delta = 0;
          for (std::int64_t c = 0; c < shape.width; ++c) delta += d_rows[u * shape.query_width() + c] * o[c];
          hide(score + from, job.first_seen(visible - 1) - from, visible - from, end - from);
          // Rounding can put a score a hair above its own log-sum; fast_exp takes arguments up to a little above 0.
          exponentials(score + from, end - from, log_sum[(row + u) * shape.query_heads + head]);
          for (std::int64_t j = from; j < end; j += kTile) {
#pragma omp simd
            for (std::int64_t t = 0; t < kTile; ++t) d_score[j + t] = score[j + t] * (d_score[j + t] - delta);
          }
        }
        tile_product(laid.d_scores.data() + from, laid.capacity, laid.keys.data() + from * laid.width, laid.width,
                     laid.result.data(), laid.width, seen - from, shape.width);
        for (std::int64_t u = 0; u < count; ++u) {
          T* d_query = d_prepared + (row + u) * shape.qkv_width() + head * shape.width;
          for (std::int64_t c = 0; c < shape.width; ++c) {
            d_query[c] = laid.result[static_cast<std::size_t>(u * laid.width + c)] * scale;
          }
        }
        // laid.query already carries the scale.
        add_outer(laid.d_scores.data() + from, laid.capacity, laid.query.data(), laid.width,
                  laid.d_keys.data() + from * laid.width, seen - from);
        add_outer(laid.scores.data() + from, laid.capacity, laid.d_out.data(), laid.width,
                  laid.d_values.data() + from * laid.width, seen - from);
      }
    }
    add_back(job, laid, d_prepared, segment.begin, segment.length, segment.prefix_length);
  }
  if (with_prefix != nullptr) add_back(job, laid, d_prepared, with_prefix->prefix_begin, with_prefix->prefix_length, 0);
}

WHET_MULTIVERSION void run_forward(const Job<float>& job, Laid<float>& laid, float* out, float* log_sum) {
  forward_job(job, laid, out, log_sum);
}
void run_forward(const Job<double>& job, Laid<double>& laid, double* out, double* log_sum) {
  forward_job(job, laid, out, log_sum);
}
WHET_MULTIVERSION void run_backward(const Job<float>& job, Laid<float>& laid, const float* d_out, const float* out,
                                    const float* log_sum, float* d_prepared) {
  backward_job(job, laid, d_out, out, log_sum, d_prepared);
}
void run_backward(const Job<double>& job, Laid<double>& laid, const double* d_out, const double* out,
                  const double* log_sum, double* d_prepared) {
  backward_job(job, laid, d_out, out, log_sum, d_prepared);
}

/// Keys seen by the longest segment of a group.
std::int64_t keys_seen(const PackedBatch& batch, const SegmentGroup& group) {
  std::int64_t longest = 0;
  for (std::size_t s = group.begin; s < group.end; ++s) {
    longest = std::max(longest, batch.segments[s].prefix_length + batch.segments[s].length);
  }
  return longest;
}

template <class T, class Run>
void for_each_job(const T* prepared, const PackedBatch& batch, HeadShape shape, std::int64_t window, bool backward,
                  const Run& run) {
  const auto groups = static_cast<std::int64_t>(batch.groups.size());
  parallel_tasks(groups * shape.key_heads, [&](std::int64_t index) {
    const SegmentGroup& group = batch.groups[static_cast<std::size_t>(index / shape.key_heads)];
    thread_local Laid<T> laid;
    laid.resize(keys_seen(batch, group), shape.width, backward);
    run(Job<T>{prepared, &batch, shape, group, index % shape.key_heads, window}, laid);
  });
}

}  // namespace

template <class T>
void attention(const T* prepared, T* out, T* log_sum, const PackedBatch& batch, HeadShape shape, std::int64_t window) {
  for_each_job(prepared, batch, shape, window, false,
               [&](const Job<T>& job, Laid<T>& laid) { run_forward(job, laid, out, log_sum); });
}

template <class T>
void attention_backward(const T* d_out, const T* prepared, const T* out, const T* log_sum, T* d_prepared,
                        const PackedBatch& batch, HeadShape shape, std::int64_t window) {
  for_each_job(prepared, batch, shape, window, true,
               [&](const Job<T>& job, Laid<T>& laid) { run_backward(job, laid, d_out, out, log_sum, d_prepared); });
}

#define WHET_INSTANTIATE(T)                                                                                      \
  template void attention<T>(const T*, T*, T*, const PackedBatch&, HeadShape, std::int64_t);                     \
  template void attention_backward<T>(const T*, const T*, const T*, const T*, T*, const PackedBatch&, HeadShape, \
                                      std::int64_t);
WHET_INSTANTIATE(float)
WHET_INSTANTIATE(double)
#undef WHET_INSTANTIATE

}  // namespace whet::engine::kernels
