#include "engine/torch/functions.h"

#include <cmath>
#include <optional>

#include "engine/torch/device.h"
#include "engine/torch/functions_common.h"
#include "engine/torch/plain.h"

namespace whet::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

void keep_shape(AutogradContext* context, kernels::HeadShape shape) {
  context->saved_data["shape"] = std::vector<std::int64_t>{shape.query_heads, shape.key_heads, shape.width};
}
kernels::HeadShape kept_shape(AutogradContext* context) {
  const auto numbers = context->saved_data["shape"].toIntVector();
  return {numbers[0], numbers[1], numbers[2]};
}

/// A weight that a family may lack. Autograd takes no undefined tensor among a function's inputs.
using MaybeTensor = std::optional<at::Tensor>;
MaybeTensor maybe(const at::Tensor& tensor) { return tensor.defined() ? MaybeTensor(tensor) : std::nullopt; }

/// {dx, dW, d bias} of x W^T + bias, whose x is tensor number `edge` of the function. x is needed for dW alone.
variable_list linear_backward(AutogradContext* context, const at::Tensor& dy, std::size_t edge) {
  const auto saved = context->get_saved_variables();
  const at::Tensor &x = saved[0], &weight = saved[1];
  const GradientTarget d_weight(context, "weight", edge + 1, weight.sizes(), dy.options());
  at::Tensor dx;
  if (context->needs_input_grad(edge)) {
    dx = at::empty({dy.size(0), weight.size(1)}, dy.options());
    times_plain(dy, weight, dx);
  }
  if (d_weight.add.defined()) add_transposed_times(dy, x, weight, d_weight.add);
  at::Tensor d_bias;
  if (context->saved_data["has_bias"].toBool()) {
    const GradientTarget target(context, "bias", edge + 2, {weight.size(0)}, dy.options());
    if (target.add.defined() && !by_kernels(dy)) {
      at::Tensor(target.add).add_(dy.sum(0));
    } else if (target.add.defined()) {
      by_type(dy, [&](auto zero) {
        using T = decltype(zero);
        kernels::sum_rows(dy.const_data_ptr<T>(), target.add.data_ptr<T>(), dy.size(0), dy.size(1));
      });
    }
    d_bias = target.result;
  }
  return {dx, d_weight.result, d_bias};
}

void keep_linear(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const MaybeTensor& bias) {
  context->save_for_backward({weight.requires_grad() ? x : at::Tensor(), weight});
  context->saved_data["has_bias"] = bias.has_value();
  keep_place(context, "weight", weight);
  if (bias) keep_place(context, "bias", *bias);
}

struct Linear : Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const MaybeTensor& bias) {
    keep_linear(context, x, weight, bias);
    return times_transposed(x, weight, {}, bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return linear_backward(context, gradients[0].contiguous(), 0);
  }
};

struct LinearAdd : Function<LinearAdd> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& residual, const at::Tensor& x,
                            const at::Tensor& weight, const MaybeTensor& bias) {
    keep_linear(context, x, weight, bias);
    return times_transposed(x, weight, residual, bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor dy = gradients[0].contiguous();
    variable_list result = linear_backward(context, dy, 1);
    result.insert(result.begin(), dy);
    return result;
  }
};

/// Rows of a table. Unlike the library's, its gradient needs no second table.
struct Embedding : Function<Embedding> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& table, const PackedBatch& batch,
                            const at::Tensor& ids) {
    context->saved_data["sizes"] = table.sizes().vec();
    keep_place(context, "table", table);
    keep_batch(context, batch);
    const at::Tensor rows = at::index_select(table, 0, ids);
    return rows.scalar_type() == at::kBFloat16 ? rows.to(at::kFloat) : rows;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor dy = gradients[0].contiguous();
    const GradientTarget target(context, "table", 0, context->saved_data["sizes"].toIntVector(), dy.options());
    const PackedBatch& batch = kept_batch(context);
    if (target.add.defined()) {
      by_type(dy, [&](auto zero) {
        using T = decltype(zero);
        kernels::add_to_rows(dy.const_data_ptr<T>(), batch.ids.data(), target.add.data_ptr<T>(), dy.size(0),
                             dy.size(1));
      });
    }
    return {target.result, at::Tensor(), at::Tensor()};
  }
};

/// Adds scale * v to some of y's columns, in place.
struct AddColumns : Function<AddColumns> {
  static at::Tensor forward(AutogradContext* context, at::Tensor y, const at::Tensor& v, std::int64_t first,
                            double scale) {
    by_type(y, [&](auto zero) {
      using T = decltype(zero);
      kernels::add_columns(y.data_ptr<T>(), v.const_data_ptr<T>(), y.size(0), y.size(1), first, v.size(1),
                           static_cast<T>(scale));
    });
    context->mark_dirty({y});
    context->saved_data["first"] = first;
    context->saved_data["width"] = v.size(1);
    context->saved_data["scale"] = scale;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor dv = gradients[0]
                              .narrow(1, context->saved_data["first"].toInt(), context->saved_data["width"].toInt())
                              .mul(context->saved_data["scale"].toDouble());
    return {gradients[0], dv, at::Tensor(), at::Tensor()};
  }
};

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double epsilon) {
    at::Tensor y = at::empty_like(x);
    at::Tensor inverse_rms = at::empty({x.size(0)}, x.options());
    by_type(x, [&](auto zero) {
      using T = decltype(zero);
      kernels::rms_norm(x.const_data_ptr<T>(), weight.const_data_ptr<T>(), y.data_ptr<T>(), inverse_rms.data_ptr<T>(),
                        x.size(0), x.size(1), epsilon);
    });
    context->save_for_backward({x, weight, inverse_rms});
    keep_place(context, "weight", weight);
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dx = at::empty_like(saved[0]);
    const GradientTarget target(context, "weight", 1, saved[1].sizes(), dy.options());
    // The kernel gives both at once; a frozen weight's is small enough to be thrown away.
    at::Tensor d_weight = target.add.defined() ? target.add : at::zeros_like(saved[1]);
    by_type(dx, [&](auto zero) {
      using T = decltype(zero);
      kernels::rms_norm_backward(dy.const_data_ptr<T>(), saved[0].const_data_ptr<T>(), saved[1].const_data_ptr<T>(),
                                 saved[2].const_data_ptr<T>(), dx.data_ptr<T>(), d_weight.data_ptr<T>(), dx.size(0),
                                 dx.size(1));
    });
    return {dx, target.result, at::Tensor()};
  }
};

struct SwiGlu : Function<SwiGlu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up) {
    at::Tensor h = at::empty({gate_up.size(0), gate_up.size(1) / 2}, gate_up.options());
    by_type(gate_up, [&](auto zero) {
      using T = decltype(zero);
      kernels::swiglu(gate_up.const_data_ptr<T>(), h.data_ptr<T>(), h.size(0), h.size(1));
    });
    context->save_for_backward({gate_up});
    return h;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor gate_up = context->get_saved_variables()[0];
    const at::Tensor dh = gradients[0].contiguous();
    at::Tensor d_gate_up = at::empty_like(gate_up);
    by_type(gate_up, [&](auto zero) {
      using T = decltype(zero);
      kernels::swiglu_backward(dh.const_data_ptr<T>(), gate_up.const_data_ptr<T>(), d_gate_up.data_ptr<T>(), dh.size(0),
                               dh.size(1));
    });
    return {d_gate_up};
  }
};

/// nullptr for a weight that a family lacks.
template <class T>
const T* pointer(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
}

struct PrepareHeads : Function<PrepareHeads> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& qkv, const MaybeTensor& maybe_query_weight,
                            const MaybeTensor& maybe_key_weight, const at::Tensor& cosine, const at::Tensor& sine,
                            const PackedBatch& batch, kernels::HeadShape shape, HeadNorm norm, double epsilon) {
    const at::Tensor query_weight = maybe_query_weight.value_or(at::Tensor()),
                     key_weight = maybe_key_weight.value_or(at::Tensor());
    at::Tensor prepared = at::empty_like(qkv);
    at::Tensor inverse_rms = at::empty({qkv.size(0), shape.query_heads + shape.key_heads}, qkv.options());
    by_type(qkv, [&](auto zero) {
      using T = decltype(zero);
      kernels::prepare_heads(qkv.const_data_ptr<T>(), prepared.data_ptr<T>(), pointer<T>(query_weight),
                             pointer<T>(key_weight), inverse_rms.data_ptr<T>(), batch.positions.data(),
                             cosine.const_data_ptr<T>(), sine.const_data_ptr<T>(), qkv.size(0), shape, norm, epsilon);
    });
    context->save_for_backward({qkv, query_weight, key_weight, inverse_rms, cosine, sine});
    context->saved_data["norm"] = static_cast<std::int64_t>(norm);
    keep_batch(context, batch);
    keep_shape(context, shape);
    return prepared;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto norm = static_cast<HeadNorm>(context->saved_data["norm"].toInt());
    const at::Tensor d_prepared = gradients[0].contiguous();
    at::Tensor d_qkv = at::empty_like(saved[0]);
    at::Tensor d_query_weight, d_key_weight;
    if (norm != HeadNorm::kNone) {
      d_query_weight = at::zeros_like(saved[1]);
      d_key_weight = at::zeros_like(saved[2]);
    }
    by_type(d_qkv, [&](auto zero) {
      using T = decltype(zero);
      const auto target = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.data_ptr<T>() : nullptr; };
      kernels::prepare_heads_backward(d_prepared.const_data_ptr<T>(), saved[0].const_data_ptr<T>(),
                                      pointer<T>(saved[1]), pointer<T>(saved[2]), saved[3].const_data_ptr<T>(),
                                      kept_batch(context).positions.data(), saved[4].const_data_ptr<T>(),
                                      saved[5].const_data_ptr<T>(), d_qkv.data_ptr<T>(), target(d_query_weight),
                                      target(d_key_weight), d_qkv.size(0), kept_shape(context), norm);
    });
    const at::Tensor none;
    return {d_qkv, d_query_weight, d_key_weight, none, none, none, none, none, none};
  }
};

struct Attention : Function<Attention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& prepared, const PackedBatch& batch,
                            kernels::HeadShape shape, std::int64_t window) {
    at::Tensor out = at::empty({prepared.size(0), shape.query_width()}, prepared.options());
    at::Tensor log_sum = at::empty({prepared.size(0), shape.query_heads}, prepared.options());
    by_type(prepared, [&](auto zero) {
      using T = decltype(zero);
      kernels::attention(prepared.const_data_ptr<T>(), out.data_ptr<T>(), log_sum.data_ptr<T>(), batch, shape, window);
    });
    context->save_for_backward({prepared, out, log_sum});
    context->saved_data["window"] = window;
    keep_batch(context, batch);
    keep_shape(context, shape);
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor d_out = gradients[0].contiguous();
    at::Tensor d_prepared = at::empty_like(saved[0]);
    by_type(d_prepared, [&](auto zero) {
      using T = decltype(zero);
      kernels::attention_backward(d_out.const_data_ptr<T>(), saved[0].const_data_ptr<T>(), saved[1].const_data_ptr<T>(),
                                  saved[2].const_data_ptr<T>(), d_prepared.data_ptr<T>(), kept_batch(context),
                                  kept_shape(context), context->saved_data["window"].toInt());
    });
    return {d_prepared, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor linear_map(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return Linear::apply(x, weight, maybe(bias));
}
at::Tensor add_linear_map(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& weight,
                          const at::Tensor& bias) {
  return LinearAdd::apply(residual, x, weight, maybe(bias));
}
at::Tensor add_adapter(const at::Tensor& y, const at::Tensor& x, const Adapter& adapter, double scale) {
  const at::Tensor correction = linear_map(linear_map(x, adapter.a), adapter.b);
  if (!by_kernels(y)) return plain::add_columns(y, correction, adapter.first_column, scale);
  return AddColumns::apply(y, correction, adapter.first_column, scale);
}
at::Tensor embed_tokens(const at::Tensor& table, const PackedBatch& batch) {
  if (!by_kernels(table)) return plain::embed_tokens(table, batch);
  return Embedding::apply(table, batch,
                          at::from_blob(const_cast<std::int64_t*>(batch.ids.data()), {batch.rows()}, at::kLong));
}
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (!by_kernels(x)) return plain::rms_norm(x, weight, epsilon);
  return RmsNorm::apply(x, weight, epsilon);
}
at::Tensor swiglu(const at::Tensor& gate_up) {
  return by_kernels(gate_up) ? SwiGlu::apply(gate_up) : plain::swiglu(gate_up);
}
at::Tensor prepare_heads(const at::Tensor& qkv, const at::Tensor& query_weight, const at::Tensor& key_weight,
                         const PackedBatch& batch, const RotaryTable& rotary, kernels::HeadShape shape, HeadNorm norm,
                         double epsilon) {
  if (!by_kernels(qkv)) {
    return plain::prepare_heads(qkv, query_weight, key_weight, tensors_of(batch, qkv.device()).positions, rotary, shape,
                                norm, epsilon);
  }
  return PrepareHeads::apply(qkv, maybe(query_weight), maybe(key_weight), rotary.cosine, rotary.sine, batch, shape,
                             norm, epsilon);
}
at::Tensor attention(const at::Tensor& prepared, const PackedBatch& batch, kernels::HeadShape shape,
                     std::int64_t window) {
  if (!by_kernels(prepared)) return plain::attention(prepared, batch, shape, window);
  return Attention::apply(prepared, batch, shape, window);
}

}  // namespace whet::engine
