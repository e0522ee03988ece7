// Advantages: what a reward is worth compared with its group (or its batch).
#include "train/advantage.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace whet::train {
namespace {

constexpr double kEpsilon = 1e-6;  // the paper's; keeps the noise of nearly equal rewards from becoming a signal

constexpr std::array<std::pair<const char*, AdvantageKind>, 5> kNames = {{
    {"grpo", AdvantageKind::kGroup},
    {"dr-grpo", AdvantageKind::kGroupMean},
    {"rloo", AdvantageKind::kLeaveOneOut},
    {"reinforce++", AdvantageKind::kBatch},
    {"reinforce++-baseline", AdvantageKind::kGroupMeanBatch},
}};

void check_finite(const std::vector<double>& rewards) {
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    if (!std::isfinite(rewards[i])) {
      base::run_error("advantage", "reward of rollout {} is {}, want a finite number", i, rewards[i]);
    }
  }
}

/// Subtracts the mean. Equal values become exactly 0, which the rounding of a mean does not promise.
void centre(std::vector<double>& values) {
  if (values.empty()) return;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (*low == *high) {
    std::fill(values.begin(), values.end(), 0.0);
    return;
  }
  double sum = 0;
  for (const double value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (double& value : values) value -= mean;
}

/// Divides centred values by their unbiased standard deviation.
void scale_to_unit(std::vector<double>& values) {
  if (values.size() < 2) return;
  double squares = 0;
  for (const double value : values) squares += value * value;
  const double deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
  for (double& value : values) value /= deviation + kEpsilon;
}

}  // namespace

std::vector<std::string> advantage_names() {
  std::vector<std::string> names;
  for (const auto& [name, kind] : kNames) names.emplace_back(name);
  return names;
}

AdvantageKind advantage_kind(const std::string& name) {
  for (const auto& [known, kind] : kNames) {
    if (name == known) return kind;
  }
  base::user_error("advantage", "'{}', want one of: {}", name, fmt::join(advantage_names(), ", "));
}

bool within_group(AdvantageKind kind) {
  return kind != AdvantageKind::kBatch && kind != AdvantageKind::kGroupMeanBatch;
}

std::vector<double> group_advantages(const std::vector<double>& rewards, AdvantageKind kind) {
  if (!within_group(kind)) throw std::logic_error("group_advantages: this kind of advantage needs the whole batch");
  check_finite(rewards);
  std::vector<double> values = rewards;
  centre(values);
  if (kind == AdvantageKind::kGroup) scale_to_unit(values);
  if (kind == AdvantageKind::kLeaveOneOut && values.size() > 1) {
    // r_i - (S - r_i)/(n-1) = (r_i - S/n) * n/(n-1)
    const auto n = static_cast<double>(values.size());
    for (double& value : values) value *= n / (n - 1);
  }
  return values;
}

std::vector<std::vector<double>> batch_advantages(const std::vector<std::vector<double>>& rewards, AdvantageKind kind) {
  std::vector<std::vector<double>> result;
  result.reserve(rewards.size());
  if (within_group(kind)) {
    for (const auto& group : rewards) result.push_back(group_advantages(group, kind));
    return result;
  }

  std::vector<double> all;
  for (const auto& group : rewards) {
    check_finite(group);
    std::vector<double> values = group;
    if (kind == AdvantageKind::kGroupMeanBatch) centre(values);
    all.insert(all.end(), values.begin(), values.end());
  }
  centre(all);
  scale_to_unit(all);
  auto next = all.begin();
  for (const auto& group : rewards) {
    const auto end = next + static_cast<std::ptrdiff_t>(group.size());
    result.emplace_back(next, end);
    next = end;
  }
  return result;
}

}  // namespace whet::train
