// Problems to groups: sampled, decoded, their answers found, sorted into classes and, where there is a label, graded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "analysis/evaluation.h"
#include "analysis/signals.h"
#include "engine/engine.h"
#include "rewards/reward.h"
#include "tasks/task.h"
#include "theory/forecast.h"
#include "tokenizer/tokenizer.h"

namespace whet::train {

/// Rollouts of some policy on a group's problem that vote on it.
struct Ballot {
  rewards::Votes voters = rewards::Votes::kOwn;
  std::vector<rewards::Vote> votes;  ///< classes are numbered with the group's
};

/// The rollouts of one problem, and the evidence that was gathered on them. Vectors other than `prompt` and `ballots`
/// have an entry per rollout; those of evidence are empty where none was gathered.
struct Group {
  tasks::Problem problem;
  std::vector<engine::TokenId> prompt;
  std::vector<engine::Rollout> rollouts;
  std::vector<std::string> texts;                   ///< decoded, without the end token
  std::vector<std::optional<std::string>> answers;  ///< canonical
  std::vector<int> classes;                         ///< -1: no answer
  std::vector<std::optional<bool>> correct;         ///< absent without a label
  int majority = -1;                                ///< class that wins the rollouts' own vote

  std::vector<Ballot> ballots;
  std::vector<bool> checked;                                                      ///< the task's checker's word
  std::vector<std::vector<std::optional<bool>>> verdicts;                         ///< a verifier's readings
  std::vector<std::optional<std::pair<std::size_t, std::size_t>>> answer_tokens;  ///< [begin, end)

  /// Any answer of the winning class; absent when no rollout has an answer.
  std::optional<std::string> majority_answer() const;
  std::optional<bool> majority_correct(const tasks::Task& task) const;
};

/// RunError when a sampled token's statistics are not finite: the weights are broken, and what they write means nothing.
void require_finite(const std::vector<std::vector<engine::Rollout>>& groups);

/// Tokens of a text with those before them that the model's tokenizer puts before every text, unless they stand there already.
std::vector<engine::TokenId> begin_text(const tokenizer::Tokenizer& tokenizer, std::vector<engine::TokenId> ids);

/// The ids of a text that a model is to continue: with what its tokenizer puts before every text (the token that begins a
/// sequence, for models that were trained with one), unless it stands there already. What a tokenizer would put behind a
/// text is left out: the text goes on.
std::vector<engine::TokenId> prompt_tokens(const tokenizer::Tokenizer& tokenizer, std::string_view text);

/// The same for a problem. A prompt that a chat template wrote has all its tokens already.
std::vector<engine::TokenId> prompt_tokens(const tokenizer::Tokenizer& tokenizer, const tasks::Problem& problem);

/// Samples `samples` responses to each problem. `stream` keys the draws (seed, purpose, step). Without `grading` no response is
/// compared with a label.
std::vector<Group> sample_groups(engine::Model& model, const tokenizer::Tokenizer& tokenizer, const tasks::Task& task,
                                 std::vector<tasks::Problem> problems, int samples,
                                 const engine::SamplingOptions& sampling, std::uint64_t stream, bool grading = true);

/// The group's rollouts as a ballot.
Ballot ballot_of(const Group& group, rewards::Votes voters);

/// Sorts the answers of rollouts and ballots into classes, together, and finds the rollouts' majority.
void number_classes(Group& group, const tasks::Task& task);

/// Keeps the rollouts at these places, in this order. Ballots stay, and so do the numbers of the classes.
void keep_rollouts(Group& group, std::span<const std::size_t> places);

/// Views of a group for the rooms that know no engine; valid as long as the group and the task. `votes`: whose ballots
/// a reward reads.
rewards::Group reward_view(const Group& group, const tasks::Task& task, rewards::Votes votes);
analysis::GroupView signal_view(const Group& group, const std::vector<double>& rewards,
                                const std::vector<double>& advantages);
theory::ProblemCounts answer_counts(const Group& group);
analysis::ProblemOutcome outcome_of(const Group& group, const tasks::Task& task);

/// The problem's identity in random draws.
std::uint64_t draw_key(const tasks::Problem& problem);

/// Response tokens of all rollouts.
std::int64_t token_count(std::span<const Group> groups);

/// The groups' responses as the engine scores and trains on them.
engine::SharedPromptBatch shared_prompt(const Group& group);

}  // namespace whet::train
