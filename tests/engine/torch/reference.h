// The decoder written again, plainly: one sequence at a time, tensor operations only, no packing, cache or kernel, so that
// autograd gives its gradients. What the engine computes is held against this, and this against transformers (golden_test).
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "engine/torch/decoder.h"

namespace whet::engine::reference {

/// y = weight * x / sqrt(mean(x^2) + epsilon) along the last dimension.
inline at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return x * at::rsqrt(x.pow(2).mean(-1, true) + epsilon) * weight;
}

inline at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) { return gate * at::sigmoid(gate) * up; }

/// Rotary tables in double throughout, for models without scaling. The engine's own are float32 (rotary.h says why).
inline RotaryTable exact_rotary_table(std::int64_t positions, std::int64_t head_width, double theta) {
  const at::Tensor exponents = at::arange(0, head_width, 2, at::kDouble) / static_cast<double>(head_width);
  const at::Tensor angles = at::outer(at::arange(positions, at::kDouble), at::exp(-std::log(theta) * exponents));
  return {at::cos(angles), at::sin(angles)};
}

/// Turns each pair (x_i, x_{i + W/2}) by its angle. x: [heads, T, W]; cosine, sine: [T, W / 2].
inline at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor first = x.narrow(-1, 0, half), second = x.narrow(-1, half, half);
  return at::cat({first * cosine - second * sine, first * sine + second * cosine}, -1);
}

/// softmax(q k^T / sqrt(W)) v where query i sees keys [0, seen_by_first + i), or the last `window` of these.
/// q: [Hq, Tq, W]; k, v: [Hk, Tk, W].
inline at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t seen_by_first,
                            std::int64_t window = 0) {
  const std::int64_t copies = q.size(0) / k.size(0);
  const at::Tensor keys = k.repeat_interleave(copies, 0), values = v.repeat_interleave(copies, 0);
  const at::Tensor scores = at::matmul(q, keys.transpose(1, 2)) / std::sqrt(static_cast<double>(q.size(2)));
  at::Tensor hidden = at::ones({q.size(1), k.size(1)}, at::kBool).triu(seen_by_first);
  if (window > 0)
    hidden = hidden.logical_or(at::ones({q.size(1), k.size(1)}, at::kBool).tril(seen_by_first - 1 - window));
  return at::matmul(scores.masked_fill(hidden, -INFINITY).softmax(-1), values);
}

/// A copy of a decoder's weights under their Hugging Face names, each a leaf that collects a gradient.
struct Model {
  ModelConfig config;
  std::map<std::string, at::Tensor> weights;
  RotaryTable rotary;

  const at::Tensor& at(const std::string& name) const { return weights.at(name); }

  /// Next-token logits after each token of one sequence. [T, V]
  at::Tensor logits(const std::vector<TokenId>& tokens) const {
    const auto length = static_cast<std::int64_t>(tokens.size());
    const at::Tensor cosine = rotary.cosine.narrow(0, 0, length), sine = rotary.sine.narrow(0, 0, length);
    const auto heads = [&](const at::Tensor& x, std::int64_t count) {  // [T, count * W] -> [count, T, W]
      return x.view({length, count, config.head_dim}).transpose(0, 1);
    };
    const at::Tensor ids = at::tensor(std::vector<std::int64_t>(tokens.begin(), tokens.end()));
    at::Tensor x = this->at("model.embed_tokens.weight").index_select(0, ids);
    const Family& family = config.family();
    for (std::int64_t l = 0; l < config.num_hidden_layers; ++l) {
      const auto weight = [&](const char* name) { return this->at(fmt::format("model.layers.{}.{}.weight", l, name)); };
      const auto norm = [&](const at::Tensor& y, const char* name) {
        return rms_norm(y, weight(name), config.rms_norm_eps);
      };
      const auto project = [&](const at::Tensor& y, const char* name) {
        const at::Tensor product = at::matmul(y, weight(name).t());
        const auto bias = weights.find(fmt::format("model.layers.{}.{}.bias", l, name));
        return bias == weights.end() ? product : product + bias->second;
      };
      const at::Tensor entry = family.norms_after ? x : norm(x, "input_layernorm");
      at::Tensor q = project(entry, "self_attn.q_proj"), k = project(entry, "self_attn.k_proj");
      if (family.head_norm == HeadNorm::kWholeProjection) {
        q = norm(q, "self_attn.q_norm");
        k = norm(k, "self_attn.k_norm");
      }
      q = heads(q, config.num_attention_heads);
      k = heads(k, config.num_key_value_heads);
      const at::Tensor v = heads(project(entry, "self_attn.v_proj"), config.num_key_value_heads);
      if (family.head_norm == HeadNorm::kPerHead) {
        q = norm(q, "self_attn.q_norm");
        k = norm(k, "self_attn.k_norm");
      }
      const std::int64_t window = config.window(static_cast<std::size_t>(l));
      const at::Tensor attended = attention(rotate(q, cosine, sine), rotate(k, cosine, sine), v, 1, window);
      const at::Tensor output = project(attended.transpose(0, 1).reshape({length, -1}), "self_attn.o_proj");
      x = x + (family.norms_after ? norm(output, "post_attention_layernorm") : output);
      const at::Tensor mid = family.norms_after ? x : norm(x, "post_attention_layernorm");
      const at::Tensor mlp =
          project(swiglu(project(mid, "mlp.gate_proj"), project(mid, "mlp.up_proj")), "mlp.down_proj");
      x = x + (family.norms_after ? norm(mlp, "post_feedforward_layernorm") : mlp);
    }
    const char* head = config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
    return at::matmul(rms_norm(x, this->at("model.norm.weight"), config.rms_norm_eps), this->at(head).t());
  }

  /// log pi of each response token, over the first `vocabulary` tokens. [R]
  at::Tensor logprobs(const std::vector<TokenId>& prompt, const std::vector<TokenId>& response, std::int64_t vocabulary,
                      double temperature) const {
    std::vector<TokenId> inputs = prompt;
    inputs.insert(inputs.end(), response.begin(), response.end() - 1);
    const auto count = static_cast<std::int64_t>(response.size());
    const at::Tensor rows = logits(inputs).narrow(0, static_cast<std::int64_t>(prompt.size()) - 1, count);
    const at::Tensor targets = at::tensor(std::vector<std::int64_t>(response.begin(), response.end()));
    return (rows.narrow(1, 0, vocabulary) / temperature).log_softmax(-1).gather(1, targets.unsqueeze(1)).squeeze(1);
  }
};

/// The reference with a decoder's weights, in double. The rotary tables are the engine's unless `exact`.
inline Model model_of(const Decoder& decoder, bool exact_rotary = false) {
  const ModelConfig& config = decoder.config();
  Model model{config, {}, {}};
  for (const auto& [name, window] : decoder.named_weights()) {
    model.weights[name] = window.detach().to(at::kDouble, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true);
  }
  model.rotary = exact_rotary ? exact_rotary_table(config.max_position_embeddings, config.head_dim, config.rope_theta)
                              : rotary_table(config.max_position_embeddings, config, at::kDouble);
  return model;
}

}  // namespace whet::engine::reference
