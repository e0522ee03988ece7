#include "theory/sharpening.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace whet::theory {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void require_distribution(std::span<const double> p) {
  if (p.empty()) base::user_error("theory", "a distribution over no answer, want at least one");
  double mass = 0;
  for (const double value : p) {
    if (!(value >= 0) || !std::isfinite(value))
      base::user_error("theory", "a probability of {}, want 0 or more", value);
    mass += value;
  }
  if (!(mass > 0)) base::user_error("theory", "a distribution whose mass is {}, want more than 0", mass);
}

void require_beta(double beta) {
  if (!(beta > 0)) base::user_error("beta", "{}, want > 0", beta);
}

/// e^log_mass, normalised. -inf stands for no mass; at least one entry is finite.
std::vector<double> normalised(std::vector<double> log_mass) {
  const double largest = *std::max_element(log_mass.begin(), log_mass.end());
  double sum = 0;
  for (double& value : log_mass) sum += value = std::exp(value - largest);
  for (double& value : log_mass) value /= sum;
  return log_mass;
}

}  // namespace

double logit(double probability) {
  if (!(probability >= 0 && probability <= 1))
    base::user_error("theory", "a probability of {}, want 0..1", probability);
  return std::log(probability) - std::log1p(-probability);
}

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

std::vector<double> sharpened(std::span<const double> reference, std::span<const double> reward, double beta) {
  require_distribution(reference);
  require_beta(beta);
  if (reward.size() != reference.size()) {
    base::user_error("theory", "{} rewards for {} answers, want one each", reward.size(), reference.size());
  }
  std::vector<double> log_mass(reference.size());
  for (std::size_t i = 0; i < reference.size(); ++i) {
    if (!std::isfinite(reward[i])) base::user_error("theory", "a reward of {}, want a finite number", reward[i]);
    log_mass[i] = reference[i] > 0 ? std::log(reference[i]) + reward[i] / beta : -kInfinity;
  }
  return normalised(std::move(log_mass));
}

std::size_t majority(std::span<const double> distribution) {
  require_distribution(distribution);
  return static_cast<std::size_t>(std::max_element(distribution.begin(), distribution.end()) - distribution.begin());
}

std::vector<double> sharpened_to_majority(std::span<const double> reference, double beta, int steps) {
  require_distribution(reference);
  std::vector<double> policy(reference.begin(), reference.end());
  for (int step = 0; step < steps; ++step) {
    std::vector<double> reward(policy.size(), 0.0);
    reward[majority(policy)] = 1;
    policy = sharpened(policy, reward, beta);
  }
  return policy;
}

double majority_mass(double mass, double beta, double steps) {
  require_beta(beta);
  return sigmoid(logit(mass) + steps / beta);
}

std::vector<double> power(std::span<const double> reference, double exponent) {
  require_distribution(reference);
  if (!(exponent >= 0) || !std::isfinite(exponent))
    base::user_error("theory", "an exponent of {}, want 0 or more", exponent);
  std::vector<double> log_mass(reference.size());
  for (std::size_t i = 0; i < reference.size(); ++i) {
    log_mass[i] = reference[i] > 0 ? exponent * std::log(reference[i]) : -kInfinity;
  }
  return normalised(std::move(log_mass));
}

std::vector<double> sharpened_to_likely(std::span<const double> reference, double beta, double steps) {
  require_beta(beta);
  return power(reference, std::pow(1 + 1 / beta, steps));
}

double divergence(std::span<const double> p, std::span<const double> q) {
  require_distribution(p);
  if (p.size() != q.size())
    base::user_error("theory", "distributions over {} and {} answers, want the same", p.size(), q.size());
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] > 0) sum += q[i] > 0 ? p[i] * std::log(p[i] / q[i]) : kInfinity;
  }
  return sum;
}

double entropy(std::span<const double> p) {
  require_distribution(p);
  double sum = 0;
  for (const double value : p) {
    if (value > 0) sum -= value * std::log(value);
  }
  return sum;
}

}  // namespace whet::theory
