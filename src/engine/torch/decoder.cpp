#include "engine/torch/decoder.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/random.h"
#include "engine/safetensors.h"

namespace whet::engine {

/// One leaf of the autograd graph: where it lies in the flat weights, and the Hugging Face tensors of which it is made
/// (stacked along the first dimension).
struct Decoder::Slot {
  at::Tensor* leaf;
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> parts;
};

std::vector<Decoder::Slot> Decoder::slots() {
  const std::int64_t d = config_.hidden_size, f = config_.intermediate_size, w = config_.head_dim;
  std::vector<Slot> all;
  all.push_back({&embedding_, {{"model.embed_tokens.weight", {config_.vocab_size, d}}}});
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerWeights& layer = layers_[i];
    const std::string prefix = fmt::format("model.layers.{}.", i);
    all.push_back({&layer.input_norm, {{prefix + "input_layernorm.weight", {d}}}});
    all.push_back({&layer.qkv,
                   {{prefix + "self_attn.q_proj.weight", {shape_.query_width(), d}},
                    {prefix + "self_attn.k_proj.weight", {shape_.key_width(), d}},
                    {prefix + "self_attn.v_proj.weight", {shape_.key_width(), d}}}});
    all.push_back({&layer.query_norm, {{prefix + "self_attn.q_norm.weight", {w}}}});
    all.push_back({&layer.key_norm, {{prefix + "self_attn.k_norm.weight", {w}}}});
    all.push_back({&layer.output, {{prefix + "self_attn.o_proj.weight", {d, shape_.query_width()}}}});
    all.push_back({&layer.mlp_norm, {{prefix + "post_attention_layernorm.weight", {d}}}});
    all.push_back({&layer.gate_up,
                   {{prefix + "mlp.gate_proj.weight", {f, d}}, {prefix + "mlp.up_proj.weight", {f, d}}}});
    all.push_back({&layer.down, {{prefix + "mlp.down_proj.weight", {d, f}}}});
  }
  all.push_back({&final_norm_, {{"model.norm.weight", {d}}}});
  if (!config_.tie_word_embeddings) all.push_back({&head_, {{"lm_head.weight", {config_.vocab_size, d}}}});
  return all;
}

namespace {

std::int64_t numel(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

}  // namespace

Decoder::Decoder(ModelConfig config, at::ScalarType dtype)
    : config_(std::move(config)),
      shape_{config_.num_attention_heads, config_.num_key_value_heads, config_.head_dim},
      layers_(static_cast<std::size_t>(config_.num_hidden_layers)) {
  std::int64_t total = 0;
  for (const Slot& slot : slots()) {
    for (const auto& part : slot.parts) total += numel(part.second);
  }
  weights_ = at::zeros({total}, at::TensorOptions().dtype(dtype));
  std::int64_t offset = 0;
  for (const Slot& slot : slots()) {
    std::vector<std::int64_t> shape = slot.parts[0].second;
    for (std::size_t i = 1; i < slot.parts.size(); ++i) shape[0] += slot.parts[i].second[0];
    *slot.leaf = weights_.narrow(0, offset, numel(shape)).view(shape).detach().requires_grad_(true);
    offset += numel(shape);
  }
  if (config_.tie_word_embeddings) head_ = embedding_;
}

at::Tensor& Decoder::gradients() {
  if (!gradients_.defined()) {
    gradients_ = at::zeros_like(weights_);
    std::int64_t offset = 0;
    for (const Slot& slot : slots()) {
      // Backward passes then add into the flat vector, and clipping and AdamW each are one call.
      slot.leaf->mutable_grad() = gradients_.narrow(0, offset, slot.leaf->numel()).view(slot.leaf->sizes());
      offset += slot.leaf->numel();
    }
  }
  return gradients_;
}

const RotaryTable& Decoder::rotary(std::int64_t positions) {
  if (!rotary_.cosine.defined() || rotary_.cosine.size(0) < positions) {
    std::int64_t size = 256;
    while (size < positions) size *= 2;
    rotary_ = rotary_table(size, config_.head_dim, config_.rope_theta, weights_.scalar_type());
  }
  return rotary_;
}

at::Tensor Decoder::forward(const PackedBatch& batch, const LayerVisitor& visit) {
  const at::Tensor ids = at::from_blob(const_cast<std::int64_t*>(batch.ids.data()), {batch.rows()}, at::kLong);
  const std::int64_t last = *std::max_element(batch.positions.begin(), batch.positions.end());
  const RotaryTable& table = rotary(last + 1);
  at::Tensor x = at::embedding(embedding_, ids);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const LayerWeights& layer = layers_[i];
    const at::Tensor qkv = linear_map(rms_norm(x, layer.input_norm, config_.rms_norm_eps), layer.qkv);
    const at::Tensor prepared =
        prepare_heads(qkv, layer.query_norm, layer.key_norm, batch, table, shape_, config_.rms_norm_eps);
    if (visit) visit(i, prepared);
    x = add_linear_map(x, attention(prepared, batch, shape_), layer.output);
    const at::Tensor gate_up = linear_map(rms_norm(x, layer.mlp_norm, config_.rms_norm_eps), layer.gate_up);
    x = add_linear_map(x, swiglu(gate_up), layer.down);
  }
  return x;
}

at::Tensor Decoder::head_states(const at::Tensor& hidden, const PackedBatch& batch) const {
  const at::Tensor rows = at::from_blob(const_cast<std::int64_t*>(batch.head_rows.data()),
                                        {static_cast<std::int64_t>(batch.head_rows.size())}, at::kLong);
  return rms_norm(at::index_select(hidden, 0, rows), final_norm_, config_.rms_norm_eps);
}

at::Tensor Decoder::logprobs(const PackedBatch& batch, std::int64_t vocabulary, double temperature) {
  const at::Tensor collected = head_.grad();
  return target_logprobs(head_states(forward(batch), batch), head_.narrow(0, 0, vocabulary), batch, temperature,
                         {collected.defined() ? collected.narrow(0, 0, vocabulary) : at::Tensor()});
}

TargetStatistics Decoder::statistics(const PackedBatch& batch, std::int64_t vocabulary, double temperature) {
  const torch::NoGradGuard no_grad;
  return target_statistics(head_states(forward(batch), batch), head_.narrow(0, 0, vocabulary), batch, temperature);
}

std::vector<Decoder::NamedWindow> Decoder::windows(const at::Tensor& flat) const {
  std::vector<NamedWindow> all;
  std::int64_t offset = 0;
  for (const Slot& slot : const_cast<Decoder*>(this)->slots()) {
    for (const auto& [name, shape] : slot.parts) {
      all.push_back({name, flat.narrow(0, offset, numel(shape)).view(shape)});
      offset += numel(shape);
    }
  }
  return all;
}

std::vector<Decoder::NamedWindow> Decoder::named_weights() const { return windows(weights_); }
std::vector<Decoder::NamedWindow> Decoder::named_gradients() { return windows(gradients()); }

void Decoder::initialize(std::uint64_t seed) {
  for (const NamedWindow& entry : named_weights()) {
    if (entry.window.dim() == 1) {  // norms start as the identity
      entry.window.fill_(1.0);
      continue;
    }
    base::Random random{seed, base::hash_text(entry.name)};
    at::Tensor values = at::empty(entry.window.sizes(), at::kDouble);
    double* out = values.data_ptr<double>();
    for (std::int64_t i = 0; i < values.numel(); ++i) out[i] = random.normal() * config_.initializer_range;
    entry.window.copy_(values);
  }
}

void Decoder::copy_from(const Decoder& other) { weights_.copy_(other.weights_); }

void Decoder::load(const std::filesystem::path& folder) {
  const Checkpoint checkpoint(folder);
  std::vector<std::string> known;
  for (const NamedWindow& entry : named_weights()) {
    known.push_back(entry.name);
    const TensorView& view = checkpoint.get(entry.name);
    const std::vector<std::int64_t> shape(entry.window.sizes().begin(), entry.window.sizes().end());
    if (view.shape != shape) {
      base::user_error("model", "{}: {} has shape [{}], want [{}] from config.json", folder.string(), entry.name,
                       fmt::join(view.shape, ", "), fmt::join(shape, ", "));
    }
    at::ScalarType type;
    switch (view.dtype) {
      case DType::kF64: type = at::kDouble; break;
      case DType::kF32: type = at::kFloat; break;
      case DType::kF16: type = at::kHalf; break;
      case DType::kBF16: type = at::kBFloat16; break;
      default:
        base::user_error("model", "{}: {} has dtype {}, want F64, F32, F16 or BF16", folder.string(), entry.name,
                         dtype_name(view.dtype));
    }
    const auto address = reinterpret_cast<std::uintptr_t>(view.bytes.data());
    if (address % dtype_size(view.dtype) == 0) {
      // The file is mapped read-only; copy_ reads it once, converting on the way.
      entry.window.copy_(at::from_blob(const_cast<std::byte*>(view.bytes.data()), shape, type));
    } else {
      at::Tensor aligned = at::empty(shape, at::TensorOptions().dtype(type));
      std::memcpy(aligned.data_ptr(), view.bytes.data(), view.bytes.size());
      entry.window.copy_(aligned);
    }
  }
  for (const std::string& name : checkpoint.names()) {
    const bool is_tied_copy = config_.tie_word_embeddings && name == "lm_head.weight";
    if (!is_tied_copy && std::find(known.begin(), known.end(), name) == known.end()) {
      base::user_error("model", "{}: tensor {} has no place in a {}", folder.string(), name, config_.architecture);
    }
  }
}

}  // namespace whet::engine
