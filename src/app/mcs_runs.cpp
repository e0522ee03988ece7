// Runs for a Model Collapse Step: made, gone on with, read again.
#include "app/mcs_runs.h"

#include <cmath>
#include <limits>

#include "app/command.h"
#include "app/json_values.h"
#include "report/facts.h"
#include "store/run.h"

namespace whet::app {
namespace {

std::optional<std::int64_t> step_of(const base::Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->get<std::int64_t>();
}

analysis::StepBound bound_of(const std::optional<std::int64_t>& step, std::int64_t steps) {
  return step ? analysis::StepBound{*step, true} : analysis::StepBound{steps, false};
}

}  // namespace

bool is_settled(const std::vector<SeedOutcome>& finished, std::int64_t seeds, std::int64_t budget,
                std::optional<std::int64_t> running_at) {
  std::vector<analysis::StepBound> bounds;
  for (const SeedOutcome& outcome : finished) bounds.push_back(outcome.labelled);
  if (running_at) bounds.push_back({*running_at, false});
  while (static_cast<std::int64_t>(bounds.size()) < seeds) bounds.push_back({0, false});
  return analysis::is_settled(bounds, budget);
}

bool is_hopeless(double accuracy, std::int64_t rollouts) {
  return accuracy == 0 && rollouts > 0 && 1 - std::pow(0.05, 1.0 / static_cast<double>(rollouts)) < kHopeless;
}

void refuse_guard(const train::TrainOptions& options, const char* place) {
  if (options.guard) base::user_error(place, "--guard, want none: it ends a run before the collapse that is measured");
  if (options.probe.is_asked() && !options.probe.only_warn) {
    base::user_error(place,
                     "--probe, want none, or --probe-only-warn beside it: it ends a run before the collapse that is "
                     "measured");
  }
}

SeedOutcome read_outcome(const std::filesystem::path& folder, const analysis::CollapseMark& mark) {
  const store::Run run = store::load_run(folder);
  if (!run.summary)
    base::user_error("mcs", "{} holds a run that has not finished, want a finished one", folder.string());
  train::TrainOptions options;
  base::fields_from_json(options, run.config, (folder / store::kConfigFile).string());
  SeedOutcome outcome;
  outcome.seed = options.seed;
  outcome.folder = folder;
  outcome.summary = *run.summary;
  outcome.steps = outcome.summary.at("steps").get<std::int64_t>();
  outcome.tokens = outcome.summary.at("tokens").get<std::int64_t>();
  outcome.accuracy = analysis::summarise_peak(report::series_of(run, "heldout_accuracy"));
  const auto reward_accuracy = report::series_of(run, "reward_accuracy");
  outcome.marks = analysis::watch_marks(reward_accuracy).marks();
  const auto reached = analysis::watch_marks(reward_accuracy, {mark}).marks().front().step;
  const bool hopeless = outcome.steps == 0;
  outcome.labelled = hopeless ? analysis::StepBound{0, true} : bound_of(reached, outcome.steps);
  outcome.label_free = bound_of(step_of(outcome.summary, "label_free_step"), outcome.steps);
  outcome.ended = hopeless ? "hopeless" : reached ? "threshold" : outcome.steps < options.steps ? "settled" : "budget";
  for (const analysis::Point& length : report::series_of(run, "length")) {
    const auto tokens =
        static_cast<std::int64_t>(std::llround(length.value * static_cast<double>(options.prompts * options.samples)));
    if (length.step == 1) outcome.first_step_tokens = tokens;
    outcome.training_tokens += tokens;
  }
  outcome.seconds = store::seconds_of(run);
  return outcome;
}

bool complete_run(const train::TrainOptions& options, const std::filesystem::path& folder, const Begun& begun,
                  const train::Observer& observer) {
  if (std::filesystem::exists(folder / store::kSummaryFile)) return true;
  const bool goes_on = std::filesystem::exists(folder / store::kManifestFile);
  auto trainer = goes_on ? train::Trainer(folder) : train::Trainer(options, folder, command_line());
  if (begun) begun(trainer);
  return !trainer.run(observer).was_interrupted;
}

std::optional<SeedOutcome> measure_seed(const train::TrainOptions& options, const std::filesystem::path& folder,
                                        const analysis::CollapseMark& mark, const std::vector<SeedOutcome>& finished,
                                        std::int64_t seeds, const Begun& begun, const train::Observer& observer) {
  // The paper's step is that of the 3-step mean; the trainer's own marks use the same rule.
  analysis::MarkWatch watch({mark});
  const auto replay = [&](const train::Trainer& trainer) {
    for (const auto& point : report::series_of(store::load_run(folder), "reward_accuracy"))
      watch.update(point.step, point.value);
    if (begun) begun(trainer);
  };
  const auto look = [&](const train::StepReport& report) {
    if (observer && !observer(report)) return false;
    if (const auto found = report.metrics.find("reward_accuracy");
        found != report.metrics.end() && found->is_number()) {
      watch.update(report.step, found->get<double>());
    }
    if (report.step == 0) {
      const auto accuracy = report.metrics.find("heldout_accuracy");
      const std::int64_t rollouts = options.eval_problems * options.eval_samples;
      return !(accuracy != report.metrics.end() && accuracy->is_number() &&
               is_hopeless(accuracy->get<double>(), rollouts));
    }
    return !watch.marks().front().step.has_value() && !is_settled(finished, seeds, options.steps, report.step);
  };
  if (!complete_run(options, folder, replay, look)) return std::nullopt;
  return read_outcome(folder, mark);
}

double McsOutcome::order() const {
  return labelled.exact ? labelled.at_least : std::numeric_limits<double>::infinity();
}

McsOutcome summarise_seeds(std::vector<SeedOutcome> seeds, std::int64_t asked, std::int64_t budget) {
  McsOutcome result;
  result.asked = asked;
  std::vector<analysis::StepBound> labelled, label_free;
  double first = 0;
  std::int64_t with_first = 0;
  for (const SeedOutcome& outcome : seeds) {
    labelled.push_back(outcome.labelled);
    label_free.push_back(outcome.label_free);
    result.tokens += outcome.tokens;
    result.training_tokens += outcome.training_tokens;
    result.seconds += outcome.seconds;
    first += static_cast<double>(outcome.first_step_tokens);
    with_first += outcome.first_step_tokens > 0 ? 1 : 0;
  }
  result.label_free = analysis::step_median(label_free);
  // Seeds that were left out because they could not change the median take part in it as unknown.
  std::vector<analysis::StepBound> all = labelled;
  while (static_cast<std::int64_t>(all.size()) < asked) all.push_back({0, false});
  result.labelled = analysis::step_median(all);
  const analysis::StepMedian of_runs = analysis::step_median(labelled);
  result.labelled.low = of_runs.low;
  result.labelled.high = of_runs.high;
  result.labelled.runs = of_runs.runs;
  if (with_first > 0) result.supervised_tokens = first / static_cast<double>(with_first) * static_cast<double>(budget);
  result.seeds = std::move(seeds);
  return result;
}

std::string median_text(const analysis::StepMedian& median) {
  return fmt::format("{}{}", median.exact ? "" : "> ", median.at_least);
}

std::string range_text(const analysis::StepMedian& median) {
  return fmt::format("{} .. {}", analysis::to_string(median.low), analysis::to_string(median.high));
}

base::Json median_json(const analysis::StepMedian& median) {
  const auto bound = [](const analysis::StepBound& step) {
    return base::Json{{"step", step.step}, {"reached", step.reached}};
  };
  return {{"median", median.exact ? base::Json(median.at_least) : base::Json(nullptr)},
          {"at_least", median.at_least},
          {"low", bound(median.low)},
          {"high", bound(median.high)},
          {"seeds", median.runs},
          {"coverage", analysis::range_coverage(median.runs)}};
}

base::Json outcome_json(const SeedOutcome& outcome) {
  base::Json object = {{"seed", outcome.seed},
                       {"folder", outcome.folder.string()},
                       {"mcs", outcome.labelled.reached ? base::Json(outcome.labelled.step) : base::Json(nullptr)},
                       {"ended", outcome.ended}};
  const auto& accuracy = outcome.accuracy;
  object["peak_step"] = accuracy ? base::Json(accuracy->peak_step) : base::Json(nullptr);
  object["peak_accuracy"] = accuracy ? base::Json(accuracy->peak) : base::Json(nullptr);
  object["base_accuracy"] = accuracy ? base::Json(accuracy->first) : base::Json(nullptr);
  object["final_accuracy"] = accuracy ? base::Json(accuracy->final) : base::Json(nullptr);
  object["lost_share"] = accuracy ? base::Json(accuracy->lost_share()) : base::Json(nullptr);
  object["label_free_step"] = or_null(step_of(outcome.summary, "label_free_step"));
  object["label_free_peak_step"] = or_null(step_of(outcome.summary, "label_free_peak_step"));
  for (const auto& result : outcome.marks) object["collapse_steps"][result.mark.name] = or_null(result.step);
  object["steps"] = outcome.steps;
  object["seconds"] = outcome.seconds;
  object["tokens"] = outcome.tokens;
  object["training_tokens"] = outcome.training_tokens;
  return object;
}

}  // namespace whet::app
