// What can be set about a training run, each field listed once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/cores.h"
#include "base/fields.h"
#include "rewards/options.h"
#include "train/advantage.h"
#include "train/evidence_options.h"
#include "train/model_options.h"
#include "train/policy_loss.h"
#include "train/probe_options.h"
#include "train/verifier_options.h"

namespace whet::train {

/// Where problems come from.
struct ProblemOptions {
  std::string task = "sort";
  std::vector<std::string> problems;
  std::vector<std::string> held_out_problems;
  std::string chat_template = "model";
};

template <class Visitor>
void visit_fields(ProblemOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.task, "task", "where problems come from: a generator ('whet tasks' lists them), or 'file' with --problems",
        anything());
  visit(o.problems, "problems", "files of problems, JSON Lines or a JSON array: {prompt, answer?, id?}, or verl rows",
        anything());
  visit(o.held_out_problems, "held-out-problems",
        "files of problems to measure on; without, one problem in ten of --problems is held out", anything());
  visit(
      o.chat_template, "chat-template",
      "how prompts that are lists of messages become text: model (its own template, if it has one), none (contents joined "
      "by blank lines), all (the model's, and plain prompts of --problems are one user's message), or a FILE of Jinja",
      anything());
}

/// How responses are sampled.
struct SamplingFields {
  double temperature = 1.0;
  double top_p = 1.0;
  std::int64_t top_k = 0;
  std::int64_t max_new_tokens = 0;
};

template <class Visitor>
void visit_fields(SamplingFields& o, Visitor&& visit) {
  using namespace base;
  visit(o.temperature, "temperature", "logits are divided by it", above(0));
  visit(o.top_p, "top-p", "sample from the smallest set of tokens with this mass", within(1e-6, 1));
  visit(o.top_k, "top-k", "sample from this many most likely tokens; 0: all", count_from(0));
  visit(o.max_new_tokens, "max-new-tokens", "length limit of a response; 0: what the task needs", count_from(0));
}

struct TrainOptions {
  std::string model;
  ProblemOptions source;
  std::string transductive;
  std::int64_t train_problems = 0;
  std::string reward = "majority-vote";
  std::string combine = "advantages";
  rewards::RewardOptions rewards;
  std::int64_t seed = 0;
  std::int64_t steps = 300;
  std::int64_t prompts = 64;
  std::int64_t samples = 8;
  EvidenceOptions evidence;
  VerifierOptions verifier;
  std::int64_t mini_batches = 1;
  SamplingFields sampling;
  double learning_rate = 0;
  std::string learning_rate_schedule = "constant";
  std::int64_t warmup_steps = 0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double gradient_clip = 1.0;
  std::string advantage = "grpo";
  PolicyLossOptions loss;
  std::int64_t eval_every = 5;
  std::int64_t eval_problems = 100;
  std::int64_t eval_samples = 4;
  std::int64_t watch_problems = 0;
  bool guard = false;
  std::int64_t average_kept = 5;
  ProbeOptions probe;
  std::int64_t checkpoint_every = 25;
  std::int64_t keep_checkpoints = 2;
  std::int64_t rollouts_every = 5;
  std::int64_t token_budget = 16384;
  ModelOptions memory;
  std::int64_t threads = 0;
};

template <class Visitor>
void visit_fields(TrainOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.model, "model", "a Hugging Face folder, or the name of an embedded base model", anything());
  visit_fields(o.source, visit);
  visit(
      o.transductive, "transductive",
      "train and measure on the same problems, all of --problems (test-time training), and find their answers by the rules "
      "of this task: file, or a generator; empty: hold problems out",
      anything());
  visit(
      o.train_problems, "train-problems",
      "train on this many problems of --task or --problems again and again, chosen by --seed; 0: all (a generator never ends)",
      at_least(0));
  visit(o.reward, "reward",
        "what the policy is paid for ('whet rewards' lists them), or a weighted sum: majority-vote + 0.5*format",
        anything());
  visit(
      o.combine, "combine",
      "what a sum adds: the terms' advantages, each normalised on its own so that scales do not matter, or plain rewards",
      one_of({"advantages", "rewards"}));
  visit_fields(o.rewards, visit);
  visit(o.seed, "seed", "fixes every draw: problems, tokens, choices", at_least(0));
  visit(o.steps, "steps", "batches to sample and train on", count_from(1));
  visit(o.prompts, "prompts", "problems in a step", count_from(1));
  visit(o.samples, "samples", "rollouts of each problem", count_from(1));
  visit_fields(o.evidence, visit);
  visit_fields(o.verifier, visit);
  visit(o.mini_batches, "mini-batches", "updates per step; 1 is on-policy", count_from(1));
  visit_fields(o.sampling, visit);
  visit(o.learning_rate, "learning-rate",
        "AdamW's; 0: by the model's size, 2.5e-4 at 150 thousand parameters falling to 1e-6 at 1.7 billion",
        within(0, 1));
  visit(o.learning_rate_schedule, "learning-rate-schedule", "constant, or cosine to zero over --steps",
        one_of({"constant", "cosine"}));
  visit(o.warmup_steps, "warmup-steps", "steps of linear warm-up", count_from(0));
  visit(o.beta1, "beta1", "AdamW's decay of the mean", within(0, 0.999999));
  visit(o.beta2, "beta2", "AdamW's decay of the square", within(0, 0.999999));
  visit(o.epsilon, "epsilon", "AdamW's epsilon", above(0));
  visit(o.weight_decay, "weight-decay", "AdamW's, decoupled", at_least(0));
  visit(o.gradient_clip, "gradient-clip", "largest gradient norm; 0: off", at_least(0));
  visit(o.advantage, "advantage", "how rewards are compared", one_of(advantage_names()));
  visit_fields(o.loss, visit);
  visit(o.eval_every, "eval-every", "steps between held-out measurements", count_from(1));
  visit(o.eval_problems, "eval-problems", "held-out problems to measure on", count_from(1));
  visit(o.eval_samples, "eval-samples", "rollouts of each held-out problem", count_from(1));
  visit(o.watch_problems, "watch-problems",
        "held-out problems to take the label-free signals from, after the first --eval-problems; 0: the same ones",
        at_least(0));
  visit(o.guard, "guard", "end the run when the label-free watch raises its alarm, and name the checkpoint to keep",
        anything());
  visit(
      o.average_kept, "average-kept",
      "the model that is kept is the average of the weights of the best steps by the label-free watch, at most this many; 1: the "
      "best alone",
      count_from(1));
  visit_fields(o.probe, visit);
  visit(o.checkpoint_every, "checkpoint-every", "steps between checkpoints", count_from(1));
  visit(o.keep_checkpoints, "keep-checkpoints", "newest checkpoints to keep, besides the best", count_from(1));
  visit(o.rollouts_every, "rollouts-every", "steps between rollout dumps; 0: none", count_from(0));
  visit(o.token_budget, "token-budget", "largest number of tokens in a micro-batch", count_from(1));
  visit_fields(o.memory, visit);
  visit(o.threads, "threads", base::kThreadsHelp, count_from(0));
}

}  // namespace whet::train
