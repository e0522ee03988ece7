// Reading per-token values for the certainty rewards: one place for their checks and for responses without a token.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "rewards/reward.h"

namespace whet::rewards {

/// One of Sample's per-token arrays, with the name that messages use for it.
struct TokenStat {
  std::span<const float> Sample::* member;
  std::string_view name;
};

inline constexpr TokenStat kLogprob{&Sample::logprob, "logprob"};
inline constexpr TokenStat kEntropy{&Sample::entropy, "entropy"};
inline constexpr TokenStat kSelfCertainty{&Sample::self_certainty, "self_certainty"};
inline constexpr TokenStat kGap{&Sample::gap, "gap"};

/// Which of a response's tokens are added up. Where Sample::answer_span is absent, kAnswer takes them all.
enum class Tokens { kAll, kAnswer };

/// The sum of `stat` over each response's tokens; nullopt for a response without tokens.
///
/// UserError when no response of the group has the values, when one response has other per-token values but not these,
/// when their numbers differ, or when an answer's tokens do not lie among the response's. RunError naming `reward` and
/// the rollout when a value is not finite.
std::vector<std::optional<double>> token_sums(const Group& group, TokenStat stat, std::string_view reward,
                                              Tokens tokens = Tokens::kAll);

/// The same, divided by the number of tokens.
std::vector<std::optional<double>> token_means(const Group& group, TokenStat stat, std::string_view reward,
                                               Tokens tokens = Tokens::kAll);

/// Fills the gaps with the group's smallest value (0 if there is none). A mean over no tokens has no value; any fixed
/// one could be the best of its group (an entropy of 0, a probability of 1) and pay for saying nothing.
std::vector<double> lowest_when_absent(const std::vector<std::optional<double>>& values);

}  // namespace whet::rewards
