// whet mcs: how far can this base model go? Trains on the majority vote until reward accuracy is gone, under several seeds.
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "app/console.h"
#include "app/mcs_runs.h"
#include "app/step_table.h"
#include "base/file.h"

namespace whet::app {
namespace {

/// What was asked for, beside the runs, so that --resume needs nothing else.
constexpr const char* kPlanFile = "mcs.json";

struct Arguments {
  train::TrainOptions options;
  std::string out;
  std::string resume;
  std::string threshold = "1%";
  std::int64_t seeds = 3;
  bool json = false;
};

/// One seed is a run in OUT itself.
std::filesystem::path folder_of(const Arguments& arguments, std::int64_t index) {
  const std::filesystem::path out = arguments.out;
  return arguments.seeds == 1 ? out : out / fmt::format("seed-{}", arguments.options.seed + index);
}

void write_plan(const Arguments& arguments, const train::TrainOptions& resolved) {
  const auto path = std::filesystem::path(arguments.out) / kPlanFile;
  if (std::filesystem::exists(path)) return;
  train::TrainOptions first = resolved;
  first.seed = arguments.options.seed;
  const base::Json plan = {
      {"threshold", arguments.threshold}, {"seeds", arguments.seeds}, {"options", base::fields_to_json(first)}};
  base::write_file(path, plan.dump(2) + "\n");
}

Arguments read_plan(const Arguments& given) {
  const auto path = std::filesystem::path(given.resume) / kPlanFile;
  if (!std::filesystem::exists(path)) {
    base::user_error("mcs", "{} has no {}, want the --out of a 'whet mcs' that has begun", given.resume, kPlanFile);
  }
  const base::Json plan = base::read_json_file(path);
  Arguments arguments;
  for (const char* key : {"threshold", "seeds", "options"}) {
    if (!plan.is_object() || !plan.contains(key)) base::user_error("mcs", "{} has no '{}'", path.string(), key);
  }
  arguments.threshold = plan.at("threshold").get<std::string>();
  arguments.seeds = plan.at("seeds").get<std::int64_t>();
  base::fields_from_json(arguments.options, plan.at("options"), path.string());
  arguments.out = given.resume;
  arguments.json = given.json;
  return arguments;
}

void describe_seed(const SeedOutcome& outcome, const std::string& threshold) {
  if (outcome.ended == "hopeless") {
    print_line(
        fmt::format("hopeless base: no held-out rollout is right, which puts its accuracy below {:.0f} % with 95 % "
                    "confidence; nothing to sharpen. Model Collapse Step: 0",
                    100 * kHopeless));
    return;
  }
  print_line(outcome.labelled.reached
                 ? fmt::format("Model Collapse Step: {} (reward accuracy below {})", outcome.labelled.step, threshold)
             : outcome.ended == "settled"
                 ? fmt::format("ended at step {} without collapse: the median of all seeds can no longer change",
                               outcome.steps)
                 : fmt::format("no collapse: reward accuracy never fell below {} in {} steps, the budget's end",
                               threshold, outcome.steps));
  if (outcome.accuracy) {
    const auto& accuracy = *outcome.accuracy;
    print_line(fmt::format(
        "held-out accuracy: {:.3f} at the start, peak {:.3f} at step {}, {:.3f} at the end ({:.0f} % of the "
        "peak lost)",
        accuracy.first, accuracy.peak, accuracy.peak_step, accuracy.final, 100 * accuracy.lost_share()));
  }
  for (const auto& result : outcome.marks) {
    print_line(fmt::format(
        "  reward accuracy below {}: {}", result.mark.name,
        result.step ? fmt::format("step {}", *result.step) : fmt::format("not in {} steps", outcome.steps)));
  }
  if (const auto found = outcome.summary.find("label_free_evidence"); found != outcome.summary.end()) {
    print_line("without labels: " + found->get<std::string>());
  }
}

base::Json cost_json(const McsOutcome& outcome, std::int64_t budget) {
  base::Json cost = {
      {"tokens", outcome.tokens}, {"training_tokens", outcome.training_tokens}, {"seconds", outcome.seconds}};
  const auto& supervised = outcome.supervised_tokens;
  cost["supervised_training_tokens"] = supervised ? base::Json(*supervised) : base::Json(nullptr);
  cost["share_of_supervised"] =
      supervised ? base::Json(static_cast<double>(outcome.training_tokens) / *supervised) : base::Json(nullptr);
  cost["supervised_steps"] = budget;
  return cost;
}

void print_outcome(const McsOutcome& outcome, std::int64_t budget) {
  std::printf("  seed  below threshold  label-free alarm  steps  ended by    base   peak @ step      end\n");
  for (const SeedOutcome& seed : outcome.seeds) {
    std::string accuracy;
    if (seed.accuracy) {
      accuracy = fmt::format("{:.3f}  {:.3f} @ {:<5}  {:.3f}", seed.accuracy->first, seed.accuracy->peak,
                             seed.accuracy->peak_step, seed.accuracy->final);
    }
    std::printf("%6lld  %15s  %16s  %5lld  %-9s  %s\n", static_cast<long long>(seed.seed),
                analysis::to_string(seed.labelled).c_str(), analysis::to_string(seed.label_free).c_str(),
                static_cast<long long>(seed.steps), seed.ended.c_str(), accuracy.c_str());
  }
  const auto line = [](const char* name, const analysis::StepMedian& median) {
    if (median.runs == 1) {
      std::printf("%s: %s, of one seed\n", name, median_text(median).c_str());
      return;
    }
    std::printf("%s: median %s, range %s of %lld seeds (holds the median of all seeds with %.0f %% confidence)\n", name,
                median_text(median).c_str(), range_text(median).c_str(), static_cast<long long>(median.runs),
                100 * analysis::range_coverage(median.runs));
  };
  line("Model Collapse Step", outcome.labelled);
  line("label-free alarm   ", outcome.label_free);
  const auto skipped = outcome.asked - static_cast<std::int64_t>(outcome.seeds.size());
  if (skipped > 0) {
    std::printf("%lld of %lld seeds were not run: they could not have changed the median\n",
                static_cast<long long>(skipped), static_cast<long long>(outcome.asked));
  }
  std::printf("cost: %lld tokens, %.0f s", static_cast<long long>(outcome.tokens), outcome.seconds);
  if (const auto& supervised = outcome.supervised_tokens) {
    std::printf("; %.2f of the training tokens of one supervised run of %lld steps (taken from the tokens of step 1)",
                static_cast<double>(outcome.training_tokens) / *supervised, static_cast<long long>(budget));
  }
  std::printf("\n");
}

int run(const CLI::App& app, const Arguments& given) {
  if (given.out.empty() == given.resume.empty()) {
    base::user_error("mcs", "want either --out FOLDER (a new measurement) or --resume FOLDER");
  }
  for (const CLI::Option* option : app.get_options()) {
    if (given.resume.empty() || option->count() == 0) continue;
    if (option->get_name() == "--resume" || option->get_name() == "--json") continue;
    base::user_error("mcs", "{} beside --resume, want --resume alone: the measurement goes on as it was begun",
                     option->get_name());
  }
  const Arguments arguments = given.resume.empty() ? given : read_plan(given);
  const analysis::CollapseMark mark = analysis::parse_mark(arguments.threshold);
  if (arguments.seeds < 1) base::user_error("seeds", "{}, want >= 1", arguments.seeds);
  refuse_guard(arguments.options, "mcs");
  if (given.resume.empty()) base::require_new_folder(arguments.out);
  train::require_labels(*train::make_task(arguments.options.source), tasks::Split::kTrain, "mcs");

  std::vector<SeedOutcome> finished;
  const auto folder_name = [&](std::int64_t index) { return folder_of(arguments, index).string(); };
  for (std::int64_t index = 0; index < arguments.seeds; ++index) {
    if (is_settled(finished, arguments.seeds, arguments.options.steps)) break;
    train::TrainOptions options = arguments.options;
    options.seed += index;
    StepTable table;
    const auto outcome = measure_seed(
        options, folder_of(arguments, index), mark, finished, arguments.seeds,
        [&](const train::Trainer& trainer) {
          write_plan(arguments, trainer.options());
          print_line(
              fmt::format("mcs {}: {} training until reward accuracy is below {}, at most {} steps, in {}{}",
                          trainer.options().model, trainer.options().reward, mark.name, trainer.options().steps,
                          trainer.folder().string(),
                          arguments.seeds > 1 ? fmt::format(" (seed {} of {})", index + 1, arguments.seeds) : ""));
          if (index == 0) {
            for (const std::string& note : trainer.notes()) print_line(note);
          }
        },
        [&](const train::StepReport& report) {
          table.print(report);
          return true;
        });
    if (!outcome) {
      print_line(
          fmt::format("interrupted in {}; saved. Go on with: whet mcs --resume {}", folder_name(index), arguments.out));
      return 130;
    }
    describe_seed(*outcome, mark.name);
    finished.push_back(*outcome);
  }
  const McsOutcome outcome = summarise_seeds(std::move(finished), arguments.seeds, arguments.options.steps);
  if (!arguments.json) {
    print_outcome(outcome, arguments.options.steps);
    return 0;
  }
  // One seed: its own object, with the rest beside it.
  base::Json object = arguments.seeds == 1 ? outcome_json(outcome.seeds.front()) : base::Json::object();
  object["mcs"] = median_json(outcome.labelled)["median"];
  if (arguments.seeds == 1 && outcome.labelled.exact) object["mcs"] = outcome.labelled.low.step;
  object["threshold"] = mark.name;
  object["labelled"] = median_json(outcome.labelled);
  object["label_free"] = median_json(outcome.label_free);
  if (arguments.seeds > 1) {
    object["seeds_asked"] = arguments.seeds;
    object["seeds"] = base::Json::array();
    for (const SeedOutcome& seed : outcome.seeds) object["seeds"].push_back(outcome_json(seed));
    object["seconds"] = outcome.seconds;
    object["tokens"] = outcome.tokens;
  }
  object["cost"] = cost_json(outcome, arguments.options.steps);
  std::printf("%s\n", base::to_json_line(object).c_str());
  return 0;
}

const base::Registrar kRegistered(
    commands(), "mcs",
    Command{
        "measure the Model Collapse Step of a base model",
        "  whet mcs --model sort-strong --task sort --out runs/mcs --threshold half-peak\n"
        "  whet mcs --model DIR --problems problems.jsonl --steps 500 --seeds 1 --out runs/mcs --json\n"
        "  whet mcs --resume runs/mcs\n"
        "The paper's threshold is 1%. Small models may settle in a wrong consensus above it: half-peak ranks them better.",
        [](CLI::App& app) -> Run {
          auto arguments = std::make_shared<Arguments>();
          arguments->options.average_kept = 1;  // nobody keeps the model of a measurement
          add_fields(app, arguments->options);
          app.add_option("--out", arguments->out, "new folder: of the run with --seeds 1, else of runs seed-N");
          app.add_option("--resume", arguments->resume, "go on with the measurement in this folder");
          app.add_option("--threshold", arguments->threshold,
                         "collapsed is: reward accuracy below this, such as 1% or 0.1, or half-peak")
              ->capture_default_str();
          app.add_option("--seeds", arguments->seeds, "runs, with --seed and the numbers after it")
              ->capture_default_str();
          app.add_flag("--json", arguments->json, "one JSON object on standard output");
          return [arguments, &app] { return run(app, *arguments); };
        }});

}  // namespace
}  // namespace whet::app
