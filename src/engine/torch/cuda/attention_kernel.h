// Attention of each sequence's newest token over its cache: the prompt's keys and values where they stand for all samples
// of the prompt, then the response's own.
//
// A block takes a sequence and some of the query heads that share a key head. Its warps walk the keys by turns; a lane
// holds every 32nd number of a head, so that a warp reads a key as it lies in memory. Each warp keeps a softmax of its own
// (largest score, sum, weighted values), and the block joins them at the end. Samples of one prompt run in
// blocks side by side, so that the prompt's keys come from the cache of the GPU after the first.
//
// The kernel stands here by itself so that a test can run its very text on the CPU (tests/engine/torch/cuda_on_cpu.h). Who
// includes it has brought what it needs of CUDA.
#pragma once

#include "engine/torch/cuda/launch.h"
#include "engine/torch/cuda/warp.h"

namespace whet::engine::cuda {
namespace {

/// kQueries query heads at once; a lane holds kEach numbers of a head, the last ones beyond its width.
template <int kQueries, int kEach>
__global__ void __launch_bounds__(kWarp* kWarps) decode_attention(DecodeArguments a) {
  __shared__ float largest_of[kWarps][kQueries], sum_of[kWarps][kQueries], values_of[kWarps][kQueries][kEach * kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const std::int64_t row = blockIdx.x;
  const int key_head = blockIdx.y, copies = a.query_heads / a.key_heads;
  const int first_query = key_head * copies + blockIdx.z * kQueries,
            queries = min(kQueries, copies - static_cast<int>(blockIdx.z) * kQueries);
  const std::int64_t key_width = static_cast<std::int64_t>(a.key_heads) * a.width;
  const float* prepared = a.prepared + row * (a.query_heads * a.width + 2 * key_width);
  const float* new_key = prepared + a.query_heads * a.width + key_head * a.width;
  const float* new_value = new_key + key_width;

  const std::int64_t prompt = a.prompt_lengths[row], length = a.lengths[row], total = prompt + length + 1;
  const std::int64_t own = a.slots[row] * a.slot_stride + key_head * a.width;
  const std::int64_t shared = a.places[row] * a.place_stride + key_head * a.width;
  // Nobody reads the new row from the cache in this call: one block writes it.
  if (blockIdx.z == 0) {
    for (int i = threadIdx.x; i < a.width; i += kWarp * kWarps) {
      a.keys[own + length * key_width + i] = new_key[i];
      a.values[own + length * key_width + i] = new_value[i];
    }
  }

  float query[kQueries][kEach], sums[kQueries][kEach], largest[kQueries], total_of[kQueries];
  const float scale = rsqrtf(static_cast<float>(a.width));
  WHET_UNROLL
  for (int q = 0; q < kQueries; ++q) {
    largest[q] = -CUDART_INF_F;
    total_of[q] = 0;
    WHET_UNROLL
    for (int k = 0; k < kEach; ++k) {
      const int i = k * kWarp + lane;
      query[q][k] = q < queries && i < a.width ? prepared[(first_query + q) * a.width + i] * scale : 0;
      sums[q][k] = 0;
    }
  }
  for (std::int64_t j = (a.window > 0 && total > a.window ? total - a.window : 0) + warp; j < total; j += kWarps) {
    const bool is_shared = j < prompt, is_new = j == total - 1;
    const std::int64_t offset = is_shared ? shared + j * key_width : own + (j - prompt) * key_width;
    const float* key = is_new ? new_key : (is_shared ? a.prompt_keys : a.keys) + offset;
    const float* value = is_new ? new_value : (is_shared ? a.prompt_values : a.values) + offset;
    float keys[kEach], values[kEach];
    WHET_UNROLL
    for (int k = 0; k < kEach; ++k) {
      const int i = k * kWarp + lane;
      keys[k] = i < a.width ? key[i] : 0;
      values[k] = i < a.width ? value[i] : 0;
    }
    WHET_UNROLL
    for (int q = 0; q < kQueries; ++q) {
      float score = 0;
      WHET_UNROLL
      for (int k = 0; k < kEach; ++k) score += query[q][k] * keys[k];
      score = sum_lanes(score);
      const float next = fmaxf(largest[q], score);
      const float kept = expf(largest[q] - next), weight = expf(score - next);
      largest[q] = next;
      total_of[q] = total_of[q] * kept + weight;
      WHET_UNROLL
      for (int k = 0; k < kEach; ++k) sums[q][k] = sums[q][k] * kept + weight * values[k];
    }
  }
  WHET_UNROLL
  for (int q = 0; q < kQueries; ++q) {
    if (lane == 0) {
      largest_of[warp][q] = largest[q];
      sum_of[warp][q] = total_of[q];
    }
    WHET_UNROLL
    for (int k = 0; k < kEach; ++k) values_of[warp][q][k * kWarp + lane] = sums[q][k];
  }
  __syncthreads();

  for (int i = threadIdx.x; i < queries * a.width; i += kWarp * kWarps) {
    const int q = i / a.width, column = i % a.width;
    float most = -CUDART_INF_F;
    for (int w = 0; w < kWarps; ++w) most = fmaxf(most, largest_of[w][q]);
    float sum = 0, value = 0;
    for (int w = 0; w < kWarps; ++w) {
      const float factor = expf(largest_of[w][q] - most);  // 0 for a warp without keys
      sum += factor * sum_of[w][q];
      value += factor * values_of[w][q][column];
    }
    a.out[row * a.query_heads * a.width + (first_query + q) * a.width + column] = value / sum;
  }
}

}  // namespace
}  // namespace whet::engine::cuda
