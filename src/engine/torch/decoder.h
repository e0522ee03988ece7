// The decoder (grouped queries, rotary positions, gated MLP; engine/families.h says what varies): its weights, and its
// forward pass over packed rows.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/torch/functions.h"
#include "engine/torch/torch.h"

namespace whet::engine {

/// A tensor that the family lacks is undefined.
struct LayerWeights {
  at::Tensor input_norm;      // [D]
  at::Tensor qkv;             // [(Hq + 2 Hk) W, D]: q_proj, k_proj and v_proj as one product
  at::Tensor qkv_bias;        // [(Hq + 2 Hk) W]
  at::Tensor query_norm;      // [W], or [Hq W] over the whole projection
  at::Tensor key_norm;        // [W], or [Hk W]
  at::Tensor output;          // [D, Hq W]
  at::Tensor output_bias;     // [D]
  at::Tensor attention_norm;  // [D]: after the attention, before the residual sum
  at::Tensor mlp_norm;        // [D]
  at::Tensor gate_up;         // [2 F, D]: gate_proj and up_proj as one product
  at::Tensor gate_up_bias;    // [2 F]
  at::Tensor down;            // [D, F]
  at::Tensor down_bias;       // [D]
  at::Tensor mlp_out_norm;    // [D]: after the MLP, before the residual sum
};

class Decoder {
 public:
  /// Weights are zero until set by `load`, `initialize` or `copy_from`. dtype: float32, or float64 for gradient checks.
  Decoder(ModelConfig config, at::ScalarType dtype);

  const ModelConfig& config() const { return config_; }
  kernels::HeadShape shape() const { return shape_; }
  const at::Tensor& embedding() const { return embedding_; }          // [V, D]
  const at::Tensor& final_norm() const { return final_norm_; }        // [D]
  const at::Tensor& head() const { return head_; }                    // [V, D]; the embedding itself when tied
  const std::vector<LayerWeights>& layers() const { return layers_; }

  /// All weights and all gradients, each as one vector; the tensors above are windows into them.
  at::Tensor& weights() { return weights_; }
  const at::Tensor& weights() const { return weights_; }
  at::Tensor& gradients();

  /// Sees each layer's prepared queries, keys and values: how a rollout fills its cache.
  using LayerVisitor = std::function<void(std::size_t layer, const at::Tensor& prepared)>;

  /// Hidden states after the last layer, before the final norm. [N, D]. UserError for positions that the model's rotary
  /// scaling does not reach.
  at::Tensor forward(const PackedBatch& batch, const LayerVisitor& visit = {});
  /// Final-normed hidden states of the batch's head rows. [H, D]
  at::Tensor head_states(const at::Tensor& hidden, const PackedBatch& batch) const;
  /// log pi(target) of the batch, over the first `vocabulary` tokens. [R]
  at::Tensor logprobs(const PackedBatch& batch, std::int64_t vocabulary, double temperature);
  /// The same with the statistics of the distributions; keeps no gradient.
  TargetStatistics statistics(const PackedBatch& batch, std::int64_t vocabulary, double temperature);

  /// Cosines and sines for at least `positions` positions.
  const RotaryTable& rotary(std::int64_t positions);
  HeadNorm head_norm() const { return head_norm_; }

  void load(const std::filesystem::path& folder);
  void initialize(std::uint64_t seed);
  void copy_from(const Decoder& other);

  /// One tensor as Hugging Face names it; a window into the weights, or into the gradients.
  struct NamedWindow {
    std::string name;
    at::Tensor window;
  };
  std::vector<NamedWindow> named_weights() const;
  std::vector<NamedWindow> named_gradients();

 private:
  struct Slot;
  std::vector<Slot> slots();
  std::vector<NamedWindow> windows(const at::Tensor& flat) const;

  ModelConfig config_;
  kernels::HeadShape shape_;
  HeadNorm head_norm_;
  at::Tensor weights_;    // [P]
  at::Tensor gradients_;  // [P], made at first use
  at::Tensor embedding_, final_norm_, head_;
  std::vector<LayerWeights> layers_;
  RotaryTable rotary_;
};

}  // namespace whet::engine
