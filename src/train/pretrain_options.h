// What can be set about pre-training, each field listed once.
#pragma once

#include <cstdint>
#include <string>

#include "base/cores.h"
#include "base/fields.h"
#include "train/model_options.h"

namespace whet::train {

struct PretrainOptions {
  std::string task = "sort";
  std::string mixture;
  std::int64_t seed = 0;
  std::int64_t steps = 2500;
  std::int64_t batch = 128;
  std::int64_t hidden_size = 64;
  std::int64_t layers = 3;
  std::int64_t heads = 4;
  std::int64_t key_value_heads = 4;
  std::int64_t head_dim = 16;
  std::int64_t intermediate_size = 176;
  std::int64_t max_positions = 512;
  bool tie_embeddings = false;
  double learning_rate = 2e-3;
  std::int64_t warmup_steps = 50;
  double final_rate_share = 0.05;
  double weight_decay = 0.01;
  double gradient_clip = 1.0;
  std::int64_t checkpoint_every = 500;
  std::int64_t keep_checkpoints = 10;
  std::int64_t log_every = 10;
  std::int64_t eval_problems = 200;
  std::int64_t eval_samples = 8;
  std::int64_t token_budget = 16384;
  std::string device = "cpu";
  std::string precision = "float32";
  std::int64_t threads = 0;
};

template <class Visitor>
void visit_fields(PretrainOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.task, "task", "whose text to learn ('whet tasks' lists them)", anything());
  visit(o.mixture, "mixture", "which of the task's text mixtures; empty: its default", anything());
  visit(o.seed, "seed", "fixes weights and text", at_least(0));
  visit(o.steps, "steps", "updates", count_from(1));
  visit(o.batch, "batch", "documents in an update", count_from(1));
  visit(o.hidden_size, "hidden-size", "width of the model", count_from(1));
  visit(o.layers, "layers", "number of layers", count_from(1));
  visit(o.heads, "heads", "query heads", count_from(1));
  visit(o.key_value_heads, "key-value-heads", "key and value heads; divides --heads", count_from(1));
  visit(o.head_dim, "head-dim", "width of a head; even", count_from(2));
  visit(o.intermediate_size, "intermediate-size", "width of the gated MLP", count_from(1));
  visit(o.max_positions, "max-positions", "longest sequence that the config allows", count_from(1));
  visit(o.tie_embeddings, "tie-embeddings", "one matrix for embedding and head", anything());
  visit(o.learning_rate, "learning-rate", "AdamW's, after warm-up", above(0));
  visit(o.warmup_steps, "warmup-steps", "steps of linear warm-up", count_from(0));
  visit(o.final_rate_share, "final-rate-share", "linear decay ends at this share of the rate", within(0, 1));
  visit(o.weight_decay, "weight-decay", "AdamW's, decoupled", at_least(0));
  visit(o.gradient_clip, "gradient-clip", "largest gradient norm; 0: off", at_least(0));
  visit(o.checkpoint_every, "checkpoint-every", "updates between checkpoints; each is a base model", count_from(1));
  visit(o.keep_checkpoints, "keep-checkpoints", "newest checkpoints to keep", count_from(1));
  visit(o.log_every, "log-every", "updates between lines of metrics", count_from(1));
  visit(o.eval_problems, "eval-problems", "held-out problems to measure each checkpoint on", count_from(1));
  visit(o.eval_samples, "eval-samples", "rollouts of each", count_from(1));
  visit(o.token_budget, "token-budget", "largest number of tokens in a micro-batch", count_from(1));
  visit(o.device, "device", kDeviceHelp, anything());
  visit(
      o.precision, "precision",
      "float32, or bfloat16: weights in bfloat16 with float32 masters, which an update changes; products are in bfloat16 where "
      "the processor has them (AVX512_BF16)",
      precisions());
  visit(o.threads, "threads", base::kThreadsHelp, count_from(0));
}

}  // namespace whet::train
