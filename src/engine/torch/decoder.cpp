#include "engine/torch/decoder.h"

#include <algorithm>
#include <cstring>
#include <set>

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
  const std::int64_t queries = shape_.query_width(), keys = shape_.key_width();
  const Family& family = config_.family();
  std::vector<Slot> all;
  all.push_back({&embedding_, {{"model.embed_tokens.weight", {config_.vocab_size, d}}}});
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerWeights& layer = layers_[i];
    const std::string prefix = fmt::format("model.layers.{}.", i);
    const auto add = [&](at::Tensor& leaf, const std::vector<std::pair<const char*, std::vector<std::int64_t>>>& parts) {
      all.push_back({&leaf, {}});
      for (const auto& [name, shape] : parts) all.back().parts.emplace_back(prefix + name, shape);
    };
    if (!family.norms_after) add(layer.input_norm, {{"input_layernorm.weight", {d}}});
    add(layer.qkv, {{"self_attn.q_proj.weight", {queries, d}},
                    {"self_attn.k_proj.weight", {keys, d}},
                    {"self_attn.v_proj.weight", {keys, d}}});
    if (config_.query_key_value_bias) {
      add(layer.qkv_bias,
          {{"self_attn.q_proj.bias", {queries}}, {"self_attn.k_proj.bias", {keys}}, {"self_attn.v_proj.bias", {keys}}});
    }
    if (head_norm_ != HeadNorm::kNone) {
      const bool whole = head_norm_ == HeadNorm::kWholeProjection;
      add(layer.query_norm, {{"self_attn.q_norm.weight", {whole ? queries : w}}});
      add(layer.key_norm, {{"self_attn.k_norm.weight", {whole ? keys : w}}});
    }
    add(layer.output, {{"self_attn.o_proj.weight", {d, queries}}});
    if (config_.output_bias) add(layer.output_bias, {{"self_attn.o_proj.bias", {d}}});
    // The same name stands for a norm after the attention in one family and before the MLP in the others.
    add(family.norms_after ? layer.attention_norm : layer.mlp_norm, {{"post_attention_layernorm.weight", {d}}});
    add(layer.gate_up, {{"mlp.gate_proj.weight", {f, d}}, {"mlp.up_proj.weight", {f, d}}});
    if (config_.mlp_bias) add(layer.gate_up_bias, {{"mlp.gate_proj.bias", {f}}, {"mlp.up_proj.bias", {f}}});
    add(layer.down, {{"mlp.down_proj.weight", {d, f}}});
    if (config_.mlp_bias) add(layer.down_bias, {{"mlp.down_proj.bias", {d}}});
    if (family.norms_after) add(layer.mlp_out_norm, {{"post_feedforward_layernorm.weight", {d}}});
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
      head_norm_(config_.family().head_norm),
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
  if (config_.rope_scaling.type == RopeType::kDynamic && positions > config_.max_position_embeddings) {
    // Beyond this length every frequency, those of earlier tokens too, would depend on how long the sequence becomes: what
    // a token was sampled with could not be what it is trained with.
    base::user_error("model", "a sequence of {} tokens, want at most {} (max_position_embeddings) with rope_scaling \"dynamic\"",
                     positions, config_.max_position_embeddings);
  }
  if (!rotary_.cosine.defined() || rotary_.cosine.size(0) < positions) {
    std::int64_t size = 256;
    while (size < positions) size *= 2;
    rotary_ = rotary_table(size, config_, weights_.scalar_type());
  }
  return rotary_;
}

at::Tensor Decoder::forward(const PackedBatch& batch, const LayerVisitor& visit) {
  const at::Tensor ids = at::from_blob(const_cast<std::int64_t*>(batch.ids.data()), {batch.rows()}, at::kLong);
  const std::int64_t last = *std::max_element(batch.positions.begin(), batch.positions.end());
  const RotaryTable& table = rotary(last + 1);
  const double epsilon = config_.rms_norm_eps;
  const auto normed = [&](const at::Tensor& rows, const at::Tensor& weight) {
    return weight.defined() ? rms_norm(rows, weight, epsilon) : rows;
  };
  /// x plus a projection of `rows`, which some families norm before they add it.
  const auto add = [&](const at::Tensor& x, const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias,
                       const at::Tensor& norm) {
    if (!norm.defined()) return add_linear_map(x, rows, weight, bias);
    return at::add(x, rms_norm(linear_map(rows, weight, bias), norm, epsilon));
  };
  at::Tensor x = at::embedding(embedding_, ids);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const LayerWeights& layer = layers_[i];
    const at::Tensor qkv = linear_map(normed(x, layer.input_norm), layer.qkv, layer.qkv_bias);
    const at::Tensor prepared = prepare_heads(qkv, layer.query_norm, layer.key_norm, batch, table, shape_, head_norm_, epsilon);
    if (visit) visit(i, prepared);
    const at::Tensor attended = attention(prepared, batch, shape_, config_.window(i));
    x = add(x, attended, layer.output, layer.output_bias, layer.attention_norm);
    const at::Tensor gate_up = linear_map(normed(x, layer.mlp_norm), layer.gate_up, layer.gate_up_bias);
    x = add(x, swiglu(gate_up), layer.down, layer.down_bias, layer.mlp_out_norm);
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
    if (entry.window.dim() == 1) {  // norms start as the identity, biases at nothing
      entry.window.fill_(entry.name.ends_with(".bias") ? 0.0 : 1.0);
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

namespace {

/// A floating-point type that weights may be stored in.
at::ScalarType stored_type(const TensorView& view, const std::string& name, const Checkpoint& checkpoint) {
  switch (view.dtype) {
    case DType::kF64: return at::kDouble;
    case DType::kF32: return at::kFloat;
    case DType::kF16: return at::kHalf;
    case DType::kBF16: return at::kBFloat16;
    default:
      base::user_error(checkpoint.file_of(name).string(), "tensor '{}': dtype {} is not supported, want F32, BF16, F16 or F64",
                       name, dtype_name(view.dtype));
  }
}

/// What old files hold beside weights: frequencies that follow from config.json.
bool is_derived(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace

void Decoder::load(const std::filesystem::path& folder) {
  const Checkpoint checkpoint(folder);
  std::set<std::string> known;
  for (const NamedWindow& entry : named_weights()) {
    known.insert(entry.name);
    const TensorView& view = checkpoint.get(entry.name);
    const std::vector<std::int64_t> shape(entry.window.sizes().begin(), entry.window.sizes().end());
    if (view.shape != shape) {
      base::user_error(checkpoint.file_of(entry.name).string(), "tensor '{}': shape [{}], want [{}] from config.json", entry.name,
                       fmt::join(view.shape, ", "), fmt::join(shape, ", "));
    }
    const at::ScalarType type = stored_type(view, entry.name, checkpoint);
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
    if (known.contains(name) || is_derived(name)) continue;
    if (config_.tie_word_embeddings && name == "lm_head.weight") {
      const auto head = checkpoint.get(name).bytes, embedding = checkpoint.get("model.embed_tokens.weight").bytes;
      if (head.size() == embedding.size() && std::memcmp(head.data(), embedding.data(), head.size()) == 0) continue;
      base::user_error(checkpoint.file_of(name).string(),
                       "tensor 'lm_head.weight' differs from the embedding, but config.json has tie_word_embeddings = true");
    }
    base::user_error(checkpoint.file_of(name).string(), "tensor '{}' has no place in a {}", name, config_.architecture);
  }
}

}  // namespace whet::engine
