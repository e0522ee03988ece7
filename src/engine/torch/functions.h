// The model's own operations as autograd functions: over the kernels for tensors in host memory (contiguous, float or double), by
// PyTorch's operations elsewhere (device.h, plain.h). Matrices beside float numbers may be in bfloat16, and then want a place
// where their gradient, in float, is collected.
#pragma once

#include "engine/torch/kernels.h"
#include "engine/torch/rotary.h"
#include "engine/torch/torch.h"

namespace whet::engine {

/// x W^T + bias. x: [N, D], weight: [F, D], bias: [F] or undefined for none -> [N, F].
at::Tensor linear_map(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});
/// residual + x W^T + bias. residual: [N, F].
at::Tensor add_linear_map(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& weight,
                          const at::Tensor& bias = {});

/// A trained correction of low rank to a frozen product: y[:, first_column ..] += scale * (x a^T) b^T.
struct Adapter {
  at::Tensor a;  // [R, D]
  at::Tensor b;  // [F, R]
  std::int64_t first_column = 0;
};
/// Changes y, [N, at least first_column + F], and returns it. x: [N, D].
at::Tensor add_adapter(const at::Tensor& y, const at::Tensor& x, const Adapter& adapter, double scale);

/// The rows of a table that the batch's tokens name, widened where it is in bfloat16. table: [V, D] -> [N, D]. `batch` must outlive the backward pass.
at::Tensor embed_tokens(const at::Tensor& table, const PackedBatch& batch);

/// y = weight * x / rms(x). x: [N, D], weight: [D].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

/// silu(gate) * up of rows [gate | up]. gate_up: [N, 2 F] -> [N, F].
at::Tensor swiglu(const at::Tensor& gate_up);

/// Queries and keys normalised as `norm` says and turned by position; values as they are. qkv: [N, (Hq + 2 Hk) W]; the
/// weights: [W] each for each head by itself, [Hq W] and [Hk W] for the whole projection, undefined without a norm.
at::Tensor prepare_heads(const at::Tensor& qkv, const at::Tensor& query_weight, const at::Tensor& key_weight,
                         const PackedBatch& batch, const RotaryTable& rotary, kernels::HeadShape shape, HeadNorm norm,
                         double epsilon);

/// prepared: [N, (Hq + 2 Hk) W] -> [N, Hq W]; queries see the newest `window` tokens (0: all). `batch` must outlive the
/// backward pass.
at::Tensor attention(const at::Tensor& prepared, const PackedBatch& batch, kernels::HeadShape shape,
                     std::int64_t window = 0);

/// Where a weight's gradient is added to; undefined: handed back to autograd, which needs memory for one more of it.
struct HeadGradient {
  at::Tensor tensor;
};

/// log softmax(hidden W^T / temperature) at the batch's targets. hidden: [H, D] (the head rows), weight: [V, D] -> [R].
/// The logits of all rows never exist at once: they are computed some rows at a time, and again on the way back.
at::Tensor target_logprobs(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch,
                           double temperature, const HeadGradient& weight_gradient = {});

/// log pi of the batch's targets and what the distribution that each was drawn from says, [R] each.
struct TargetStatistics {
  at::Tensor logprob;
  at::Tensor entropy;         // nats
  at::Tensor self_certainty;  // KL(U || pi), nats
  at::Tensor gap;             // largest minus second largest probability
};

/// As target_logprobs, with the statistics, from one walk over the logits of some rows at a time. Keeps no gradient.
TargetStatistics target_statistics(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch,
                                   double temperature);

}  // namespace whet::engine
