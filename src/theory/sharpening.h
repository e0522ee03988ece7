// What maximising an intrinsic reward does to a distribution over answers, in closed form.
//
// The policy that maximises E[r] - beta KL(policy || reference) is reference * e^(r / beta) / Z. Iterated, with the
// policy of one step as the reference of the next, it moves all mass to what the reward prefers; the paper (arXiv
// 2603.08660) calls it sharpening. Everything here is a function of probabilities and knows no model.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace whet::theory {

/// log(p / (1 - p)); -inf at 0, +inf at 1. UserError outside [0, 1].
double logit(double probability);
/// 1 / (1 + e^-x).
double sigmoid(double x);

/// reference * e^(reward / beta), normalised. Where the reference is 0 the result is 0. UserError for sizes that differ,
/// no answer, a negative or non-finite probability, no mass at all, a reward that is not finite, or beta <= 0.
std::vector<double> sharpened(std::span<const double> reference, std::span<const double> reward, double beta);

/// The answer with the most mass; the first of equals. UserError when empty.
std::size_t majority(std::span<const double> distribution);

/// `steps` exact steps with the majority reward (1 for the answer with the most mass, else 0), each from the last one's
/// policy, the majority looked up anew each time.
std::vector<double> sharpened_to_majority(std::span<const double> reference, double beta, int steps);

/// The majority's mass after `steps` exact steps from `mass`: logit p_k = logit p_0 + k / beta. Steps may be fractions.
double majority_mass(double mass, double beta, double steps);

/// The distribution raised to a power and normalised: what a reward that is the log-probability leads to, because
/// e^(log p / beta) p = p^(1 + 1/beta). Exponent >= 0; computed by logarithms, so that it does not underflow.
std::vector<double> power(std::span<const double> reference, double exponent);

/// `steps` exact steps with reward log p of the policy itself: the reference to the power (1 + 1/beta)^steps.
std::vector<double> sharpened_to_likely(std::span<const double> reference, double beta, double steps);

/// sum p log(p / q), nats; +inf where q is 0 and p is not.
double divergence(std::span<const double> p, std::span<const double> q);
/// -sum p log p, nats.
double entropy(std::span<const double> p);

}  // namespace whet::theory
