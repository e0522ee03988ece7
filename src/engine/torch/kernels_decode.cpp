// Attention over a cache in decoding: one query a sequence and head, against keys and values that are read once.
//
// A key's score is a sum over the lanes of one product. Summed one by one that costs more than everything else, so sixteen
// keys are summed together: halves of pairs are added until each lane of one vector is one key's sum.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/torch/kernels.h"
#include "engine/torch/parallel.h"
#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {
namespace {

constexpr std::int64_t kLanes = 16;

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using Places = std::int32_t __attribute__((vector_size(kLanes * sizeof(std::int32_t))));

/// The lanes of a and b folded by halves of `kHalf`: in each run of 2 kHalf lanes, first what a's two halves sum to, then b's.
template <std::int32_t kHalf>
WHET_INLINE void fold(const Lanes& a, const Lanes& b, Lanes& sum) {
  Places low, high;
  for (std::int32_t lane = 0; lane < kLanes; ++lane) {
    const std::int32_t in_a = lane & ~kHalf;  // the low half's lane of this run
    low[lane] = in_a + ((lane & kHalf) != 0 ? static_cast<std::int32_t>(kLanes) : 0);
    high[lane] = low[lane] + kHalf;
  }
  sum = __builtin_shuffle(a, b, low) + __builtin_shuffle(a, b, high);
}

/// query * key, summed over runs of kLanes.
template <std::int64_t kWidth>
WHET_INLINE void multiply_lanes(const float* query, const float* key, Lanes& sum) {
  sum = Lanes{};
  for (std::int64_t c = 0; c < kWidth; c += kLanes) {
    Lanes a, b;
    std::memcpy(&a, query + c, sizeof(a));
    std::memcpy(&b, key + c, sizeof(b));
    sum += a * b;
  }
}

/// scores[j] = scale * query . keys[j] for kLanes keys, `stride` apart.
template <std::int64_t kWidth>
WHET_INLINE void score_lanes(const float* query, const float* keys, std::int64_t stride, float scale, float* scores) {
  Lanes pairs[2], fours[2], eights[2], products[2], all;
  for (std::int64_t x = 0; x < 2; ++x) {
    for (std::int64_t y = 0; y < 2; ++y) {
      for (std::int64_t z = 0; z < 2; ++z) {
        const float* key = keys + (x + 2 * y + 4 * z) * stride;
        multiply_lanes<kWidth>(query, key, products[0]);
        multiply_lanes<kWidth>(query, key + 8 * stride, products[1]);
        fold<8>(products[0], products[1], eights[z]);
      }
      fold<4>(eights[0], eights[1], fours[y]);
    }
    fold<2>(fours[0], fours[1], pairs[x]);
  }
  fold<1>(pairs[0], pairs[1], all);
  all *= scale;
  std::memcpy(scores, &all, sizeof(all));
}

/// scores[j] = scale * query . keys[j] for `count` keys, `stride` apart.
template <std::int64_t kWidth>
WHET_INLINE void score_keys(const float* query, const float* keys, std::int64_t count, std::int64_t stride, std::int64_t width,
                            float scale, float* scores) {
  std::int64_t j = 0;
  if constexpr (kWidth > 0) {
    for (; j + kLanes <= count; j += kLanes) score_lanes<kWidth>(query, keys + j * stride, stride, scale, scores + j);
  }
  for (; j < count; ++j) {
    const float* key = keys + j * stride;
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t c = 0; c < (kWidth > 0 ? kWidth : width); ++c) dot += query[c] * key[c];
    scores[j] = dot * scale;
  }
}

/// result += weight * value
template <std::int64_t kWidth>
WHET_INLINE void add_value(float weight, const float* value, std::int64_t width, float* result) {
#pragma omp simd
  for (std::int64_t c = 0; c < (kWidth > 0 ? kWidth : width); ++c) result[c] += weight * value[c];
}

/// result += sum_j weights[j] * values[j]. Narrow heads are summed in several places, so that an addition need not wait for
/// the one before it.
template <std::int64_t kWidth>
WHET_INLINE void add_values(const float* weights, const float* values, std::int64_t count, std::int64_t stride,
                            std::int64_t width, float* result) {
  constexpr std::int64_t kPlaces = kWidth == 0 || kWidth > 64 ? 1 : kWidth > 32 ? 2 : 4;
  std::int64_t j = 0;
  if constexpr (kPlaces > 1) {
    float place[kPlaces][kWidth] = {};
    for (; j + kPlaces <= count; j += kPlaces) {
      for (std::int64_t u = 0; u < kPlaces; ++u) add_value<kWidth>(weights[j + u], values + (j + u) * stride, width, place[u]);
    }
    for (std::int64_t u = 0; u < kPlaces; ++u) add_value<kWidth>(1.0f, place[u], width, result);
  }
  for (; j < count; ++j) add_value<kWidth>(weights[j], values + j * stride, width, result);
}

/// All heads of one sequence. kWidth: the head width, where it is known when compiling (sums then stay in registers); else 0.
template <std::int64_t kWidth>
WHET_INLINE void decode_heads(const float* prepared, float* out, const CachedKeys& cached, HeadShape shape,
                              std::int64_t window, float* scores) {
  const std::int64_t width = kWidth > 0 ? kWidth : shape.width;
  const std::int64_t stride = shape.key_width();
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  // What a window hides is the oldest of the prefix and then of the sequence's own.
  const std::int64_t hidden = window > 0 ? std::max<std::int64_t>(0, cached.prefix_length + cached.length + 1 - window) : 0;
  const std::int64_t hidden_prefix = std::min(hidden, cached.prefix_length), hidden_own = hidden - hidden_prefix;
  const std::int64_t prefix = cached.prefix_length - hidden_prefix, own = cached.length + 1 - hidden_own, seen = prefix + own;
  const float* const prefix_keys = cached.prefix_keys + hidden_prefix * stride;
  const float* const prefix_values = cached.prefix_values + hidden_prefix * stride;
  const float* const own_keys = cached.keys + hidden_own * stride;
  const float* const own_values = cached.values + hidden_own * stride;
  for (std::int64_t head = 0; head < shape.query_heads; ++head) {
    const float* query = prepared + head * width;
    const std::int64_t column = head / (shape.query_heads / shape.key_heads) * width;
    score_keys<kWidth>(query, prefix_keys + column, prefix, stride, width, scale, scores);
    score_keys<kWidth>(query, own_keys + column, own, stride, width, scale, scores + prefix);
    float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
    for (std::int64_t j = 0; j < seen; ++j) largest = scores[j] > largest ? scores[j] : largest;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < seen; ++j) {
      scores[j] = fast_exp(scores[j] - largest);
      sum += scores[j];
    }
    const float inverse = 1.0f / sum;
    for (std::int64_t j = 0; j < seen; ++j) scores[j] *= inverse;
    if constexpr (kWidth > 0) {
      float result[kWidth] = {};
      add_values<kWidth>(scores, prefix_values + column, prefix, stride, width, result);
      add_values<kWidth>(scores + prefix, own_values + column, own, stride, width, result);
      std::memcpy(out + head * width, result, sizeof(result));
    } else {
      float* result = out + head * width;
      std::fill(result, result + width, 0.0f);
      add_values<kWidth>(scores, prefix_values + column, prefix, stride, width, result);
      add_values<kWidth>(scores + prefix, own_values + column, own, stride, width, result);
    }
  }
}

/// Asks for what a sequence will read soon: caches of many sequences do not fit near the processor, and the rows of one are
/// too few for it to see a pattern.
void prefetch(const CachedKeys& cached, std::int64_t key_width) {
  constexpr std::int64_t kLine = 64, kMost = 8192;
  const std::int64_t bytes = std::min<std::int64_t>(kMost, cached.length * key_width * static_cast<std::int64_t>(sizeof(float)));
  for (std::int64_t at = 0; at < bytes; at += kLine) {
    __builtin_prefetch(reinterpret_cast<const char*>(cached.keys) + at);
    __builtin_prefetch(reinterpret_cast<const char*>(cached.values) + at);
  }
}

WHET_MULTIVERSION void decode_one(const float* prepared, float* out, const CachedKeys& cached, HeadShape shape,
                                  std::int64_t window, float* scores) {
  const std::int64_t row = cached.length * shape.key_width();
  const float* key = prepared + shape.query_width();
  std::memcpy(cached.keys + row, key, static_cast<std::size_t>(shape.key_width()) * sizeof(float));
  std::memcpy(cached.values + row, key + shape.key_width(), static_cast<std::size_t>(shape.key_width()) * sizeof(float));
  switch (shape.width) {
    case 16: return decode_heads<16>(prepared, out, cached, shape, window, scores);
    case 32: return decode_heads<32>(prepared, out, cached, shape, window, scores);
    case 64: return decode_heads<64>(prepared, out, cached, shape, window, scores);
    case 128: return decode_heads<128>(prepared, out, cached, shape, window, scores);
    default: return decode_heads<0>(prepared, out, cached, shape, window, scores);
  }
}

}  // namespace

void decode_attention(const float* prepared, float* out, std::span<const CachedKeys> sequences, HeadShape shape,
                      std::int64_t window) {
  constexpr std::int64_t kSequencesPerTask = 16;
  parallel_blocks(static_cast<std::int64_t>(sequences.size()), kSequencesPerTask, [&](std::int64_t begin, std::int64_t end) {
    thread_local std::vector<float> scores;
    for (std::int64_t i = begin; i < end; ++i) {
      const CachedKeys& cached = sequences[static_cast<std::size_t>(i)];
      if (i + 1 < end) prefetch(sequences[static_cast<std::size_t>(i + 1)], shape.key_width());
      const auto seen = static_cast<std::size_t>(cached.prefix_length + cached.length + 1);
      if (scores.size() < seen) scores.resize(seen);
      decode_one(prepared + i * shape.qkv_width(), out + i * shape.query_width(), cached, shape, window, scores.data());
    }
  });
}

}  // namespace whet::engine::kernels
