// One line of rollouts/{step}.jsonl: verl's fields, so that tools for its dumps read ours, and our own beside them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace whet::store {

/// A response as it was sampled and scored. Means run over the response including its first end token.
struct RolloutRow {
  std::string input;                  ///< the prompt
  std::string output;                 ///< the response; bytes that are not UTF-8 become U+FFFD in the file
  std::optional<std::string> gts;     ///< the label (verl's name for it), where there is one
  double score = 0;                   ///< the pseudo-reward that the policy was trained on
  std::optional<std::string> answer;  ///< canonical form; absent when none could be extracted
  std::optional<double> true_score;   ///< 1 right, 0 wrong; absent without a label
  double logprob = 0;                 ///< mean over tokens of log pi(y_t), nats
  double entropy = 0;                 ///< mean over tokens, nats
  double self_certainty = 0;          ///< mean over tokens of KL(U || pi_t), nats
  double gap = 0;                     ///< largest minus second largest probability, mean over the answer's tokens
                                      ///< where they are known, else over all
  bool truncated = false;             ///< cut at the length limit
  std::vector<std::int32_t> tokens;   ///< ids of the response: what loses nothing where `output` may
};

/// The row as an object, with `step` among verl's fields. What is absent is null; so is a number that is not finite.
base::Json to_json(const RolloutRow& row, std::int64_t step);

}  // namespace whet::store
