// The work that is timed: sorting digits, as the peer in bench/peers does it, or prompts of random tokens for any model, through
// the engine's public interface.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/cores.h"
#include "base/fields.h"
#include "base/profile.h"
#include "base/random.h"
#include "engine/engine.h"
#include "train/model_options.h"

namespace whet::app {

struct BenchOptions {
  std::string model;
  std::string config;
  std::string run;
  std::string mode = "rl";
  std::string reward = "random";
  std::int64_t steps = 10;
  std::int64_t warm_up = 3;
  std::int64_t problems = 64;
  std::int64_t samples = 8;
  std::int64_t prompt_tokens = 0;
  std::int64_t max_new_tokens = 24;
  std::int64_t batch = 128;
  std::int64_t token_budget = 16384;
  double learning_rate = 5e-4;
  std::string device = "cpu";
  std::string precision = "float32";
  std::int64_t threads = 0;
  std::int64_t seed = 0;
};

template <class Visitor>
void visit_fields(BenchOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.model, "model", "a Hugging Face folder, or the name of an embedded base model; default: sort-strong",
        anything());
  visit(o.config, "config",
        "instead of a model: a config.json; weights are random, token ids 0 to 12 are the task's characters",
        anything());
  visit(o.run, "run", "instead of steps of its own: the phases that a run's folder has recorded", anything());
  visit(o.mode, "mode", "what a step is: rl (rollouts and an update), rollout, or pretrain (documents and an update)",
        one_of({"rl", "rollout", "pretrain"}));
  visit(o.reward, "reward", "random (a coin, so that weights of no skill have something to train on) or majority-vote",
        one_of({"random", "majority-vote"}));
  visit(o.steps, "steps", "steps that are timed; phases are medians over them", count_from(1));
  visit(o.warm_up, "warm-up", "steps before them", count_from(0));
  visit(o.problems, "problems", "problems of a step", count_from(1));
  visit(o.samples, "samples", "rollouts of a problem", count_from(2));
  visit(o.prompt_tokens, "prompt-tokens",
        "prompts of this many random tokens, for a model that cannot sort; 0: digits to sort", count_from(0));
  visit(o.max_new_tokens, "max-new-tokens", "length limit of a response", count_from(1));
  visit(o.batch, "batch", "documents of a pre-training step", count_from(1));
  visit(o.token_budget, "token-budget", "largest number of tokens in a micro-batch", count_from(1));
  visit(o.learning_rate, "learning-rate", "AdamW's", at_least(0));
  visit(o.device, "device", train::kDeviceHelp, anything());
  visit(o.precision, "precision",
        "float32, or bfloat16: weights in bfloat16, with float32 masters where a step trains them",
        train::precisions());
  visit(o.threads, "threads", base::kThreadsHelp, count_from(0));
  visit(o.seed, "seed", "fixes problems and tokens", at_least(0));
}

/// Where a step's problems come from.
class BenchTask {
 public:
  /// Sorting, `7402?` -> `#0247` and the end, 4-9 random digits: ids 0-9, 10, 11, 12 for the digits, `?`, `#` and the end, or those
  /// of the model's own tokenizer in `folder`. With --prompt-tokens: random tokens of the `vocabulary` in use, and no answer.
  BenchTask(const BenchOptions& options, const std::string& folder, const engine::ModelConfig& config,
            std::int64_t vocabulary);

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
  std::int64_t prompt_tokens_ = 0, vocabulary_ = 0;
};

/// Tokens of one step.
struct StepCount {
  std::int64_t prompted = 0;  ///< prompt tokens, each prompt once
  std::int64_t sampled = 0;   ///< response tokens drawn
  std::int64_t trained = 0;   ///< response tokens with a gradient
  std::int64_t packed = 0;    ///< rows of the update: prompts once a group, responses without their last token
};

/// One RL step (rollouts, coin or vote, one on-policy update), one rollout, or one pre-training step.
StepCount bench_step(engine::Model& model, const BenchTask& task, const BenchOptions& options, std::uint64_t step,
                     base::Profile& profile);

}  // namespace whet::app
