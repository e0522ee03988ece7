// The policy loss and its derivative by each token's log-probability, written out, so that it can be checked in double
// against finite differences and needs no autograd. The engine takes the derivative from there.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/fields.h"

namespace whet::train {

struct PolicyLossOptions {
  double clip_low = 0.2;
  double clip_high = 0.2;
  std::string loss_aggregation = "token-mean";
  std::string ratio_level = "token";
  double kl_coefficient = 0.0;
  std::string kl_estimator = "k3";
};

template <class Visitor>
void visit_fields(PolicyLossOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.clip_low, "clip-low", "ratios below 1 - this stop pulling a bad response further down", within(0, 1));
  visit(o.clip_high, "clip-high", "ratios above 1 + this stop pushing a good response further up (DAPO: 0.28)",
        at_least(0));
  visit(o.loss_aggregation, "loss-aggregation",
        "mean over all tokens, mean over responses of their token means, or sum over tokens divided by responses times "
        "the length limit (Dr.GRPO)",
        one_of({"token-mean", "sequence-mean", "constant"}));
  visit(o.ratio_level, "ratio-level",
        "ratio of each token, or one per response: the geometric mean of its tokens' (GSPO; wants clips near 3e-4)",
        one_of({"token", "sequence"}));
  visit(o.kl_coefficient, "kl-coefficient", "weight of the divergence from the reference policy in the loss; 0: none",
        at_least(0));
  visit(o.kl_estimator, "kl-estimator", "estimator of that divergence, per token", one_of({"k1", "k2", "k3"}));
}

/// One response. Spans hold a number per response token; `Number` is float in training, double in tests.
template <class Number>
struct LossResponse {
  std::span<const Number> logprob;            ///< log pi(y_t) under the policy that is being trained
  std::span<const Number> old_logprob;        ///< under the policy that sampled; empty: on-policy, ratio 1
  std::span<const Number> reference_logprob;  ///< under the reference; may be empty when kl_coefficient is 0
  double advantage = 0;
  std::span<Number> gradient;  ///< out: dLoss/dlogprob
};

/// Denominators, of the whole batch: micro-batches that are given the same totals add up to the batch's loss.
struct LossTotals {
  std::int64_t tokens = 0;      ///< response tokens (token-mean)
  std::int64_t responses = 0;   ///< (sequence-mean, constant)
  std::int64_t max_tokens = 0;  ///< length limit of a response (constant)
};

/// Sums over responses; add() joins micro-batches.
struct PolicyLossResult {
  double loss = 0;  ///< policy_loss + kl_coefficient * kl_loss: what the gradient belongs to
  double policy_loss = 0;
  double kl_loss = 0;  ///< the estimator, aggregated as the loss is
  std::int64_t tokens = 0;
  std::int64_t ratios = 0;   ///< number of ratios: tokens, or responses at sequence level
  std::int64_t clipped = 0;  ///< ratios whose gradient the clip removed
  double ratio_sum = 0;
  double ratio_min = 0;  ///< 0 while ratios == 0
  double ratio_max = 0;
  double old_kl_sum = 0;  ///< sum over tokens of old - new log-probability: KL(old || new), estimated by k1

  void add(const PolicyLossResult& other);
  double clip_share() const { return ratios > 0 ? static_cast<double>(clipped) / static_cast<double>(ratios) : 0; }
  double ratio_mean() const { return ratios > 0 ? ratio_sum / static_cast<double>(ratios) : 0; }
  double old_kl() const { return tokens > 0 ? old_kl_sum / static_cast<double>(tokens) : 0; }
};

/// Loss, gradients and statistics of some responses of a batch.
///
/// A token (or, at sequence level, a response) contributes -min(s A, clip(s, 1 - clip_low, 1 + clip_high) A), where
/// s = exp(new - old) of the token, or exp(mean_t (new - old)). Its derivative by a log-probability is -s A (a T-th of
/// it at sequence level), and 0 where the clipped branch is the smaller one.
///
/// The divergence KL(pi || reference) is estimated per token, with d = log pi - log reference, and differentiated as it
/// stands (the sampling distribution is held fixed, no importance ratio):
///   k1 = d               derivative 1. Unbiased as a value; as a loss its expected gradient is 0: only noise
///   k2 = d^2 / 2         derivative d: in expectation, on-policy, the gradient of the true KL(pi || reference)
///   k3 = e^-d - 1 + d    derivative 1 - e^-d: never negative, low variance (GRPO's); its expected gradient is that of
///                        KL(reference || pi)
/// (k1..k3: J. Schulman, "Approximating KL divergence", 2020.)
///
/// UserError for options out of range, a missing reference, or totals that are not positive. RunError naming response
/// and token when a log-probability, ratio or divergence is not finite. A response without tokens contributes 0.
template <class Number>
PolicyLossResult policy_loss(std::span<const LossResponse<Number>> responses, const LossTotals& totals,
                             const PolicyLossOptions& options);

extern template PolicyLossResult policy_loss<float>(std::span<const LossResponse<float>>, const LossTotals&,
                                                    const PolicyLossOptions&);
extern template PolicyLossResult policy_loss<double>(std::span<const LossResponse<double>>, const LossTotals&,
                                                     const PolicyLossOptions&);

}  // namespace whet::train
