#include "engine/torch/decoder_slots.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "engine/safetensors.h"
#include "engine/torch/device.h"
#include "engine/torch/plain.h"

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
    const auto add = [&](at::Tensor& leaf,
                         const std::vector<std::pair<const char*, std::vector<std::int64_t>>>& parts) {
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

Decoder::Decoder(ModelConfig config, at::ScalarType dtype, bool has_masters, at::Device device)
    : config_(std::move(config)),
      shape_{config_.num_attention_heads, config_.num_key_value_heads, config_.head_dim},
      head_norm_(config_.family().head_norm),
      layers_(static_cast<std::size_t>(config_.num_hidden_layers)) {
  std::int64_t total = 0, of_vectors = 0;
  for (const Slot& slot : slots()) {
    for (const auto& part : slot.parts) {
      total += numel(part.second);
      if (is_vector(slot)) of_vectors += numel(part.second);
    }
  }
  const auto zeros = [&](std::int64_t count, at::ScalarType type) {
    return at::zeros({count}, at::TensorOptions().dtype(type).device(device));
  };
  if (dtype == at::kBFloat16) {
    rounded_ = zeros(total, at::kBFloat16);
    vectors_ = zeros(of_vectors, at::kFloat);
    weights_ = has_masters ? zeros(total, at::kFloat) : rounded_;
  } else {
    weights_ = zeros(total, dtype);
  }
  make_windows();
}

bool Decoder::is_vector(const Slot& slot) { return slot.parts[0].second.size() == 1; }

void Decoder::round_weights() {
  if (!rounded_.defined()) return;
  const torch::NoGradGuard no_grad;
  if (has_masters()) rounded_.copy_(weights_);
  std::int64_t offset = 0, vector = 0;
  for (const Slot& slot : slots()) {
    for (const auto& part : slot.parts) {
      const std::int64_t count = numel(part.second);
      if (is_vector(slot)) {
        vectors_.narrow(0, vector, count).copy_(rounded_.narrow(0, offset, count));
        vector += count;
      }
      offset += count;
    }
  }
}

void Decoder::make_windows() {
  std::int64_t offset = 0, vector = 0;
  for (const Slot& slot : slots()) {
    std::vector<std::int64_t> shape = slot.parts[0].second;
    for (std::size_t i = 1; i < slot.parts.size(); ++i) shape[0] += slot.parts[i].second[0];
    const bool is_apart = rounded_.defined() && is_vector(slot);
    const at::Tensor window =
        is_apart ? vectors_.narrow(0, vector, numel(shape)) : computed_weights().narrow(0, offset, numel(shape));
    *slot.leaf = window.view(shape).detach().requires_grad_(!adapters_.defined() && !is_frozen());
    offset += numel(shape);
    if (is_apart) vector += numel(shape);
  }
  if (config_.tie_word_embeddings) head_ = embedding_;
  offset = 0;
  for (const AdapterSlot& slot : adapter_slots()) {
    Adapter adapter{.first_column = slot.first_column};
    for (at::Tensor* leaf : {&adapter.a, &adapter.b}) {
      const std::vector<std::int64_t> shape =
          leaf == &adapter.a ? std::vector{lora_.rank, slot.inputs} : std::vector{slot.outputs, lora_.rank};
      *leaf = adapters_.narrow(0, offset, numel(shape)).view(shape).detach().requires_grad_(true);
      offset += numel(shape);
    }
    slot.place->push_back(adapter);
  }
}

at::Tensor& Decoder::gradients() {
  if (is_frozen()) throw std::logic_error("a frozen model has no gradients");
  if (!gradients_.defined()) {
    gradients_ = at::zeros_like(trained());
    std::int64_t offset = 0;
    // Backward passes then add into the flat vector, and clipping and AdamW each are one call.
    const auto collect = [&](const at::Tensor& leaf) {
      leaf.mutable_grad() = gradients_.narrow(0, offset, leaf.numel()).view(leaf.sizes());
      offset += leaf.numel();
    };
    if (adapters_.defined()) {
      for (LayerWeights& layer : layers_) {
        for (const auto* adapters :
             {&layer.qkv_adapters, &layer.output_adapters, &layer.gate_up_adapters, &layer.down_adapters}) {
          for (const Adapter& adapter : *adapters) {
            collect(adapter.a);
            collect(adapter.b);
          }
        }
      }
    } else {
      for (const Slot& slot : slots()) collect(*slot.leaf);
    }
  }
  return gradients_;
}

const RotaryTable& Decoder::rotary(std::int64_t positions) {
  if (config_.rope_scaling.type == RopeType::kDynamic && positions > config_.max_position_embeddings) {
    // Beyond this length every frequency, those of earlier tokens too, would depend on how long the sequence becomes: what
    // a token was sampled with could not be what it is trained with.
    base::user_error("model",
                     "a sequence of {} tokens, want at most {} (max_position_embeddings) with rope_scaling \"dynamic\"",
                     positions, config_.max_position_embeddings);
  }
  if (!rotary_.cosine.defined() || rotary_.cosine.size(0) < positions) {
    std::int64_t size = 256;
    while (size < positions) size *= 2;
    // The angles are computed in host memory on any device: they are the same numbers then.
    const RotaryTable table = rotary_table(size, config_, arithmetic());
    rotary_ = {table.cosine.to(device()), table.sine.to(device())};
  }
  return rotary_;
}

at::Tensor Decoder::run_layer(std::size_t index, const at::Tensor& x, const Attend& attend) {
  const LayerWeights& layer = layers_[index];
  const double epsilon = config_.rms_norm_eps;
  const auto normed = [&](const at::Tensor& rows, const at::Tensor& weight) {
    return weight.defined() ? rms_norm(rows, weight, epsilon) : rows;
  };
  const auto corrected = [&](at::Tensor y, const at::Tensor& rows, const std::vector<Adapter>& adapters) {
    for (const Adapter& adapter : adapters) y = add_adapter(y, rows, adapter, adapter_scale());
    return y;
  };
  const auto product = [&](const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias,
                           const std::vector<Adapter>& adapters) {
    return corrected(linear_map(rows, weight, bias), rows, adapters);
  };
  /// x plus a projection of `rows`, which some families norm before they add it.
  const auto add = [&](const at::Tensor& to, const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias,
                       const std::vector<Adapter>& adapters, const at::Tensor& norm) {
    if (!norm.defined()) return corrected(add_linear_map(to, rows, weight, bias), rows, adapters);
    return at::add(to, rms_norm(product(rows, weight, bias, adapters), norm, epsilon));
  };
  const at::Tensor qkv = product(normed(x, layer.input_norm), layer.qkv, layer.qkv_bias, layer.qkv_adapters);
  const at::Tensor attended = attend(qkv);
  const at::Tensor middle =
      add(x, attended, layer.output, layer.output_bias, layer.output_adapters, layer.attention_norm);
  const at::Tensor gate_up =
      product(normed(middle, layer.mlp_norm), layer.gate_up, layer.gate_up_bias, layer.gate_up_adapters);
  return add(middle, swiglu(gate_up), layer.down, layer.down_bias, layer.down_adapters, layer.mlp_out_norm);
}

at::Tensor Decoder::run_layer(std::size_t index, const at::Tensor& x, const PackedBatch& batch,
                              const LayerVisitor& visit) {
  const LayerWeights& layer = layers_[index];
  return run_layer(index, x, [&](const at::Tensor& qkv) {
    const at::Tensor prepared =
        prepare_heads(qkv, layer.query_norm, layer.key_norm, batch, rotary_, shape_, head_norm_, config_.rms_norm_eps);
    if (visit) visit(index, prepared);
    return attention(prepared, batch, shape_, config_.window(index));
  });
}

namespace {

/// A layer that keeps only its input and is computed again on the way back.
struct RecomputedLayer : torch::autograd::Function<RecomputedLayer> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, Decoder* decoder,
                            std::int64_t layer, const PackedBatch* batch) {
    context->save_for_backward({x});
    context->saved_data["decoder"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(decoder));
    context->saved_data["batch"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(batch));
    context->saved_data["layer"] = layer;
    const torch::NoGradGuard no_grad;
    return decoder->run_layer(static_cast<std::size_t>(layer), x, *batch);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto pointer = [&](const char* name) {
      return static_cast<std::intptr_t>(context->saved_data[name].toInt());
    };
    auto* const decoder = reinterpret_cast<Decoder*>(pointer("decoder"));
    const auto& batch = *reinterpret_cast<const PackedBatch*>(pointer("batch"));
    const at::Tensor x = context->get_saved_variables()[0].detach().requires_grad_(true);
    {
      const torch::AutoGradMode with_grad(true);
      // Its weights' gradients are collected where those of any layer are.
      decoder->run_layer(static_cast<std::size_t>(context->saved_data["layer"].toInt()), x, batch)
          .backward(gradients[0]);
    }
    return {x.grad(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Decoder::forward(const PackedBatch& batch, const LayerVisitor& visit) {
  rotary(1 + *std::max_element(batch.positions.begin(), batch.positions.end()));
  at::Tensor x = embed_tokens(embedding_, batch);
  const bool recompute = checkpointing_ && torch::GradMode::is_enabled();
  // A layer that is computed again must be asked for a gradient although its input needs none.
  if (recompute && !x.requires_grad()) x.requires_grad_(true);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    x = recompute ? RecomputedLayer::apply(x, this, static_cast<std::int64_t>(i), &batch)
                  : run_layer(i, x, batch, visit);
  }
  return x;
}

at::Tensor Decoder::head_states(const at::Tensor& hidden, const PackedBatch& batch) const {
  const at::Tensor rows = by_kernels(hidden)
                              ? at::from_blob(const_cast<std::int64_t*>(batch.head_rows.data()),
                                              {static_cast<std::int64_t>(batch.head_rows.size())}, at::kLong)
                              : tensors_of(batch, hidden.device()).head_rows;
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
std::vector<Decoder::NamedWindow> Decoder::named_computed_weights() const { return windows(computed_weights()); }
std::vector<Decoder::NamedWindow> Decoder::named_gradients() {
  return adapters_.defined() ? adapter_windows(gradients()) : windows(gradients());
}

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
  round_weights();
}

void Decoder::copy_from(const Decoder& other) {
  weights_.copy_(other.weights_);
  round_weights();
}

std::shared_ptr<Decoder> Decoder::clone() const {
  auto copy = std::make_shared<Decoder>(*this);
  if (adapters_.defined()) {
    copy->adapters_ = adapters_.clone();
  } else {
    copy->weights_ = weights_.clone();
    if (rounded_.defined()) {
      copy->rounded_ = has_masters() ? rounded_.clone() : copy->weights_;
      copy->vectors_ = vectors_.clone();
    }
  }
  copy->gradients_ = at::Tensor();
  for (LayerWeights& layer : copy->layers_) {
    for (auto* adapters : {&layer.qkv_adapters, &layer.output_adapters, &layer.gate_up_adapters, &layer.down_adapters})
      adapters->clear();
  }
  copy->make_windows();
  return copy;
}

namespace {

/// A floating-point type that weights may be stored in.
at::ScalarType stored_type(const TensorView& view, const std::string& name, const std::string& file) {
  switch (view.dtype) {
    case DType::kF64:
      return at::kDouble;
    case DType::kF32:
      return at::kFloat;
    case DType::kF16:
      return at::kHalf;
    case DType::kBF16:
      return at::kBFloat16;
    default:
      base::user_error(file, "tensor '{}': dtype {} is not supported, want F32, BF16, F16 or F64", name,
                       dtype_name(view.dtype));
  }
}

/// What old files hold beside weights: frequencies that follow from config.json.
bool is_derived(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace

void copy_tensor(const TensorView& view, const at::Tensor& window, const std::string& file, const std::string& name) {
  const std::vector<std::int64_t> shape(window.sizes().begin(), window.sizes().end());
  if (view.shape != shape) {
    base::user_error(file, "tensor '{}': shape [{}], want [{}] from config.json", name, fmt::join(view.shape, ", "),
                     fmt::join(shape, ", "));
  }
  const at::ScalarType type = stored_type(view, name, file);
  const auto address = reinterpret_cast<std::uintptr_t>(view.bytes.data());
  if (address % dtype_size(view.dtype) == 0) {
    // The file is mapped read-only; copy_ reads it once, converting on the way.
    window.copy_(at::from_blob(const_cast<std::byte*>(view.bytes.data()), shape, type));
  } else {
    at::Tensor aligned = at::empty(shape, at::TensorOptions().dtype(type));
    std::memcpy(aligned.data_ptr(), view.bytes.data(), view.bytes.size());
    window.copy_(aligned);
  }
}

void Decoder::load(const std::filesystem::path& folder) {
  const Checkpoint checkpoint(folder);
  std::set<std::string> known;
  for (const NamedWindow& entry : named_weights()) {
    known.insert(entry.name);
    const TensorView& view = checkpoint.get(entry.name);  // before file_of, which only knows what is there
    copy_tensor(view, entry.window, checkpoint.file_of(entry.name).string(), entry.name);
  }
  round_weights();
  for (const std::string& name : checkpoint.names()) {
    if (known.contains(name) || is_derived(name)) continue;
    if (config_.tie_word_embeddings && name == "lm_head.weight") {
      const auto head = checkpoint.get(name).bytes, embedding = checkpoint.get("model.embed_tokens.weight").bytes;
      if (head.size() == embedding.size() && std::memcmp(head.data(), embedding.data(), head.size()) == 0) continue;
      base::user_error(
          checkpoint.file_of(name).string(),
          "tensor 'lm_head.weight' differs from the embedding, but config.json has tie_word_embeddings = true");
    }
    base::user_error(checkpoint.file_of(name).string(), "tensor '{}' has no place in a {}", name, config_.architecture);
  }
}

}  // namespace whet::engine
