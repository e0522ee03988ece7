// Groups to rewards, advantages and signals: one reward, or a weighted sum of several.
#include "train/scoring.h"

#include "base/error.h"
#include "base/random.h"
#include "train/advantage.h"

namespace whet::train {
namespace {

using rewards::Votes;

const char* prefix_of(Votes votes) {
  switch (votes) {
    case Votes::kOwn:
      return "votes";
    case Votes::kRephrased:
      return "rephrasing";
    case Votes::kTeacher:
      return "teacher";
    case Votes::kPolicies:
      return "policies";
    case Votes::kNone:
      break;
  }
  throw std::logic_error("scoring: nobody votes");
}

/// Any answer of a class, from who votes or from the rollouts; absent for -1.
std::optional<std::string> answer_of(const rewards::Group& group, int answer_class) {
  if (answer_class < 0) return std::nullopt;
  for (const rewards::Ballot& ballot : group.ballots) {
    for (const rewards::Vote& vote : ballot.votes) {
      if (vote.answer_class == answer_class) return vote.answer;
    }
  }
  for (const rewards::Sample& sample : group.samples) {
    if (sample.answer_class == answer_class) return sample.answer;
  }
  return std::nullopt;
}

/// What the labels that ballots elected are worth, over a batch.
struct Elected {
  double right = 0, labelled = 0, agreeing = 0, groups = 0;

  void add(const rewards::Group& view, int label_class, const Group& group, const tasks::Task& task) {
    ++groups;
    if (label_class >= 0 && label_class == group.majority) ++agreeing;
    if (!task.has_label(group.problem)) return;
    ++labelled;
    const auto answer = answer_of(view, label_class);
    if (answer && task.correct(group.problem, *answer)) ++right;
  }

  void write(Votes votes, base::Json& metrics) const {
    if (groups == 0) return;
    const std::string prefix = prefix_of(votes);
    if (labelled > 0) metrics[prefix + "_accuracy"] = right / labelled;
    metrics[prefix + "_agreement"] = agreeing / groups;
  }
};

std::vector<analysis::GroupView> views_of(const std::vector<Group>& groups,
                                          const std::vector<std::vector<double>>& rewards,
                                          const std::vector<std::vector<double>>& advantages) {
  std::vector<analysis::GroupView> views;
  for (std::size_t g = 0; g < groups.size(); ++g) views.push_back(signal_view(groups[g], rewards[g], advantages[g]));
  return views;
}

void add_weighted(std::vector<std::vector<double>>& sum, const std::vector<std::vector<double>>& values,
                  double weight) {
  if (sum.empty()) {
    for (const auto& group : values) sum.emplace_back(group.size(), 0.0);
  }
  for (std::size_t g = 0; g < values.size(); ++g) {
    for (std::size_t i = 0; i < values[g].size(); ++i) sum[g][i] += weight * values[g][i];
  }
}

double mean_of(const std::vector<std::vector<double>>& values) {
  double sum = 0;
  std::size_t count = 0;
  for (const auto& group : values) {
    for (const double value : group) sum += value;
    count += group.size();
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

}  // namespace

Scoring::Scoring(const TrainOptions& options)
    : advantage_(advantage_kind(options.advantage)), combine_rewards_(options.combine == "rewards") {
  std::vector<rewards::Term> terms = rewards::parse_terms(options.reward);
  rewards::require_read(options.rewards, terms);
  if (combine_rewards_ && terms.size() == 1) {
    base::user_error("combine", "rewards for '{}' alone, which leaves nothing to combine; want a sum, or the default",
                     options.reward);
  }
  for (rewards::Term& term : terms) {
    const rewards::RewardEntry& entry = rewards::rewards().find(term.name);
    // Several verdicts on a response make a share of it.
    const bool binary = entry.binary && (!entry.needs.verdicts || options.verifier.verifier_readings == 1);
    entries_.push_back({std::move(term), &entry, entry.make(options.rewards), binary});
  }
}

std::vector<rewards::Term> Scoring::terms() const {
  std::vector<rewards::Term> terms;
  for (const Entry& entry : entries_) terms.push_back(entry.term);
  return terms;
}

ScoredBatch Scoring::score(const std::vector<Group>& groups, const tasks::Task& task, std::uint64_t seed,
                           std::int64_t step) const {
  ScoredBatch batch;
  batch.metrics = base::Json::object();
  const bool is_sum = entries_.size() > 1;
  for (const Entry& entry : entries_) {
    std::vector<std::vector<double>> plain, compared;
    Elected elected;
    for (const Group& group : groups) {
      base::Random random{seed, base::hash_text("reward"), static_cast<std::uint64_t>(step), draw_key(group.problem)};
      const rewards::Group view = reward_view(group, task, entry.entry->needs.votes);
      rewards::Scored scored = entry.reward->score(view, random);
      if (!view.ballots.empty()) elected.add(view, scored.label_class, group, task);
      compared.push_back(within_group(advantage_) ? scored.within_group() : scored.reward);
      plain.push_back(std::move(scored.reward));
    }
    elected.write(entry.entry->needs.votes, batch.metrics);
    if (is_sum) batch.metrics["reward." + entry.term.name] = mean_of(plain);
    add_weighted(batch.rewards, plain, entry.term.weight);
    if (!is_sum || !combine_rewards_) {
      add_weighted(batch.advantages, batch_advantages(compared, advantage_), entry.term.weight);
    }
  }
  if (is_sum && combine_rewards_) batch.advantages = batch_advantages(batch.rewards, advantage_);

  const bool binary = !is_sum && entries_[0].binary && entries_[0].term.weight == 1;
  batch.signals = analysis::step_signals(views_of(groups, batch.rewards, batch.advantages), binary);
  if (is_sum && !combine_rewards_) {
    // What the group pays best is what its joined advantages say, not the plain sum, whose scales the terms do not share.
    const auto paid = analysis::step_signals(views_of(groups, batch.advantages, batch.advantages), false);
    batch.signals.reward_accuracy = paid.reward_accuracy;
    batch.signals.reward_correlation = paid.reward_correlation;
  }
  return batch;
}

}  // namespace whet::train
