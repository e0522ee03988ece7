// whet ttt: test-time training. Adapts a model to a small file of unlabelled problems, watched on the same prompts, and
// keeps what the watch judges best.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "app/console.h"
#include "app/step_table.h"
#include "base/file.h"
#include "store/run.h"
#include "train/trainer.h"

namespace whet::app {
namespace {

// arXiv 2603.08660, finding 5: sets of up to 128 problems did not collapse, those of 512 and more did.
constexpr std::int64_t kSafeProblems = 128, kUnsafeProblems = 512;
// Rollouts in a measurement: with few the base's log-probability scatters by more than the guard's margin, which was found
// with 400 of them.
constexpr std::int64_t kMeasuredRollouts = 512;

struct Arguments {
  train::TrainOptions options;
  std::string out;
  std::string resume;
  bool json = false;
};

/// What a person is told of the set's size; "" where there is nothing to warn of.
std::string size_warning(std::int64_t problems) {
  if (problems <= kSafeProblems) return "";
  return fmt::format(
      "warning: {} problems {}: in arXiv 2603.08660 sets of up to {} did not collapse and those of {} and more "
      "did. Watch the guard, or train on a part",
      problems, problems < kUnsafeProblems ? "may be too many" : "are too many to be safe", kSafeProblems,
      kUnsafeProblems);
}

/// One figure of the file, before and after. `key` is that of a metrics line.
struct Figure {
  const char* key;
  const char* name;
  int digits;
};

constexpr Figure kFigures[] = {
    {"heldout_accuracy", "accuracy", 3},
    {"heldout_majority_accuracy", "accuracy of the vote", 3},
    {"probe_majority_accuracy", "accuracy of the vote on the probe", 3},
    {"heldout_majority_ratio", "majority ratio", 3},
    {"base_agreement", "vote agrees with the base's", 3},
    {"heldout_token_entropy", "entropy, nats a token", 4},
    {"heldout_kl_to_start", "KL to the start, nats a token", 4},
    {"base_logprob", "base's log-probability, a token", 4},
    {"heldout_length", "length, tokens", 1},
};

const base::Json* line_of(const std::vector<base::Json>& metrics, std::int64_t step) {
  for (const base::Json& line : metrics) {
    if (line.at("step").get<std::int64_t>() == step) return &line;
  }
  return nullptr;
}

double probe_accuracy(const base::Json& line) { return line.value("probe_majority_accuracy", 0.0); }

/// The steps whose weights are kept (of several the average): what the watch judges best, or 0, the base, where the probe says
/// that the best is worse than it. `after` is what was measured of the kept model; null where that is missing.
std::vector<std::int64_t> kept_steps(const train::TrainSummary& summary, const std::vector<base::Json>& metrics,
                                     const base::Json*& after) {
  const base::Json* before = line_of(metrics, 0);
  after = before;
  if (summary.kept_steps.empty()) return {0};
  const base::Json* best =
      summary.kept_metrics.is_null() ? line_of(metrics, summary.kept_steps.front()) : &summary.kept_metrics;
  if (before && best && probe_accuracy(*best) < probe_accuracy(*before)) return {0};
  after = best;
  return summary.kept_steps;
}

std::string steps_text(const std::vector<std::int64_t>& steps) {
  if (steps.size() > 1) return fmt::format("the average of steps {}", fmt::join(steps, ", "));
  return fmt::format("step {}{}", steps.front(), steps.front() == 0 ? ", the base itself" : "");
}

/// Writes DIR/model, whole: a Hugging Face folder, adapters merged, in the precision that it was trained with.
void write_model(const std::filesystem::path& from, const std::filesystem::path& to,
                 const train::TrainOptions& options) {
  const std::filesystem::path temporary = to.string() + ".part";
  std::filesystem::remove_all(temporary);
  const train::TextModel model = train::open_text_model(
      from, train::asking_options(options.threads, options.memory.precision, options.memory.device));
  base::create_new_folder(temporary);
  // Sums of weights in bfloat16 and corrections in float32 are not rounded again.
  model.model->save_merged(temporary, train::has_masters(options.memory) ? "bfloat16" : "float32");
  train::copy_tokenizer(from, temporary);
  std::filesystem::rename(temporary, to);
}

void print_changes(const base::Json& before, const base::Json& after, const std::string& kept) {
  std::printf("%-34s %10s %10s\n", "on the file", "before", kept.c_str());
  for (const Figure& figure : kFigures) {
    const auto had = before.find(figure.key), has = after.find(figure.key);
    if (had == before.end() || has == after.end() || !had->is_number() || !has->is_number()) continue;
    // A divergence of nothing is measured as a little more or less; "-0.0000" would look like a fault.
    const auto rounded = [scale = std::pow(10.0, figure.digits)](double value) {
      return std::round(value * scale) / scale + 0.0;
    };
    std::printf("  %-32s %10.*f %10.*f\n", figure.name, figure.digits, rounded(had->get<double>()), figure.digits,
                rounded(has->get<double>()));
  }
}

base::Json figures_json(const base::Json& line) {
  base::Json object = base::Json::object();
  for (const Figure& figure : kFigures) {
    if (const auto found = line.find(figure.key); found != line.end()) object[figure.key] = *found;
  }
  return object;
}

/// Reads the file once before the run: how many problems there are decides what a step is made of.
std::int64_t count_problems(const train::TrainOptions& options) {
  const auto task = train::make_training_task(options, train::resolve_model(options.model));
  return static_cast<std::int64_t>(task->size(tasks::Split::kTrain).value());
}

int run(const CLI::App& app, Arguments& arguments) {
  if (arguments.out.empty() == arguments.resume.empty()) {
    base::user_error("ttt", "want either --out FOLDER (a new run) or --resume FOLDER");
  }
  train::TrainOptions& options = arguments.options;
  std::int64_t problems = 0;
  std::optional<train::Trainer> trainer;
  if (arguments.resume.empty()) {
    options.transductive = app.count("--task") > 0 ? options.source.task : "file";
    options.source.task = "file";
    problems = count_problems(options);
    // No problem twice in a step.
    if (app.count("--prompts") == 0) options.prompts = std::min(options.prompts, problems);
    if (app.count("--eval-samples") == 0) {
      const std::int64_t measured = std::min(options.eval_problems, problems);
      options.eval_samples = std::max<std::int64_t>(4, (kMeasuredRollouts + measured - 1) / measured);
    }
    trainer.emplace(options, arguments.out, command_line());
  } else {
    check_only_resume(app);
    trainer.emplace(arguments.resume);
    if (trainer->options().transductive.empty()) {
      base::user_error("resume", "{} is no run of whet ttt, want whet train --resume", arguments.resume);
    }
    problems = count_problems(trainer->options());
  }
  const auto& resolved = trainer->options();
  print_line(fmt::format("ttt {} on {} problems of {} for {}: learning rate {}, steps {} to {}, in {}", resolved.model,
                         problems, train::source_name(resolved.source), resolved.reward, resolved.learning_rate,
                         trainer->first_step(), resolved.steps, trainer->folder().string()));
  for (const std::string& note : trainer->notes()) print_line(note);
  if (const std::string warning = size_warning(problems); !warning.empty()) print_line(warning);
  StepTable table;
  const auto summary = trainer->run([&](const train::StepReport& report) {
    table.print(report);
    if (report.step == 0 && report.metrics.value("heldout_majority_ratio", 1.0) == 0) {
      print_line(fmt::format(
          "warning: the rules of '{}' find no answer in any of the base's responses, so that there is nothing "
          "to agree on; want the --task whose rules do ('whet tasks' lists them)",
          resolved.transductive));
    }
    return true;
  });
  if (summary.was_interrupted) {
    print_line(fmt::format("interrupted at step {}; saved. Go on with: whet ttt --resume {}", summary.steps,
                           trainer->folder().string()));
    return 130;
  }
  const std::vector<base::Json> metrics = store::load_run(trainer->folder()).metrics;
  const base::Json *before = line_of(metrics, 0), *after = nullptr;
  const std::vector<std::int64_t> steps = kept_steps(summary, metrics, after);
  if (!before || !after)
    base::run_error("ttt", "{} has no measurement of {}", trainer->folder().string(), steps_text(steps));
  const bool is_base = steps.front() == 0, is_average = steps.size() > 1;
  const std::filesystem::path model = trainer->folder() / "model";
  write_model(is_base ? std::filesystem::path(resolved.model) : summary.kept, model, resolved);
  const std::string end = summary.was_guarded  ? "stopped by the guard"
                          : summary.probe_fell ? "stopped by the probe"
                                               : "all steps done";
  if (summary.watch) print_line("without labels: " + summary.watch->evidence);
  print_line(fmt::format("{} at step {} in {}; kept {}: {}", end, summary.steps, duration_text(summary.seconds),
                         steps_text(steps), model.string()));
  if (arguments.json) {
    std::printf("%s\n", base::to_json_line({{"model", model.string()},
                                            {"problems", problems},
                                            {"steps", summary.steps},
                                            {"kept_step", is_base ? 0 : summary.watch->peak_step.value()},
                                            {"kept_steps", steps},
                                            {"stopped_by", summary.was_guarded  ? base::Json("guard")
                                                           : summary.probe_fell ? base::Json("probe")
                                                                                : base::Json(nullptr)},
                                            {"safe_size", problems <= kSafeProblems},
                                            {"before", figures_json(*before)},
                                            {"after", figures_json(*after)},
                                            {"seconds", summary.seconds},
                                            {"tokens", summary.tokens}})
                            .c_str());
    return 0;
  }
  print_changes(*before, *after, is_average ? "average" : fmt::format("step {}", steps.front()));
  return 0;
}

const base::Registrar kRegistered(
    commands(), "ttt",
    Command{
        "test-time training: adapt a model to a small unlabelled file, guarded, and keep the best",
        "  whet ttt --model DIR --problems questions.jsonl --out adapted\n"
        "  whet ttt --model sort-strong --task sort --problems digits.jsonl --out adapted\n"
        "  whet ttt --model DIR --problems questions.jsonl --probe labelled.jsonl --out adapted --json\n"
        "  whet ttt --resume adapted\n"
        "The adapted model is adapted/model. --task names the rules by which answers are found: 'file' (boxed and the\n"
        "like), or those of a generator.",
        [](CLI::App& app) -> Run {
          auto arguments = std::make_shared<Arguments>();
          train::TrainOptions& options = arguments->options;
          options.source.task = "file";
          options.steps = 100;
          options.guard = true;
          options.eval_problems = kSafeProblems;
          add_fields(app, options);
          // Decided here: the problems are those of the file, on both sides.
          for (const char* name : {"--transductive", "--held-out-problems", "--train-problems"})
            app.remove_option(app.get_option(name));
          app.add_option("--out", arguments->out, "folder of the new run; the adapted model is its folder model");
          app.add_option("--resume", arguments->resume, "go on with the run in this folder");
          app.add_flag("--json", arguments->json, "one JSON object on standard output");
          return [arguments, &app] { return run(app, *arguments); };
        }});

}  // namespace
}  // namespace whet::app
