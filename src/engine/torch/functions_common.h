// What the autograd functions share: dispatch by type, what travels through their context, and the products of a linear map.
#pragma once

#include <algorithm>

#include "engine/torch/device.h"
#include "engine/torch/functions.h"
#include "engine/torch/kernels_product.h"

namespace whet::engine {

/// Calls body(float{}) or body(double{}) by the tensor's type.
template <class Body>
void by_type(const at::Tensor& tensor, const Body& body) {
  if (tensor.scalar_type() == at::kFloat) {
    body(float{});
  } else {
    TORCH_INTERNAL_ASSERT(tensor.scalar_type() == at::kDouble);
    body(double{});
  }
}

/// The batch and the shapes travel through the context as numbers; the caller keeps the batch alive.
inline void keep_batch(torch::autograd::AutogradContext* context, const PackedBatch& batch) {
  context->saved_data["batch"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(&batch));
}
inline const PackedBatch& kept_batch(torch::autograd::AutogradContext* context) {
  return *reinterpret_cast<const PackedBatch*>(static_cast<std::intptr_t>(context->saved_data["batch"].toInt()));
}

/// Where a leaf's gradient is collected; undefined when it has no such place yet. A function that adds to it there, and hands
/// nothing back, spares autograd a tensor of the weight's size. It is what lets a weight in bfloat16 have a gradient in float32,
/// which autograd itself would not allow.
inline at::Tensor place_of(const at::Tensor& leaf) {
  return leaf.defined() && leaf.is_leaf() && leaf.requires_grad() ? leaf.grad() : at::Tensor();
}
/// Not saved as a variable: it is written to on the way back, which autograd would take for a mistake.
inline void keep_place(torch::autograd::AutogradContext* context, const char* name, const at::Tensor& leaf) {
  if (const at::Tensor place = place_of(leaf); place.defined()) context->saved_data[name] = place;
}

/// On the way back: where a weight's gradient goes. `add` is where to add it, undefined when none is wanted; `result` is
/// what to hand to autograd, undefined when it was added in place.
struct GradientTarget {
  at::Tensor add;
  at::Tensor result;

  /// `edge`: the weight's place among the function's tensors.
  GradientTarget(torch::autograd::AutogradContext* context, const char* name, std::size_t edge, at::IntArrayRef sizes,
                 const at::TensorOptions& options) {
    if (const auto place = context->saved_data.find(name); place != context->saved_data.end()) {
      add = place->second.toTensor();
    } else if (context->needs_input_grad(edge)) {
      add = result = at::zeros(sizes, options);
    }
  }
};

/// Rows whose logits exist at once: 64 million numbers, 256 MB in float. Every such piece walks the whole weight and its
/// gradient, so that small ones cost more in memory traffic than they save (docs/performance.md).
inline std::int64_t rows_at_once(std::int64_t rows, std::int64_t vocabulary) {
  return std::clamp<std::int64_t>((std::int64_t{1} << 26) / vocabulary, 1, std::max<std::int64_t>(1, rows));
}

// The three products of a linear map. Float in host memory goes through our own kernel; double, for gradient checks, and
// what is on a device through the library.

inline bool by_library(const at::Tensor& x) { return x.scalar_type() == at::kDouble || !by_kernels(x); }
/// A weight as the library's products want it: of the type of what it is multiplied with.
inline at::Tensor widened(const at::Tensor& weight, const at::Tensor& like) { return weight.to(like.scalar_type()); }

/// Calls body(pointer) with the numbers of a weight in float or bfloat16.
template <class Body>
void with_weight(const at::Tensor& weight, const Body& body) {
  if (weight.scalar_type() == at::kBFloat16) {
    body(reinterpret_cast<const kernels::BFloat16*>(weight.const_data_ptr<at::BFloat16>()));
  } else {
    body(weight.const_data_ptr<float>());
  }
}

/// x W^T + residual + bias, the last two where defined, into `y`. Float adds what it can while the product's sums are in
/// registers.
inline void times_transposed_into(at::Tensor y, const at::Tensor& x, const at::Tensor& weight,
                                  const at::Tensor& residual = {}, const at::Tensor& bias = {}) {
  if (by_library(x)) {
    at::mm_out(y, x, widened(weight, x).t());
    if (residual.defined()) y.add_(residual);
    if (bias.defined()) y.add_(bias);
    return;
  }
  kernels::Addend add;
  if (residual.defined()) {
    add = {residual.const_data_ptr<float>()};
  } else if (bias.defined()) {
    add = {bias.const_data_ptr<float>(), /*one_row=*/true};
  }
  with_weight(weight, [&](const auto* w) {
    kernels::product_transposed(x.const_data_ptr<float>(), x.size(0), w, weight.size(0), weight.size(1), add,
                                y.data_ptr<float>());
  });
  if (residual.defined() && bias.defined()) {
    kernels::add_row(y.data_ptr<float>(), bias.const_data_ptr<float>(), y.size(0), y.size(1));
  }
}
inline at::Tensor times_transposed(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& residual = {},
                                   const at::Tensor& bias = {}) {
  at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
  times_transposed_into(y, x, weight, residual, bias);
  return y;
}

/// dx = dy W, into `dx`.
inline void times_plain(const at::Tensor& dy, const at::Tensor& weight, at::Tensor dx) {
  if (by_library(dy)) {
    at::mm_out(dx, dy, widened(weight, dy));
  } else {
    with_weight(weight, [&](const auto* w) {
      kernels::product_plain(dy.const_data_ptr<float>(), dy.size(0), w, weight.size(0), weight.size(1),
                             dx.data_ptr<float>());
    });
  }
}

/// dW += dy^T x, in the arithmetic that `weight` is multiplied in.
inline void add_transposed_times(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                                 at::Tensor d_weight) {
  if (by_library(dy)) {
    d_weight.addmm_(dy.t(), x);
  } else {
    with_weight(weight, [&]<class W>(const W*) {
      kernels::add_transposed_product<W>(dy.const_data_ptr<float>(), x.const_data_ptr<float>(), dy.size(0), dy.size(1),
                                         x.size(1), d_weight.data_ptr<float>());
    });
  }
}

/// Where a head's weight gradient is summed up on the way back: straight in the place where the caller collects it, of
/// which autograd then knows nothing; without such a place in a tensor of its own, if autograd wants one.
struct HeadWeightGradient {
  HeadWeightGradient(torch::autograd::AutogradContext* context, const at::Tensor& weight, const at::Tensor& hidden) {
    const auto place = context->saved_data.find("weight_gradient");
    is_placed = place != context->saved_data.end();
    if (is_placed) {
      sum = place->second.toTensor();
    } else if (context->needs_input_grad(1)) {
      sum = at::zeros(weight.sizes(), hidden.options());
    }
  }
  static void keep_place(torch::autograd::AutogradContext* context, const HeadGradient& place) {
    if (place.tensor.defined()) context->saved_data["weight_gradient"] = place.tensor;
  }
  bool is_wanted() const { return sum.defined(); }

  at::Tensor sum;
  bool is_placed = false;
};

}  // namespace whet::engine
