#include "train/held_out.h"

#include <algorithm>

#include "base/random.h"

namespace whet::train {
namespace {

constexpr int kBaseVotes = 16;

/// A problem's entry of `base`.
base::Json answers_json(const Group& group, bool labelled) {
  theory::ProblemCounts counts = answer_counts(group);
  if (group.majority > 0) {
    // A tie is not settled by size, so the vote's class stands first.
    const auto vote = static_cast<std::ptrdiff_t>(group.majority);
    std::rotate(counts.answers.begin(), counts.answers.begin() + vote, counts.answers.begin() + vote + 1);
    std::rotate(counts.right.begin(), counts.right.begin() + vote, counts.right.begin() + vote + 1);
  }
  base::Json entry = {{"answers", counts.answers}, {"absent", counts.absent}};
  if (labelled) entry["right"] = counts.right;
  return entry;
}

/// Mean per-token log-probability that `model` gives to the groups' responses; absent when there is no token.
std::optional<double> mean_logprob(engine::Model& model, const std::vector<Group>& groups, double temperature) {
  std::vector<engine::SharedPromptBatch> batch;
  for (const Group& group : groups) batch.push_back(shared_prompt(group));
  double sum = 0;
  std::int64_t tokens = 0;
  for (const auto& group : model.logprobs(batch, temperature)) {
    for (const auto& response : group) {
      for (const float value : response) sum += value;
      tokens += static_cast<std::int64_t>(response.size());
    }
  }
  if (tokens == 0) return std::nullopt;
  return sum / static_cast<double>(tokens);
}

}  // namespace

HeldOut::HeldOut(TextModel& policy, engine::Model& base, const tasks::Task& task, std::vector<tasks::Problem> problems,
                 int samples, const engine::SamplingOptions& sampling, std::uint64_t seed, bool grading)
    : policy_(policy),
      base_(base),
      task_(task),
      problems_(std::move(problems)),
      samples_(samples),
      sampling_(sampling),
      seed_(seed),
      grading_(grading) {
  // The base answers once; a moving vote of its own would make the agreement noisy. The key leaves the run's seed out, so
  // that all runs from one base are compared with the same vote.
  for (const Group& group : sample_groups(base_, policy_.tokenizer, task_, problems_, kBaseVotes, sampling_,
                                          base::hash_text("base vote"), grading_)) {
    base_votes_.push_back(group.majority_answer());
    base_answers_.push_back(answers_json(group, grading_ && task_.has_label(group.problem)));
  }
}

HeldOut::Result HeldOut::measure(std::int64_t step) {
  const std::uint64_t stream = base::combine({seed_, base::hash_text("held-out"), static_cast<std::uint64_t>(step)});
  const auto groups =
      sample_groups(*policy_.model, policy_.tokenizer, task_, problems_, samples_, sampling_, stream, grading_);
  Result result;
  std::vector<analysis::ProblemOutcome> outcomes;
  std::vector<analysis::GroupView> views;
  const std::vector<double> nothing(static_cast<std::size_t>(samples_), 0.0);
  double agreeing = 0, vote_mass = 0;
  base::Json on_vote = base::Json::array(), same_vote = base::Json::array(), right = base::Json::array();
  std::int64_t voted = 0;
  bool labelled = grading_;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Group& group = groups[i];
    labelled = labelled && task_.has_label(group.problem);
    outcomes.push_back(outcome_of(group, task_));
    views.push_back(signal_view(group, nothing, nothing));
    for (const engine::Rollout& rollout : group.rollouts)
      result.tokens += static_cast<std::int64_t>(rollout.tokens.size());
    right.push_back(static_cast<double>(std::count(group.correct.begin(), group.correct.end(), true)) /
                    static_cast<double>(group.correct.size()));
    if (!base_votes_[i]) {
      on_vote.push_back(nullptr);
      same_vote.push_back(nullptr);
      continue;
    }
    ++voted;
    const auto same = std::count_if(group.answers.begin(), group.answers.end(), [&](const auto& answer) {
      return answer && task_.equivalent(group.problem, *answer, *base_votes_[i]);
    });
    const double mass = static_cast<double>(same) / static_cast<double>(group.answers.size());
    vote_mass += mass;
    const auto vote = group.majority_answer();
    const bool is_base = vote && task_.equivalent(group.problem, *vote, *base_votes_[i]);
    if (is_base) ++agreeing;
    on_vote.push_back(mass);
    same_vote.push_back(is_base);
  }
  result.problems = {{"step", step}};
  if (labelled && !groups.empty()) result.problems["right"] = std::move(right);
  result.problems["on_vote"] = std::move(on_vote);
  result.problems["same"] = std::move(same_vote);
  if (step == 0) {
    result.problems["samples"] = samples_;
    result.problems["base"] = base_answers_;
  }
  base::Json& metrics = result.metrics;
  if (labelled && !outcomes.empty()) {
    const int k = samples_;
    const auto evaluation = analysis::evaluate(outcomes, {k}, seed_);
    result.accuracy = evaluation.avg.value;
    metrics["heldout_accuracy"] = evaluation.avg.value;
    if (evaluation.maj) metrics["heldout_majority_accuracy"] = evaluation.maj->value;
    metrics["heldout_pass_at_k"] = evaluation.pass.at(k).value;
  }
  const auto signals = analysis::step_signals(views, true);
  if (signals.length) metrics["heldout_length"] = *signals.length;
  if (signals.token_entropy) metrics["heldout_token_entropy"] = *signals.token_entropy;
  if (signals.mutual_information) metrics["heldout_mutual_information"] = *signals.mutual_information;
  if (signals.majority_ratio) metrics["heldout_majority_ratio"] = *signals.majority_ratio;
  result.view.logprob = mean_logprob(base_, groups, sampling_.temperature);
  if (result.view.logprob) {
    metrics["base_logprob"] = *result.view.logprob;
    if (signals.logprob) metrics["heldout_kl_to_start"] = *signals.logprob - *result.view.logprob;
  }
  if (voted > 0) {
    result.view.agreement = agreeing / static_cast<double>(voted);
    metrics["base_agreement"] = *result.view.agreement;
    // What the theory calls the majority's mass: sharpening only ever raises it.
    metrics["base_vote_share"] = vote_mass / static_cast<double>(voted);
  }
  return result;
}

}  // namespace whet::train
