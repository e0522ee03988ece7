#include "engine/torch/functions.h"

#include <cmath>

#include "engine/torch/functions_common.h"

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

/// {dx, dW} of x W^T.
variable_list linear_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight) {
  at::Tensor dx = at::empty_like(x);
  at::Tensor d_weight = at::zeros_like(weight);
  times_plain(dy, weight, dx);
  add_transposed_times(dy, x, d_weight);
  return {dx, d_weight};
}

struct Linear : Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight) {
    context->save_for_backward({x, weight});
    return times_transposed(x, weight);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    return linear_backward(gradients[0].contiguous(), saved[0], saved[1]);
  }
};

struct LinearAdd : Function<LinearAdd> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& residual, const at::Tensor& x, const at::Tensor& weight) {
    context->save_for_backward({x, weight});
    return times_transposed(x, weight, residual);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous();
    variable_list result = linear_backward(dy, saved[0], saved[1]);
    result.insert(result.begin(), dy);
    return result;
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
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dx = at::empty_like(saved[0]);
    at::Tensor d_weight = at::zeros_like(saved[1]);
    by_type(dx, [&](auto zero) {
      using T = decltype(zero);
      kernels::rms_norm_backward(dy.const_data_ptr<T>(), saved[0].const_data_ptr<T>(), saved[1].const_data_ptr<T>(),
                                 saved[2].const_data_ptr<T>(), dx.data_ptr<T>(), d_weight.data_ptr<T>(), dx.size(0),
                                 dx.size(1));
    });
    return {dx, d_weight, at::Tensor()};
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

struct PrepareHeads : Function<PrepareHeads> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& qkv, const at::Tensor& query_weight,
                            const at::Tensor& key_weight, const at::Tensor& cosine, const at::Tensor& sine,
                            const PackedBatch& batch, kernels::HeadShape shape, double epsilon) {
    at::Tensor prepared = at::empty_like(qkv);
    at::Tensor inverse_rms = at::empty({qkv.size(0), shape.query_heads + shape.key_heads}, qkv.options());
    by_type(qkv, [&](auto zero) {
      using T = decltype(zero);
      kernels::prepare_heads(qkv.const_data_ptr<T>(), prepared.data_ptr<T>(), query_weight.const_data_ptr<T>(),
                             key_weight.const_data_ptr<T>(), inverse_rms.data_ptr<T>(), batch.positions.data(),
                             cosine.const_data_ptr<T>(), sine.const_data_ptr<T>(), qkv.size(0), shape, epsilon);
    });
    context->save_for_backward({qkv, query_weight, key_weight, inverse_rms, cosine, sine});
    keep_batch(context, batch);
    keep_shape(context, shape);
    return prepared;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor d_prepared = gradients[0].contiguous();
    at::Tensor d_qkv = at::empty_like(saved[0]);
    at::Tensor d_query_weight = at::zeros_like(saved[1]);
    at::Tensor d_key_weight = at::zeros_like(saved[2]);
    by_type(d_qkv, [&](auto zero) {
      using T = decltype(zero);
      kernels::prepare_heads_backward(
          d_prepared.const_data_ptr<T>(), saved[0].const_data_ptr<T>(), saved[1].const_data_ptr<T>(),
          saved[2].const_data_ptr<T>(), saved[3].const_data_ptr<T>(), kept_batch(context).positions.data(),
          saved[4].const_data_ptr<T>(), saved[5].const_data_ptr<T>(), d_qkv.data_ptr<T>(), d_query_weight.data_ptr<T>(),
          d_key_weight.data_ptr<T>(), d_qkv.size(0), kept_shape(context));
    });
    const at::Tensor none;
    return {d_qkv, d_query_weight, d_key_weight, none, none, none, none, none};
  }
};

struct Attention : Function<Attention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& prepared, const PackedBatch& batch,
                            kernels::HeadShape shape) {
    at::Tensor out = at::empty({prepared.size(0), shape.query_width()}, prepared.options());
    at::Tensor log_sum = at::empty({prepared.size(0), shape.query_heads}, prepared.options());
    by_type(prepared, [&](auto zero) {
      using T = decltype(zero);
      kernels::attention(prepared.const_data_ptr<T>(), out.data_ptr<T>(), log_sum.data_ptr<T>(), batch, shape);
    });
    context->save_for_backward({prepared, out, log_sum});
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
                                  kept_shape(context));
    });
    return {d_prepared, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

RotaryTable rotary_table(std::int64_t positions, std::int64_t head_width, double theta, at::ScalarType dtype) {
  const auto options = at::TensorOptions().dtype(at::kFloat);
  const at::Tensor exponents = at::arange(0, head_width, 2, options) / static_cast<double>(head_width);
  const at::Tensor frequencies = at::reciprocal(at::pow(theta, exponents));
  const at::Tensor angles = at::arange(0, positions, options).unsqueeze(1) * frequencies.unsqueeze(0);
  return {at::cos(angles).to(dtype).contiguous(), at::sin(angles).to(dtype).contiguous()};
}

at::Tensor linear_map(const at::Tensor& x, const at::Tensor& weight) { return Linear::apply(x, weight); }
at::Tensor add_linear_map(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& weight) {
  return LinearAdd::apply(residual, x, weight);
}
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return RmsNorm::apply(x, weight, epsilon);
}
at::Tensor swiglu(const at::Tensor& gate_up) { return SwiGlu::apply(gate_up); }
at::Tensor prepare_heads(const at::Tensor& qkv, const at::Tensor& query_weight, const at::Tensor& key_weight,
                         const PackedBatch& batch, const RotaryTable& rotary, kernels::HeadShape shape, double epsilon) {
  return PrepareHeads::apply(qkv, query_weight, key_weight, rotary.cosine, rotary.sine, batch, shape, epsilon);
}
at::Tensor attention(const at::Tensor& prepared, const PackedBatch& batch, kernels::HeadShape shape) {
  return Attention::apply(prepared, batch, shape);
}

}  // namespace whet::engine
