#include "train/pretrainer.h"

#include <algorithm>
#include <cmath>

#include "analysis/evaluation.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "store/manifest.h"
#include "train/groups.h"
#include "train/interrupt.h"
#include "train/problems.h"

namespace whet::train {
namespace {

using base::Json;
namespace fs = std::filesystem;

constexpr const char* kTokenizerFolder = "tokenizer";

engine::ModelConfig config_of(const PretrainOptions& options, std::int64_t tokens) {
  engine::ModelConfig config;
  config.vocab_size = (tokens + 15) / 16 * 16;  // full vector registers; the rows beyond are padding
  config.hidden_size = options.hidden_size;
  config.intermediate_size = options.intermediate_size;
  config.num_hidden_layers = options.layers;
  config.num_attention_heads = options.heads;
  config.num_key_value_heads = options.key_value_heads;
  config.head_dim = options.head_dim;
  config.max_position_embeddings = options.max_positions;
  config.tie_word_embeddings = options.tie_embeddings;
  config.eos_token_ids = {0};
  if (options.heads % options.key_value_heads != 0) {
    base::user_error("key-value-heads", "{}, want a divisor of --heads {}", options.key_value_heads, options.heads);
  }
  if (options.head_dim % 2 != 0) base::user_error("head-dim", "{}, want an even number", options.head_dim);
  return config;
}

std::string sorted_alphabet(const tasks::Task& task) {
  std::string alphabet = task.alphabet();
  std::sort(alphabet.begin(), alphabet.end());
  alphabet.erase(std::unique(alphabet.begin(), alphabet.end()), alphabet.end());
  return alphabet;
}

}  // namespace

Pretrainer::Pretrainer(const PretrainOptions& options, const fs::path& out,
                       const std::vector<std::string>& command_line)
    : options_(options), task_(tasks::tasks().find(options.task).make({})) {
  base::require_new_folder(out);
  // A wrong mixture is found here, before a folder is made for it.
  base::Random probe(0);
  (void)task_->document(options_.mixture, probe);
  const auto tokens = static_cast<std::int64_t>(sorted_alphabet(*task_).size()) + 1;  // and the end token
  model_ =
      engine::new_model(config_of(options_, tokens), static_cast<std::uint64_t>(options_.seed), engine_options(tokens));
  const Json manifest = store::make_manifest({.command_line = command_line,
                                              .seed = static_cast<std::uint64_t>(options_.seed),
                                              .engine = engine::engine_versions(),
                                              .data = {}});
  writer_.emplace(store::RunWriter::create(out, base::fields_to_json(options_), manifest));
  make_tokenizer();
}

Pretrainer::Pretrainer(const fs::path& folder) {
  store::Resumed resumed = store::RunWriter::resume(folder);
  base::fields_from_json(options_, resumed.config, (folder / store::kConfigFile).string());
  task_ = tasks::tasks().find(options_.task).make({});
  writer_.emplace(std::move(resumed.writer));
  make_tokenizer();  // the same again: a kill may have come before it was whole
  const engine::EngineOptions engine = engine_options(tokenizer_->vocab_size());
  if (resumed.step < 0) {
    model_ = engine::new_model(config_of(options_, tokenizer_->vocab_size()), static_cast<std::uint64_t>(options_.seed),
                               engine);
    return;
  }
  model_ = engine::open_model(resumed.checkpoint, engine);
  model_->load_optimizer(resumed.checkpoint / "optimizer.safetensors");
  done_ = last_checkpoint_ = resumed.step;
  tokens_ = resumed.trainer.at("tokens").get<std::int64_t>();
  loss_sum_ = resumed.trainer.at("loss_sum").get<double>();
  losses_ = resumed.trainer.at("losses").get<std::int64_t>();
}

engine::EngineOptions Pretrainer::engine_options(std::int64_t vocabulary) {
  engine::EngineOptions engine{.threads = static_cast<int>(options_.threads), .vocabulary_in_use = vocabulary};
  engine.device = options_.device;
  engine.precision = precision_of(options_.precision);
  engine.profile = &profile_;
  return engine;
}

void Pretrainer::make_tokenizer() {
  const fs::path folder = writer_->folder() / kTokenizerFolder;
  fs::create_directories(folder);
  tokenizer::write_character_tokenizer(folder, sorted_alphabet(*task_));
  tokenizer_.emplace(tokenizer::Tokenizer::load(folder));
}

double Pretrainer::learning_rate_at(std::int64_t number) const {
  if (number <= options_.warmup_steps) {
    return options_.learning_rate * static_cast<double>(number) / static_cast<double>(options_.warmup_steps);
  }
  const double rest = static_cast<double>(std::max<std::int64_t>(1, options_.steps - options_.warmup_steps));
  const double progress = static_cast<double>(number - options_.warmup_steps) / rest;
  return options_.learning_rate * (1 - progress * (1 - options_.final_rate_share));
}

double Pretrainer::update(std::int64_t number) {
  const base::Span span(&profile_, base::Phase::kOther, "step");
  std::vector<engine::SharedPromptBatch> batch;
  std::int64_t total = 0;
  const engine::TokenId end = model_->config().eos_token_ids.front();
  for (std::int64_t i = 0; i < options_.batch; ++i) {
    base::Random random{static_cast<std::uint64_t>(options_.seed), base::hash_text("document"),
                        static_cast<std::uint64_t>(number), static_cast<std::uint64_t>(i)};
    const tasks::Document document = task_->document(options_.mixture, random);
    std::vector<engine::TokenId> completion = tokenizer_->encode(document.completion);
    completion.push_back(end);
    total += static_cast<std::int64_t>(completion.size());
    batch.push_back({tokenizer_->encode(document.context), {std::move(completion)}});
  }
  double sum = 0;
  const float share = -1.0f / static_cast<float>(total);
  model_->accumulate_gradient(batch, 1.0, options_.token_budget,
                              [&](std::size_t, std::size_t, std::span<const float> logprob, std::span<float> gradient) {
                                for (const float value : logprob) sum -= value;
                                std::fill(gradient.begin(), gradient.end(), share);
                              });
  const double loss = sum / static_cast<double>(total);
  if (!std::isfinite(loss)) base::run_error("pretrain", "loss {} at step {}, want a finite number", loss, number);
  model_->optimizer_step({.learning_rate = learning_rate_at(number),
                          .weight_decay = options_.weight_decay,
                          .clip = options_.gradient_clip});
  tokens_ += total;
  return loss;
}

double Pretrainer::accuracy(std::int64_t number) {
  const base::Span span(&profile_, base::Phase::kEvaluation);
  std::vector<analysis::ProblemOutcome> outcomes;
  const auto groups = sample_groups(*model_, *tokenizer_, *task_, held_out_problems(*task_, options_.eval_problems),
                                    static_cast<int>(options_.eval_samples), sampling_options({}, *task_),
                                    base::combine({static_cast<std::uint64_t>(options_.seed),
                                                   base::hash_text("held-out"), static_cast<std::uint64_t>(number)}));
  for (const Group& group : groups) outcomes.push_back(outcome_of(group, *task_));
  return analysis::evaluate(outcomes, {}, 0).avg.value;
}

void Pretrainer::checkpoint(std::int64_t number) {
  if (number == last_checkpoint_) return;
  const base::Span span(&profile_, base::Phase::kIo, "checkpoint");
  const fs::path folder = writer_->begin_checkpoint(number);
  model_->save(folder);
  model_->save_optimizer(folder / "optimizer.safetensors");
  copy_tokenizer(writer_->folder() / kTokenizerFolder, folder);
  // The mean of a line that is half gathered goes on where it was, so that a resumed run writes the same bytes.
  writer_->commit_checkpoint(number,
                             {{"step", number}, {"tokens", tokens_}, {"loss_sum", loss_sum_}, {"losses", losses_}});
  last_checkpoint_ = number;
  writer_->prune_checkpoints(static_cast<int>(options_.keep_checkpoints));
}

void Pretrainer::append(const Json& metrics, const PretrainReport& report) {
  {
    const base::Span span(&profile_, base::Phase::kIo, "metrics");
    writer_->append_metrics(metrics);
  }
  writer_->append_timings({{"step", report.step},
                           {"seconds", report.seconds},
                           {"tokens_per_second", report.tokens_per_second},
                           {"phases", base::costs_json(profile_.take())}});
}

PretrainSummary Pretrainer::run(const std::function<void(const PretrainReport&)>& observer) {
  listen_for_interrupt();
  const base::Stopwatch since_start;
  base::Stopwatch since_line;
  std::int64_t lap_tokens = tokens_;
  while (done_ < options_.steps && !interrupted()) {
    const std::int64_t number = done_ + 1;
    loss_sum_ += update(number);
    ++losses_;
    done_ = number;
    const bool whole = number % options_.checkpoint_every == 0 || number == options_.steps;
    if (number % options_.log_every == 0 || whole) {
      PretrainReport report{
          .step = number, .steps = options_.steps, .loss = loss_sum_ / static_cast<double>(losses_), .tokens = tokens_};
      report.seconds = since_line.seconds();
      report.tokens_per_second = static_cast<double>(tokens_ - lap_tokens) / report.seconds;
      Json metrics = {
          {"step", number}, {"loss", report.loss}, {"tokens", tokens_}, {"learning_rate", learning_rate_at(number)}};
      if (whole) {
        report.accuracy = accuracy(number);
        metrics["heldout_accuracy"] = *report.accuracy;
      }
      append(metrics, report);
      observer(report);
      since_line.lap();
      lap_tokens = tokens_;
      loss_sum_ = 0;
      losses_ = 0;
    }
    if (whole) checkpoint(number);
  }
  PretrainSummary summary{
      .steps = done_, .was_interrupted = done_ < options_.steps, .seconds = since_start.seconds(), .tokens = tokens_};
  checkpoint(done_);
  summary.checkpoint = writer_->folder() / store::kCheckpointsFolder / fmt::format("step-{:06}", done_);
  if (!summary.was_interrupted) {
    writer_->finish({{"steps", done_}, {"tokens", tokens_}, {"parameters", parameters()}});
  }
  return summary;
}

}  // namespace whet::train
