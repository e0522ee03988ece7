// whet watch: is a run collapsing? Judged without labels, while it goes on or afterwards.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <thread>

#include "app/command.h"
#include "app/console.h"
#include "base/error.h"
#include "report/facts.h"
#include "store/run.h"
#include "train/interrupt.h"

namespace whet::app {
namespace {

using base::Json;

/// So that a script can stop the job: 0 is sound, 1 and 2 are failures of the command itself.
constexpr int kCollapsedExit = 3;
constexpr int kInterruptedExit = 130;

struct Arguments {
  std::string folder;
  bool follow = false;
  bool json = false;
  double every = 10;
};

Json or_null(const std::optional<std::int64_t>& value) { return value ? Json(*value) : Json(nullptr); }

/// The checkpoint of the kept step, as a model to open; empty where the run did not keep it.
std::string kept_model(const store::Run& run, const analysis::WatchState& state) {
  if (!state.peak_step) return {};
  if (*state.peak_step == 0) return run.config.value("model", std::string());
  for (const store::StepPath& checkpoint : run.checkpoints) {
    if (checkpoint.step == *state.peak_step) return checkpoint.path.string();
  }
  return {};
}

Json to_json(const store::Run& run, const analysis::WatchState& state) {
  Json signs = Json::array();
  const analysis::FailureReport failure = report::failure_of(run);
  for (const analysis::FailureSign& sign : failure.signs) {
    signs.push_back({{"failure", to_string(sign.failure)}, {"since", sign.since}, {"evidence", sign.evidence}});
  }
  const std::string kept = kept_model(run, state);
  return {{"run", run.folder.string()},
          {"finished", run.summary.has_value()},
          {"last_step", run.metrics.empty() ? Json(nullptr) : run.metrics.back().at("step")},
          {"measurements", state.points},
          {"verdict", to_string(state.verdict)},
          {"peak_step", or_null(state.peak_step)},
          {"warning_step", or_null(state.warning_step)},
          {"collapse_step", or_null(state.collapse_step)},
          {"kept_model", kept.empty() ? Json(nullptr) : Json(kept)},
          {"evidence", state.evidence},
          {"failure", to_string(failure.failure)},
          {"signs", signs}};
}

void print_verdict(const store::Run& run, const analysis::WatchState& state) {
  const std::int64_t last = run.metrics.empty() ? 0 : run.metrics.back().at("step").get<std::int64_t>();
  fmt::print("{}: {}, seen up to step {}{}\n", run.folder.string(), to_string(state.verdict), last,
             run.summary ? " (finished)" : "");
  fmt::print("  {}\n", state.points == 0 ? "no measurement of the frozen base yet, so no verdict" : state.evidence);
  for (const analysis::FailureSign& sign : report::failure_of(run).signs) {
    fmt::print("  {}\n", sign.evidence);
  }
  if (const std::string kept = kept_model(run, state); !kept.empty() && state.points >= 2) {
    fmt::print("  best without labels: {}\n", kept);
  }
}

int run(const Arguments& arguments) {
  train::listen_for_interrupt();
  while (true) {
    const store::Run seen = store::load_run(arguments.folder);
    const analysis::WatchState state = report::watch_run(seen);
    const bool over = !arguments.follow || seen.summary || state.collapse_step || train::interrupted();
    if (over) {
      if (arguments.json) {
        fmt::print("{}\n", base::to_json_line(to_json(seen, state)));
      } else {
        print_verdict(seen, state);
      }
      if (state.collapse_step) return kCollapsedExit;
      return train::interrupted() ? kInterruptedExit : 0;
    }
    const std::string line = fmt::format("step {}: {}; {}", state.last_step, to_string(state.verdict), state.evidence);
    on_terminal() ? print_transient(line) : print_line(line);
    const auto next = std::chrono::steady_clock::now() + std::chrono::duration<double>(arguments.every);
    while (std::chrono::steady_clock::now() < next && !train::interrupted()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

const base::Registrar kRegistered(
    commands(), "watch",
    Command{"say whether a run is collapsing, without labels; exit code 3 when it is",
            "  whet watch runs/vote\n"
            "  whet watch runs/vote --follow || kill $JOB\n"
            "  whet watch runs/vote --json\n"
            "Exit code 0: no alarm (or too few measurements to judge); 3: collapsed; 2: there is no run.",
            [](CLI::App& app) -> Run {
              auto arguments = std::make_shared<Arguments>();
              app.add_option("run", arguments->folder, "folder of a run that goes on or has ended")->required();
              app.add_flag("--follow", arguments->follow, "look again until it collapses, ends, or Ctrl-C");
              app.add_option("--every", arguments->every, "seconds between looks")->check(CLI::Range(0.1, 3600.0))->capture_default_str();
              app.add_flag("--json", arguments->json, "one object on standard output");
              return [arguments] { return run(*arguments); };
            }});

}  // namespace
}  // namespace whet::app
