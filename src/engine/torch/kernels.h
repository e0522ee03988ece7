// The model's work between the matrix products, as plain loops over host memory: normalisation, rotary positions,
// attention over segments, the gated activation, and the statistics and sampling of a distribution over tokens.
//
// Why not the library's operations: a normalisation written with them walks its data eighteen times in a training step,
// and no attention of theirs shares a prompt among the responses of a group or skips padding. Each kernel has a plain
// reference in tests/engine/torch/reference.h. T is float or double (double for gradient checks).
#pragma once

#include <cstdint>
#include <span>

#include "engine/torch/packing.h"

namespace whet::engine::kernels {

/// y[r] = w * x[r] / rms(x[r]); inverse_rms[r] is kept for the way back. x, y: [rows, width].
template <class T>
void rms_norm(const T* x, const T* weight, T* y, T* inverse_rms, std::int64_t rows, std::int64_t width, double epsilon);

/// dx (written) and d_weight (added to) from dy.
template <class T>
void rms_norm_backward(const T* dy, const T* x, const T* weight, const T* inverse_rms, T* dx, T* d_weight,
                       std::int64_t rows, std::int64_t width);

/// h = silu(gate) * up, where gate_up rows hold [gate | up]. gate_up: [rows, 2 * width], h: [rows, width].
template <class T>
void swiglu(const T* gate_up, T* h, std::int64_t rows, std::int64_t width);
template <class T>
void swiglu_backward(const T* dh, const T* gate_up, T* d_gate_up, std::int64_t rows, std::int64_t width);

/// Head counts and the width of one head.
struct HeadShape {
  std::int64_t query_heads = 0;
  std::int64_t key_heads = 0;
  std::int64_t width = 0;

  std::int64_t qkv_width() const { return (query_heads + 2 * key_heads) * width; }
  std::int64_t query_width() const { return query_heads * width; }
  std::int64_t key_width() const { return key_heads * width; }
};

/// Normalises queries and keys as `norm` says, then turns each head by its position; values are copied. In and out: rows of
/// [queries | keys | values], [rows, qkv_width]. query_weight, key_weight: [width] for each head by itself, [query_width] and
/// [key_width] for the whole projection, null without a norm. cosine, sine: [positions, width / 2].
/// inverse_rms: [rows, query_heads + key_heads], kept for the way back (the whole projection uses the first of each kind).
template <class T>
void prepare_heads(const T* qkv, T* prepared, const T* query_weight, const T* key_weight, T* inverse_rms,
                   const std::int64_t* positions, const T* cosine, const T* sine, std::int64_t rows, HeadShape shape,
                   HeadNorm norm, double epsilon);
/// d_qkv (written) from d_prepared; the weights' gradients are added to.
template <class T>
void prepare_heads_backward(const T* d_prepared, const T* qkv, const T* query_weight, const T* key_weight,
                            const T* inverse_rms, const std::int64_t* positions, const T* cosine, const T* sine,
                            T* d_qkv, T* d_query_weight, T* d_key_weight, std::int64_t rows, HeadShape shape,
                            HeadNorm norm);

/// Summed up in blocks of one size in order, so that the same bits come out for any number of threads.
double sum_of_squares(const float* values, std::int64_t count);

/// table[ids[r]] += x[r], in the order of r. x: [rows, width].
template <class T>
void add_to_rows(const T* x, const std::int64_t* ids, T* table, std::int64_t rows, std::int64_t width);
/// y[r][first + i] += scale * v[r][i]. y: [rows, y_width], v: [rows, v_width].
template <class T>
void add_columns(T* y, const T* v, std::int64_t rows, std::int64_t y_width, std::int64_t first, std::int64_t v_width,
                 T scale);
/// y[r] += row for each row. y: [rows, width].
template <class T>
void add_row(T* y, const T* row, std::int64_t rows, std::int64_t width);
/// sums[i] += sum over r of x[r][i], in an order that does not depend on threads.
template <class T>
void sum_rows(const T* x, T* sums, std::int64_t rows, std::int64_t width);

/// Attention of packed rows: each segment's queries see the segment's prefix and, causally, the segment itself; with a
/// window, only the newest `window` of these, their own token included (0: all).
/// prepared: [rows, qkv_width]; out: [rows, query_width]; log_sum: [rows, query_heads], kept for the way back.
template <class T>
void attention(const T* prepared, T* out, T* log_sum, const PackedBatch& batch, HeadShape shape, std::int64_t window);
template <class T>
void attention_backward(const T* d_out, const T* prepared, const T* out, const T* log_sum, T* d_prepared,
                        const PackedBatch& batch, HeadShape shape, std::int64_t window);

/// What a row of logits says of its distribution at a temperature; the last three only where they were asked for.
template <class T>
struct RowSummary {
  T largest = 0;       ///< logit
  double log_sum = 0;  ///< log sum_v e^((logits[v] - largest) * inverse_temperature)
  T entropy = 0;
  T self_certainty = 0;
  T gap = 0;
};

/// One walk over each row. logits: [rows, vocabulary], summaries: [rows].
template <class T>
void summarise_rows(const T* logits, RowSummary<T>* summaries, std::int64_t rows, std::int64_t vocabulary,
                    T inverse_temperature, bool with_statistics);
/// In place: logits[r, v] becomes -row_factors[r] * inverse_temperature * softmax[r, v].
template <class T>
void scaled_softmax_rows(T* logits, const RowSummary<T>* summaries, const T* row_factors, std::int64_t rows,
                         std::int64_t vocabulary, T inverse_temperature);

/// Keys and values of a run of tokens, as decoding reads them: head by head; a head's keys in blocks of kTogether tokens, number
/// by number ([blocks, width, kTogether]), its values token by token ([capacity, width]).
struct KeyValueCache {
  static constexpr std::int64_t kTogether = 16;

  float* keys = nullptr;
  float* values = nullptr;
  std::int64_t capacity = 0;  ///< tokens, a multiple of kTogether

  /// The capacity that so many tokens need.
  static std::int64_t padded(std::int64_t tokens) { return (tokens + kTogether - 1) / kTogether * kTogether; }
  float* keys_of(std::int64_t head, std::int64_t width) const { return keys + head * capacity * width; }
  float* values_of(std::int64_t head, std::int64_t width) const { return values + head * capacity * width; }
};

/// Puts a token's keys and values at a place of a cache. row: [2, key_width], as prepare_heads leaves them.
void store_key_value(const float* row, HeadShape shape, std::int64_t token, const KeyValueCache& cache);

/// One sequence in decoding: where the keys and values that its newest token sees are stored.
struct CachedKeys {
  KeyValueCache prefix;
  std::int64_t prefix_length = 0;
  KeyValueCache own;        ///< token `length` is written by decode_attention
  std::int64_t length = 0;  ///< tokens that are stored before the call
};

/// Stores each sequence's new key and value, then attends to the newest `window` tokens (0: all).
/// prepared: [sequences, qkv_width], out: [sequences, query_width].
void decode_attention(const float* prepared, float* out, std::span<const CachedKeys> sequences, HeadShape shape,
                      std::int64_t window);

/// What one distribution says, at a temperature, before top-p and top-k.
struct TokenStatistics {
  float logprob = 0;
  float entropy = 0;
  float self_certainty = 0;
  float gap = 0;
};

struct SampledToken {
  std::int32_t id = 0;
  TokenStatistics statistics;
};

/// Draws one token by inverting the cumulative distribution at `uniform` in [0, 1). `logits` [vocabulary] are read,
/// `scratch` [vocabulary] is overwritten. One pass for the maxima, one for all sums; top-p and top-k sort.
SampledToken sample_token(const float* logits, float* scratch, std::int64_t vocabulary, const SamplingOptions& options,
                          double uniform);

}  // namespace whet::engine::kernels
