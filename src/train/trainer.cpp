#include "train/trainer.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "store/manifest.h"
#include "train/interrupt.h"
#include "train/update.h"

namespace whet::train {
namespace {

using base::Json;

/// Everything in the options that can be wrong without reading a file.
void check(const TrainOptions& options) {
  if (options.samples < 2 && within_group(advantage_kind(options.advantage))) {
    base::user_error("samples", "{}, want >= 2: advantage '{}' compares the rollouts of a problem with each other",
                     options.samples, options.advantage);
  }
  if (options.mini_batches > options.prompts) {
    base::user_error("mini-batches", "{}, want at most --prompts {}", options.mini_batches, options.prompts);
  }
}

std::vector<std::filesystem::path> data_files(const TrainOptions& options, const std::filesystem::path& model) {
  std::vector<std::filesystem::path> files;
  const auto add_model = [&files](const std::filesystem::path& folder) {
    const auto first = static_cast<std::ptrdiff_t>(files.size());
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.is_regular_file() && entry.path().filename() != "README.md") files.push_back(entry.path());
    }
    std::sort(files.begin() + first, files.end());
  };
  add_model(model);
  for (const std::string& voter : options.evidence.voters) add_model(voter);
  if (is_other_model(options.verifier)) add_model(options.verifier.verifier);
  if (!options.verifier.verifier_template.empty()) files.emplace_back(options.verifier.verifier_template);
  for (const auto* list : {&options.source.problems, &options.source.held_out_problems, &options.probe.files}) {
    files.insert(files.end(), list->begin(), list->end());
  }
  return files;
}

/// Mean over tokens of log pi - log base, on one response of each problem; absent when there is no token. The base's pass over
/// all of them would take a sixth of a small model's step.
std::optional<double> kl_to_start(engine::Model& base, const std::vector<Group>& groups, double temperature) {
  std::vector<engine::SharedPromptBatch> batch;
  double sum = 0;
  std::int64_t tokens = 0;
  for (const Group& group : groups) {
    if (group.rollouts.empty()) continue;
    const engine::Rollout& first = group.rollouts.front();
    batch.push_back({group.prompt, {first.tokens}});
    for (const float value : first.logprob) sum += value;
    tokens += static_cast<std::int64_t>(first.tokens.size());
  }
  if (tokens == 0) return std::nullopt;
  for (const auto& responses : base.logprobs(batch, temperature)) {
    for (const float value : responses.front()) sum -= value;
  }
  return sum / static_cast<double>(tokens);
}

}  // namespace

Trainer::Trainer(const TrainOptions& options, const std::filesystem::path& out,
                 const std::vector<std::string>& command_line, const std::filesystem::path& trace)
    : options_(options) {
  base::require_new_folder(out);
  if (!trace.empty()) profile_.start_trace(trace, "whet train");
  const std::filesystem::path weights = resolve_model(options_.model);
  // A resumed run must find the same base wherever it is started from.
  options_.model = std::filesystem::absolute(weights).lexically_normal().string();
  for (std::string& voter : options_.evidence.voters) {
    voter = std::filesystem::absolute(resolve_model(voter)).lexically_normal().string();
  }
  VerifierOptions& verifier = options_.verifier;
  if (is_other_model(verifier)) {
    verifier.verifier = std::filesystem::absolute(resolve_model(verifier.verifier)).lexically_normal().string();
  }
  if (!verifier.verifier_template.empty()) {
    verifier.verifier_template = std::filesystem::absolute(verifier.verifier_template).lexically_normal().string();
  }
  open({});
  if (probe_) probe_->require_trainable();
  options_.learning_rate = rate_;
  const Json manifest = store::make_manifest({.command_line = command_line,
                                              .seed = static_cast<std::uint64_t>(options_.seed),
                                              .engine = engine::engine_versions(),
                                              .data = data_files(options_, weights)});
  profile_.flush_trace();  // a file that cannot be written is found before there is a run
  writer_.emplace(store::RunWriter::create(out, base::fields_to_json(options_), manifest));
}

Trainer::Trainer(const std::filesystem::path& folder, const std::filesystem::path& trace) {
  if (!trace.empty()) profile_.start_trace(trace, "whet train");
  store::Resumed resumed = store::RunWriter::resume(folder);
  base::fields_from_json(options_, resumed.config, (folder / store::kConfigFile).string());
  writer_.emplace(std::move(resumed.writer));
  open(resumed.checkpoint);
  if (resumed.step >= 0) {
    policy_->model->load_optimizer(resumed.checkpoint / "optimizer.safetensors");
    done_ = resumed.step;
    last_checkpoint_ = resumed.step;
    tokens_ = resumed.trainer.at("tokens").get<std::int64_t>();
  }
  replay(resumed.metrics);
  profile_.flush_trace();
}

Trainer::~Trainer() = default;

void Trainer::open(const std::filesystem::path& checkpoint) {
  check(options_);
  contenders_ = analysis::Contenders({.count = static_cast<int>(options_.average_kept)});
  scoring_.emplace(options_);
  task_ = make_training_task(options_, options_.model);
  engine::EngineOptions others = asking_options(options_.threads, options_.memory.precision, options_.memory.device);
  others.profile = &profile_;
  engine::EngineOptions engine = engine_options(options_.memory, options_.threads, options_.seed);
  engine.profile = &profile_;
  const base::Span span(&profile_, base::Phase::kOther, "opening");
  const std::filesystem::path base = options_.model;
  // Adapters begin as no correction: a copy of the policy is then the base, and shares its frozen weights.
  const bool has_adapters = engine.lora.rank > 0;
  policy_.emplace(open_text_model(checkpoint.empty() || has_adapters ? base : checkpoint, engine));
  // Nor is the base of a policy in bfloat16 a copy of it: it needs no masters.
  const bool is_copy = has_adapters || (checkpoint.empty() && !has_masters(options_.memory));
  base_ = is_copy ? policy_->model->clone() : open_text_model(base, others).model;
  if (has_adapters && !checkpoint.empty()) policy_->model->load_adapters(checkpoint);
  evidence_.emplace(EvidenceContext{*policy_, *task_, options_, checkpoint, base_.get(), others}, scoring_->terms());
  // Last: that a reward cannot be had at all matters more than a problem that does not fit.
  require_usable(*task_, *policy_, options_);
  rate_ = learning_rate_for(options_.learning_rate, parameters());
  const auto measure_on = [this](std::optional<HeldOut>& held_out, std::vector<tasks::Problem> problems, bool grading) {
    held_out.emplace(*policy_, *base_, *task_, std::move(problems), static_cast<int>(options_.eval_samples),
                     sampling_options(options_.sampling, *task_), static_cast<std::uint64_t>(options_.seed), grading);
  };
  std::vector<tasks::Problem> problems = held_out_problems(*task_, options_.eval_problems + options_.watch_problems);
  if (options_.watch_problems > 0) {
    const auto measured = static_cast<std::size_t>(options_.eval_problems);
    if (problems.size() <= measured) {
      base::user_error("watch-problems", "{}, but only {} held-out problems, want more than --eval-problems {}",
                       options_.watch_problems, problems.size(), options_.eval_problems);
    }
    measure_on(watched_problems_, {problems.begin() + static_cast<std::ptrdiff_t>(measured), problems.end()},
               /*grading=*/false);
    problems.resize(measured);
  }
  measure_on(held_out_, std::move(problems), /*grading=*/true);
  if (options_.probe.is_asked()) {
    const std::int64_t looks = (options_.steps + options_.eval_every - 1) / options_.eval_every;
    probe_.emplace(*policy_, *base_, *task_,
                   probe_problems(options_, *task_, options_.eval_problems + options_.watch_problems), options_.probe,
                   sampling_options(options_.sampling, *task_), static_cast<std::uint64_t>(options_.seed), looks);
  }
}

std::vector<std::string> Trainer::notes() const {
  std::vector<std::string> lines = task_->notes();
  if (probe_) lines.push_back(probe_->describe_base());
  return lines;
}

void Trainer::replay(const std::vector<Json>& metrics) {
  for (const Json& line : metrics) {
    const auto step = line.at("step").get<std::int64_t>();
    base_measured_ = base_measured_ || step == 0;
    if (line.contains("reward_accuracy") && line.at("reward_accuracy").is_number()) {
      marks_.update(step, line.at("reward_accuracy").get<double>());
    }
    if (line.contains("heldout_accuracy")) accuracy_.push_back({step, line.at("heldout_accuracy").get<double>()});
    analysis::BaseView view;
    if (line.contains("base_logprob")) view.logprob = line.at("base_logprob").get<double>();
    if (line.contains("base_agreement")) view.agreement = line.at("base_agreement").get<double>();
    judge(step, view);
  }
}

void Trainer::judge(std::int64_t number, const analysis::BaseView& view) {
  if (!view.logprob && !view.agreement) return;
  const analysis::WatchState& state = watch_.update(number, view);
  watched_ = true;
  if (!state.collapse_step) contenders_.update(number, state.current);
  if (state.peak_step == number) best_view_ = view;
}

HeldOut::Result Trainer::measure_problems(std::int64_t number) {
  const base::Span span(&profile_, base::Phase::kEvaluation);
  HeldOut::Result result = held_out_->measure(number);
  if (watched_problems_) {
    const HeldOut::Result watched = watched_problems_->measure(number);
    result.metrics.update(watched.metrics);
    result.view = watched.view;
    result.tokens += watched.tokens;
  }
  tokens_ += result.tokens;
  return result;
}

void Trainer::measure_held_out(std::int64_t number, Json& metrics) {
  const HeldOut::Result result = measure_problems(number);
  metrics.update(result.metrics);
  writer_->append_held_out(result.problems);
  if (result.accuracy) accuracy_.push_back({number, *result.accuracy});
  judge(number, result.view);
  if (probe_) {
    const base::Span span(&profile_, base::Phase::kEvaluation);
    probed_ = probe_->measure(number);
    metrics.update(probed_->metrics);
    tokens_ += probed_->tokens;
  }
}

Json Trainer::step(std::int64_t number, Json& timings) {
  const auto seed = static_cast<std::uint64_t>(options_.seed);
  const base::Span span(&profile_, base::Phase::kOther, fmt::format("step {}", number));
  base::Stopwatch watch;
  const auto lap = [&](const char* phase) { timings[phase] = watch.lap(); };

  // Sample.
  Gathering gathering{.seed = seed, .step = number};
  gathering.problems =
      take_problems(*task_, tasks::Split::kTrain, seed, options_.prompts, (number - 1) * options_.prompts);
  evidence_->plan(gathering);
  gathering.groups = sample_groups(*policy_->model, policy_->tokenizer, *task_, gathering.problems, gathering.rollouts,
                                   sampling_options(options_.sampling, *task_), gathering.stream("train"));
  const std::int64_t sampled_tokens = token_count(gathering.groups);
  lap("rollout_seconds");

  // Gather what the reward asks for besides.
  {
    const base::Span gathers(&profile_, base::Phase::kReward, "evidence");
    evidence_->gather(gathering);
  }
  const std::vector<Group>& groups = gathering.groups;
  const std::int64_t response_tokens = token_count(groups);
  tokens_ += response_tokens + gathering.tokens;
  if (!evidence_->is_empty()) {
    lap("evidence_seconds");
    timings["evidence_tokens"] = gathering.tokens;
  }

  // Score and compare.
  std::optional<base::Span> scoring(std::in_place, &profile_, base::Phase::kReward);
  ScoredBatch scored = scoring_->score(groups, *task_, seed, number);
  Json metrics = {{"step", number}};
  analysis::StepSignals& signals = scored.signals;
  analysis::visit_signals(signals, [&](const std::optional<double>& value, const char* name, const char*) {
    if (value) metrics[name] = *value;
  });
  metrics.update(gathering.metrics);
  metrics.update(scored.metrics);
  if (signals.reward_accuracy) marks_.update(number, *signals.reward_accuracy);
  scoring.reset();
  lap("reward_seconds");

  // Before this update.
  if (const auto kl = kl_to_start(*base_, groups, options_.sampling.temperature)) metrics["kl_to_start"] = *kl;
  lap("reference_seconds");

  // Update.
  const double rate = scheduled_rate(options_, rate_, number);
  const Update update = update_policy(*policy_->model, base_.get(), groups, scored.advantages, options_, rate,
                                      sampling_options(options_.sampling, *task_).max_new_tokens);
  metrics["loss"] = update.loss.loss;
  metrics["clip_share"] = update.loss.clip_share();
  if (options_.loss.kl_coefficient > 0) metrics["kl_loss"] = update.loss.kl_loss;
  metrics["gradient_norm"] = update.gradient_norm;
  metrics["learning_rate"] = rate;
  evidence_->after_update(number);
  lap("update_seconds");

  if (options_.rollouts_every > 0 && number % options_.rollouts_every == 0)
    dump_rollouts(number, groups, scored.rewards);
  lap("dump_seconds");
  if (number % options_.eval_every == 0 || number == options_.steps) measure_held_out(number, metrics);
  lap("evaluation_seconds");
  const double rollout_seconds = timings.at("rollout_seconds").get<double>();
  timings["rollout_tokens_per_second"] = static_cast<double>(sampled_tokens) / rollout_seconds;
  timings["update_tokens_per_second"] =
      static_cast<double>(response_tokens) / timings.at("update_seconds").get<double>();
  return metrics;
}

void Trainer::dump_rollouts(std::int64_t number, const std::vector<Group>& groups,
                            const std::vector<std::vector<double>>& rewards) {
  const base::Span span(&profile_, base::Phase::kIo, "rollout dump");
  const auto mean = [](std::span<const float> values) {
    double sum = 0;
    for (const float value : values) sum += value;
    return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
  };
  std::vector<store::RolloutRow> rows;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Group& group = groups[g];
    for (std::size_t i = 0; i < group.rollouts.size(); ++i) {
      const engine::Rollout& rollout = group.rollouts[i];
      std::span<const float> gaps = rollout.gap;
      if (const auto place = group.answer_tokens.empty() ? std::nullopt : group.answer_tokens[i]) {
        gaps = gaps.subspan(place->first, place->second - place->first);
      }
      rows.push_back(
          {.input = group.problem.prompt,
           .output = group.texts[i],
           .gts = group.problem.answer,
           .score = rewards[g][i],
           .answer = group.answers[i],
           .true_score = group.correct[i] ? std::optional<double>(*group.correct[i] ? 1.0 : 0.0) : std::nullopt,
           .logprob = mean(rollout.logprob),
           .entropy = mean(rollout.entropy),
           .self_certainty = mean(rollout.self_certainty),
           .gap = mean(gaps),
           .truncated = rollout.truncated,
           .tokens = rollout.tokens});
    }
  }
  writer_->write_rollouts(number, std::move(rows));
}

void Trainer::checkpoint(std::int64_t number) {
  if (number == last_checkpoint_) return;
  const base::Span span(&profile_, base::Phase::kIo, "checkpoint");
  const std::filesystem::path folder = writer_->begin_checkpoint(number);
  policy_->model->save(folder);
  policy_->model->save_optimizer(folder / "optimizer.safetensors");
  // The base's, which stays: the checkpoint that a resumed run was opened from may have been pruned.
  copy_tokenizer(options_.model, folder);
  evidence_->save(folder);
  writer_->commit_checkpoint(number, {{"step", number}, {"seed", options_.seed}, {"tokens", tokens_}});
  last_checkpoint_ = number;
  std::vector<std::int64_t> protect;
  if (watched_) protect = contenders_.steps();
  std::erase(protect, 0);  // the base needs no checkpoint
  writer_->prune_checkpoints(static_cast<int>(options_.keep_checkpoints), protect);
}

void Trainer::append_metrics(const Json& metrics) {
  const base::Span span(&profile_, base::Phase::kIo, "metrics");
  writer_->append_metrics(metrics);
}

TrainSummary Trainer::run(const Observer& observer) {
  listen_for_interrupt();
  const base::Stopwatch since_start;
  const auto tell = [&](std::int64_t number, const Json& metrics, const Json& timings, double seconds) {
    return observer({.step = number,
                     .steps = options_.steps,
                     .metrics = metrics,
                     .timings = timings,
                     .seconds = seconds,
                     .marks = &marks_,
                     .watch = watched_ ? &watch_.state() : nullptr});
  };
  bool go_on = true;
  if (!base_measured_) {
    Json metrics = {{"step", 0}};
    measure_held_out(0, metrics);
    append_metrics(metrics);
    base_measured_ = true;
    go_on = tell(0, metrics, Json::object(), since_start.seconds());
  }
  (void)profile_.take();  // what it took to begin belongs to no step
  while (go_on && !must_stop() && done_ < options_.steps && !interrupted()) {
    const base::Stopwatch since_step;
    const std::int64_t number = done_ + 1;
    Json timings = {{"step", number}};
    const Json metrics = step(number, timings);
    append_metrics(metrics);
    done_ = number;
    // A checkpoint that the watch judges among the best so far is written at once: later it cannot be had any more.
    if (contenders_.contains(number) || number % options_.checkpoint_every == 0) checkpoint(number);
    timings["seconds"] = since_step.seconds();
    timings["phases"] = base::costs_json(profile_.take());
    writer_->append_timings(timings);
    profile_.flush_trace();
    go_on = tell(number, metrics, timings, since_step.seconds());
  }
  TrainSummary summary;
  summary.steps = done_;
  summary.was_guarded = is_guarded();
  summary.probe_fell = probe_fell();
  if (probed_) summary.probe = probed_->change;
  summary.was_interrupted = go_on && !must_stop() && done_ < options_.steps;
  summary.accuracy = analysis::summarise_peak(accuracy_);
  checkpoint(done_);
  if (watched_) {
    summary.watch = watch_.state();
    keep(summary, !summary.was_interrupted);
  }
  summary.marks = marks_.marks();
  summary.seconds = since_start.seconds();
  summary.tokens = tokens_;
  if (!summary.was_interrupted) writer_->finish(summary_json(summary));
  profile_.close_trace();
  return summary;
}

void Trainer::average(const std::vector<std::int64_t>& steps) {
  const bool has_adapters = options_.memory.lora_rank > 0;
  engine::EngineOptions engine = engine_options(options_.memory, options_.threads, options_.seed);
  const auto open_step = [&](std::int64_t step) {
    const std::filesystem::path folder = writer_->checkpoint_folder(step);
    auto model = has_adapters ? base_->clone() : open_text_model(folder, engine).model;
    if (has_adapters) model->load_adapters(folder);
    // The masters are exact, what they are rounded to is not.
    if (has_masters(options_.memory)) model->load_optimizer(folder / "optimizer.safetensors");
    return model;
  };
  auto& sum = policy_->model;
  sum = open_step(steps.front());
  for (std::size_t i = 1; i < steps.size(); ++i)
    sum->move_towards(*open_step(steps[i]), 1 / static_cast<double>(i + 1));
}

void Trainer::keep(TrainSummary& summary, bool is_end) {
  const std::int64_t best = watch_.state().peak_step.value_or(0);
  summary.kept = best == 0 ? std::filesystem::path(options_.model) : writer_->checkpoint_folder(best);
  summary.kept_steps = {best};
  const std::vector<std::int64_t> steps = analysis::steps_to_average(contenders_, best);
  if (!is_end || steps.size() < 2) return;
  average(steps);
  // The draws of a step that never was.
  const HeldOut::Result result = measure_problems(done_ + 1);
  if (!analysis::stands_for(result.view, best_view_)) return;
  summary.kept_metrics = result.metrics;
  if (probe_) summary.kept_metrics.update(probe_->measure(done_ + 1).metrics);
  const std::filesystem::path folder = writer_->begin_kept();
  policy_->model->save(folder);
  copy_tokenizer(options_.model, folder);
  Json about = {{"steps", steps}};
  about.update(summary.kept_metrics);
  summary.kept = writer_->commit_kept(about);
  summary.kept_steps = steps;
}

Json Trainer::summary_json(const TrainSummary& summary) const {
  Json object = {{"steps", summary.steps}, {"tokens", summary.tokens}};
  if (summary.accuracy) {
    object["base_accuracy"] = summary.accuracy->first;
    object["peak_step"] = summary.accuracy->peak_step;
    object["peak_accuracy"] = summary.accuracy->peak;
    object["final_accuracy"] = summary.accuracy->final;
  }
  if (probe_) {
    object["probe"] = analysis::to_string(probe_->of_base().verdict());
    object["probe_asked"] = probe_->of_base().asked();
    object["probe_right"] = probe_->of_base().right();
    object["stopped_by_probe"] = summary.probe_fell;
  }
  Json marks = Json::object();
  for (const auto& result : summary.marks) marks[result.mark.name] = result.step ? Json(*result.step) : Json(nullptr);
  object["collapse_steps"] = marks;
  if (summary.watch) {
    object["label_free_peak_step"] = summary.watch->peak_step ? Json(*summary.watch->peak_step) : Json(nullptr);
    object["label_free_step"] = summary.watch->collapse_step ? Json(*summary.watch->collapse_step) : Json(nullptr);
    object["label_free_evidence"] = summary.watch->evidence;
    object["stopped_by_guard"] = summary.was_guarded;
    object["kept_steps"] = summary.kept_steps;
    if (!summary.kept_metrics.is_null()) object["kept"] = summary.kept_metrics;
  }
  return object;
}

}  // namespace whet::train
