#include "engine/torch/plain.h"

#include <ATen/ops/rms_norm.h>

#include "engine/torch/functions_common.h"

namespace whet::engine::plain {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// Rows of a table whose gradient is added where the table's is collected: the library's own makes a second table.
struct Embedding : Function<Embedding> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& table, const at::Tensor& ids) {
    context->saved_data["sizes"] = table.sizes().vec();
    context->save_for_backward({ids});
    keep_place(context, "table", table);
    const at::Tensor rows = at::index_select(table, 0, ids);
    return rows.scalar_type() == at::kBFloat16 ? rows.to(at::kFloat) : rows;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const GradientTarget target(context, "table", 0, context->saved_data["sizes"].toIntVector(),
                                gradients[0].options());
    // index_put_ sums the rows of one token in a fixed order on a GPU as well, where index_add_ would not.
    if (at::Tensor add = target.add; add.defined()) {
      add.index_put_({context->get_saved_variables()[0]}, gradients[0].to(add.scalar_type()), /*accumulate=*/true);
    }
    return {target.result, at::Tensor()};
  }
};

/// Each pair (x_i, x_{i + W/2}) turned by its row's angle. x: [N, heads, W]; cosine, sine: [N, 1, W / 2].
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  const std::vector<at::Tensor> halves = x.chunk(2, -1);
  return at::cat({halves[0] * cosine - halves[1] * sine, halves[0] * sine + halves[1] * cosine}, -1);
}

}  // namespace

at::Tensor add_columns(const at::Tensor& y, const at::Tensor& v, std::int64_t first, double scale) {
  y.narrow(1, first, v.size(1)).add_(v, scale);
  return y;
}

at::Tensor embed_tokens(const at::Tensor& table, const PackedBatch& batch) {
  return Embedding::apply(table, tensors_of(batch, table.device()).ids);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return at::rms_norm(x, weight.sizes(), weight, epsilon);
}

at::Tensor swiglu(const at::Tensor& gate_up) {
  const std::vector<at::Tensor> halves = gate_up.chunk(2, 1);
  return at::silu(halves[0]) * halves[1];
}

at::Tensor prepare_heads(const at::Tensor& qkv, const at::Tensor& query_weight, const at::Tensor& key_weight,
                         const at::Tensor& positions, const RotaryTable& rotary, kernels::HeadShape shape,
                         HeadNorm norm, double epsilon) {
  const std::int64_t rows = qkv.size(0);
  const at::Tensor cosine = rotary.cosine.index_select(0, positions).unsqueeze(1),
                   sine = rotary.sine.index_select(0, positions).unsqueeze(1);
  const auto prepare = [&](std::int64_t first, std::int64_t heads, const at::Tensor& weight) {
    at::Tensor x = qkv.narrow(1, first, heads * shape.width);
    if (norm == HeadNorm::kWholeProjection) x = rms_norm(x, weight, epsilon);
    x = x.reshape({rows, heads, shape.width});
    if (norm == HeadNorm::kPerHead) x = rms_norm(x, weight, epsilon);
    return rotate(x, cosine, sine).view({rows, heads * shape.width});
  };
  return at::cat(
      {prepare(0, shape.query_heads, query_weight), prepare(shape.query_width(), shape.key_heads, key_weight),
       qkv.narrow(1, shape.query_width() + shape.key_width(), shape.key_width())},
      1);
}

}  // namespace whet::engine::plain
