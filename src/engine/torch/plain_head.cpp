// From hidden states or logits to log-probabilities, statistics and tokens, in PyTorch's operations.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/torch/functions_common.h"
#include "engine/torch/plain.h"

namespace whet::engine::plain {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// Some rows of logits reduced, as kernels' RowSums: differences from the largest logit first, scaled after; sums that are
/// compared with single probabilities in double. [rows] each.
struct RowSums {
  at::Tensor below;         ///< [rows, V] (logit - largest) / temperature
  at::Tensor largest;       ///< [rows, 1]
  at::Tensor exponentials;  ///< sum of e^below, double
  at::Tensor log_sum;       ///< its logarithm, double

  RowSums(const at::Tensor& logits, double temperature) {
    largest = logits.amax(1, /*keepdim=*/true);
    below = (logits - largest).mul_(1.0 / temperature);
    exponentials = below.exp().sum(1, /*keepdim=*/false, at::kDouble);
    log_sum = exponentials.log();
  }
};

/// entropy, self-certainty and gap of some rows, double [rows] each. What is not a number stays so under clamp_min.
struct RowStatistics {
  at::Tensor entropy, self_certainty, gap;

  RowStatistics(const at::Tensor& logits, const RowSums& sums, double temperature) {
    const std::int64_t vocabulary = logits.size(1);
    const double log_count = std::log(static_cast<double>(vocabulary));
    const at::Tensor weighted = (sums.below * sums.below.exp()).sum(1, false, at::kDouble);
    entropy = (sums.log_sum - weighted / sums.exponentials).clamp_min(0);
    self_certainty =
        (sums.log_sum - sums.below.sum(1, false, at::kDouble) / static_cast<double>(vocabulary) - log_count)
            .clamp_min(0);
    if (vocabulary == 1) {
      gap = at::ones_like(sums.exponentials) / sums.exponentials;
    } else {
      const at::Tensor top = std::get<0>(logits.topk(2, 1)).to(at::kDouble);
      gap = (1 - ((top.select(1, 1) - top.select(1, 0)) / temperature).exp()) / sums.exponentials;
    }
  }
};

/// log pi of the tokens, double [rows]. logits: of those tokens, [rows].
at::Tensor log_probability(const at::Tensor& logits, const at::Tensor& largest, const at::Tensor& log_sum,
                           double temperature) {
  const at::Tensor below = (logits.to(at::kDouble) - largest.to(at::kDouble)) / temperature;
  return -(log_sum - below).clamp_min(0);
}

/// visit(first row, rows, logits, first target, targets) for some head rows at a time.
template <class Visitor>
void walk(const at::Tensor& hidden, const at::Tensor& weight, const BatchTensors& tensors, const Visitor& visit) {
  const std::int64_t chunk = rows_at_once(hidden.size(0), weight.size(0));
  for (std::int64_t begin = 0; begin < hidden.size(0); begin += chunk) {
    const std::int64_t rows = std::min(chunk, hidden.size(0) - begin);
    const std::int64_t first = tensors.first_target[static_cast<std::size_t>(begin)];
    visit(begin, rows, times_transposed(hidden.narrow(0, begin, rows), weight), first,
          tensors.first_target[static_cast<std::size_t>(begin + rows)] - first);
  }
}

struct TargetLogprobs : Function<TargetLogprobs> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& weight,
                            const PackedBatch& batch, double temperature, const HeadGradient& weight_gradient) {
    const BatchTensors& tensors = tensors_of(batch, hidden.device());
    std::vector<at::Tensor> logprobs, largest, log_sums;
    walk(hidden, weight, tensors,
         [&](std::int64_t begin, std::int64_t, const at::Tensor& logits, std::int64_t first, std::int64_t count) {
           const RowSums sums(logits, temperature);
           const at::Tensor rows = tensors.target_heads.narrow(0, first, count) - begin,
                            ids = tensors.target_ids.narrow(0, first, count);
           logprobs.push_back(log_probability(logits.index({rows, ids}), sums.largest.squeeze(1).index_select(0, rows),
                                              sums.log_sum.index_select(0, rows), temperature));
           largest.push_back(sums.largest);
           log_sums.push_back(sums.log_sum);
         });
    context->save_for_backward({hidden, weight, at::cat(largest), at::cat(log_sums)});
    context->saved_data["temperature"] = temperature;
    HeadWeightGradient::keep_place(context, weight_gradient);
    keep_batch(context, batch);
    return at::cat(logprobs).index_select(0, tensors.target_places).to(hidden.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &hidden = saved[0], &weight = saved[1];
    const double temperature = context->saved_data["temperature"].toDouble();
    const BatchTensors& tensors = tensors_of(kept_batch(context), hidden.device());
    const HeadWeightGradient d_weight(context, weight, hidden);
    at::Tensor d_hidden = at::empty_like(hidden);
    // In the order of the head rows.
    at::Tensor d_targets = at::empty_like(gradients[0]);
    d_targets.index_put_({tensors.target_places}, gradients[0] / temperature);
    walk(hidden, weight, tensors,
         [&](std::int64_t begin, std::int64_t count, at::Tensor d, std::int64_t first, std::int64_t targets) {
           const at::Tensor rows = tensors.target_heads.narrow(0, first, targets) - begin,
                            ids = tensors.target_ids.narrow(0, first, targets);
           const at::Tensor d_here = d_targets.narrow(0, first, targets);
           // A row may be the head of several targets. index_put_ sums them in a fixed order on a GPU as well.
           const at::Tensor factors =
               at::zeros({count}, d_here.options()).index_put_({rows}, d_here, /*accumulate=*/true);
           d.sub_(saved[2].narrow(0, begin, count)).mul_(1.0 / temperature);
           d.sub_(saved[3].narrow(0, begin, count).unsqueeze(1).to(d.scalar_type()))
               .exp_()
               .mul_(factors.neg().unsqueeze(1));
           d.index_put_({rows, ids}, d_here.to(d.scalar_type()), /*accumulate=*/true);
           times_plain(d, weight, d_hidden.narrow(0, begin, count));
           if (d_weight.is_wanted()) add_transposed_times(d, hidden.narrow(0, begin, count), weight, d_weight.sum);
         });
    const at::Tensor none;
    return {d_hidden, d_weight.is_placed ? none : d_weight.sum, none, none, none};
  }
};

/// Zeroes the weights outside the top-k tokens and outside the smallest set of tokens with mass >= top_p (in that order);
/// equal weights are ranked by id. weights: [rows, V], changed. totals: double [rows].
void restrict(at::Tensor& weights, const at::Tensor& totals, const SamplingOptions& options) {
  const auto [sorted, order] = weights.sort(/*stable=*/true, /*dim=*/1, /*descending=*/true);
  const std::int64_t vocabulary = weights.size(1);
  const std::int64_t most = options.top_k > 0 ? std::min<std::int64_t>(options.top_k, vocabulary) : vocabulary;
  at::Tensor kept = at::arange(vocabulary, order.options()).unsqueeze(0) < most;
  if (options.top_p < 1.0) {
    const at::Tensor running = sorted.cumsum(1, at::kDouble);
    const at::Tensor mass = options.top_k > 0 ? running.select(1, most - 1) : totals;
    // A token is in while those before it lack mass; the first always is.
    at::Tensor before =
        at::cat({at::zeros({weights.size(0), 1}, running.options()), running.narrow(1, 0, vocabulary - 1)}, 1);
    kept = at::logical_and(kept, before < options.top_p * mass.unsqueeze(1));
  }
  weights.zero_().scatter_(1, order, at::where(kept, sorted, 0));
}

at::Tensor sample_some(const at::Tensor& logits, const at::Tensor& uniforms, const SamplingOptions& options) {
  const RowSums sums(logits, options.temperature);
  const RowStatistics statistics(logits, sums, options.temperature);
  at::Tensor ids;
  if (options.greedy) {
    // The smallest id wins a tie.
    ids = (logits == sums.largest).to(at::kByte).argmax(1);
  } else {
    at::Tensor weights = sums.below.exp();
    if (options.top_k > 0 || options.top_p < 1.0) restrict(weights, sums.exponentials, options);
    const at::Tensor running = weights.cumsum(1, at::kDouble);
    const at::Tensor goals = (uniforms * running.select(1, running.size(1) - 1)).unsqueeze(1);
    // The first token at which the running sum passes the goal; the last one of any weight where rounding leaves a rest.
    const at::Tensor last =
        (at::arange(logits.size(1), uniforms.options().dtype(at::kLong)).unsqueeze(0) * (weights > 0)).amax(1);
    ids = at::minimum(at::searchsorted(running, goals, /*out_int32=*/false, /*right=*/true).squeeze(1), last);
  }
  const at::Tensor chosen = logits.gather(1, ids.unsqueeze(1)).squeeze(1);
  return at::stack(
      {ids.to(at::kDouble), log_probability(chosen, sums.largest.squeeze(1), sums.log_sum, options.temperature),
       statistics.entropy, statistics.self_certainty, statistics.gap},
      1);
}

}  // namespace

at::Tensor target_logprobs(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch,
                           double temperature, const HeadGradient& weight_gradient) {
  return TargetLogprobs::apply(hidden, weight_gradient.tensor.defined() ? weight.detach() : weight, batch, temperature,
                               weight_gradient);
}

TargetStatistics target_statistics(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch,
                                   double temperature) {
  const torch::NoGradGuard no_grad;
  const BatchTensors& tensors = tensors_of(batch, hidden.device());
  std::vector<at::Tensor> logprobs, entropies, certainties, gaps;
  walk(hidden, weight, tensors,
       [&](std::int64_t begin, std::int64_t, const at::Tensor& logits, std::int64_t first, std::int64_t count) {
         const RowSums sums(logits, temperature);
         const RowStatistics statistics(logits, sums, temperature);
         const at::Tensor rows = tensors.target_heads.narrow(0, first, count) - begin,
                          ids = tensors.target_ids.narrow(0, first, count);
         logprobs.push_back(log_probability(logits.index({rows, ids}), sums.largest.squeeze(1).index_select(0, rows),
                                            sums.log_sum.index_select(0, rows), temperature));
         entropies.push_back(statistics.entropy.index_select(0, rows));
         certainties.push_back(statistics.self_certainty.index_select(0, rows));
         gaps.push_back(statistics.gap.index_select(0, rows));
       });
  const auto in_order = [&](const std::vector<at::Tensor>& pieces) {
    return at::cat(pieces).index_select(0, tensors.target_places).to(hidden.scalar_type());
  };
  return {in_order(logprobs), in_order(entropies), in_order(certainties), in_order(gaps)};
}

at::Tensor sample_rows(const at::Tensor& logits, const at::Tensor& uniforms, const SamplingOptions& options) {
  const std::int64_t chunk = rows_at_once(logits.size(0), logits.size(1));
  std::vector<at::Tensor> results;
  for (std::int64_t begin = 0; begin < logits.size(0); begin += chunk) {
    const std::int64_t rows = std::min(chunk, logits.size(0) - begin);
    results.push_back(sample_some(logits.narrow(0, begin, rows), uniforms.narrow(0, begin, rows), options));
  }
  return at::cat(results);
}

}  // namespace whet::engine::plain
