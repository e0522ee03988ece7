// whet train: reinforcement learning on a reward, most of them without labels.
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
  std::string resume;
  std::string config;
  std::string trace;
};

void describe_end(const train::TrainSummary& summary, const std::filesystem::path& folder) {
  if (summary.accuracy) {
    const auto& accuracy = *summary.accuracy;
    print_line(fmt::format("held-out accuracy: {:.3f} at the start, peak {:.3f} at step {}, {:.3f} at the end",
                           accuracy.first, accuracy.peak, accuracy.peak_step, accuracy.final));
  }
  for (const auto& result : summary.marks) {
    if (result.step)
      print_line(fmt::format("reward accuracy fell below {} at step {}", result.mark.name, *result.step));
  }
  if (summary.watch) print_line("without labels: " + summary.watch->evidence);
  if (summary.was_guarded) print_line(fmt::format("stopped by --guard at step {}", summary.steps));
  if (summary.probe_fell) {
    print_line(
        fmt::format("stopped by the probe at step {}: the majority is right on {} of {} problems, {} at the start",
                    summary.steps, summary.probe->right_now, summary.probe->problems, summary.probe->right_before));
  }
  if (!summary.kept.empty()) print_line("judged best without labels: " + summary.kept.string());
  if (summary.kept_steps.size() > 1) {
    print_line(fmt::format("it is the average of the weights of steps {}", fmt::join(summary.kept_steps, ", ")));
  }
  print_line(fmt::format("done: {} steps in {}. Look at it: whet report {}", summary.steps,
                         duration_text(summary.seconds), folder.string()));
}

int run(const CLI::App& app, const Arguments& arguments) {
  if (arguments.out.empty() == arguments.resume.empty()) {
    base::user_error("train", "want either --out FOLDER (a new run) or --resume FOLDER");
  }
  if (!arguments.resume.empty()) check_only_resume(app, "--trace");
  train::Trainer trainer = arguments.resume.empty()
                               ? train::Trainer(arguments.options, arguments.out, command_line(), arguments.trace)
                               : train::Trainer(arguments.resume, arguments.trace);
  const auto& options = trainer.options();
  print_line(fmt::format("train {} on {} for {}: {} parameters, learning rate {}, steps {} to {}, in {}", options.model,
                         options.source.task, options.reward, trainer.parameters(), options.learning_rate,
                         trainer.first_step(), options.steps, trainer.folder().string()));
  for (const std::string& note : trainer.notes()) print_line(note);
  StepTable table;
  const auto summary = trainer.run([&](const train::StepReport& report) {
    table.print(report);
    return true;
  });
  if (summary.was_interrupted) {
    print_line(fmt::format("interrupted at step {}; saved. Go on with: whet train --resume {}", summary.steps,
                           trainer.folder().string()));
    return 130;
  }
  describe_end(summary, trainer.folder());
  return 0;
}

const base::Registrar kRegistered(
    commands(), "train",
    Command{
        "train a model on a reward (GRPO), measured and watched at every step",
        "  whet train --model sort-strong --task sort --reward majority-vote --out runs/vote\n"
        "  whet train --model sort-strong --task sort --reward ground-truth --out runs/labels\n"
        "  whet train --model DIR --problems problems.jsonl --reward self-certainty --out runs/mine\n"
        "  whet train --model sort-strong --reward majority-vote --guard --out runs/safe\n"
        "  whet train --model DIR --problems problems.jsonl --reward majority-vote --guard --probe labelled.jsonl --out runs/sure\n"
        "  whet train --config runs/vote/config.toml --seed 1 --out runs/vote-1\n"
        "  whet train --resume runs/vote\n"
        "  whet train --model sort-strong --reward majority-vote --steps 20 --out runs/traced --trace trace.json\n"
        "A run repeats byte for byte with the same seed, machine and library, whatever the number of threads.",
        [](CLI::App& app) -> Run {
          auto arguments = std::make_shared<Arguments>();
          add_fields(app, arguments->options);
          app.add_option("--out", arguments->out, "folder of the new run");
          app.add_option("--resume", arguments->resume, "go on with the run in this folder");
          app.add_option("--trace", arguments->trace,
                         "write where the time goes to this file, for Perfetto or chrome://tracing");
          add_config(app, arguments->options, arguments->config);
          return [arguments, &app] { return run(app, *arguments); };
        }});

}  // namespace
}  // namespace whet::app
