// Reading per-token values for the certainty rewards.
#include "rewards/token_stats.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace whet::rewards {
namespace {

std::size_t longest_stat(const Sample& sample) {
  return std::max({sample.logprob.size(), sample.entropy.size(), sample.self_certainty.size(), sample.gap.size()});
}

struct Span {
  std::size_t begin = 0, end = 0;
};

Span span_of(const Sample& sample, std::size_t length, Tokens tokens) {
  if (tokens == Tokens::kAll || !sample.answer_span) return {0, length};
  return {sample.answer_span->first, sample.answer_span->second};
}

}  // namespace

std::vector<std::optional<double>> token_sums(const Group& group, TokenStat stat, std::string_view reward,
                                              Tokens tokens) {
  std::vector<std::optional<double>> sums(group.samples.size());
  bool any = group.samples.empty();
  for (std::size_t i = 0; i < group.samples.size(); ++i) {
    const Sample& sample = group.samples[i];
    const std::span<const float> values = sample.*stat.member;
    if (values.size() != longest_stat(sample)) {
      base::user_error(reward, "rollout {} has {} values of '{}' for {} tokens, want one per token", i, values.size(),
                       stat.name, longest_stat(sample));
    }
    if (values.empty()) continue;
    any = true;
    const Span span = span_of(sample, values.size(), tokens);
    if (span.begin >= span.end || span.end > values.size()) {
      base::user_error(reward, "the answer of rollout {} is at tokens {} to {} of {}, want at least one of them", i,
                       span.begin, span.end, values.size());
    }
    double sum = 0;
    for (std::size_t t = 0; t < values.size(); ++t) {
      if (!std::isfinite(values[t])) {
        base::run_error(reward, "'{}' of rollout {} is {} at token {}, want a finite number", stat.name, i, values[t],
                        t);
      }
      if (t >= span.begin && t < span.end) sum += static_cast<double>(values[t]);
    }
    sums[i] = sum;
  }
  if (!any) {
    base::user_error(reward,
                     "none of the {} rollouts has the per-token values '{}'; add them to the dump, or let the "
                     "model compute them",
                     group.samples.size(), stat.name);
  }
  return sums;
}

std::vector<std::optional<double>> token_means(const Group& group, TokenStat stat, std::string_view reward,
                                               Tokens tokens) {
  std::vector<std::optional<double>> means = token_sums(group, stat, reward, tokens);
  for (std::size_t i = 0; i < means.size(); ++i) {
    if (!means[i]) continue;
    const Span span = span_of(group.samples[i], (group.samples[i].*stat.member).size(), tokens);
    *means[i] /= static_cast<double>(span.end - span.begin);
  }
  return means;
}

std::vector<double> lowest_when_absent(const std::vector<std::optional<double>>& values) {
  std::optional<double> lowest;
  for (const auto& value : values) {
    if (value && (!lowest || *value < *lowest)) lowest = value;
  }
  std::vector<double> result;
  result.reserve(values.size());
  for (const auto& value : values) result.push_back(value ? *value : lowest.value_or(0.0));
  return result;
}

}  // namespace whet::rewards
