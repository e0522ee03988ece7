// whet reproduce: the paper's findings as declared experiments, run, judged and written down.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>

#include "app/command.h"
#include "app/console.h"
#include "app/side_by_side.h"
#include "base/clock.h"
#include "base/cores.h"
#include "base/file.h"
#include "findings/finding.h"
#include "findings/page.h"
#include "store/run.h"

namespace whet::app {
namespace {

namespace fs = std::filesystem;
using base::Json;
using findings::PlannedRun;

struct Arguments {
  std::vector<std::string> names;
  std::string out;
  bool quick = false;
  std::int64_t jobs = 0;
  bool list = false;
  bool json = false;
};

constexpr const char* kRunsFolder = "runs";

std::vector<std::string> chosen(const Arguments& arguments) {
  const auto known = findings::findings().names();
  std::set<std::string> wanted;
  for (const std::string& name : arguments.names) {
    if (name == "all") return known;
    (void)findings::findings().find(name);
    wanted.insert(name);
  }
  return wanted.empty() ? known : std::vector<std::string>(wanted.begin(), wanted.end());
}

/// Every run once, those that others read and the longest first: so the last ones are short, and no core waits for
/// long.
std::vector<PlannedRun> all_runs(const std::vector<std::string>& names, bool quick) {
  std::map<std::string, PlannedRun> by_name;
  for (const std::string& name : names) {
    for (PlannedRun& run : findings::findings().find(name).plan(quick)) {
      const auto [found, is_new] = by_name.emplace(run.name, run);
      if (!is_new && found->second.arguments != run.arguments)
        throw std::logic_error("two plans for the run " + run.name);
    }
  }
  std::vector<PlannedRun> runs;
  std::set<std::string> read;
  for (const auto& [name, run] : by_name) {
    runs.push_back(run);
    read.insert(run.after.begin(), run.after.end());
  }
  std::stable_sort(runs.begin(), runs.end(), [&](const PlannedRun& a, const PlannedRun& b) {
    return std::pair(read.count(a.name), a.seconds) > std::pair(read.count(b.name), b.seconds);
  });
  return runs;
}

/// What a run that is there was begun with: its command without the program and --out.
std::vector<std::string> command_in(const fs::path& folder) {
  const Json manifest = base::read_json_file(folder / store::kManifestFile);
  auto words = manifest.value("command_line", std::vector<std::string>());
  std::vector<std::string> command;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "--out") {
      ++i;
    } else {
      command.push_back(words[i]);
    }
  }
  return command;
}

enum class State { kNew, kBegun, kFinished };

/// UserError when the folder holds a run of another experiment.
State state_of(const fs::path& folder, const PlannedRun& run) {
  if (!fs::exists(folder / store::kManifestFile)) return State::kNew;
  if (command_in(folder) != run.arguments) {
    base::user_error("out", "{} holds a run of another kind ('whet {}'), want 'whet {}': use another --out",
                     folder.string(), fmt::join(command_in(folder), " "), fmt::join(run.arguments, " "));
  }
  return fs::exists(folder / store::kSummaryFile) ? State::kFinished : State::kBegun;
}

/// Steps that a run has written down, 0 when it has just begun.
std::int64_t steps_done(const fs::path& folder) {
  const std::string line = base::last_whole_line(folder / store::kMetricsFile);
  return line.empty() ? 0 : base::parse_json(line, folder.string()).value("step", std::int64_t{0});
}

/// How far all of it is, in seconds as declared.
class Progress {
 public:
  Progress(const fs::path& runs, const std::vector<PlannedRun>& plan, int at_once) : runs_(runs), at_once_(at_once) {
    for (const PlannedRun& run : plan) plans_.emplace(run.name, run);
  }

  void is_done_already(const std::string& name) { done_.insert(name); }
  void ended(const std::string& name) {
    made_ += plans_.at(name).seconds - skipped_[name];
    done_.insert(name);
  }
  void goes_on(const std::string& name) { skipped_[name] = share(name) * plans_.at(name).seconds; }

  std::string text(const std::vector<const Job*>& going_on) {
    double left = 0, made = made_;
    for (const auto& [name, run] : plans_) left += done_.count(name) > 0 ? 0 : run.seconds;
    std::string names;
    for (const Job* job : going_on) {
      const double part = share(job->name);
      left -= part * plans_.at(job->name).seconds;
      made += part * plans_.at(job->name).seconds - skipped_[job->name];
      names += fmt::format("{}{} {:.0f} %", names.empty() ? "" : ", ", job->name, 100 * part);
    }
    // Until a tenth of a minute's worth is made, the declared seconds are the better guess.
    const double pace = made > 6 ? clock_.seconds() / made : 1.0 / at_once_;
    return fmt::format("{}/{} runs, ETA {}{}{}", done_.size(), plans_.size(), duration_text(left * pace),
                       names.empty() ? "" : ": ", names);
  }

 private:
  double share(const std::string& name) const {
    const auto steps = std::stod(findings::option_of(plans_.at(name), "steps"));
    return std::min(1.0, static_cast<double>(steps_done(runs_ / name)) / steps);
  }

  fs::path runs_;
  int at_once_;
  std::map<std::string, PlannedRun> plans_;
  std::map<std::string, double> skipped_;  ///< made by an earlier call
  std::set<std::string> done_;
  double made_ = 0;
  base::Stopwatch clock_;
};

/// Makes what is missing. False when interrupted.
bool make_runs(const std::vector<PlannedRun>& plan, const fs::path& folder, int at_once) {
  const fs::path runs = folder / kRunsFolder;
  fs::create_directories(runs);
  fs::create_directories(folder / "logs");
  Progress progress(runs, plan, at_once);
  std::vector<Job> jobs;
  for (const PlannedRun& run : plan) {
    const State state = state_of(runs / run.name, run);
    if (state == State::kFinished) {
      progress.is_done_already(run.name);
      continue;
    }
    Job job{run.name, run.arguments, runs, folder / "logs" / (run.name + ".log"), run.after};
    if (state == State::kBegun) {
      progress.goes_on(run.name);
      job.arguments = {run.arguments.front(), "--resume", run.name};
    } else {
      fs::remove_all(runs / run.name);  // of a start that was killed before it became a run
      job.arguments.insert(job.arguments.end(), {"--out", run.name});
    }
    jobs.push_back(std::move(job));
  }
  if (jobs.size() < plan.size())
    print_line(fmt::format("{} of {} runs are there already", plan.size() - jobs.size(), plan.size()));
  return run_side_by_side(jobs, at_once,
                          {.begun = [](const Job&) {},
                           .ended =
                               [&](const Job& job) {
                                 progress.ended(job.name);
                                 print_line(fmt::format("{} done; {}", job.name, progress.text({})));
                               },
                           .waiting =
                               [&](const std::vector<const Job*>& going_on) {
                                 if (on_terminal()) print_transient(progress.text(going_on));
                               }});
}

findings::PageFacts facts_of(const findings::Runs& runs, bool quick) {
  findings::PageFacts facts{.quick = quick};
  std::set<std::string> programs;
  for (const auto& [name, run] : runs) {
    facts.seconds += store::seconds_of(run);
    // A build outside of git has no revision: null.
    const auto text = [&run](const char* key) {
      const auto found = run.manifest.find(key);
      return found != run.manifest.end() && found->is_string() ? found->get<std::string>() : std::string("unknown");
    };
    programs.insert(
        fmt::format("{} {}, revision {}, {}", text("program"), text("version"), text("revision"), text("engine")));
  }
  facts.programs.assign(programs.begin(), programs.end());
  return facts;
}

void list(const std::vector<std::string>& names, bool quick) {
  for (const std::string& name : names) {
    const auto& finding = findings::findings().find(name);
    const auto plan = finding.plan(quick);
    double seconds = 0;
    for (const PlannedRun& run : plan) seconds += run.seconds;
    std::printf(
        "%s: %s\n  paper      %s\n  setting    %s\n  criterion  %s\n  chosen on  %s\n  %zu runs, about %.0f minutes of "
        "one core\n",
        name.c_str(), finding.title.c_str(), finding.claim.c_str(), finding.setting.c_str(), finding.criterion.c_str(),
        finding.chosen_on.c_str(), plan.size(), seconds / 60);
    for (const PlannedRun& run : plan) std::printf("    %s\n", findings::command_of(run).c_str());
  }
}

void print_table(const std::vector<findings::Judged>& all) {
  for (const findings::Judged& judged : all) {
    const auto& finding = findings::findings().find(judged.id);
    std::printf("%s %-28s %s\n   criterion: %s\n   measured:  %s\n", judged.id.c_str(), finding.title.c_str(),
                findings::to_string(judged.judgement.verdict).c_str(), finding.criterion.c_str(),
                judged.judgement.measured.c_str());
  }
}

int run(Arguments arguments) {
  const auto names = chosen(arguments);
  if (arguments.list) {
    list(names, arguments.quick);
    return 0;
  }
  const fs::path folder = arguments.out.empty() ? (arguments.quick ? "findings-quick" : "findings") : arguments.out;
  if (arguments.jobs == 0) arguments.jobs = base::usable_cores();
  // The runs are started elsewhere; the engine is to be found all the same.
  if (const char* engine = std::getenv("WHET_ENGINE"); engine != nullptr)
    ::setenv("WHET_ENGINE", fs::absolute(engine).c_str(), 1);
  const auto plan = all_runs(names, arguments.quick);
  if (!make_runs(plan, folder, static_cast<int>(arguments.jobs))) {
    print_line(
        fmt::format("interrupted; the runs are saved in {}, and the same command goes on with them", folder.string()));
    return 130;
  }
  findings::Runs runs;
  for (const PlannedRun& planned : plan)
    runs.emplace(planned.name, store::load_run(folder / kRunsFolder / planned.name));
  std::vector<findings::Judged> all;
  for (const std::string& name : names) {
    const auto& finding = findings::findings().find(name);
    findings::Judged judged{name, finding.plan(arguments.quick), {}};
    findings::Runs own;
    for (const PlannedRun& planned : judged.plan) own.emplace(planned.name, runs.at(planned.name));
    judged.judgement = finding.judge(own);
    all.push_back(std::move(judged));
  }
  findings::write_pages(folder, all, facts_of(runs, arguments.quick));
  if (arguments.json) {
    Json rows = Json::array();
    for (const findings::Judged& judged : all) {
      rows.push_back({{"finding", judged.id},
                      {"title", findings::findings().find(judged.id).title},
                      {"criterion", findings::findings().find(judged.id).criterion},
                      {"measured", judged.judgement.measured},
                      {"verdict", findings::to_string(judged.judgement.verdict)}});
    }
    std::printf("%s\n", base::to_json_line({{"quick", arguments.quick}, {"findings", rows}}).c_str());
  } else {
    print_table(all);
  }
  print_line(fmt::format("written: {} and {}", (folder / "index.html").string(), (folder / "findings.md").string()));
  return 0;
}

const base::Registrar kRegistered(
    commands(), "reproduce",
    Command{"run the paper's findings as declared experiments and judge them",
            "  whet reproduce --list\n"
            "  whet reproduce F4 --out findings\n"
            "  whet reproduce all --quick --out findings-quick\n"
            "Finished runs are not made again; an interrupted command goes on where it was.",
            [](CLI::App& app) -> Run {
              auto arguments = std::make_shared<Arguments>();
              app.add_option("findings", arguments->names, "F1 to F7, or all (the default)");
              app.add_option("--out", arguments->out,
                             "folder of runs, pages and figures; default: findings, or findings-quick");
              app.add_flag("--quick", arguments->quick, "fewer seeds and settings");
              app.add_option("--jobs", arguments->jobs, "runs side by side, each on one thread; 0: one a core")
                  ->check(CLI::Range(0, 1024))
                  ->capture_default_str();
              app.add_flag("--list", arguments->list,
                           "print what is declared, its commands and criteria, and run nothing");
              app.add_flag("--json", arguments->json, "one JSON object on standard output");
              return [arguments] { return run(*arguments); };
            }});

}  // namespace
}  // namespace whet::app
