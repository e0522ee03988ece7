#include "findings/finding.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

namespace whet::findings {

std::string to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kReproduced:
      return "reproduced";
    case Verdict::kInPart:
      return "reproduced in part";
    case Verdict::kNotReproduced:
      return "not reproduced";
    case Verdict::kCannotTell:
      return "cannot tell";
  }
  throw std::logic_error("to_string: no such verdict");
}

base::Registry<Finding>& findings() {
  static base::Registry<Finding> registry("finding");
  return registry;
}

namespace {

PlannedRun with_options(PlannedRun run, const Options& shared, const Options& own) {
  const auto add = [&run](const auto& option) {
    run.arguments.push_back("--" + option.first);
    run.arguments.push_back(option.second);
  };
  for (const auto& option : shared) {
    if (std::none_of(own.begin(), own.end(), [&](const auto& o) { return o.first == option.first; })) add(option);
  }
  for (const auto& option : own) add(option);
  return run;
}

}  // namespace

PlannedRun sort_run(std::string name, double seconds, Options options) {
  // Few checkpoints and dumps: what is judged stands in metrics.jsonl and heldout.jsonl. The watch looks at other
  // problems than those that accuracy is measured on, so that these runs can judge it as well (scripts/judge_watch.py).
  const Options shared{{"task", "sort"},          {"model", "sort-strong"},    {"steps", "300"},
                       {"eval-problems", "200"},  {"learning-rate", "3.5e-4"}, {"checkpoint-every", "50"},
                       {"keep-checkpoints", "1"}, {"rollouts-every", "25"},    {"threads", "1"},
                       {"watch-problems", "100"}};
  return with_options({.name = std::move(name), .arguments = {"train"}, .seconds = seconds}, shared, options);
}

PlannedRun base_run(std::string name, double seconds, Options options) {
  const Options shared{{"task", "sort"},           {"steps", "2500"},       {"checkpoint-every", "100"},
                       {"keep-checkpoints", "25"}, {"eval-problems", "20"}, {"threads", "1"}};
  return with_options({.name = std::move(name), .arguments = {"pretrain"}, .seconds = seconds}, shared, options);
}

std::string checkpoint_of(const PlannedRun& base, int step) {
  return fmt::format("{}/checkpoints/step-{:06}", base.name, step);
}

std::string command_of(const PlannedRun& run) {
  return fmt::format("whet {} --out {}", fmt::join(run.arguments, " "), run.name);
}

std::string option_of(const PlannedRun& run, const std::string& option) {
  const auto found = std::find(run.arguments.begin(), run.arguments.end(), "--" + option);
  if (found == run.arguments.end() || found + 1 == run.arguments.end()) {
    throw std::logic_error("option_of: " + run.name + " has no --" + option);
  }
  return *(found + 1);
}

}  // namespace whet::findings
