// Kernels that work row by row: normalisation, the gated activation, rotary positions.
#include <cmath>
#include <type_traits>
#include <vector>

#include "engine/torch/kernels.h"
#include "engine/torch/parallel.h"
#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {
namespace {

/// 1 / rms of one row.
template <class T>
WHET_INLINE T inverse_rms_of(const T* x, std::int64_t width, T epsilon) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < width; ++i) sum += x[i] * x[i];
  return T(1) / std::sqrt(sum / static_cast<T>(width) + epsilon);
}

template <class T>
WHET_INLINE void norm_row(const T* x, const T* weight, T* y, T inverse, std::int64_t width) {
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) y[i] = x[i] * inverse * weight[i];
}

/// With n = x * inverse: dx = inverse * (w dy - n * mean(n w dy)), d_weight += n dy.
template <class T>
WHET_INLINE void norm_row_backward(const T* dy, const T* x, const T* weight, T inverse, T* dx, T* d_weight,
                                   std::int64_t width) {
  T dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t i = 0; i < width; ++i) dot += dy[i] * weight[i] * x[i];
  const T scale = dot * inverse * inverse / static_cast<T>(width);
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) {
    d_weight[i] += dy[i] * x[i] * inverse;
    dx[i] = inverse * (weight[i] * dy[i] - x[i] * scale);
  }
}

template <class T>
WHET_INLINE void rotate(T* head, const T* cosine, const T* sine, std::int64_t half, T direction) {
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const T first = head[i], second = head[i + half];
    head[i] = first * cosine[i] - second * sine[i] * direction;
    head[i + half] = second * cosine[i] + first * sine[i] * direction;
  }
}

/// norm_row and rotate in one: what one writes in halves the other would wait for as a whole.
template <class T>
WHET_INLINE void norm_and_rotate(const T* x, const T* weight, T* y, T inverse, const T* cosine, const T* sine,
                                 std::int64_t half) {
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const T first = x[i] * inverse * weight[i], second = x[i + half] * inverse * weight[i + half];
    y[i] = first * cosine[i] - second * sine[i];
    y[i + half] = second * cosine[i] + first * sine[i];
  }
}

/// norm_row_backward of what `d`, the gradient of the rotated head, is before the rotation.
template <class T>
WHET_INLINE void norm_and_rotate_backward(const T* d, const T* x, const T* weight, T inverse, const T* cosine,
                                          const T* sine, T* dx, T* d_weight, std::int64_t half) {
  const auto first = [&](std::int64_t i) { return d[i] * cosine[i] + d[i + half] * sine[i]; };
  const auto second = [&](std::int64_t i) { return d[i + half] * cosine[i] - d[i] * sine[i]; };
  T dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t i = 0; i < half; ++i)
    dot += first(i) * weight[i] * x[i] + second(i) * weight[i + half] * x[i + half];
  const T scale = dot * inverse * inverse / static_cast<T>(2 * half);
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const T a = first(i), b = second(i);
    d_weight[i] += a * x[i] * inverse;
    d_weight[i + half] += b * x[i + half] * inverse;
    dx[i] = inverse * (weight[i] * a - x[i] * scale);
    dx[i + half] = inverse * (weight[i + half] * b - x[i + half] * scale);
  }
}

template <class T>
WHET_INLINE void swiglu_rows(const T* gate_up, T* h, std::int64_t begin, std::int64_t end, std::int64_t width) {
  for (std::int64_t row = begin; row < end; ++row) {
    const T* gate = gate_up + row * 2 * width;
    const T* up = gate + width;
    T* out = h + row * width;
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) out[i] = gate[i] * sigmoid(gate[i]) * up[i];
  }
}

template <class T>
WHET_INLINE void swiglu_rows_backward(const T* dh, const T* gate_up, T* d_gate_up, std::int64_t begin, std::int64_t end,
                                      std::int64_t width) {
  for (std::int64_t row = begin; row < end; ++row) {
    const T* gate = gate_up + row * 2 * width;
    const T* up = gate + width;
    const T* d = dh + row * width;
    T* d_gate = d_gate_up + row * 2 * width;
    T* d_up = d_gate + width;
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) {
      const T s = sigmoid(gate[i]);
      const T silu = gate[i] * s;
      d_up[i] = d[i] * silu;
      d_gate[i] = d[i] * up[i] * (s + silu * (T(1) - s));
    }
  }
}

template <class T>
WHET_INLINE void norm_rows(const T* x, const T* weight, T* y, T* inverse_rms, std::int64_t begin, std::int64_t end,
                           std::int64_t width, T epsilon) {
  for (std::int64_t row = begin; row < end; ++row) {
    inverse_rms[row] = inverse_rms_of(x + row * width, width, epsilon);
    norm_row(x + row * width, weight, y + row * width, inverse_rms[row], width);
  }
}

template <class T>
WHET_INLINE void norm_rows_backward(const T* dy, const T* x, const T* weight, const T* inverse_rms, T* dx, T* d_weight,
                                    std::int64_t begin, std::int64_t end, std::int64_t width) {
  for (std::int64_t row = begin; row < end; ++row) {
    norm_row_backward(dy + row * width, x + row * width, weight, inverse_rms[row], dx + row * width, d_weight, width);
  }
}

/// Pointers of one prepare_heads call, so that the dispatched bodies stay short.
template <class T>
struct Heads {
  const T* query_weight;
  const T* key_weight;
  const std::int64_t* positions;
  const T* cosine;
  const T* sine;
  HeadShape shape;
  HeadNorm norm;

  std::int64_t query_norm_width() const { return norm_width(shape.query_width()); }
  std::int64_t key_norm_width() const { return norm_width(shape.key_width()); }

 private:
  std::int64_t norm_width(std::int64_t projection) const {
    return norm == HeadNorm::kNone ? 0 : norm == HeadNorm::kPerHead ? shape.width : projection;
  }
};

/// A head width that is known when compiling: the loops over a head are then unrolled.
template <std::int64_t width>
inline constexpr std::integral_constant<std::int64_t, width> kWidth{};

template <class T, class Width>
WHET_INLINE void prepare_rows(const T* qkv, T* prepared, T* inverse_rms, const Heads<T>& heads, T epsilon,
                              Width head_width, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = head_width, query_heads = heads.shape.query_heads, key_heads = heads.shape.key_heads;
  const std::int64_t queries = query_heads * width, keys = key_heads * width;
  for (std::int64_t row = begin; row < end; ++row) {
    const T* in = qkv + row * heads.shape.qkv_width();
    T* out = prepared + row * heads.shape.qkv_width();
    T* inverses = inverse_rms + row * (query_heads + key_heads);
    const T* cosine = heads.cosine + heads.positions[row] * (width / 2);
    const T* sine = heads.sine + heads.positions[row] * (width / 2);
    if (heads.norm == HeadNorm::kPerHead) {
      for (std::int64_t head = 0; head < query_heads + key_heads; ++head) {
        const T* weight = head < query_heads ? heads.query_weight : heads.key_weight;
        const T inverse = inverse_rms_of(in + head * width, width, epsilon);
        inverses[head] = inverse;
        norm_and_rotate(in + head * width, weight, out + head * width, inverse, cosine, sine, width / 2);
      }
    } else {
      if (heads.norm == HeadNorm::kWholeProjection) {
        inverses[0] = inverse_rms_of(in, queries, epsilon);
        inverses[query_heads] = inverse_rms_of(in + queries, keys, epsilon);
        norm_row(in, heads.query_weight, out, inverses[0], queries);
        norm_row(in + queries, heads.key_weight, out + queries, inverses[query_heads], keys);
      } else {
        for (std::int64_t i = 0; i < queries + keys; ++i) out[i] = in[i];
      }
      for (std::int64_t head = 0; head < query_heads + key_heads; ++head) {
        rotate(out + head * width, cosine, sine, width / 2, T(1));
      }
    }
    for (std::int64_t i = queries + keys; i < heads.shape.qkv_width(); ++i) out[i] = in[i];
  }
}

/// turned: room for queries and keys of one row.
template <class T, class Width>
WHET_INLINE void prepare_rows_backward(const T* d_prepared, const T* qkv, const T* inverse_rms, T* d_qkv,
                                       T* d_query_weight, T* d_key_weight, T* turned, const Heads<T>& heads,
                                       Width head_width, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = head_width, query_heads = heads.shape.query_heads, key_heads = heads.shape.key_heads;
  const std::int64_t queries = query_heads * width, keys = key_heads * width;
  for (std::int64_t row = begin; row < end; ++row) {
    const T* d_in = d_prepared + row * heads.shape.qkv_width();
    const T* in = qkv + row * heads.shape.qkv_width();
    const T* inverses = inverse_rms + row * (query_heads + key_heads);
    T* d_out = d_qkv + row * heads.shape.qkv_width();
    const T* cosine = heads.cosine + heads.positions[row] * (width / 2);
    const T* sine = heads.sine + heads.positions[row] * (width / 2);
    if (heads.norm == HeadNorm::kPerHead) {
      for (std::int64_t head = 0; head < query_heads + key_heads; ++head) {
        const bool is_query = head < query_heads;
        norm_and_rotate_backward(d_in + head * width, in + head * width,
                                 is_query ? heads.query_weight : heads.key_weight, inverses[head], cosine, sine,
                                 d_out + head * width, is_query ? d_query_weight : d_key_weight, width / 2);
      }
    } else {
      T* target = heads.norm == HeadNorm::kNone ? d_out : turned;
      for (std::int64_t i = 0; i < queries + keys; ++i) target[i] = d_in[i];
      for (std::int64_t head = 0; head < query_heads + key_heads; ++head) {
        rotate(target + head * width, cosine, sine, width / 2, T(-1));
      }
      if (heads.norm == HeadNorm::kWholeProjection) {
        norm_row_backward(turned, in, heads.query_weight, inverses[0], d_out, d_query_weight, queries);
        norm_row_backward(turned + queries, in + queries, heads.key_weight, inverses[query_heads], d_out + queries,
                          d_key_weight, keys);
      }
    }
    for (std::int64_t i = queries + keys; i < heads.shape.qkv_width(); ++i) d_out[i] = d_in[i];
  }
}

template <class T>
WHET_INLINE void add_to_rows(T* y, const T* row, std::int64_t begin, std::int64_t end, std::int64_t width) {
  for (std::int64_t r = begin; r < end; ++r) {
    T* target = y + r * width;
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) target[i] += row[i];
  }
}

template <class T>
WHET_INLINE void sum_of_rows(const T* x, T* sums, std::int64_t begin, std::int64_t end, std::int64_t width) {
  for (std::int64_t r = begin; r < end; ++r) {
    const T* row = x + r * width;
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) sums[i] += row[i];
  }
}

// The dispatched forms: one per processor generation for float, a plain one for double.
WHET_MULTIVERSION void swiglu_range(const float* a, float* b, std::int64_t begin, std::int64_t end,
                                    std::int64_t width) {
  swiglu_rows(a, b, begin, end, width);
}
void swiglu_range(const double* a, double* b, std::int64_t begin, std::int64_t end, std::int64_t width) {
  swiglu_rows(a, b, begin, end, width);
}
WHET_MULTIVERSION void swiglu_backward_range(const float* a, const float* b, float* c, std::int64_t begin,
                                             std::int64_t end, std::int64_t width) {
  swiglu_rows_backward(a, b, c, begin, end, width);
}
void swiglu_backward_range(const double* a, const double* b, double* c, std::int64_t begin, std::int64_t end,
                           std::int64_t width) {
  swiglu_rows_backward(a, b, c, begin, end, width);
}
WHET_MULTIVERSION void norm_range(const float* x, const float* w, float* y, float* r, std::int64_t begin,
                                  std::int64_t end, std::int64_t width, float epsilon) {
  norm_rows(x, w, y, r, begin, end, width, epsilon);
}
void norm_range(const double* x, const double* w, double* y, double* r, std::int64_t begin, std::int64_t end,
                std::int64_t width, double epsilon) {
  norm_rows(x, w, y, r, begin, end, width, epsilon);
}
WHET_MULTIVERSION void norm_backward_range(const float* dy, const float* x, const float* w, const float* r, float* dx,
                                           float* dw, std::int64_t begin, std::int64_t end, std::int64_t width) {
  norm_rows_backward(dy, x, w, r, dx, dw, begin, end, width);
}
void norm_backward_range(const double* dy, const double* x, const double* w, const double* r, double* dx, double* dw,
                         std::int64_t begin, std::int64_t end, std::int64_t width) {
  norm_rows_backward(dy, x, w, r, dx, dw, begin, end, width);
}
WHET_MULTIVERSION void prepare_range(const float* qkv, float* prepared, float* r, const Heads<float>& heads,
                                     float epsilon, std::int64_t begin, std::int64_t end) {
  switch (heads.shape.width) {
    case 16:
      return prepare_rows(qkv, prepared, r, heads, epsilon, kWidth<16>, begin, end);
    case 32:
      return prepare_rows(qkv, prepared, r, heads, epsilon, kWidth<32>, begin, end);
    case 64:
      return prepare_rows(qkv, prepared, r, heads, epsilon, kWidth<64>, begin, end);
    case 128:
      return prepare_rows(qkv, prepared, r, heads, epsilon, kWidth<128>, begin, end);
    default:
      return prepare_rows(qkv, prepared, r, heads, epsilon, heads.shape.width, begin, end);
  }
}
void prepare_range(const double* qkv, double* prepared, double* r, const Heads<double>& heads, double epsilon,
                   std::int64_t begin, std::int64_t end) {
  prepare_rows(qkv, prepared, r, heads, epsilon, heads.shape.width, begin, end);
}
WHET_MULTIVERSION void prepare_backward_range(const float* d, const float* qkv, const float* r, float* d_qkv, float* dq,
                                              float* dk, float* turned, const Heads<float>& heads, std::int64_t begin,
                                              std::int64_t end) {
  switch (heads.shape.width) {
    case 16:
      return prepare_rows_backward(d, qkv, r, d_qkv, dq, dk, turned, heads, kWidth<16>, begin, end);
    case 32:
      return prepare_rows_backward(d, qkv, r, d_qkv, dq, dk, turned, heads, kWidth<32>, begin, end);
    case 64:
      return prepare_rows_backward(d, qkv, r, d_qkv, dq, dk, turned, heads, kWidth<64>, begin, end);
    case 128:
      return prepare_rows_backward(d, qkv, r, d_qkv, dq, dk, turned, heads, kWidth<128>, begin, end);
    default:
      return prepare_rows_backward(d, qkv, r, d_qkv, dq, dk, turned, heads, heads.shape.width, begin, end);
  }
}
void prepare_backward_range(const double* d, const double* qkv, const double* r, double* d_qkv, double* dq, double* dk,
                            double* turned, const Heads<double>& heads, std::int64_t begin, std::int64_t end) {
  prepare_rows_backward(d, qkv, r, d_qkv, dq, dk, turned, heads, heads.shape.width, begin, end);
}

WHET_MULTIVERSION void add_range(float* y, const float* row, std::int64_t begin, std::int64_t end, std::int64_t width) {
  add_to_rows(y, row, begin, end, width);
}
void add_range(double* y, const double* row, std::int64_t begin, std::int64_t end, std::int64_t width) {
  add_to_rows(y, row, begin, end, width);
}
WHET_MULTIVERSION void sum_range(const float* x, float* sums, std::int64_t begin, std::int64_t end,
                                 std::int64_t width) {
  sum_of_rows(x, sums, begin, end, width);
}
void sum_range(const double* x, double* sums, std::int64_t begin, std::int64_t end, std::int64_t width) {
  sum_of_rows(x, sums, begin, end, width);
}

/// Rows per task: a task should be some tens of microseconds, and the number of tasks must not depend on the number of
/// threads, so that sums over rows come out the same on every machine.
std::int64_t rows_per_task(std::int64_t width) {
  return std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, width));
}

/// Runs body(begin, end, sums) over blocks of rows, each with its own zeroed `sum_width` numbers, and adds these up in
/// block order into `total`.
template <class T, class Body>
void blocks_with_sums(std::int64_t rows, std::int64_t block, std::int64_t sum_width, T* total, const Body& body) {
  const std::int64_t blocks = (rows + block - 1) / block;
  std::vector<T> sums(static_cast<std::size_t>(blocks * sum_width), T(0));
  parallel_tasks(blocks, [&](std::int64_t index) {
    body(index * block, std::min(rows, (index + 1) * block), sums.data() + index * sum_width);
  });
  for (std::int64_t index = 0; index < blocks; ++index) {
    for (std::int64_t i = 0; i < sum_width; ++i) total[i] += sums[static_cast<std::size_t>(index * sum_width + i)];
  }
}

}  // namespace

template <class T>
void rms_norm(const T* x, const T* weight, T* y, T* inverse_rms, std::int64_t rows, std::int64_t width,
              double epsilon) {
  parallel_blocks(rows, rows_per_task(width), [&](std::int64_t begin, std::int64_t end) {
    norm_range(x, weight, y, inverse_rms, begin, end, width, static_cast<T>(epsilon));
  });
}

template <class T>
void rms_norm_backward(const T* dy, const T* x, const T* weight, const T* inverse_rms, T* dx, T* d_weight,
                       std::int64_t rows, std::int64_t width) {
  blocks_with_sums(rows, rows_per_task(width), width, d_weight, [&](std::int64_t begin, std::int64_t end, T* sums) {
    norm_backward_range(dy, x, weight, inverse_rms, dx, sums, begin, end, width);
  });
}

template <class T>
void swiglu(const T* gate_up, T* h, std::int64_t rows, std::int64_t width) {
  parallel_blocks(rows, rows_per_task(width),
                  [&](std::int64_t begin, std::int64_t end) { swiglu_range(gate_up, h, begin, end, width); });
}

template <class T>
void swiglu_backward(const T* dh, const T* gate_up, T* d_gate_up, std::int64_t rows, std::int64_t width) {
  parallel_blocks(rows, rows_per_task(width), [&](std::int64_t begin, std::int64_t end) {
    swiglu_backward_range(dh, gate_up, d_gate_up, begin, end, width);
  });
}

template <class T>
void prepare_heads(const T* qkv, T* prepared, const T* query_weight, const T* key_weight, T* inverse_rms,
                   const std::int64_t* positions, const T* cosine, const T* sine, std::int64_t rows, HeadShape shape,
                   HeadNorm norm, double epsilon) {
  const Heads<T> heads{query_weight, key_weight, positions, cosine, sine, shape, norm};
  parallel_blocks(rows, rows_per_task(shape.qkv_width()), [&](std::int64_t begin, std::int64_t end) {
    prepare_range(qkv, prepared, inverse_rms, heads, static_cast<T>(epsilon), begin, end);
  });
}

template <class T>
void prepare_heads_backward(const T* d_prepared, const T* qkv, const T* query_weight, const T* key_weight,
                            const T* inverse_rms, const std::int64_t* positions, const T* cosine, const T* sine,
                            T* d_qkv, T* d_query_weight, T* d_key_weight, std::int64_t rows, HeadShape shape,
                            HeadNorm norm) {
  const Heads<T> heads{query_weight, key_weight, positions, cosine, sine, shape, norm};
  const std::int64_t of_queries = heads.query_norm_width(), of_keys = heads.key_norm_width();
  std::vector<T> total(static_cast<std::size_t>(of_queries + of_keys), T(0));
  blocks_with_sums(rows, rows_per_task(shape.qkv_width()), of_queries + of_keys, total.data(),
                   [&](std::int64_t begin, std::int64_t end, T* sums) {
                     std::vector<T> turned(static_cast<std::size_t>(shape.query_width() + shape.key_width()));
                     prepare_backward_range(d_prepared, qkv, inverse_rms, d_qkv, sums, sums + of_queries, turned.data(),
                                            heads, begin, end);
                   });
  for (std::int64_t i = 0; i < of_queries; ++i) d_query_weight[i] += total[static_cast<std::size_t>(i)];
  for (std::int64_t i = 0; i < of_keys; ++i) d_key_weight[i] += total[static_cast<std::size_t>(of_queries + i)];
}

template <class T>
void add_row(T* y, const T* row, std::int64_t rows, std::int64_t width) {
  parallel_blocks(rows, rows_per_task(width),
                  [&](std::int64_t begin, std::int64_t end) { add_range(y, row, begin, end, width); });
}

template <class T>
void sum_rows(const T* x, T* sums, std::int64_t rows, std::int64_t width) {
  blocks_with_sums(rows, rows_per_task(width), width, sums, [&](std::int64_t begin, std::int64_t end, T* block_sums) {
    sum_range(x, block_sums, begin, end, width);
  });
}

#define WHET_INSTANTIATE(T)                                                                                       \
  template void rms_norm<T>(const T*, const T*, T*, T*, std::int64_t, std::int64_t, double);                      \
  template void rms_norm_backward<T>(const T*, const T*, const T*, const T*, T*, T*, std::int64_t, std::int64_t); \
  template void swiglu<T>(const T*, T*, std::int64_t, std::int64_t);                                              \
  template void swiglu_backward<T>(const T*, const T*, T*, std::int64_t, std::int64_t);                           \
  template void prepare_heads<T>(const T*, T*, const T*, const T*, T*, const std::int64_t*, const T*, const T*,   \
                                 std::int64_t, HeadShape, HeadNorm, double);                                      \
  template void prepare_heads_backward<T>(const T*, const T*, const T*, const T*, const T*, const std::int64_t*,  \
                                          const T*, const T*, T*, T*, T*, std::int64_t, HeadShape, HeadNorm);     \
  template void add_row<T>(T*, const T*, std::int64_t, std::int64_t);                                             \
  template void sum_rows<T>(const T*, T*, std::int64_t, std::int64_t);
WHET_INSTANTIATE(float)
WHET_INSTANTIATE(double)
#undef WHET_INSTANTIATE

}  // namespace whet::engine::kernels
