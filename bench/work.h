// The work that is timed: sorting digits, as the peer in bench/peers does it, through the engine's public interface.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"

namespace whet::bench {

struct Options {
  std::string config;            ///< a config.json; weights are random
  std::string model;             ///< or a model folder with a tokenizer that has the task's characters
  std::string mode = "rl";       ///< rl, rollout, pretrain
  std::string reward = "random"; ///< random: a coin; majority-vote
  int steps = 20;
  int warm_up = 3;
  int problems = 64;
  int samples = 8;
  int max_new_tokens = 24;
  int batch = 128;               ///< documents of a pre-training step
  std::int64_t token_budget = 16384;
  double learning_rate = 5e-4;
  int threads = 0;
  std::uint64_t seed = 0;
};

/// `7402?` -> `#0247` and the end: 4-9 random digits, to be sorted.
class SortTask {
 public:
  /// Ids 0-9, 10, 11, 12 for the digits, `?`, `#` and the end, or those of the model's own tokenizer.
  SortTask(const Options& options, const engine::ModelConfig& config);

  struct Problem {
    std::vector<engine::TokenId> prompt;
    std::vector<engine::TokenId> answer;  ///< the sorted digits, without `#` and end
  };
  Problem problem(base::Random& random) const;
  /// A prompt and a careful response: each digit replaced by a random one with probability 3 %.
  engine::SharedPromptBatch document(base::Random& random) const;
  /// The digits after `#`; empty for a response that is cut or malformed.
  std::vector<engine::TokenId> answer_of(const std::vector<engine::TokenId>& response) const;

 private:
  std::vector<engine::TokenId> digits_;
  engine::TokenId ask_ = 10, mark_ = 11, end_ = 12;
};

/// What one step did: counts of tokens and of floating point operations that the mathematics needs (products and
/// attention; a multiplication and an addition are two). Work that the program does twice to save memory counts once.
struct StepCount {
  std::int64_t sampled = 0;        ///< response tokens drawn
  std::int64_t trained = 0;        ///< response tokens with a gradient
  std::int64_t packed = 0;         ///< rows of the update: prompts once a group, responses without their last token
  double rollout_flops = 0;
  double update_flops = 0;         ///< forward and backward (twice the forward)
};

/// One RL step (64 problems x 8 rollouts, coin or vote, one on-policy update), one rollout, or one pre-training step.
StepCount run_step(engine::Model& model, const SortTask& task, const Options& options, std::uint64_t step);

}  // namespace whet::bench
