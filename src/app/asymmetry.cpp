// whet asymmetry: is checking easier than solving for this model and task? Asked before a run is spent on it.
#include "analysis/asymmetry.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "app/console.h"
#include "app/json_values.h"
#include "app/sampling.h"
#include "base/cores.h"
#include "base/random.h"
#include "train/groups.h"
#include "train/problems.h"
#include "train/text_model.h"
#include "train/verifier.h"

namespace whet::app {
namespace {

struct AsymmetryOptions {
  std::string model;
  train::ProblemOptions source;
  std::string split = "held-out";
  std::int64_t count = 200;
  std::int64_t samples = 8;
  train::VerifierOptions verifier;
  std::int64_t examples = 3;
  std::int64_t seed = 0;
  train::SamplingFields sampling;
  std::int64_t threads = 0;
};

template <class Visitor>
void visit_fields(AsymmetryOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.model, "model", "who solves: a Hugging Face folder, or the name of an embedded base model", anything());
  visit_fields(o.source, visit);
  visit(o.split, "split", "which problems", one_of({"held-out", "train"}));
  visit(o.count, "count", "problems", count_from(1));
  visit(o.samples, "samples", "solutions of each", count_from(1));
  visit_fields(o.verifier, visit);
  visit(o.examples, "examples", "wrong solutions that passed, to show with their verdicts", count_from(0));
  visit(o.seed, "seed", "fixes the draws", at_least(0));
  visit_fields(o.sampling, visit);
  visit(o.threads, "threads", base::kThreadsHelp, count_from(0));
}

/// A verdict that was wrong, to read.
struct Example {
  std::string problem, response, kind, verdict;
};

struct Measured {
  std::vector<analysis::JudgedProblem> problems;
  std::vector<Example> passed;  ///< wrong solutions that a verdict called right
  std::int64_t tokens = 0;
  train::VerdictCounts counts;
};

std::string kind_of(const tasks::Task& task, const train::Group& group, std::size_t i) {
  if (group.answers[i]) return task.kind_of_error(group.problem, *group.answers[i]);
  return group.rollouts[i].truncated ? "cut at the length limit" : "no answer";
}

void add(Measured& measured, const tasks::Task& task, const train::Group& group, const train::GroupVerdicts& verdicts) {
  analysis::JudgedProblem problem;
  problem.majority_correct = group.majority_correct(task).value_or(false);
  for (std::size_t i = 0; i < group.rollouts.size(); ++i) {
    const train::Verdict& verdict = verdicts[i];
    analysis::JudgedResponse response;
    response.correct = group.correct[i].value_or(false);
    response.asked = verdict.asked == train::Verdict::Asked::kYes;
    if (!response.correct) response.kind = kind_of(task, group, i);
    response.readings = static_cast<int>(verdict.readings.size());
    for (std::size_t k = 0; k < verdict.readings.size(); ++k) {
      const bool says_true = verdict.readings[k].value_or(false);
      response.says_true += says_true ? 1 : 0;
      response.unreadable += response.asked && !verdict.readings[k] ? 1 : 0;
      if (says_true && !response.correct) {
        measured.passed.push_back({group.problem.prompt, group.texts[i], response.kind, verdict.texts[k]});
      }
    }
    measured.tokens += static_cast<std::int64_t>(group.rollouts[i].tokens.size());
    problem.responses.push_back(std::move(response));
  }
  measured.problems.push_back(std::move(problem));
}

Measured measure(const AsymmetryOptions& options, const tasks::Task& task, tasks::Split split) {
  const train::Verifier verifier(options.verifier, task);
  const auto threads = static_cast<int>(options.threads);
  const auto folder = train::resolve_model(options.model);
  const std::string& judge = options.verifier.verifier;
  // Before training the live policy and its base are one model.
  const bool is_own = !train::is_other_model(options.verifier);
  const auto judge_folder = is_own ? folder : train::resolve_model(judge);
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const auto problems = train::distinct_problems(task, split, seed, options.count);
  train::TextModel model = train::open_text_model(folder, threads);
  std::optional<train::TextModel> other;
  if (!is_own) other.emplace(train::open_text_model(judge_folder, threads));
  train::TextModel& reader = other ? *other : model;
  verifier.require_usable(reader.tokenizer, reader.model->config());
  const auto sampling = train::sampling_options(options.sampling, task);

  Measured measured;
  // The draws of the solutions are those of `whet eval`.
  in_slices("asymmetry", problems, [&](const std::vector<tasks::Problem>& slice) {
    const auto groups =
        train::sample_groups(*model.model, model.tokenizer, task, slice, static_cast<int>(options.samples), sampling,
                             base::combine({seed, base::hash_text("eval")}));
    const auto verdicts =
        verifier.read(*reader.model, reader.tokenizer, groups, base::combine({seed, base::hash_text("verify")}));
    for (std::size_t g = 0; g < groups.size(); ++g) {
      add(measured, task, groups[g], verdicts[g]);
      for (std::size_t i = 0; i < groups[g].rollouts.size(); ++i)
        measured.counts.add(verdicts[g][i], groups[g].correct[i]);
    }
  });
  return measured;
}

const char* word(analysis::Answer answer) {
  switch (answer) {
    case analysis::Answer::kYes:
      return "yes";
    case analysis::Answer::kNo:
      return "no";
    case analysis::Answer::kUnclear:
      break;
  }
  return "unclear";
}

std::string text(const std::optional<analysis::Estimate>& estimate) {
  if (!estimate) return "none to measure on";
  return fmt::format("{:6.3f}  [{:.3f}, {:.3f}]", estimate->value, estimate->low, estimate->high);
}

void print_json(const AsymmetryOptions& options, const Measured& measured, const analysis::Asymmetry& result,
                const analysis::Advice& advice) {
  base::Json object = {{"model", options.model},
                       {"task", train::source_name(options.source)},
                       {"verifier", options.verifier.verifier},
                       {"readings", options.verifier.verifier_readings},
                       {"problems", result.problems},
                       {"samples", options.samples},
                       {"accuracy", estimate_json(result.accuracy)},
                       {"majority", estimate_json(result.majority)},
                       {"chosen", estimate_json(result.chosen)},
                       {"chosen_minus_accuracy", estimate_json(result.chosen_minus_accuracy)},
                       {"chosen_minus_majority", estimate_json(result.chosen_minus_majority)},
                       {"true_positive_rate", estimate_json(result.true_positive_rate)},
                       {"false_positive_rate", estimate_json(result.false_positive_rate)},
                       {"informedness", estimate_json(result.informedness)},
                       {"advantage", estimate_json(result.advantage)},
                       {"precision", or_null(result.precision)},
                       {"unreadable", or_null(result.unreadable)},
                       {"asked", result.asked},
                       {"too_long", measured.counts.too_long}};
  base::Json kinds = base::Json::array();
  for (const analysis::KindRate& kind : result.kinds) {
    kinds.push_back({{"kind", kind.kind}, {"responses", kind.responses}, {"says_true", estimate_json(kind.says_true)}});
  }
  object["kinds"] = std::move(kinds);
  base::Json examples = base::Json::array();
  for (std::size_t i = 0; i < measured.passed.size() && std::cmp_less(i, options.examples); ++i) {
    const Example& example = measured.passed[i];
    examples.push_back({{"problem", example.problem},
                        {"response", example.response},
                        {"kind", example.kind},
                        {"verdict", example.verdict}});
  }
  object["passed_though_wrong"] = std::move(examples);
  object["checking_is_easier"] = word(advice.easier);
  object["worth_a_run"] = word(advice.worth);
  object["reasons"] = advice.reasons;
  std::printf("%s\n", base::to_json_line(object).c_str());
}

void print_page(const AsymmetryOptions& options, const Measured& measured, const analysis::Asymmetry& result,
                const analysis::Advice& advice) {
  const auto line = [](std::string_view label, const std::string& value) {
    std::printf("  %s\n", fmt::format("{:<34} {}", label, value).c_str());
  };
  const std::string n = std::to_string(options.samples);
  std::printf("%s\n", fmt::format("{} on {}: {} problems x {} solutions, {} verdict{} each by '{}' (95 % intervals)",
                                  options.model, train::source_name(options.source), result.problems, n,
                                  options.verifier.verifier_readings,
                                  options.verifier.verifier_readings == 1 ? "" : "s", options.verifier.verifier)
                          .c_str());
  std::printf("solving\n");
  line("right solutions, avg@" + n, text(result.accuracy));
  line("vote right, maj@" + n, text(result.majority));
  line("verifier's favourite right, ver@" + n, text(result.chosen));
  std::printf("checking\n");
  line("right solutions called True", text(result.true_positive_rate));
  line("wrong solutions called True", text(result.false_positive_rate));
  line("first minus second (informedness)", text(result.informedness));
  line("precision of True", result.precision ? fmt::format("{:6.3f}", *result.precision) : "nothing was called True");
  line("verdicts that cannot be read",
       result.unreadable ? fmt::format("{:6.3f}", *result.unreadable) : "no solution had an answer to ask about");
  if (measured.counts.too_long > 0) line("solutions too long to ask about", std::to_string(measured.counts.too_long));
  if (!result.kinds.empty()) std::printf("wrong solutions called True, by kind of error\n");
  for (const analysis::KindRate& kind : result.kinds) {
    line(kind.kind, fmt::format("{}  of {}", text(kind.says_true), kind.responses));
  }
  if (!measured.passed.empty() && options.examples > 0) std::printf("wrong, and called True\n");
  for (std::size_t i = 0; i < measured.passed.size() && std::cmp_less(i, options.examples); ++i) {
    const Example& example = measured.passed[i];
    std::printf("  %s%s\n    %s; verdict: %s\n", example.problem.c_str(), example.response.c_str(),
                example.kind.c_str(), example.verdict.c_str());
  }
  std::printf("Is checking easier than solving? %s.", word(advice.easier));
  if (result.advantage) {
    std::printf(" %s", fmt::format("Informedness {:.3f} minus accuracy {:.3f} is {:+.3f} [{:+.3f}, {:+.3f}].",
                                   result.informedness->value, result.informedness->value - result.advantage->value,
                                   result.advantage->value, result.advantage->low, result.advantage->high)
                           .c_str());
  }
  std::printf("\nIs self-verification worth a run? %s.\n", word(advice.worth));
  for (const std::string& reason : advice.reasons) std::printf("  %s\n", reason.c_str());
  const analysis::Estimate& beside = result.chosen_minus_majority;
  std::printf(
      "%s\n",
      fmt::format("Beside the vote of the same {} solutions, the verifier's favourite is right {:+.3f} [{:+.3f}, "
                  "{:+.3f}] more often.",
                  n, beside.value, beside.low, beside.high)
          .c_str());
}

int run(const AsymmetryOptions& options, bool json) {
  const auto task = train::make_task(options.source, train::resolve_model(options.model));
  const auto split = options.split == "train" ? tasks::Split::kTrain : tasks::Split::kHeldOut;
  train::require_labels(*task, split, "asymmetry");
  const Measured measured = measure(options, *task, split);
  const auto result = analysis::asymmetry(measured.problems, static_cast<std::uint64_t>(options.seed));
  const auto advice = analysis::advise(result);
  print_transient("");
  (json ? print_json : print_page)(options, measured, result, advice);
  return 0;
}

const base::Registrar kRegistered(
    commands(), "asymmetry",
    Command{
        "measure how much easier checking is than solving, before a run on self-verification",
        "  whet asymmetry --model countdown --task countdown\n"
        "  whet asymmetry --model countdown --task countdown --verifier runs/verifier/checkpoints/step-000300\n"
        "  whet asymmetry --model DIR --problems test.jsonl --verifier-template ask.txt --verifier-readings 4 --json",
        fields_and_json(run)});

}  // namespace
}  // namespace whet::app
