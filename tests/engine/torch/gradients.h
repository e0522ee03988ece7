// An operation held against a plain one: values, gradients, and gradients against central differences.
#pragma once

#include <functional>

#include "tests/engine/torch/fixtures.h"

namespace whet::engine {

using Values = std::vector<at::Tensor>;
using Operation = std::function<at::Tensor(const Values&)>;

inline Values leaves(const Values& inputs) {
  Values result;
  for (const at::Tensor& input : inputs) result.push_back(input.detach().clone().requires_grad_(true));
  return result;
}

inline at::Tensor random_values(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }

/// Compares `operation` with `plain` at `inputs`: value, gradient, and central differences in every coordinate.
inline void expect_same_function(const Operation& operation, const Operation& plain, const Values& inputs) {
  const Values ours = leaves(inputs), theirs = leaves(inputs);
  const at::Tensor got = operation(ours), wanted = plain(theirs);
  expect_close(got, wanted, 1e-13, "value");
  const at::Tensor direction = random_values(got.sizes());
  (got * direction).sum().backward();
  (wanted * direction).sum().backward();
  const torch::NoGradGuard no_grad;
  constexpr double kStep = 1e-5;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const std::string what = fmt::format("gradient of input {}", k);
    expect_close(ours[k].grad(), theirs[k].grad(), 1e-12, what);
    Values moved;
    for (const at::Tensor& input : inputs) moved.push_back(input.clone());
    at::Tensor differences = at::empty_like(inputs[k]);
    double* coordinate = moved[k].data_ptr<double>();
    for (std::int64_t i = 0; i < inputs[k].numel(); ++i) {
      const double at_rest = coordinate[i];
      coordinate[i] = at_rest + kStep;
      const double above = (operation(moved) * direction).sum().item<double>();
      coordinate[i] = at_rest - kStep;
      const double below = (operation(moved) * direction).sum().item<double>();
      coordinate[i] = at_rest;
      differences.data_ptr<double>()[i] = (above - below) / (2 * kStep);
    }
    expect_close(ours[k].grad(), differences, 1e-7, what + " by finite differences");
  }
}

}  // namespace whet::engine
