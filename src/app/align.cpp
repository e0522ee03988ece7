// whet align: does this model's confidence go with being right, so that sharpening it is worth while?
#include <algorithm>
#include <cstdio>
#include <memory>

#include "analysis/calibration.h"
#include "app/command.h"
#include "app/console.h"
#include "app/json_values.h"
#include "app/sampling.h"
#include "base/cores.h"
#include "base/random.h"
#include "rewards/reward.h"
#include "train/evidence.h"
#include "train/groups.h"
#include "train/problems.h"
#include "train/text_model.h"
#include "train/witnesses.h"

namespace whet::app {
namespace {

using analysis::Estimate;
using base::Json;

constexpr const char* kVote = "semantic-entropy";  // pays the share of a rollout's class: its vote
constexpr int kBins = 10;

struct AlignOptions {
  std::string model;
  train::ProblemOptions source;
  std::string split = "held-out";
  std::int64_t count = 200;
  std::int64_t samples = 16;
  std::int64_t seed = 0;
  train::SamplingFields sampling;
  std::int64_t threads = 0;
};

template <class Visitor>
void visit_fields(AlignOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.model, "model", "a Hugging Face folder, or the name of an embedded base model", anything());
  visit_fields(o.source, visit);
  visit(o.split, "split", "which problems", one_of({"held-out", "train"}));
  visit(o.count, "count", "problems", count_from(2));
  visit(o.samples, "samples", "rollouts of each; one alone has no majority", count_from(2));
  visit(o.seed, "seed", "fixes the draws", at_least(0));
  visit_fields(o.sampling, visit);
  visit(o.threads, "threads", base::kThreadsHelp, count_from(0));
}

/// One kind of confidence, and what it was in every rollout.
struct Confidence {
  std::string name;
  bool is_probability = false;
  std::unique_ptr<rewards::Reward> reward;
  std::vector<analysis::ScoredProblem> problems = {};
};

/// The certainty rewards and the vote. psi = exp over a point mass makes a reward the probability of what was sampled:
/// only there does a calibration error mean something.
std::vector<Confidence> all_confidences() {
  std::vector<Confidence> all;
  for (const auto& [name, entry] : rewards::rewards()) {
    if (entry.family != "certainty" && name != kVote) continue;
    const bool is_probability = entry.form && entry.form->transform == rewards::Transform::kExp;
    all.push_back({name == kVote ? "vote" : name, is_probability, entry.make({})});
  }
  std::stable_partition(all.begin(), all.end(), [](const Confidence& c) { return c.name == "vote"; });
  return all;
}

struct Measured {
  std::string name;
  bool is_probability = false;
  std::optional<Estimate> auroc, auroc_within, point_biserial, point_biserial_within, calibration_error;
  std::int64_t underflowed = 0;  ///< probabilities too small for a double, which tie at 0
};

Measured measure(const Confidence& confidence, std::uint64_t seed) {
  using Scores = const std::vector<double>&;
  using Correct = const std::vector<bool>&;
  Measured result;
  result.name = confidence.name;
  result.is_probability = confidence.is_probability;
  result.auroc = analysis::bootstrap_problems(confidence.problems, analysis::auroc, seed);
  result.auroc_within = analysis::auroc_within(confidence.problems, seed);
  result.point_biserial_within = analysis::point_biserial_within(confidence.problems, seed);
  result.point_biserial = analysis::bootstrap_problems(confidence.problems, analysis::point_biserial, seed);
  if (!confidence.is_probability) return result;
  result.calibration_error = analysis::bootstrap_problems(
      confidence.problems,
      [](Scores scores, Correct correct) {
        return analysis::expected_calibration_error(analysis::reliability(scores, correct, kBins));
      },
      seed);
  if (confidence.name == "vote") return result;  // a vote of 0 is a rollout without answer
  for (const auto& problem : confidence.problems) {
    result.underflowed += std::count(problem.scores.begin(), problem.scores.end(), 0.0);
  }
  return result;
}

/// The share that is right among the samples of one bin.
std::optional<Estimate> bin_accuracy(const Confidence& vote, std::size_t bin, std::uint64_t seed) {
  return analysis::bootstrap_problems(
      vote.problems,
      [bin](const std::vector<double>& scores, const std::vector<bool>& correct) {
        const auto found = analysis::reliability(scores, correct, kBins)[bin];
        return found.count > 0 ? std::optional(found.accuracy) : std::nullopt;
      },
      seed);
}

std::string estimate_text(const std::optional<Estimate>& estimate) {
  if (!estimate) return fmt::format("{:<23}", "-");
  return fmt::format("{:6.3f} [{:6.3f},{:6.3f}]", estimate->value, estimate->low, estimate->high);
}

std::string sentence(analysis::Alignment alignment) {
  switch (alignment) {
    case analysis::Alignment::kWorthSharpening:
      return "worth sharpening: on most problems the answer that this model gives most often is right (the whole "
             "interval of that share is above 1/2).";
    case analysis::Alignment::kMostlyWrong:
      return "mostly wrong majority: on most problems sharpening would make this model surer of a wrong answer (the "
             "whole interval of the share with the right majority is below 1/2).";
    case analysis::Alignment::kCannotTell:
      break;
  }
  return "cannot tell: the interval of the share of problems with the right majority has 1/2 in it; more problems "
         "(--count) make it narrower.";
}

int run(const AlignOptions& options, bool json) {
  const auto folder = train::resolve_model(options.model);
  const auto task = train::make_task(options.source, folder);
  const auto split = options.split == "train" ? tasks::Split::kTrain : tasks::Split::kHeldOut;
  train::require_labels(*task, split, "align");
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const auto problems = train::distinct_problems(*task, split, seed, options.count);
  if (problems.size() < 2) {
    base::user_error("align", "{} problem, want at least 2 for intervals over problems", problems.size());
  }
  train::TextModel model = train::open_text_model(folder, static_cast<int>(options.threads));
  const auto sampling = train::sampling_options(options.sampling, *task);

  // The disparity reads the answer's tokens, which are found as in training.
  const train::TrainOptions training;
  const auto spans = train::make_answer_spans({.policy = model, .task = *task, .options = training, .checkpoint = {}});
  auto confidences = all_confidences();
  std::vector<double> shares;
  std::int64_t right_majorities = 0;
  in_slices("align", problems, [&](const std::vector<tasks::Problem>& slice) {
    train::Gathering sampled;
    sampled.groups =
        train::sample_groups(*model.model, model.tokenizer, *task, slice, static_cast<int>(options.samples), sampling,
                             base::combine({seed, base::hash_text("align")}));
    spans->gather(sampled);
    for (const train::Group& group : sampled.groups) {
      const auto outcome = train::outcome_of(group, *task);
      right_majorities += outcome.majority_correct.value_or(false) ? 1 : 0;
      shares.push_back(static_cast<double>(std::count(outcome.correct.begin(), outcome.correct.end(), true)) /
                       static_cast<double>(outcome.correct.size()));
      const auto view = train::reward_view(group, *task, rewards::Votes::kOwn);
      for (Confidence& confidence : confidences) {
        base::Random random{seed, train::draw_key(group.problem)};
        confidence.problems.push_back({confidence.reward->score(view, random).reward, outcome.correct});
      }
    }
  });
  const Estimate accuracy = analysis::bootstrap_mean(shares, seed);
  const Estimate majority = analysis::wilson(right_majorities, static_cast<std::int64_t>(problems.size()));
  const auto verdict = analysis::judge_alignment(majority);
  std::vector<Measured> measured;
  for (const Confidence& confidence : confidences) {
    print_transient(fmt::format("align: intervals of {}", confidence.name));
    measured.push_back(measure(confidence, seed));
  }
  const std::int64_t mixed = analysis::mixed_problems(confidences.front().problems);
  analysis::ScoredProblem votes;
  for (const auto& problem : confidences.front().problems) {
    votes.scores.insert(votes.scores.end(), problem.scores.begin(), problem.scores.end());
    votes.correct.insert(votes.correct.end(), problem.correct.begin(), problem.correct.end());
  }
  const auto bins = analysis::reliability(votes.scores, votes.correct, kBins);
  std::vector<std::optional<Estimate>> bin_right;
  for (std::size_t b = 0; b < bins.size(); ++b) bin_right.push_back(bin_accuracy(confidences.front(), b, seed));
  print_transient("");

  if (json) {
    Json rows = Json::object(), curve = Json::array();
    for (const Measured& row : measured) {
      rows[row.name] = {{"auroc", estimate_json(row.auroc)},
                        {"auroc_within", estimate_json(row.auroc_within)},
                        {"point_biserial", estimate_json(row.point_biserial)},
                        {"point_biserial_within", estimate_json(row.point_biserial_within)},
                        {"ece", estimate_json(row.calibration_error)},
                        {"is_probability", row.is_probability},
                        {"underflowed", row.underflowed}};
    }
    for (std::size_t b = 0; b < bins.size(); ++b) {
      if (bins[b].count == 0) continue;
      curve.push_back({{"low", bins[b].low},
                       {"high", bins[b].high},
                       {"rollouts", bins[b].count},
                       {"confidence", bins[b].confidence},
                       {"accuracy", estimate_json(bin_right[b])}});
    }
    const Json object = {{"model", options.model},
                         {"task", train::source_name(options.source)},
                         {"problems", problems.size()},
                         {"samples", options.samples},
                         {"accuracy", estimate_json(accuracy)},
                         {"majority_right", estimate_json(majority)},
                         {"mixed_problems", mixed},
                         {"confidence", rows},
                         {"vote_reliability", curve},
                         {"verdict", analysis::to_string(verdict)},
                         {"because", sentence(verdict)}};
    std::printf("%s\n", base::to_json_line(object).c_str());
    return 0;
  }
  std::printf("%s on %s, %zu problems x %lld rollouts (95 %% intervals over problems)\n", options.model.c_str(),
              train::source_name(options.source).c_str(), problems.size(), static_cast<long long>(options.samples));
  std::printf("  accuracy            %s\n  majority is right   %s\n\n", estimate_text(accuracy).c_str(),
              estimate_text(majority).c_str());
  std::printf("  %-22s %-23s  %-23s  %s\n", "confidence", " AUROC", " point-biserial", " ECE");
  for (const Measured& row : measured) {
    std::printf("  %-22s %s  %s  %s\n", row.name.c_str(), estimate_text(row.auroc).c_str(),
                estimate_text(row.point_biserial).c_str(),
                row.is_probability ? estimate_text(row.calibration_error).c_str() : "no probability");
  }
  std::printf("\n  within a problem: %lld of %zu have both right and wrong rollouts\n", static_cast<long long>(mixed),
              problems.size());
  for (const Measured& row : measured) {
    std::printf("  %-22s %s  %s\n", row.name.c_str(), estimate_text(row.auroc_within).c_str(),
                estimate_text(row.point_biserial_within).c_str());
  }
  std::printf("\n  vote            rollouts  mean vote  right\n");
  for (std::size_t b = 0; b < bins.size(); ++b) {
    if (bins[b].count == 0) continue;
    std::printf("  [%.1f, %.1f%c %13lld %10.3f  %s\n", bins[b].low, bins[b].high, b + 1 == bins.size() ? ']' : ')',
                static_cast<long long>(bins[b].count), bins[b].confidence, estimate_text(bin_right[b]).c_str());
  }
  for (const Measured& row : measured) {
    if (row.underflowed == 0) continue;
    std::printf("\n%s: %lld values are too small for a double and tie at 0\n", row.name.c_str(),
                static_cast<long long>(row.underflowed));
  }
  std::printf("\n%s\n", sentence(verdict).c_str());
  return 0;
}

const base::Registrar kRegistered(commands(), "align",
                                  Command{"does confidence go with being right: is this model worth sharpening?",
                                          "  whet align --model sort-strong --task sort\n"
                                          "  whet align --model sort-weak --task sort --count 400 --samples 32 --json\n"
                                          "  whet align --model DIR --held-out-problems test.jsonl --temperature 0.6",
                                          fields_and_json(run)});

}  // namespace
}  // namespace whet::app
