#include "engine/work.h"

#include <algorithm>

#include "engine/memory.h"

namespace whet::engine {
namespace {

constexpr double kFloat = 4;

/// The sum of min(first + i, window) for i < count, where `first` keys are seen by the first row.
double seen(double first, double count, double window) {
  const double growing = window > 0 ? std::clamp(window - first, 0.0, count) : count;
  return growing * first + growing * (growing - 1) / 2 + (count - growing) * (window > 0 ? window : 0);
}

}  // namespace

std::vector<Gemm> products(const ModelConfig& c, std::int64_t vocabulary, std::int64_t rows) {
  const std::int64_t q = c.num_attention_heads * c.head_dim, k = c.num_key_value_heads * c.head_dim;
  std::vector<Gemm> all;
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    all.insert(all.end(), {{rows, c.hidden_size, q + 2 * k},
                           {rows, q, c.hidden_size},
                           {rows, c.hidden_size, 2 * c.intermediate_size},
                           {rows, c.intermediate_size, c.hidden_size}});
  }
  all.push_back({rows, c.hidden_size, vocabulary});
  return all;
}

ModelWork::ModelWork(const ModelConfig& c, std::int64_t vocabulary, const LoraOptions& lora, std::int64_t weight_bytes)
    : layers_(static_cast<double>(c.num_hidden_layers)),
      hidden_(static_cast<double>(c.hidden_size)),
      inner_(static_cast<double>(c.intermediate_size)),
      queries_(static_cast<double>(c.num_attention_heads * c.head_dim)),
      key_width_(static_cast<double>(c.num_key_value_heads * c.head_dim)),
      vocabulary_(static_cast<double>(vocabulary)),
      matrices_(layers_ * hidden_ * (2 * queries_ + 2 * key_width_ + 3 * inner_)),
      adapters_(lora.rank > 0 ? static_cast<double>(adapter_parameter_count(c, lora)) : 0),
      weight_bytes_(static_cast<double>(weight_bytes)),
      windows_(c.layer_windows) {
  const auto all = static_cast<double>(parameter_count(c));
  // Rows of the embedding are looked up one by one; as the head the vocabulary in use is read whole.
  read_ = all - (c.tie_word_embeddings ? 1 : 2) * static_cast<double>(c.vocab_size) * hidden_ + vocabulary_ * hidden_;
  trained_ = adapters_ > 0 ? adapters_ : all;
  if (windows_.empty()) windows_.assign(static_cast<std::size_t>(c.num_hidden_layers), 0);
}

double ModelWork::keys(std::int64_t first_position, std::int64_t rows) const {
  const auto first = static_cast<double>(first_position + 1), count = static_cast<double>(rows);
  double sum = 0;
  for (const std::int64_t window : windows_) sum += seen(first, count, static_cast<double>(window));
  return sum;
}

double ModelWork::activations(const Pass& pass) const {
  const double qkv = queries_ + 2 * key_width_;
  // Both norms 4 d; the product for q, k and v d + qkv; their rotation 2 qkv; attention qkv + q; the output's product
  // q + 2 d, for it is added to the residual; gate and up d + 2 f; the gated activation 3 f; down f + 2 d.
  const double layer = 10 * hidden_ + 4 * qkv + 2 * queries_ + 6 * inner_;
  const double embedded = 2 * hidden_, head = 3 * hidden_ + vocabulary_;
  return kFloat * (pass.rows * (embedded + layers_ * layer) + pass.heads * head);
}

double ModelWork::weights() const { return weight_bytes_ * read_ + kFloat * adapters_; }

base::Work ModelWork::forward(const Pass& pass) const {
  return {pass.rows * 2 * (matrices_ + adapters_) + pass.heads * 2 * hidden_ * vocabulary_ + pass.keys * 4 * queries_,
          weights() + activations(pass)};
}

base::Work ModelWork::backward(const Pass& pass) const {
  // Each product has two on the way back, for its input and its weight; a frozen weight's has one.
  const double frozen = adapters_ > 0 ? 1 : 2;
  return {pass.rows * 2 * (frozen * matrices_ + 2 * adapters_) + frozen * pass.heads * 2 * hidden_ * vocabulary_ +
              2 * pass.keys * 4 * queries_,
          weights() + 2 * kFloat * (adapters_ > 0 ? adapters_ : read_) + 2 * activations(pass)};
}

base::Work ModelWork::decode(const Pass& pass, double cached) const {
  base::Work work = forward(pass);
  work.bytes += kFloat * 2 * key_width_ * (cached + pass.rows * layers_);  // read, and the new token's written
  return work;
}

base::Work ModelWork::sampling(double rows) const { return {10 * rows * vocabulary_, kFloat * rows * vocabulary_}; }

base::Work ModelWork::optimizer(bool clips) const {
  // Whole weights that a pass reads as something smaller than float32 are rounded from masters: read, and written.
  const double rounding = adapters_ == 0 && weight_bytes_ < kFloat ? kFloat + weight_bytes_ : 0;
  return {17 * trained_, ((clips ? 11 : 9) * kFloat + rounding) * trained_};
}

}  // namespace whet::engine
