#include "train/probe.h"

#include "base/error.h"
#include "base/random.h"
#include "tasks/problem_file.h"
#include "train/problems.h"

namespace whet::train {
namespace {

/// Whether the vote on each problem is right.
std::vector<bool> right_majorities(const std::vector<Group>& groups, const tasks::Task& task) {
  std::vector<bool> right;
  for (const Group& group : groups) right.push_back(group.majority_correct(task).value_or(false));
  return right;
}

void check_count(std::string_view place, std::size_t count) {
  if (count >= kFewestProbeProblems && count <= kMostProbeProblems) return;
  base::user_error(place, "{} problems, want {} to {}", count, kFewestProbeProblems, kMostProbeProblems);
}

}  // namespace

std::vector<tasks::Problem> probe_problems(const TrainOptions& options, const tasks::Task& task, std::int64_t used) {
  const ProbeOptions& probe = options.probe;
  std::vector<tasks::Problem> problems;
  if (!probe.files.empty()) {
    if (probe.problems > 0) base::user_error("probe-problems", "{} beside --probe, want one of them", probe.problems);
    const auto chat = chat_writer(options.source.chat_template, options.model);
    for (const std::string& file : probe.files) {
      for (tasks::Problem& problem :
           tasks::read_problems(file, chat, [&task](std::string_view written) { return task.label_from(written); })) {
        problems.push_back(std::move(problem));
      }
    }
    check_count("probe", problems.size());
  } else {
    check_count("probe-problems", static_cast<std::size_t>(probe.problems));
    problems = held_out_problems(task, used + probe.problems);
    if (static_cast<std::int64_t>(problems.size()) < used + probe.problems) {
      base::user_error("probe-problems",
                       "{}, but only {} held-out problems, of which {} are measured and watched, want fewer "
                       "or --probe FILE",
                       probe.problems, problems.size(), used);
    }
    problems.erase(problems.begin(), problems.begin() + static_cast<std::ptrdiff_t>(used));
  }
  for (const tasks::Problem& problem : problems) {
    if (!task.has_label(problem))
      base::user_error("probe", "problem {} has no answer, want an \"answer\" in each", problem.id);
  }
  return problems;
}

Probe::Probe(TextModel& policy, engine::Model& base, const tasks::Task& task, std::vector<tasks::Problem> problems,
             const ProbeOptions& options, const engine::SamplingOptions& sampling, std::uint64_t seed,
             std::int64_t looks)
    : policy_(policy),
      task_(task),
      problems_(std::move(problems)),
      options_(options),
      sampling_(sampling),
      seed_(seed),
      false_chance_((1 - options.confidence) / static_cast<double>(std::max<std::int64_t>(looks, 1))),
      of_base_(static_cast<int>(problems_.size()), options.confidence) {
  // All at once, although the verdict may need fewer: what comes later is compared with all of them. As with the watch's
  // votes the key leaves the run's seed out, so that a base has one verdict.
  base_right_ =
      right_majorities(sample_groups(base, policy_.tokenizer, task_, problems_, static_cast<int>(options_.samples),
                                     sampling_, base::hash_text("base probe")),
                       task_);
  for (const bool right : base_right_) of_base_.update(right);
}

std::string Probe::describe_base() const {
  const bool told = of_base_.verdict() != analysis::ProbeVerdict::kCannotTell;
  return (told ? "probe: the base is " : "probe: of the base we ") + of_base_.describe();
}

void Probe::require_trainable() const {
  if (of_base_.verdict() == analysis::ProbeVerdict::kAligned || options_.only_warn) return;
  if (of_base_.verdict() == analysis::ProbeVerdict::kMisaligned) {
    base::run_error("probe",
                    "the base is {}; a reward without labels would sharpen wrong answers: want another base, a reward "
                    "that checks, or --probe-only-warn to train all the same",
                    of_base_.describe());
  }
  base::run_error("probe",
                  "of the base we {}; it may be wrong on most: want more problems (at most {}), another base, a reward "
                  "that checks, or --probe-only-warn to train all the same",
                  of_base_.describe(), kMostProbeProblems);
}

Probe::Result Probe::measure(std::int64_t step) {
  Result result;
  std::vector<bool> now = base_right_;
  if (step > 0) {
    const std::uint64_t stream = base::combine({seed_, base::hash_text("probe"), static_cast<std::uint64_t>(step)});
    const auto groups = sample_groups(*policy_.model, policy_.tokenizer, task_, problems_,
                                      static_cast<int>(options_.samples), sampling_, stream);
    result.tokens = token_count(groups);
    now = right_majorities(groups, task_);
  }
  result.change = analysis::majority_change(base_right_, now);
  result.fell = result.change.chance <= false_chance_;
  result.metrics["probe_majority_accuracy"] = static_cast<double>(result.change.right_now) / result.change.problems;
  result.metrics["probe_lost"] = result.change.lost;
  result.metrics["probe_won"] = result.change.won;
  return result;
}

}  // namespace whet::train
