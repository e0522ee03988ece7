// whet eval: how good a model is on held-out problems, with intervals.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "analysis/evaluation.h"
#include "app/command.h"
#include "app/console.h"
#include "app/json_values.h"
#include "app/sampling.h"
#include "base/cores.h"
#include "base/random.h"
#include "train/groups.h"
#include "train/model_options.h"
#include "train/problems.h"
#include "train/text_model.h"

namespace whet::app {
namespace {

struct EvalOptions {
  std::string model;
  train::ProblemOptions source;
  std::string split = "held-out";
  std::int64_t count = 200;
  std::int64_t samples = 8;
  std::vector<std::string> pass_at;
  std::int64_t seed = 0;
  train::SamplingFields sampling;
  bool greedy = false;
  std::string device = "cpu";
  std::string precision = "float32";
  std::int64_t threads = 0;
};

template <class Visitor>
void visit_fields(EvalOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.model, "model", "a Hugging Face folder, or the name of an embedded base model", anything());
  visit_fields(o.source, visit);
  visit(o.split, "split", "which problems", one_of({"held-out", "train"}));
  visit(o.count, "count", "problems", count_from(1));
  visit(o.samples, "samples", "rollouts of each: the k of avg@k and maj@k", count_from(1));
  visit(o.pass_at, "pass-at", "the k's of pass@k, at most --samples; default: --samples", anything());
  visit(o.seed, "seed", "fixes the draws", at_least(0));
  visit_fields(o.sampling, visit);
  visit(o.greedy, "greedy", "take the most likely token", anything());
  visit(o.device, "device", train::kDeviceHelp, anything());
  visit(o.precision, "precision", train::kAskedPrecisionHelp, train::precisions());
  visit(o.threads, "threads", base::kThreadsHelp, count_from(0));
}

std::vector<int> pass_ks(const EvalOptions& options) {
  std::vector<int> ks;
  for (const std::string& text : options.pass_at) {
    int k = 0;
    if (!CLI::detail::lexical_cast(text, k) || k < 1 || k > options.samples) {
      base::user_error("pass-at", "'{}', want whole numbers from 1 to --samples {}", text, options.samples);
    }
    ks.push_back(k);
  }
  if (ks.empty()) ks.push_back(static_cast<int>(options.samples));
  return ks;
}

std::string estimate_text(const analysis::Estimate& estimate) {
  return fmt::format("{:.3f}  [{:.3f}, {:.3f}]", estimate.value, estimate.low, estimate.high);
}

int run(const EvalOptions& options, bool json) {
  const auto ks = pass_ks(options);
  const auto folder = train::resolve_model(options.model);
  const auto task = train::make_task(options.source, folder);
  const auto split = options.split == "train" ? tasks::Split::kTrain : tasks::Split::kHeldOut;
  train::require_labels(*task, split, "eval");
  const auto problems = train::distinct_problems(*task, split, static_cast<std::uint64_t>(options.seed), options.count);
  train::TextModel model =
      train::open_text_model(folder, train::asking_options(options.threads, options.precision, options.device));
  auto sampling = train::sampling_options(options.sampling, *task);
  sampling.greedy = options.greedy;
  std::vector<analysis::ProblemOutcome> outcomes;
  std::int64_t tokens = 0, truncated = 0, answered = 0;
  in_slices("eval", problems, [&](const std::vector<tasks::Problem>& slice) {
    for (const train::Group& group :
         train::sample_groups(*model.model, model.tokenizer, *task, slice, static_cast<int>(options.samples), sampling,
                              base::combine({static_cast<std::uint64_t>(options.seed), base::hash_text("eval")}))) {
      outcomes.push_back(train::outcome_of(group, *task));
      for (std::size_t i = 0; i < group.rollouts.size(); ++i) {
        tokens += static_cast<std::int64_t>(group.rollouts[i].tokens.size());
        truncated += group.rollouts[i].truncated ? 1 : 0;
        answered += group.answers[i] ? 1 : 0;
      }
    }
  });
  const auto evaluation = analysis::evaluate(outcomes, ks, static_cast<std::uint64_t>(options.seed));
  const double rollouts = static_cast<double>(evaluation.samples);
  const auto available = task->size(split);  // more than --count of a file must not pass for all of it
  if (json) {
    base::Json object = {
        {"model", options.model},          {"task", train::source_name(options.source)},
        {"problems", evaluation.problems}, {"available", available ? base::Json(*available) : base::Json(nullptr)},
        {"samples", options.samples},      {"avg", estimate_json(evaluation.avg)}};
    for (const auto& [k, estimate] : evaluation.pass) object["pass"][std::to_string(k)] = estimate_json(estimate);
    if (evaluation.maj) object["maj"] = estimate_json(*evaluation.maj);
    object["answered"] = static_cast<double>(answered) / rollouts;
    object["truncated"] = static_cast<double>(truncated) / rollouts;
    object["tokens"] = tokens;
    std::printf("%s\n", base::to_json_line(object).c_str());
    return 0;
  }
  print_transient("");
  const bool is_part = available && *available > static_cast<std::uint64_t>(evaluation.problems);
  const std::string of = is_part ? fmt::format(" of {}", *available) : "";
  std::printf("%s on %s, %lld%s problems x %lld rollouts (95 %% intervals over problems)\n", options.model.c_str(),
              train::source_name(options.source).c_str(), static_cast<long long>(evaluation.problems), of.c_str(),
              static_cast<long long>(options.samples));
  std::printf("  avg@%-4lld %s\n", static_cast<long long>(options.samples), estimate_text(evaluation.avg).c_str());
  for (const auto& [k, estimate] : evaluation.pass) std::printf("  pass@%-3d %s\n", k, estimate_text(estimate).c_str());
  if (evaluation.maj) {
    std::printf("  maj@%-4lld %s\n", static_cast<long long>(options.samples), estimate_text(*evaluation.maj).c_str());
  }
  std::printf("  answered %.3f, cut at the length limit %.3f, %lld tokens\n", static_cast<double>(answered) / rollouts,
              static_cast<double>(truncated) / rollouts, static_cast<long long>(tokens));
  return 0;
}

const base::Registrar kRegistered(
    commands(), "eval",
    Command{"measure avg@k, pass@k and maj@k with confidence intervals",
            "  whet eval --model sort-strong --task sort --samples 16 --pass-at 1 4 16\n"
            "  whet eval --model runs/vote/checkpoints/step-000300 --task sort --json\n"
            "  whet eval --model DIR --held-out-problems test.jsonl --temperature 0.6 --top-p 0.95",
            fields_and_json(run)});

}  // namespace
}  // namespace whet::app
