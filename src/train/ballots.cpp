// Gatherers of votes: who elects the label when it is not the rollouts that are trained on.
#include "train/ballots.h"

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "train/problems.h"

namespace whet::train {
namespace {

/// A generator's problems that are asked whether they have a rephrasing; a few never have one.
constexpr std::uint64_t kAsked = 64;

class OwnVotes final : public Gatherer {
 public:
  void gather(Gathering& step) override {
    for (Group& group : step.groups) group.ballots.push_back(ballot_of(group, rewards::Votes::kOwn));
  }
};

class RephrasedVotes final : public Gatherer {
 public:
  void plan(Gathering& step) override {
    const std::size_t count = step.problems.size();
    for (std::size_t i = 0; i < count; ++i) step.partners.push_back(i);
    for (std::size_t i = 0; i < count; ++i) {
      const tasks::Problem& problem = step.problems[i];
      if (problem.rephrased.empty()) continue;
      base::Random random{step.stream("rephrasing"), draw_key(problem)};
      tasks::Problem other = problem;
      other.prompt = random.pick(problem.rephrased);
      other.id += "/rephrased";  // draws of its own, even where a file's rephrasing repeats the prompt
      other.rephrased.clear();
      step.partners[i] = step.problems.size();
      step.partners.push_back(i);
      step.problems.push_back(std::move(other));
    }
  }

  void gather(Gathering& step) override {
    for (std::size_t i = 0; i < step.groups.size(); ++i) {
      step.groups[i].ballots.push_back(ballot_of(step.groups[step.partners[i]], rewards::Votes::kRephrased));
    }
  }
};

class TeacherVotes final : public Gatherer {
 public:
  explicit TeacherVotes(const EvidenceContext& context)
      : context_(context), sampling_(sampling_options(context.options.sampling, context.task)) {
    if (context.checkpoint.empty()) {
      teacher_ = context.policy.model->clone();
    } else {
      const TrainOptions& options = context.options;
      engine::EngineOptions engine = whole_options(options.memory, options.threads);
      engine.profile = context.models.profile;
      teacher_ = open_text_model(context.checkpoint / kFolder, engine).model;
      if (has_masters(options.memory)) teacher_->load_optimizer(context.checkpoint / kFolder / kOptimizer);
    }
  }

  void gather(Gathering& step) override {
    const auto groups =
        sample_groups(*teacher_, context_.policy.tokenizer, context_.task, step.problems, vote_count(context_.options),
                      sampling_, step.stream("teacher"), /*grading=*/false);
    step.tokens += token_count(groups);
    for (std::size_t i = 0; i < groups.size(); ++i) {
      step.groups[i].ballots.push_back(ballot_of(groups[i], rewards::Votes::kTeacher));
    }
  }

  void after_update(std::int64_t step) override {
    teacher_->move_towards(*context_.policy.model, 1 - teacher_decay(context_.options, step));
  }

  void save(const std::filesystem::path& checkpoint) const override {
    const std::filesystem::path folder = checkpoint / kFolder;
    base::create_new_folder(folder);
    teacher_->save(folder);
    if (has_masters(context_.options.memory)) teacher_->save_optimizer(folder / kOptimizer);
    copy_tokenizer(context_.options.model, folder);
  }

 private:
  static constexpr const char* kFolder = "teacher";
  static constexpr const char* kOptimizer = "optimizer.safetensors";

  EvidenceContext context_;
  engine::SamplingOptions sampling_;
  std::unique_ptr<engine::Model> teacher_;
};

class PolicyVotes final : public Gatherer {
 public:
  explicit PolicyVotes(const EvidenceContext& context)
      : context_(context), sampling_(sampling_options(context.options.sampling, context.task)) {
    for (const std::string& name : context.options.evidence.voters) {
      voters_.push_back(open_text_model(resolve_model(name), context.models));
      require_usable(context.task, voters_.back(), context.options);
    }
  }

  void gather(Gathering& step) override {
    for (Group& group : step.groups) group.ballots.push_back(ballot_of(group, rewards::Votes::kPolicies));
    for (std::size_t v = 0; v < voters_.size(); ++v) {
      // Keyed by the place, so that a model that is named twice is asked twice.
      const std::uint64_t stream = base::combine({step.stream("voter"), v});
      const auto groups = sample_groups(*voters_[v].model, voters_[v].tokenizer, context_.task, step.problems,
                                        vote_count(context_.options), sampling_, stream, /*grading=*/false);
      step.tokens += token_count(groups);
      for (std::size_t i = 0; i < groups.size(); ++i) {
        step.groups[i].ballots.push_back(ballot_of(groups[i], rewards::Votes::kPolicies));
      }
    }
  }

 private:
  EvidenceContext context_;
  engine::SamplingOptions sampling_;
  std::vector<TextModel> voters_;
};

}  // namespace

int vote_count(const TrainOptions& options) {
  return static_cast<int>(options.evidence.votes > 0 ? options.evidence.votes : options.samples);
}

std::unique_ptr<Gatherer> make_own_votes() { return std::make_unique<OwnVotes>(); }

std::unique_ptr<Gatherer> make_rephrased_votes(const EvidenceContext& context) {
  const std::uint64_t count = context.task.size(tasks::Split::kTrain).value_or(kAsked);
  bool any = false;
  for (std::uint64_t i = 0; i < count && !any; ++i) {
    any = !context.task.problem(tasks::Split::kTrain, static_cast<std::uint64_t>(context.options.seed), i)
               .rephrased.empty();
  }
  if (!any) {
    base::user_error("co-reward",
                     "no problem has a rephrasing, want a field \"rephrased\": [text, ...] in the problems, or "
                     "a task that rephrases its own (sort, arithmetic, countdown)");
  }
  require_usable(context.task, context.policy, context.options, /*rephrased=*/true);
  return std::make_unique<RephrasedVotes>();
}

std::unique_ptr<Gatherer> make_teacher_votes(const EvidenceContext& context) {
  return std::make_unique<TeacherVotes>(context);
}

double teacher_decay(const TrainOptions& options, std::int64_t step) {
  const double start = options.evidence.teacher_decay, end = options.evidence.teacher_decay_end;
  const double way = static_cast<double>(step - 1) / static_cast<double>(std::max<std::int64_t>(1, options.steps - 1));
  return end - (end - start) * (1 + std::cos(std::numbers::pi * way)) / 2;
}

std::unique_ptr<Gatherer> make_policy_votes(const EvidenceContext& context) {
  if (context.options.evidence.voters.empty()) {
    base::user_error("weighted-vote",
                     "no other policy votes, want --voters FOLDER ... (checkpoints or embedded models)");
  }
  return std::make_unique<PolicyVotes>(context);
}

}  // namespace whet::train
