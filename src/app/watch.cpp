// whet watch: is a run, or somebody else's training, collapsing? Judged without labels, while it goes on or afterwards.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "analysis/failure.h"
#include "app/command.h"
#include "app/console.h"
#include "app/dump_signals.h"
#include "app/json_values.h"
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
constexpr std::size_t kRowsShown = 10;

struct Arguments {
  std::string folder, task = "file", format;
  bool follow = false;
  bool json = false;
  double every = 10;
};

/// What one look at the folder showed.
struct Look {
  std::optional<store::Run> run;  ///< absent: dumps of another trainer
  std::vector<analysis::SignalPoint> points;
  std::vector<std::string> notes;
  std::string source;
  bool has_begun = false;  ///< there is something; else only with --follow
  bool by_base = false;    ///< judged against the frozen base, not by the signals alone
  std::int64_t last_step = 0;
  analysis::WatchState state;
  analysis::FailureReport failure;
  bool finished() const { return run && run->summary; }
};

/// The average that a finished run has kept, or the checkpoint of the kept step, as a model to open; empty where the run did not
/// keep it.
std::string kept_model(const store::Run& run, const analysis::WatchState& state) {
  if (!state.peak_step) return {};
  if (run.summary && run.summary->contains("kept")) return (run.folder / store::kKeptFolder).string();
  if (*state.peak_step == 0) return run.config.value("model", std::string());
  for (const store::StepPath& checkpoint : run.checkpoints) {
    if (checkpoint.step == *state.peak_step) return checkpoint.path.string();
  }
  return {};
}

/// `dumps`: made at the first look at a folder of another trainer, and kept for the next.
Look look_at(const Arguments& arguments, std::unique_ptr<DumpFollower>& dumps) {
  const std::filesystem::path folder = arguments.folder;
  Look look;
  const bool is_there = std::filesystem::exists(folder);
  // A trainer makes its folder when it first writes there, which may be long after the watch was started.
  look.has_begun = is_there && !(std::filesystem::is_directory(folder) && std::filesystem::is_empty(folder));
  if (arguments.follow && !look.has_begun) return look;
  if (!is_there) base::user_error("watch", "{} is not there, want a folder", arguments.folder);
  if (std::filesystem::exists(folder / store::kManifestFile)) {
    look.run = store::load_run(folder);
    look.source = "run";
    look.points = report::signals_of(*look.run);
    look.state = report::watch_run(*look.run);
    look.by_base = look.state.points > 0;
    if (!look.run->metrics.empty()) look.last_step = look.run->metrics.back().at("step").get<std::int64_t>();
  } else {
    if (!dumps) {
      std::optional<store::DumpFormat> format;
      for (std::size_t i = 0; i < store::format_names().size(); ++i) {
        if (store::format_names()[i] == arguments.format) format = static_cast<store::DumpFormat>(i);
      }
      dumps = std::make_unique<DumpFollower>(arguments.folder, arguments.task, format);
    }
    DumpSignals seen = dumps->look();
    look.source = seen.format.empty() ? "rollouts" : "rollouts of " + seen.format;
    look.points = std::move(seen.points);
    look.notes = std::move(seen.notes);
    if (!look.points.empty()) look.last_step = look.points.back().step;
  }
  if (!look.by_base) {
    analysis::SignalWatch watch;
    for (const analysis::SignalPoint& point : look.points) watch.update(point);
    look.state = watch.state();
  }
  look.failure = analysis::name_failure(look.points);
  return look;
}

Json to_json(const Arguments& arguments, const Look& look) {
  const analysis::WatchState& state = look.state;
  const std::string kept = look.run ? kept_model(*look.run, state) : std::string();
  Json signs = Json::array();
  for (const analysis::FailureSign& sign : look.failure.signs) {
    signs.push_back({{"failure", to_string(sign.failure)},
                     {"from", sign.from},
                     {"from_step", sign.from_step},
                     {"to", sign.to},
                     {"since", sign.since},
                     {"severity", sign.severity},
                     {"evidence", sign.evidence}});
  }
  return {
      {"run", arguments.folder},
      {"source", look.source},
      {"judged_by", look.by_base ? "frozen base" : "signals"},
      {"finished", look.finished()},
      {"steps", look.points.size()},
      {"last_step", look.last_step == 0 && look.points.empty() && !look.by_base ? Json(nullptr) : Json(look.last_step)},
      {"measurements", state.points},
      {"verdict", to_string(state.verdict)},
      {"signal", state.signal},
      {"peak_step", or_null(state.peak_step)},
      {"warning_step", or_null(state.warning_step)},
      {"collapse_step", or_null(state.collapse_step)},
      {"kept_model", kept.empty() ? Json(nullptr) : Json(kept)},
      {"evidence", state.evidence},
      {"failure", to_string(look.failure.failure)},
      {"signs", signs},
      {"notes", look.notes}};
}

void print_table(const Look& look) {
  fmt::print("{:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "step", "majority", "answ.ent", "mut.inf",
             "tok.ent", "length", "repeats", "answered", "KL");
  const auto cell = [](const std::optional<double>& value) {
    return value ? fmt::format("{:8.3f}", *value) : fmt::format("{:>8}", "-");
  };
  const std::size_t first = look.points.size() > kRowsShown ? look.points.size() - kRowsShown : 0;
  for (std::size_t i = first; i < look.points.size(); ++i) {
    const auto& [step, s, kl] = look.points[i];
    fmt::print("{:7} {} {} {} {} {} {} {} {}\n", step, cell(s.majority_ratio), cell(s.answer_entropy),
               cell(s.mutual_information), cell(s.token_entropy), cell(s.length), cell(s.repetition), cell(s.answered),
               cell(kl));
  }
}

void print_verdict(const Arguments& arguments, const Look& look) {
  const analysis::WatchState& state = look.state;
  if (!look.points.empty()) print_table(look);
  fmt::print("{}: {}, seen up to step {}{}\n", arguments.folder, to_string(state.verdict), look.last_step,
             look.finished() ? " (finished)" : "");
  if (state.verdict == analysis::Verdict::kTooFewPoints) {
    fmt::print("  {} {}{}, too few: no verdict\n", state.points, look.by_base ? "measurement" : "step",
               state.points == 1 ? "" : "s");
  } else {
    fmt::print("  {}\n", state.evidence);
    if (state.warning_step) fmt::print("  early warning: step {}\n", *state.warning_step);
    const std::string kept = look.run ? kept_model(*look.run, state) : std::string();
    if (!kept.empty()) {
      fmt::print("  best without labels: {}\n", kept);
    } else if (state.peak_step) {
      fmt::print("  keep the newest checkpoint that is not after step {}\n", *state.peak_step);
    }
  }
  for (const analysis::FailureSign& sign : look.failure.signs) fmt::print("  {}\n", sign.evidence);
  if (!look.by_base) {
    fmt::print("  judged by the signals alone, without the frozen base: weaker, and mostly later\n");
  }
  for (const std::string& note : look.notes) fmt::print("  note: {}\n", note);
}

int run(const Arguments& arguments) {
  if (arguments.follow) train::listen_for_interrupt();
  std::string told;
  std::unique_ptr<DumpFollower> dumps;
  while (true) {
    const Look look = look_at(arguments, dumps);
    const analysis::WatchState& state = look.state;
    const bool over = !arguments.follow || look.finished() || state.collapse_step || train::interrupted();
    if (over) {
      if (arguments.json) {
        fmt::print("{}\n", base::to_json_line(to_json(arguments, look)));
      } else {
        print_verdict(arguments, look);
      }
      if (state.collapse_step) return kCollapsedExit;
      return train::interrupted() ? kInterruptedExit : 0;
    }
    const std::string line =
        look.has_begun ? fmt::format("step {}: {}; {}", look.last_step, to_string(state.verdict), state.evidence)
                       : fmt::format("nothing in {} yet", arguments.folder);
    if (on_terminal()) {
      print_transient(line);
    } else if (line != told) {
      print_line(line);
    }
    told = line;
    const auto next = std::chrono::steady_clock::now() + std::chrono::duration<double>(arguments.every);
    while (std::chrono::steady_clock::now() < next && !train::interrupted()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

const base::Registrar kRegistered(
    commands(), "watch",
    Command{"say whether a run, or another trainer's, is collapsing, without labels; exit code 3 when it is",
            "  whet watch runs/vote\n"
            "  whet watch runs/vote --follow; [ $? -eq 3 ] && kill $JOB\n"
            "  whet watch runs/vote --json\n"
            "  whet watch rollouts/ --follow --every 60\n"
            "Exit code 0: no alarm (or too few measurements to judge); 3: collapsed; 2: there is neither run nor dump.",
            [](CLI::App& app) -> Run {
              auto arguments = std::make_shared<Arguments>();
              app.add_option("run", arguments->folder, "a run of ours, or rollout dumps of verl, TRL, NeMo-RL, AReaL")
                  ->required();
              app.add_flag("--follow", arguments->follow,
                           "look again until it collapses, ends, or Ctrl-C; waits for a folder that is not there yet");
              app.add_option("--every", arguments->every, "seconds between looks")
                  ->check(CLI::Range(0.1, 3600.0))
                  ->capture_default_str();
              app.add_option("--task", arguments->task, "dumps: whose rules find and compare answers")
                  ->capture_default_str();
              app.add_option("--format", arguments->format, "dumps: what wrote them; default: told from the columns")
                  ->check(CLI::IsMember(store::format_names()));
              app.add_flag("--json", arguments->json, "one object on standard output");
              return [arguments] { return run(*arguments); };
            }});

}  // namespace
}  // namespace whet::app
