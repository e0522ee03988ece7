// The policy loss and its derivative by each token's log-probability.
#include "train/policy_loss.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace whet::train {
namespace {

enum class Aggregation { kTokenMean, kSequenceMean, kConstant };
enum class Estimator { kK1, kK2, kK3 };

/// The options, checked and read once.
struct Plan {
  double low, high;  // bounds of the ratio
  Aggregation aggregation;
  bool sequence_ratio;
  double kl_coefficient;
  Estimator estimator;
};

Plan make_plan(const LossTotals& totals, const PolicyLossOptions& options) {
  visit_fields(const_cast<PolicyLossOptions&>(options),
               [](const auto& value, const char* name, const char*, const base::Allowed& allowed) {
                 base::check_allowed(value, name, allowed);
               });
  Plan plan{};
  plan.low = 1 - options.clip_low;
  plan.high = 1 + options.clip_high;
  plan.aggregation = options.loss_aggregation == "token-mean"      ? Aggregation::kTokenMean
                     : options.loss_aggregation == "sequence-mean" ? Aggregation::kSequenceMean
                                                                   : Aggregation::kConstant;
  plan.sequence_ratio = options.ratio_level == "sequence";
  plan.kl_coefficient = options.kl_coefficient;
  plan.estimator = options.kl_estimator == "k1"   ? Estimator::kK1
                   : options.kl_estimator == "k2" ? Estimator::kK2
                                                  : Estimator::kK3;

  const auto want_positive = [](std::int64_t value, const char* name) {
    if (value <= 0) base::user_error("policy loss", "{} of the batch is {}, want > 0", name, value);
  };
  if (plan.aggregation == Aggregation::kTokenMean) want_positive(totals.tokens, "number of tokens");
  if (plan.aggregation != Aggregation::kTokenMean) want_positive(totals.responses, "number of responses");
  if (plan.aggregation == Aggregation::kConstant) want_positive(totals.max_tokens, "length limit");
  return plan;
}

/// What one token of a response of `length` tokens weighs in the batch's loss.
double token_weight(const Plan& plan, const LossTotals& totals, std::size_t length) {
  switch (plan.aggregation) {
    case Aggregation::kTokenMean:
      return 1.0 / static_cast<double>(totals.tokens);
    case Aggregation::kSequenceMean:
      return 1.0 / (static_cast<double>(totals.responses) * static_cast<double>(length));
    case Aggregation::kConstant:
      return 1.0 / (static_cast<double>(totals.responses) * static_cast<double>(totals.max_tokens));
  }
  throw std::logic_error("policy_loss: aggregation");
}

struct Term {
  double value;
  double slope;
};

Term kl_term(Estimator estimator, double difference) {
  switch (estimator) {
    case Estimator::kK1:
      return {difference, 1.0};
    case Estimator::kK2:
      return {difference * difference / 2, difference};
    case Estimator::kK3:
      return {std::expm1(-difference) + difference, -std::expm1(-difference)};
  }
  throw std::logic_error("policy_loss: estimator");
}

/// Loss of one ratio and its derivative by the logarithm of that ratio; counts it.
Term surrogate(const Plan& plan, double log_ratio, double advantage, PolicyLossResult& result) {
  const double ratio = std::exp(log_ratio);
  result.ratio_min = result.ratios == 0 ? ratio : std::min(result.ratio_min, ratio);
  result.ratio_max = result.ratios == 0 ? ratio : std::max(result.ratio_max, ratio);
  result.ratio_sum += ratio;
  ++result.ratios;
  const double bounded = std::clamp(ratio, plan.low, plan.high);
  if (bounded * advantage < ratio * advantage) {
    ++result.clipped;
    return {-bounded * advantage, 0.0};
  }
  return {-ratio * advantage, -ratio * advantage};
}

void check_finite(double value, const char* what, std::size_t response, std::size_t token) {
  if (!std::isfinite(value)) {
    base::run_error("policy loss", "{} of response {} is {} at token {}, want a finite number", what, response, value,
                    token);
  }
}

template <class Number>
void check_lengths(const LossResponse<Number>& response, bool needs_reference, std::size_t index) {
  const std::size_t length = response.logprob.size();
  const auto fits = [&](std::size_t size) { return size == 0 || size == length; };
  if (!fits(response.old_logprob.size()) || !fits(response.reference_logprob.size()) ||
      response.gradient.size() != length) {
    throw std::logic_error(fmt::format("policy_loss: arrays of response {} differ in length", index));
  }
  if (needs_reference && response.reference_logprob.size() != length) {
    base::user_error("kl-coefficient",
                     "response {} has no log-probabilities under a reference policy, want them when "
                     "the coefficient is above 0",
                     index);
  }
}

template <class Number>
void add_response(const LossResponse<Number>& response, std::size_t index, const Plan& plan, const LossTotals& totals,
                  PolicyLossResult& result) {
  const std::size_t length = response.logprob.size();
  if (length == 0) return;
  check_finite(response.advantage, "advantage", index, 0);
  const double weight = token_weight(plan, totals, length);
  // On-policy (no old values) the ratio is 1 with the derivative of the ratio, as if old were a frozen copy of new.
  const auto log_ratio_at = [&](std::size_t t) {
    check_finite(static_cast<double>(response.logprob[t]), "log-probability", index, t);
    if (response.old_logprob.empty()) return 0.0;
    return static_cast<double>(response.logprob[t]) - static_cast<double>(response.old_logprob[t]);
  };

  double log_ratio_sum = 0;
  for (std::size_t t = 0; t < length; ++t) {
    const double log_ratio = log_ratio_at(t);
    check_finite(log_ratio, "log-ratio", index, t);
    log_ratio_sum += log_ratio;
    if (plan.sequence_ratio) continue;
    const Term term = surrogate(plan, log_ratio, response.advantage, result);
    check_finite(term.value, "loss", index, t);
    result.policy_loss += weight * term.value;
    response.gradient[t] = static_cast<Number>(weight * term.slope);
  }
  if (plan.sequence_ratio) {
    const auto tokens = static_cast<double>(length);
    const Term term = surrogate(plan, log_ratio_sum / tokens, response.advantage, result);
    check_finite(term.value, "loss", index, length - 1);
    result.policy_loss += weight * tokens * term.value;
    std::fill(response.gradient.begin(), response.gradient.end(), static_cast<Number>(weight * term.slope));
  }
  result.tokens += static_cast<std::int64_t>(length);
  result.old_kl_sum -= log_ratio_sum;

  if (response.reference_logprob.empty()) return;
  for (std::size_t t = 0; t < length; ++t) {
    const double difference =
        static_cast<double>(response.logprob[t]) - static_cast<double>(response.reference_logprob[t]);
    const Term term = kl_term(plan.estimator, difference);
    check_finite(term.value, "divergence from the reference", index, t);
    result.kl_loss += weight * term.value;
    response.gradient[t] += static_cast<Number>(plan.kl_coefficient * weight * term.slope);
  }
}

}  // namespace

void PolicyLossResult::add(const PolicyLossResult& other) {
  if (other.ratios > 0) {
    ratio_min = ratios > 0 ? std::min(ratio_min, other.ratio_min) : other.ratio_min;
    ratio_max = ratios > 0 ? std::max(ratio_max, other.ratio_max) : other.ratio_max;
  }
  loss += other.loss;
  policy_loss += other.policy_loss;
  kl_loss += other.kl_loss;
  tokens += other.tokens;
  ratios += other.ratios;
  clipped += other.clipped;
  ratio_sum += other.ratio_sum;
  old_kl_sum += other.old_kl_sum;
}

template <class Number>
PolicyLossResult policy_loss(std::span<const LossResponse<Number>> responses, const LossTotals& totals,
                             const PolicyLossOptions& options) {
  const Plan plan = make_plan(totals, options);
  PolicyLossResult result;
  for (std::size_t i = 0; i < responses.size(); ++i) {
    check_lengths(responses[i], plan.kl_coefficient > 0, i);
    add_response(responses[i], i, plan, totals, result);
  }
  result.loss = result.policy_loss + plan.kl_coefficient * result.kl_loss;
  return result;
}

template PolicyLossResult policy_loss<float>(std::span<const LossResponse<float>>, const LossTotals&,
                                             const PolicyLossOptions&);
template PolicyLossResult policy_loss<double>(std::span<const LossResponse<double>>, const LossTotals&,
                                              const PolicyLossOptions&);

}  // namespace whet::train
