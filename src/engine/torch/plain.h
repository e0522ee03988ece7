// The model's operations as PyTorch's own, on whatever device the tensors are: what functions.h calls where no kernel of
// the engine's works (device.h), and what the kernels are compared with. Arguments and results are those of functions.h.
// Linear maps are not here: functions_common.h has both forms of their products.
#pragma once

#include "engine/torch/functions.h"

namespace whet::engine {

/// Rows of queries that are attended together, padded to the longest. A piece is (part of) a segment.
struct AttentionChunk {
  std::int64_t pieces = 0;
  std::int64_t queries = 0;  ///< of a piece, padded
  std::int64_t keys = 0;     ///< of a piece, padded
  at::Tensor query_places;   ///< [pieces, queries] place in the sequence; 0 for padding
  at::Tensor key_places;     ///< [pieces, keys]; beyond every query for padding
};

/// What operations on a device read of a batch, made when the first one asks.
struct BatchTensors {
  at::Tensor ids, positions;  ///< [N]
  at::Tensor head_rows;       ///< [H]
  // Targets in the order of their head rows: those of row h are first_target[h] .. first_target[h + 1].
  at::Tensor target_heads, target_ids;  ///< [R]
  at::Tensor target_places;             ///< [R] place of each response token in that order
  std::vector<std::int64_t> first_target;
  // Attention: gathered rows of queries and keys of all chunks, one after another, and where each row's result then is.
  at::Tensor query_rows, key_rows, result_rows;
  std::vector<AttentionChunk> chunks;
};

const BatchTensors& tensors_of(const PackedBatch& batch, at::Device device);

/// A layer's keys and values in decoding: of the responses being written, and of the prompts, each stored once.
struct DeviceCache {
  at::Tensor keys, values;                ///< [slots, capacity, key width]
  at::Tensor prompt_keys, prompt_values;  ///< [places, longest prompt, key width]
};

/// The sequences that a step continues, [rows] each, on the device: which cache slot and which prompt's place is theirs,
/// how long that prompt is, and how many of the slot's rows are filled before the step.
struct DecodeRows {
  at::Tensor slots, places, prompt_lengths, lengths;
  std::int64_t longest_prompt = 0;  ///< of these rows
  std::int64_t longest = 0;         ///< of these rows' lengths
};

namespace plain {

/// Adds scale * v to y's columns from `first` on, in place, and returns y.
at::Tensor add_columns(const at::Tensor& y, const at::Tensor& v, std::int64_t first, double scale);
at::Tensor embed_tokens(const at::Tensor& table, const PackedBatch& batch);
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
at::Tensor swiglu(const at::Tensor& gate_up);
/// positions: [N] on the device.
at::Tensor prepare_heads(const at::Tensor& qkv, const at::Tensor& query_weight, const at::Tensor& key_weight,
                         const at::Tensor& positions, const RotaryTable& rotary, kernels::HeadShape shape,
                         HeadNorm norm, double epsilon);
at::Tensor attention(const at::Tensor& prepared, const PackedBatch& batch, kernels::HeadShape shape,
                     std::int64_t window);
at::Tensor target_logprobs(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch,
                           double temperature, const HeadGradient& weight_gradient);
TargetStatistics target_statistics(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch,
                                   double temperature);

/// Stores each sequence's new key and value, then attends to the newest `window` tokens (0: all).
/// prepared: [rows, qkv width] -> [rows, query width].
at::Tensor decode_attention(const at::Tensor& prepared, const DeviceCache& cache, const DecodeRows& rows,
                            kernels::HeadShape shape, std::int64_t window);

/// Draws a token from each row of logits by inverting its cumulative distribution at the row's uniform number (double, in
/// [0, 1)), and says what the distribution says. logits: [rows, V]. Returns one double tensor [rows, 5], so that one copy
/// brings all to the host: id, log-prob, entropy, self-certainty, gap.
at::Tensor sample_rows(const at::Tensor& logits, const at::Tensor& uniforms, const SamplingOptions& options);

}  // namespace plain
}  // namespace whet::engine
