#include "train/proposer.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "rewards/challenger.h"
#include "train/advantage.h"
#include "train/problems.h"
#include "train/update.h"

namespace whet::train {
namespace {

constexpr const char* kFolder = "proposer";
constexpr const char* kOptimizer = "optimizer.safetensors";

/// Largest class / rollouts.
double agreement_of(const Group& group) {
  if (group.majority < 0) return 0;
  return static_cast<double>(std::count(group.classes.begin(), group.classes.end(), group.majority)) /
         static_cast<double>(group.classes.size());
}

class Proposer final : public Gatherer {
 public:
  explicit Proposer(const EvidenceContext& context)
      : context_(context),
        sampling_(sampling_options(context.options.sampling, context.task)),
        model_(open(context)),
        // The solver's: a resumed run finds that one written down, and must go on with the same.
        rate_(learning_rate_for(context.options.learning_rate, context.policy.model->parameter_count())) {
    const auto prompt = context.task.proposal_prompt();
    if (!prompt) {
      base::user_error("challenger",
                       "task '{}' has no form in which a model is asked for problems, want sort or --problems",
                       context.options.source.task);
    }
    prompt_ = prompt_tokens(model_.tokenizer, *prompt);
    if (context.options.loss.kl_coefficient > 0) start_ = open_start(context, context.models).model;
    if (!context.checkpoint.empty()) model_.model->load_optimizer(context.checkpoint / kFolder / kOptimizer);
  }

  /// The step's problems are the proposer's instead of the task's.
  void plan(Gathering& step) override {
    const engine::Prompt prompt{prompt_, base::hash_text("proposals"), static_cast<int>(context_.options.prompts)};
    auto rollouts = model_.model->rollout({std::span(&prompt, 1), sampling_, step.stream("proposals")});
    require_finite(rollouts);
    asked_.prompt = prompt_;
    asked_.rollouts = std::move(rollouts.front());
    proposals_.assign(asked_.rollouts.size(), {});
    places_.clear();
    step.problems.clear();
    std::set<std::string> distinct;
    for (std::size_t i = 0; i < asked_.rollouts.size(); ++i) {
      const engine::Rollout& rollout = asked_.rollouts[i];
      step.tokens += static_cast<std::int64_t>(rollout.tokens.size());
      if (rollout.truncated) continue;
      auto problem = context_.task.proposed(model_.tokenizer.decode(rollout.tokens, /*skip_special=*/true));
      if (!problem || !fits(*problem)) continue;
      problem->id = fmt::format("proposed/{}/{}", step.step, i);
      proposals_[i].question = problem->prompt;
      distinct.insert(problem->prompt);
      places_.push_back(i);
      step.problems.push_back(std::move(*problem));
    }
    if (step.problems.empty()) {
      base::run_error("challenger",
                      "the proposer wrote no well-formed problem in the {} tries of step {}, want a --proposer "
                      "that can write problems of the task",
                      asked_.rollouts.size(), step.step);
    }
    const auto tries = static_cast<double>(asked_.rollouts.size());
    step.metrics["proposals_well_formed"] = static_cast<double>(step.problems.size()) / tries;
    step.metrics["proposals_distinct"] = static_cast<double>(distinct.size()) / tries;
  }

  /// Pays the proposer for what the solver made of its problems, and updates it.
  void gather(Gathering& step) override {
    const rewards::RewardOptions& bounds = context_.options.rewards;
    double teaching = 0;
    for (std::size_t g = 0; g < places_.size(); ++g) {
      const double agreement = agreement_of(step.groups[g]);
      proposals_[places_[g]].agreement = agreement;
      teaching += rewards::teaches_solver(agreement, bounds.agreement_low, bounds.agreement_high) ? 1 : 0;
    }
    const auto pay = rewards::proposer_pay(proposals_, context_.options.evidence.repetition_penalty);
    const auto advantages = batch_advantages({pay}, advantage_kind(context_.options.advantage));
    const Update update = update_policy(*model_.model, start_.get(), {asked_}, advantages, context_.options,
                                        scheduled_rate(context_.options, rate_, step.step), sampling_.max_new_tokens);
    double mean = 0;
    for (const double value : pay) mean += value / static_cast<double>(pay.size());
    step.metrics["proposer_reward"] = mean;
    step.metrics["proposals_teaching"] = teaching / static_cast<double>(places_.size());
    step.metrics["proposer_gradient_norm"] = update.gradient_norm;
  }

  void save(const std::filesystem::path& checkpoint) const override {
    const std::filesystem::path folder = checkpoint / kFolder;
    base::create_new_folder(folder);
    model_.model->save(folder);
    model_.model->save_optimizer(folder / kOptimizer);
    // That of the start, which stays: the checkpoint that a resumed run was opened from may have been pruned.
    copy_tokenizer(start_folder(context_), folder);
  }

 private:
  static std::filesystem::path start_folder(const EvidenceContext& context) {
    const std::string& name = context.options.evidence.proposer;
    return name.empty() ? std::filesystem::path(context.options.model) : resolve_model(name);
  }

  static TextModel open_start(const EvidenceContext& context, const engine::EngineOptions& options) {
    return open_text_model(start_folder(context), options);
  }

  static TextModel open(const EvidenceContext& context) {
    engine::EngineOptions options = whole_options(context.options.memory, context.options.threads);
    options.profile = context.models.profile;
    if (context.checkpoint.empty()) return open_start(context, options);
    return open_text_model(context.checkpoint / kFolder, options);
  }

  /// The solver can be asked: the problem and its answer have room, and its tokenizer can spell it.
  bool fits(const tasks::Problem& problem) const {
    try {
      const auto length = static_cast<std::int64_t>(prompt_tokens(context_.policy.tokenizer, problem).size());
      return length > 0 && length + sampling_.max_new_tokens <= context_.policy.model->config().max_position_embeddings;
    } catch (const base::UserError&) {
      return false;
    }
  }

  EvidenceContext context_;
  engine::SamplingOptions sampling_;
  TextModel model_;
  std::unique_ptr<engine::Model> start_;  ///< where the divergence is in the loss
  double rate_;
  std::vector<engine::TokenId> prompt_;

  // Of the step between plan() and gather().
  Group asked_;                               ///< the proposals as rollouts
  std::vector<rewards::Proposal> proposals_;  ///< one for each of them
  std::vector<std::size_t> places_;           ///< for each problem of the step, its proposal
};

}  // namespace

std::unique_ptr<Gatherer> make_proposer(const EvidenceContext& context) { return std::make_unique<Proposer>(context); }

}  // namespace whet::train
