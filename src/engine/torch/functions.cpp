#include "engine/torch/functions.h"

#include <cmath>

#include "engine/torch/kernels_product.h"

namespace whet::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

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
void keep_batch(AutogradContext* context, const PackedBatch& batch) {
  context->saved_data["batch"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(&batch));
}
const PackedBatch& kept_batch(AutogradContext* context) {
  return *reinterpret_cast<const PackedBatch*>(static_cast<std::intptr_t>(context->saved_data["batch"].toInt()));
}
void keep_shape(AutogradContext* context, kernels::HeadShape shape) {
  context->saved_data["shape"] = std::vector<std::int64_t>{shape.query_heads, shape.key_heads, shape.width};
}
kernels::HeadShape kept_shape(AutogradContext* context) {
  const auto numbers = context->saved_data["shape"].toIntVector();
  return {numbers[0], numbers[1], numbers[2]};
}

// The three products of a linear map. Float goes through our own kernel; double, for gradient checks, through the library.

/// x W^T (+ add, where defined).
at::Tensor times_transposed(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& add = {}) {
  if (x.scalar_type() == at::kDouble) return add.defined() ? at::addmm(add, x, weight.t()) : at::mm(x, weight.t());
  at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
  kernels::product_transposed(x.const_data_ptr<float>(), x.size(0), weight.const_data_ptr<float>(), weight.size(0), weight.size(1),
                              add.defined() ? add.const_data_ptr<float>() : nullptr, y.data_ptr<float>());
  return y;
}

/// dx = dy W, into `dx`.
void times_plain(const at::Tensor& dy, const at::Tensor& weight, at::Tensor dx) {
  if (dy.scalar_type() == at::kDouble) {
    at::mm_out(dx, dy, weight);
  } else {
    kernels::product_plain(dy.const_data_ptr<float>(), dy.size(0), weight.const_data_ptr<float>(), weight.size(0), weight.size(1),
                           dx.data_ptr<float>());
  }
}

/// dW += dy^T x.
void add_transposed_times(const at::Tensor& dy, const at::Tensor& x, at::Tensor d_weight) {
  if (dy.scalar_type() == at::kDouble) {
    d_weight.addmm_(dy.t(), x);
  } else {
    kernels::add_transposed_product(dy.const_data_ptr<float>(), x.const_data_ptr<float>(), dy.size(0), dy.size(1), x.size(1),
                                    d_weight.data_ptr<float>());
  }
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

/// The targets of each head row: those of row h are order[start[h]] .. order[start[h + 1]).
struct TargetsByRow {
  std::vector<std::int64_t> start;
  std::vector<std::int64_t> order;

  explicit TargetsByRow(const PackedBatch& batch)
      : start(batch.head_rows.size() + 1, 0), order(batch.target_heads.size()) {
    for (const std::int64_t head : batch.target_heads) ++start[static_cast<std::size_t>(head) + 1];
    for (std::size_t h = 1; h < start.size(); ++h) start[h] += start[h - 1];
    std::vector<std::int64_t> next(start.begin(), start.end() - 1);
    for (std::size_t r = 0; r < batch.target_heads.size(); ++r) {
      order[static_cast<std::size_t>(next[static_cast<std::size_t>(batch.target_heads[r])]++)] = static_cast<std::int64_t>(r);
    }
  }
};

struct TargetLogprobs : Function<TargetLogprobs> {
  /// Rows whose logits exist at once: 16 million numbers, 64 MB in float.
  static std::int64_t rows_at_once(std::int64_t vocabulary) { return std::max<std::int64_t>(1, (std::int64_t{1} << 24) / vocabulary); }

  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& weight,
                            const PackedBatch& batch, double temperature) {
    const auto targets = static_cast<std::int64_t>(batch.target_ids.size());
    at::Tensor logprobs = at::empty({targets}, hidden.options());
    at::Tensor log_sums = at::empty({hidden.size(0)}, hidden.options());
    const TargetsByRow by_row(batch);
    const std::int64_t chunk = rows_at_once(weight.size(0));
    for (std::int64_t begin = 0; begin < hidden.size(0); begin += chunk) {
      const std::int64_t rows = std::min(chunk, hidden.size(0) - begin);
      const at::Tensor logits = times_transposed(hidden.narrow(0, begin, rows), weight);
      by_type(hidden, [&](auto zero) {
        using T = decltype(zero);
        kernels::log_sum_rows(logits.const_data_ptr<T>(), log_sums.data_ptr<T>() + begin, rows, weight.size(0),
                              static_cast<T>(1.0 / temperature));
        T* out = logprobs.data_ptr<T>();
        const T* logit = logits.const_data_ptr<T>();
        const T* log_sum = log_sums.const_data_ptr<T>();
        for (std::int64_t h = begin; h < begin + rows; ++h) {
          for (auto i = by_row.start[static_cast<std::size_t>(h)]; i < by_row.start[static_cast<std::size_t>(h) + 1]; ++i) {
            const auto r = static_cast<std::size_t>(by_row.order[static_cast<std::size_t>(i)]);
            out[r] = logit[(h - begin) * weight.size(0) + batch.target_ids[r]] * static_cast<T>(1.0 / temperature) - log_sum[h];
          }
        }
      });
    }
    context->save_for_backward({hidden, weight, log_sums});
    context->saved_data["temperature"] = temperature;
    keep_batch(context, batch);
    return logprobs;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &hidden = saved[0], &weight = saved[1], &log_sums = saved[2];
    const double temperature = context->saved_data["temperature"].toDouble();
    const PackedBatch& batch = kept_batch(context);
    const at::Tensor d_logprobs = gradients[0].contiguous();
    at::Tensor d_hidden = at::empty_like(hidden);
    at::Tensor d_weight = at::zeros_like(weight);
    const TargetsByRow by_row(batch);
    const std::int64_t chunk = rows_at_once(weight.size(0));
    for (std::int64_t begin = 0; begin < hidden.size(0); begin += chunk) {
      const std::int64_t rows = std::min(chunk, hidden.size(0) - begin);
      at::Tensor d_logits = times_transposed(hidden.narrow(0, begin, rows), weight);  // overwritten in place
      by_type(hidden, [&](auto zero) {
        using T = decltype(zero);
        const T inverse_temperature = static_cast<T>(1.0 / temperature);
        const T* d = d_logprobs.const_data_ptr<T>();
        std::vector<T> row_sums(static_cast<std::size_t>(rows), T(0));
        for (std::int64_t h = begin; h < begin + rows; ++h) {
          for (auto i = by_row.start[static_cast<std::size_t>(h)]; i < by_row.start[static_cast<std::size_t>(h) + 1]; ++i) {
            row_sums[static_cast<std::size_t>(h - begin)] += d[by_row.order[static_cast<std::size_t>(i)]];
          }
        }
        T* out = d_logits.data_ptr<T>();
        kernels::scaled_softmax_rows(out, log_sums.const_data_ptr<T>() + begin, row_sums.data(), rows, weight.size(0),
                                     inverse_temperature);
        for (std::int64_t h = begin; h < begin + rows; ++h) {
          for (auto i = by_row.start[static_cast<std::size_t>(h)]; i < by_row.start[static_cast<std::size_t>(h) + 1]; ++i) {
            const auto r = static_cast<std::size_t>(by_row.order[static_cast<std::size_t>(i)]);
            out[(h - begin) * weight.size(0) + batch.target_ids[r]] += d[r] * inverse_temperature;
          }
        }
      });
      times_plain(d_logits, weight, d_hidden.narrow(0, begin, rows));
      add_transposed_times(d_logits, hidden.narrow(0, begin, rows), d_weight);
    }
    return {d_hidden, d_weight, at::Tensor(), at::Tensor()};
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
at::Tensor target_logprobs(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch, double temperature) {
  return TargetLogprobs::apply(hidden, weight, batch, temperature);
}

}  // namespace whet::engine
