// The decoder (grouped queries, rotary positions, gated MLP; engine/families.h says what varies): its weights, and its
// forward pass over packed rows.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/lora.h"
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
  // Corrections of the four products, where adapters are trained.
  std::vector<Adapter> qkv_adapters, output_adapters, gate_up_adapters, down_adapters;
};

class Decoder {
 public:
  /// Weights are zero until set by `load`, `initialize` or `copy_from`. dtype: float32, float64 for gradient checks, or bfloat16:
  /// products then read weights in bfloat16, and norms, biases and all arithmetic are float32, the values of norms and biases
  /// rounded too. With masters the weights themselves are float32 and rounded into what the products read; without, they cannot
  /// be trained.
  Decoder(ModelConfig config, at::ScalarType dtype, bool has_masters = true, at::Device device = at::kCPU);

  const ModelConfig& config() const { return config_; }
  at::Device device() const { return weights_.device(); }
  kernels::HeadShape shape() const { return shape_; }
  const at::Tensor& embedding() const { return embedding_; }    // [V, D]
  const at::Tensor& final_norm() const { return final_norm_; }  // [D]
  const at::Tensor& head() const { return head_; }              // [V, D]; the embedding itself when tied
  const std::vector<LayerWeights>& layers() const { return layers_; }

  /// All weights as one vector; the tensors above are windows into it, or, in bfloat16, hold what it rounds to.
  at::Tensor& weights() { return weights_; }
  const at::Tensor& weights() const { return weights_; }
  /// What the model computes with, as one vector: `weights`, or what they round to.
  const at::Tensor& computed_weights() const { return rounded_.defined() ? rounded_ : weights_; }
  /// float32 weights stand behind those in bfloat16.
  bool has_masters() const { return rounded_.defined() && weights_.scalar_type() == at::kFloat; }
  /// Nothing in it can be trained.
  bool is_frozen() const { return !adapters_.defined() && weights_.scalar_type() == at::kBFloat16; }
  /// Whoever has changed `weights` calls this: what the model computes with follows.
  void round_weights();
  /// What training changes, and its gradients, each as one vector: the weights, or the adapters where there are some.
  at::Tensor& trained() { return adapters_.defined() ? adapters_ : weights_; }
  const at::Tensor& trained() const { return adapters_.defined() ? adapters_ : weights_; }
  at::Tensor& gradients();

  /// Freezes the weights and puts adapters over them; their corrections are zero until trained or loaded.
  void add_adapters(const LoraOptions& options);
  const LoraOptions& lora() const { return lora_; }  ///< rank 0: no adapters
  double adapter_scale() const { return lora_.scale(); }

  /// On the way forward keep only what enters each layer, and compute the layer again on the way back.
  void set_checkpointing(bool on) { checkpointing_ = on; }

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
  /// A decoder of its own. Frozen weights are shared: nothing changes them.
  std::shared_ptr<Decoder> clone() const;
  /// Sets the adapters from a folder's adapter_model.safetensors.
  void load_adapters(const std::filesystem::path& folder);

  /// One tensor as Hugging Face names it; a window into the weights, or into the gradients.
  struct NamedWindow {
    std::string name;
    at::Tensor window;
  };
  std::vector<NamedWindow> named_weights() const;
  /// Of `computed_weights`.
  std::vector<NamedWindow> named_computed_weights() const;
  /// Of what is trained.
  std::vector<NamedWindow> named_gradients();
  /// As PEFT names them; empty without adapters.
  std::vector<NamedWindow> named_adapters() const;
  /// The weights that it computes with, widened from bfloat16, and the adapters' corrections added: copies where that changes any.
  std::vector<NamedWindow> merged_weights() const;

  /// One layer: x [N, D] to what enters the next. `attend`: rows of queries, keys and values to rows of attended queries.
  using Attend = std::function<at::Tensor(const at::Tensor& qkv)>;
  at::Tensor run_layer(std::size_t layer, const at::Tensor& x, const Attend& attend);
  /// The same where the rows are a batch's.
  at::Tensor run_layer(std::size_t layer, const at::Tensor& x, const PackedBatch& batch,
                       const LayerVisitor& visit = {});

 private:
  struct Slot;
  struct AdapterSlot;
  std::vector<Slot> slots();
  static bool is_vector(const Slot& slot);  ///< a norm or a bias
  std::vector<AdapterSlot> adapter_slots();
  std::vector<NamedWindow> windows(const at::Tensor& flat) const;
  std::vector<NamedWindow> adapter_windows(const at::Tensor& flat) const;
  void make_windows();
  /// Of all arithmetic.
  at::ScalarType arithmetic() const { return rounded_.defined() ? at::kFloat : weights_.scalar_type(); }

  ModelConfig config_;
  kernels::HeadShape shape_;
  HeadNorm head_norm_;
  at::Tensor weights_;  // [P]
  at::Tensor rounded_;  // [P] bfloat16 of `weights_`, or that itself without masters; undefined in other types
  at::Tensor vectors_;  // beside it: all norms and biases, as float32
  LoraOptions lora_;
  at::Tensor adapters_;   // all adapters, undefined without
  at::Tensor gradients_;  // of what is trained, made at first use
  bool checkpointing_ = false;
  at::Tensor embedding_, final_norm_, head_;
  std::vector<LayerWeights> layers_;
  RotaryTable rotary_;
};

}  // namespace whet::engine
