// How C++ starts the CUDA kernels: plain pointers into the GPU's memory and a stream, so that nvcc needs no header of
// PyTorch's. Each function returns nullptr, or what CUDA says is wrong.
#pragma once

#include <cstdint>

namespace whet::engine::cuda {

/// One row of the results: id, log-prob, entropy, self-certainty, gap.
constexpr int kSampleWidth = 5;
/// Stretches of a row whose sums a block keeps, and the tokens of one.
constexpr int kMaxStretches = 512;
constexpr int kStretch = 1024;

struct SampleArguments {
  const float* logits;     // [rows, vocabulary]
  const double* uniforms;  // [rows], in [0, 1)
  double* results;         // [rows, kSampleWidth]
  std::int64_t rows;
  std::int64_t vocabulary;  // at most kMaxStretches * kStretch
  double temperature;
  bool greedy;
};
const char* launch_sample_rows(const SampleArguments& arguments, void* stream);

/// Numbers of a head that the decode attention can hold.
constexpr int kMaxHeadWidth = 256;

struct DecodeArguments {
  const float* prepared;  // [rows, (query heads + 2 key heads) * width]
  float* out;             // [rows, query heads * width]
  float* keys;            // [slots, ...]: slot_stride numbers each, rows of key heads * width
  float* values;
  std::int64_t slot_stride;
  const float* prompt_keys;  // [places, ...]: place_stride numbers each
  const float* prompt_values;
  std::int64_t place_stride;
  const std::int64_t* slots;  // [rows] each
  const std::int64_t* places;
  const std::int64_t* prompt_lengths;
  const std::int64_t* lengths;  // rows of the slot that are filled before this call
  std::int64_t rows;
  int query_heads;
  int key_heads;
  int width;
  std::int64_t window;  // 0: all
};
const char* launch_decode_attention(const DecodeArguments& arguments, void* stream);

}  // namespace whet::engine::cuda
