// whet mcs: how far can this base model go? Trains on the majority vote until reward accuracy is gone.
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "app/console.h"
#include "app/step_table.h"
#include "train/trainer.h"

namespace whet::app {
namespace {

struct Arguments {
  train::TrainOptions options;
  std::string out;
  std::string threshold = "1%";
  bool json = false;
};

template <class T>
base::Json or_null(const std::optional<T>& value) {
  return value ? base::Json(*value) : base::Json(nullptr);
}

int run(const Arguments& arguments) {
  const analysis::CollapseMark mark = analysis::parse_mark(arguments.threshold);
  if (arguments.out.empty()) base::user_error("mcs", "no --out, want the folder of the new run");
  train::require_labels(*train::make_task(arguments.options.source), tasks::Split::kTrain, "mcs");
  train::Trainer trainer(arguments.options, arguments.out, command_line());
  print_line(fmt::format("mcs {}: {} training until reward accuracy is below {}, at most {} steps, in {}",
                         trainer.options().model, trainer.options().reward, mark.name, trainer.options().steps,
                         trainer.folder().string()));
  for (const std::string& note : trainer.notes()) print_line(note);
  // The paper's step is that of the 3-step mean; the trainer's own marks use the same rule.
  analysis::MarkWatch watch({mark});
  StepTable table;
  const auto summary = trainer.run([&](const train::StepReport& report) {
    table.print(report);
    if (const auto found = report.metrics.find("reward_accuracy"); found != report.metrics.end()) {
      watch.update(report.step, found->get<double>());
    }
    return !watch.marks().front().step.has_value();
  });
  if (summary.was_interrupted) {
    print_line(fmt::format("interrupted at step {}; saved. Go on with: whet train --resume {}", summary.steps,
                           trainer.folder().string()));
    return 130;
  }
  const std::optional<std::int64_t> mcs = watch.marks().front().step;
  print_line(mcs ? fmt::format("Model Collapse Step: {} (reward accuracy below {})", *mcs, mark.name)
                 : fmt::format("no collapse: reward accuracy never fell below {} in {} steps, the budget's end", mark.name,
                               summary.steps));
  if (summary.accuracy) {
    const auto& accuracy = *summary.accuracy;
    print_line(fmt::format("held-out accuracy: {:.3f} at the start, peak {:.3f} at step {}, {:.3f} at the end ({:.0f} % of the "
                           "peak lost)",
                           accuracy.first, accuracy.peak, accuracy.peak_step, accuracy.final, 100 * accuracy.lost_share()));
  }
  for (const auto& result : summary.marks) {
    print_line(fmt::format("  reward accuracy below {}: {}", result.mark.name,
                           result.step ? fmt::format("step {}", *result.step)
                                       : fmt::format("not in {} steps", summary.steps)));
  }
  if (summary.watch) print_line("without labels: " + summary.watch->evidence);
  if (!arguments.json) return 0;
  base::Json object = {{"mcs", or_null(mcs)}, {"threshold", mark.name}};
  object["peak_step"] = summary.accuracy ? base::Json(summary.accuracy->peak_step) : base::Json(nullptr);
  object["peak_accuracy"] = summary.accuracy ? base::Json(summary.accuracy->peak) : base::Json(nullptr);
  object["base_accuracy"] = summary.accuracy ? base::Json(summary.accuracy->first) : base::Json(nullptr);
  object["final_accuracy"] = summary.accuracy ? base::Json(summary.accuracy->final) : base::Json(nullptr);
  object["lost_share"] = summary.accuracy ? base::Json(summary.accuracy->lost_share()) : base::Json(nullptr);
  object["label_free_step"] = or_null(summary.watch ? summary.watch->collapse_step : std::nullopt);
  object["label_free_peak_step"] = or_null(summary.watch ? summary.watch->peak_step : std::nullopt);
  for (const auto& result : summary.marks) object["collapse_steps"][result.mark.name] = or_null(result.step);
  object["steps"] = summary.steps;
  object["seconds"] = summary.seconds;
  object["tokens"] = summary.tokens;
  std::printf("%s\n", base::to_json_line(object).c_str());
  return 0;
}

const base::Registrar kRegistered(
    commands(), "mcs",
    Command{"measure the Model Collapse Step of a base model",
            "  whet mcs --model sort-strong --task sort --out runs/mcs --threshold half-peak\n"
            "  whet mcs --model DIR --problems problems.jsonl --steps 500 --out runs/mcs --json\n"
            "The paper's threshold is 1%. Small models may settle in a wrong consensus above it: half-peak ranks them better.",
            [](CLI::App& app) -> Run {
              auto arguments = std::make_shared<Arguments>();
              add_fields(app, arguments->options);
              app.add_option("--out", arguments->out, "folder of the new run");
              app.add_option("--threshold", arguments->threshold,
                             "collapsed is: reward accuracy below this, such as 1% or 0.1, or half-peak")
                  ->capture_default_str();
              app.add_flag("--json", arguments->json, "one JSON object on standard output");
              return [arguments] { return run(*arguments); };
            }});

}  // namespace
}  // namespace whet::app
