// whet pretrain: a base model from scratch.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "app/command.h"
#include "app/console.h"
#include "train/pretrainer.h"

namespace whet::app {
namespace {

struct Arguments {
  train::PretrainOptions options;
  std::string out;
  std::string resume;
};

int run(const CLI::App& app, const Arguments& arguments) {
  if (arguments.out.empty() == arguments.resume.empty()) {
    base::user_error("pretrain", "want either --out FOLDER (a new run) or --resume FOLDER");
  }
  if (!arguments.resume.empty()) check_only_resume(app);
  train::Pretrainer pretrainer = arguments.resume.empty()
                                     ? train::Pretrainer(arguments.options, arguments.out, command_line())
                                     : train::Pretrainer(arguments.resume);
  const auto& options = pretrainer.options();
  print_line(fmt::format("pretrain {}{}: {} parameters, steps {} to {}, in {}", options.task,
                         options.mixture.empty() ? "" : " (" + options.mixture + ")", pretrainer.parameters(),
                         pretrainer.first_step(), options.steps, pretrainer.folder().string()));
  Eta eta;
  std::int64_t last_line = 0;
  std::int64_t last_step = pretrainer.first_step() - 1;
  const auto summary = pretrainer.run([&](const train::PretrainReport& report) {
    eta.step(report.seconds / static_cast<double>(report.step - last_step));
    last_step = report.step;
    const std::string line =
        fmt::format("step {:>6}/{}  loss {:.4f}  tokens {:>10}  {:>8.0f} tokens/s  ETA {}{}", report.step, report.steps,
                    report.loss, report.tokens, report.tokens_per_second, eta.text(report.steps - report.step),
                    report.accuracy ? fmt::format("  held-out accuracy {:.3f}", *report.accuracy) : "");
    // Off a terminal one line in a hundred steps is enough to follow a log.
    if (report.accuracy || report.step - last_line >= 100) {
      print_line(line);
      last_line = report.step;
    } else {
      print_transient(line);
    }
  });
  if (summary.was_interrupted) {
    print_line(fmt::format("interrupted at step {}; saved. Go on with: whet pretrain --resume {}", summary.steps,
                           pretrainer.folder().string()));
    return 130;
  }
  print_line(fmt::format("done: {} steps, {} tokens, {}. The model: {}", summary.steps, summary.tokens,
                         duration_text(summary.seconds), summary.checkpoint.string()));
  return 0;
}

const base::Registrar kRegistered(
    commands(), "pretrain",
    Command{"train a base model from scratch on a task's text",
            "  whet pretrain --task sort --out runs/base\n"
            "  whet pretrain --task sort --mixture m --steps 2000 --checkpoint-every 400 --out runs/zoo\n"
            "  whet pretrain --resume runs/base\n"
            "Each folder runs/base/checkpoints/step-NNNNNN is a Hugging Face model.",
            [](CLI::App& app) -> Run {
              auto arguments = std::make_shared<Arguments>();
              add_fields(app, arguments->options);
              app.add_option("--out", arguments->out, "folder of the new run");
              app.add_option("--resume", arguments->resume, "go on with the run in this folder");
              return [arguments, &app] { return run(app, *arguments); };
            }});

}  // namespace
}  // namespace whet::app
