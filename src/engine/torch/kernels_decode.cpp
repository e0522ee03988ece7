// Attention over a cache in decoding: one query a sequence and head, against keys and values that are read once.
//
// The cache is laid out for this (kernels.h, KeyValueCache): sixteen tokens' keys lie side by side, number by number, so that
// sixteen scores grow in one vector without a sum over its lanes, and all that a head reads lies in one piece.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/torch/kernels.h"
#include "engine/torch/parallel.h"
#include "engine/torch/score_rows.h"
#include "engine/torch/simd_math.h"

namespace whet::engine::kernels {
namespace {

constexpr std::int64_t kLanes = KeyValueCache::kTogether;
static_assert(kLanes == kScores);
/// Keys that all queries of a head meet before the next ones are read: 64 kB of keys at width 128.
constexpr std::int64_t kChunk = 8 * kLanes;

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

/// scores = query . key for kBlocks blocks of kLanes keys. kWidth: the head width where it is known when compiling, else 0.
template <std::int64_t kWidth, std::int64_t kBlocks>
WHET_INLINE void score_blocks(const float* query, const float* keys, std::int64_t head_width, float* scores) {
  const std::int64_t width = kWidth > 0 ? kWidth : head_width;
  Lanes sums[kBlocks] = {};
  for (std::int64_t c = 0; c < width; ++c) {
    for (std::int64_t block = 0; block < kBlocks; ++block) {
      Lanes key;
      std::memcpy(&key, keys + (block * width + c) * kLanes, sizeof(key));
      sums[block] += query[c] * key;
    }
  }
  std::memcpy(scores, sums, sizeof(sums));
}

/// scores[j] = query . key for keys [begin, end), both multiples of kLanes.
template <std::int64_t kWidth>
WHET_INLINE void score_keys(const float* query, const float* keys, std::int64_t begin, std::int64_t end,
                            std::int64_t width, float* scores) {
  constexpr std::int64_t kBlocks = 4;
  std::int64_t j = begin;
  for (; j + kBlocks * kLanes <= end; j += kBlocks * kLanes) {
    score_blocks<kWidth, kBlocks>(query, keys + j * width, width, scores + j);
  }
  for (; j < end; j += kLanes) score_blocks<kWidth, 1>(query, keys + j * width, width, scores + j);
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
WHET_INLINE void add_values(const float* weights, const float* values, std::int64_t count, std::int64_t width,
                            float* result) {
  constexpr std::int64_t kPlaces = kWidth == 0 || kWidth > 64 ? 1 : kWidth > 32 ? 2 : 4;
  std::int64_t j = 0;
  if constexpr (kPlaces > 1) {
    float place[kPlaces][kWidth] = {};
    for (; j + kPlaces <= count; j += kPlaces) {
      for (std::int64_t u = 0; u < kPlaces; ++u)
        add_value<kWidth>(weights[j + u], values + (j + u) * kWidth, width, place[u]);
    }
    for (std::int64_t u = 0; u < kPlaces; ++u) add_value<kWidth>(1.0f, place[u], width, result);
  }
  for (; j < count; ++j) add_value<kWidth>(weights[j], values + j * width, width, result);
}

/// One run of tokens that a query sees: [begin, end) of a cache. Scores are of whole blocks; those outside are hidden.
struct Seen {
  const KeyValueCache* cache;
  std::int64_t begin;
  std::int64_t end;

  std::int64_t first_block() const { return begin / kLanes * kLanes; }
  std::int64_t scores() const { return begin < end ? KeyValueCache::padded(end) - first_block() : 0; }
};

/// The scores of `count` queries and this run's keys, each query's scores_width after the one before.
template <std::int64_t kWidth>
WHET_INLINE void score_run(const float* queries, std::int64_t count, std::int64_t key_head, std::int64_t width,
                           const Seen& seen, float* scores, std::int64_t scores_width) {
  const float* keys = seen.cache->keys_of(key_head, width) + seen.first_block() * width;
  for (std::int64_t from = 0; from < seen.scores(); from += kChunk) {
    const std::int64_t to = std::min(from + kChunk, seen.scores());
    for (std::int64_t q = 0; q < count; ++q) {
      score_keys<kWidth>(queries + q * width, keys, from, to, width, scores + q * scores_width);
    }
  }
  for (std::int64_t q = 0; q < count; ++q) {
    hide(scores + q * scores_width, seen.begin - seen.first_block(), seen.end - seen.first_block(), seen.scores());
  }
}

/// The query heads of one key head. queries: the head width each; scores: scores_width each.
template <std::int64_t kWidth>
WHET_INLINE void decode_head(const float* queries, std::int64_t count, std::int64_t key_head, HeadShape shape,
                             const Seen& prefix, const Seen& own, float* scores, std::int64_t scores_width,
                             float* out) {
  const std::int64_t width = kWidth > 0 ? kWidth : shape.width;
  if (prefix.scores() > 0) score_run<kWidth>(queries, count, key_head, width, prefix, scores, scores_width);
  score_run<kWidth>(queries, count, key_head, width, own, scores + prefix.scores(), scores_width);
  for (std::int64_t q = 0; q < count; ++q) {
    float* weights = scores + q * scores_width;
    const std::int64_t all = prefix.scores() + own.scores();
    const float inverse = 1.0f / exponentials(weights, all, largest_of(weights, all));
    const auto add_run = [&](const Seen& seen, const float* of_run, float* result) {
      add_values<kWidth>(of_run + (seen.begin - seen.first_block()),
                         seen.cache->values_of(key_head, width) + seen.begin * width, seen.end - seen.begin, width,
                         result);
    };
    const auto add = [&](float* result) {
      if (prefix.scores() > 0) add_run(prefix, weights, result);
      add_run(own, weights + prefix.scores(), result);
      for (std::int64_t c = 0; c < width; ++c) result[c] *= inverse;
    };
    if constexpr (kWidth > 0) {
      float result[kWidth] = {};
      add(result);
      std::memcpy(out + q * width, result, sizeof(result));
    } else {
      std::fill(out + q * width, out + (q + 1) * width, 0.0f);
      add(out + q * width);
    }
  }
}

/// All heads of one sequence.
template <std::int64_t kWidth>
WHET_INLINE void decode_heads(const float* prepared, float* out, const CachedKeys& cached, HeadShape shape,
                              std::int64_t window, std::vector<float>& scratch) {
  const std::int64_t width = kWidth > 0 ? kWidth : shape.width, each = shape.query_heads / shape.key_heads;
  const std::int64_t tokens = cached.length + 1;
  const std::int64_t hidden = window > 0 ? std::max<std::int64_t>(0, cached.prefix_length + tokens - window) : 0;
  const Seen prefix{&cached.prefix, std::min(hidden, cached.prefix_length), cached.prefix_length};
  const Seen own{&cached.own, std::max<std::int64_t>(0, hidden - cached.prefix_length), tokens};
  const std::int64_t scores_width = prefix.scores() + own.scores();
  const auto needed = static_cast<std::size_t>(each * (scores_width + width) + kLanes);
  if (scratch.size() < needed) scratch.resize(needed);
  // Whole vectors are written and read again: none of them may lie across two lines of the cache.
  float* const scores = reinterpret_cast<float*>(
      (reinterpret_cast<std::uintptr_t>(scratch.data()) + sizeof(Lanes) - 1) / sizeof(Lanes) * sizeof(Lanes));
  float* const queries = scores + each * scores_width;
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  for (std::int64_t key_head = 0; key_head < shape.key_heads; ++key_head) {
    const std::int64_t column = key_head * each * width;
    for (std::int64_t c = 0; c < each * width; ++c) queries[c] = prepared[column + c] * scale;
    decode_head<kWidth>(queries, each, key_head, shape, prefix, own, scores, scores_width, out + column);
  }
}

WHET_MULTIVERSION void decode_one(const float* prepared, float* out, const CachedKeys& cached, HeadShape shape,
                                  std::int64_t window, std::vector<float>& scratch) {
  store_key_value(prepared + shape.query_width(), shape, cached.length, cached.own);
  switch (shape.width) {
    case 16:
      return decode_heads<16>(prepared, out, cached, shape, window, scratch);
    case 32:
      return decode_heads<32>(prepared, out, cached, shape, window, scratch);
    case 64:
      return decode_heads<64>(prepared, out, cached, shape, window, scratch);
    case 128:
      return decode_heads<128>(prepared, out, cached, shape, window, scratch);
    default:
      return decode_heads<0>(prepared, out, cached, shape, window, scratch);
  }
}

}  // namespace

void store_key_value(const float* row, HeadShape shape, std::int64_t token, const KeyValueCache& cache) {
  const std::int64_t block = token / kLanes * kLanes, lane = token - block;
  for (std::int64_t head = 0; head < shape.key_heads; ++head) {
    const float* key = row + head * shape.width;
    float* target = cache.keys_of(head, shape.width) + block * shape.width + lane;
    for (std::int64_t c = 0; c < shape.width; ++c) target[c * kLanes] = key[c];
    std::memcpy(cache.values_of(head, shape.width) + token * shape.width, key + shape.key_width(),
                static_cast<std::size_t>(shape.width) * sizeof(float));
  }
}

void decode_attention(const float* prepared, float* out, std::span<const CachedKeys> sequences, HeadShape shape,
                      std::int64_t window) {
  constexpr std::int64_t kSequencesPerTask = 4;
  parallel_blocks(static_cast<std::int64_t>(sequences.size()), kSequencesPerTask,
                  [&](std::int64_t begin, std::int64_t end) {
                    thread_local std::vector<float> scratch;
                    for (std::int64_t i = begin; i < end; ++i) {
                      decode_one(prepared + i * shape.qkv_width(), out + i * shape.query_width(),
                                 sequences[static_cast<std::size_t>(i)], shape, window, scratch);
                    }
                  });
}

}  // namespace whet::engine::kernels
