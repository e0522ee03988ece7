// The head: from hidden states to the log-probabilities and statistics of given tokens, without the logits of all rows.
#include <algorithm>

#include "engine/torch/device.h"
#include "engine/torch/functions_common.h"
#include "engine/torch/plain.h"
#include "engine/torch/row_sums.h"

namespace whet::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

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
      order[static_cast<std::size_t>(next[static_cast<std::size_t>(batch.target_heads[r])]++)] =
          static_cast<std::int64_t>(r);
    }
  }

  /// visit(h, r) for each target r of the head rows [begin, begin + rows).
  template <class Visitor>
  void each(std::int64_t begin, std::int64_t rows, const Visitor& visit) const {
    for (std::int64_t h = begin; h < begin + rows; ++h) {
      for (auto i = start[static_cast<std::size_t>(h)]; i < start[static_cast<std::size_t>(h) + 1]; ++i) {
        visit(h, static_cast<std::size_t>(order[static_cast<std::size_t>(i)]));
      }
    }
  }
};

/// A row summary for each head row, as bytes: what the context can carry to the way back.
template <class T>
kernels::RowSummary<T>* summaries_of(const at::Tensor& bytes) {
  return reinterpret_cast<kernels::RowSummary<T>*>(bytes.data_ptr<std::uint8_t>());
}
template <class T>
at::Tensor new_summaries(std::int64_t rows) {
  return at::empty({rows * static_cast<std::int64_t>(sizeof(kernels::RowSummary<T>))}, at::kByte);
}

/// Summaries of all head rows and, for each target, visit(r, log-probability, summary of its row).
template <class T, class Visitor>
at::Tensor walk(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch, double temperature,
                bool with_statistics, const Visitor& visit) {
  const at::Tensor summaries = new_summaries<T>(hidden.size(0));
  const auto inverse_temperature = static_cast<T>(1.0 / temperature);
  const TargetsByRow targets(batch);
  const std::int64_t vocabulary = weight.size(0), chunk = rows_at_once(hidden.size(0), vocabulary);
  // One place for all pieces: memory that is given back and asked for again need not be the same memory.
  const at::Tensor logits = at::empty({chunk, vocabulary}, hidden.options());
  const T* logit = logits.const_data_ptr<T>();
  for (std::int64_t begin = 0; begin < hidden.size(0); begin += chunk) {
    const std::int64_t rows = std::min(chunk, hidden.size(0) - begin);
    times_transposed_into(logits.narrow(0, 0, rows), hidden.narrow(0, begin, rows), weight);
    kernels::RowSummary<T>* const row = summaries_of<T>(summaries);
    kernels::summarise_rows(logit, row + begin, rows, vocabulary, inverse_temperature, with_statistics);
    targets.each(begin, rows, [&](std::int64_t h, std::size_t r) {
      visit(r,
            static_cast<T>(kernels::log_probability(logit[(h - begin) * vocabulary + batch.target_ids[r]],
                                                    row[h].largest, row[h].log_sum, inverse_temperature)),
            row[h]);
    });
  }
  return summaries;
}

struct TargetLogprobs : Function<TargetLogprobs> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& weight,
                            const PackedBatch& batch, double temperature, const HeadGradient& weight_gradient) {
    at::Tensor logprobs = at::empty({static_cast<std::int64_t>(batch.target_ids.size())}, hidden.options());
    at::Tensor summaries;
    by_type(hidden, [&](auto zero) {
      using T = decltype(zero);
      T* out = logprobs.data_ptr<T>();
      summaries = walk<T>(hidden, weight, batch, temperature, /*with_statistics=*/false,
                          [&](std::size_t r, T logprob, const kernels::RowSummary<T>&) { out[r] = logprob; });
    });
    context->save_for_backward({hidden, weight, summaries});
    context->saved_data["temperature"] = temperature;
    // Not saved as a variable: it is written to on the way back, which autograd would take for a mistake.
    HeadWeightGradient::keep_place(context, weight_gradient);
    keep_batch(context, batch);
    return logprobs;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &hidden = saved[0], &weight = saved[1], &summaries = saved[2];
    const double temperature = context->saved_data["temperature"].toDouble();
    const PackedBatch& batch = kept_batch(context);
    const at::Tensor d_logprobs = gradients[0].contiguous();
    at::Tensor d_hidden = at::empty_like(hidden);
    const HeadWeightGradient d_weight(context, weight, hidden);
    const TargetsByRow targets(batch);
    const std::int64_t vocabulary = weight.size(0), chunk = rows_at_once(hidden.size(0), vocabulary);
    const at::Tensor place_of_logits = at::empty({chunk, vocabulary}, hidden.options());
    for (std::int64_t begin = 0; begin < hidden.size(0); begin += chunk) {
      const std::int64_t rows = std::min(chunk, hidden.size(0) - begin);
      const at::Tensor d_logits = place_of_logits.narrow(0, 0, rows);
      times_transposed_into(d_logits, hidden.narrow(0, begin, rows), weight);  // the logits, overwritten in place
      by_type(hidden, [&](auto zero) {
        using T = decltype(zero);
        const T inverse_temperature = static_cast<T>(1.0 / temperature);
        const T* d = d_logprobs.const_data_ptr<T>();
        std::vector<T> row_sums(static_cast<std::size_t>(rows), T(0));
        targets.each(begin, rows,
                     [&](std::int64_t h, std::size_t r) { row_sums[static_cast<std::size_t>(h - begin)] += d[r]; });
        T* out = d_logits.data_ptr<T>();
        kernels::scaled_softmax_rows(out, summaries_of<T>(summaries) + begin, row_sums.data(), rows, vocabulary,
                                     inverse_temperature);
        targets.each(begin, rows, [&](std::int64_t h, std::size_t r) {
          out[(h - begin) * vocabulary + batch.target_ids[r]] += d[r] * inverse_temperature;
        });
      });
      times_plain(d_logits, weight, d_hidden.narrow(0, begin, rows));
      if (d_weight.is_wanted()) add_transposed_times(d_logits, hidden.narrow(0, begin, rows), weight, d_weight.sum);
    }
    const at::Tensor none;
    return {d_hidden, d_weight.is_placed ? none : d_weight.sum, none, none, none};
  }
};

}  // namespace

at::Tensor target_logprobs(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch,
                           double temperature, const HeadGradient& weight_gradient) {
  if (!by_kernels(hidden)) return plain::target_logprobs(hidden, weight, batch, temperature, weight_gradient);
  return TargetLogprobs::apply(hidden, weight_gradient.tensor.defined() ? weight.detach() : weight, batch, temperature,
                               weight_gradient);
}

TargetStatistics target_statistics(const at::Tensor& hidden, const at::Tensor& weight, const PackedBatch& batch,
                                   double temperature) {
  if (!by_kernels(hidden)) return plain::target_statistics(hidden, weight, batch, temperature);
  const torch::NoGradGuard no_grad;
  TargetStatistics result;
  for (at::Tensor* values : {&result.logprob, &result.entropy, &result.self_certainty, &result.gap}) {
    *values = at::empty({static_cast<std::int64_t>(batch.target_ids.size())}, hidden.options());
  }
  by_type(hidden, [&](auto zero) {
    using T = decltype(zero);
    T *logprobs = result.logprob.data_ptr<T>(), *entropies = result.entropy.data_ptr<T>(),
      *certainties = result.self_certainty.data_ptr<T>(), *gaps = result.gap.data_ptr<T>();
    walk<T>(hidden, weight, batch, temperature, /*with_statistics=*/true,
            [&](std::size_t r, T logprob, const kernels::RowSummary<T>& row) {
              logprobs[r] = logprob;
              entropies[r] = row.entropy;
              certainties[r] = row.self_certainty;
              gaps[r] = row.gap;
            });
  });
  return result;
}

}  // namespace whet::engine
