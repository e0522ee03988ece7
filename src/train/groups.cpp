#include "train/groups.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "base/error.h"
#include "base/random.h"
#include "rewards/vote.h"
#include "text/clusters.h"

namespace whet::train {

std::optional<std::string> Group::majority_answer() const {
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (majority >= 0 && classes[i] == majority) return answers[i];
  }
  return std::nullopt;
}

std::optional<bool> Group::majority_correct(const tasks::Task& task) const {
  if (!task.has_label(problem)) return std::nullopt;
  const auto answer = majority_answer();
  return answer && task.correct(problem, *answer);
}

std::uint64_t draw_key(const tasks::Problem& problem) {
  return base::combine({base::hash_text(problem.id), base::hash_text(problem.prompt)});
}

void require_finite(const std::vector<std::vector<engine::Rollout>>& groups) {
  for (const auto& group : groups) {
    for (const engine::Rollout& rollout : group) {
      for (const auto* values : {&rollout.logprob, &rollout.entropy, &rollout.self_certainty, &rollout.gap}) {
        const auto bad =
            std::find_if_not(values->begin(), values->end(), [](float value) { return std::isfinite(value); });
        if (bad == values->end()) continue;
        base::run_error("sampler",
                        "the model's probabilities for token {} of a response are {}, want finite numbers "
                        "(are its weights broken, or did training diverge?)",
                        bad - values->begin() + 1, *bad);
      }
    }
  }
}

std::vector<engine::TokenId> begin_text(const tokenizer::Tokenizer& tokenizer, std::vector<engine::TokenId> ids) {
  const std::vector<engine::TokenId>& prefix = tokenizer.prefix();
  const bool has_prefix = ids.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), ids.begin());
  if (!has_prefix) ids.insert(ids.begin(), prefix.begin(), prefix.end());
  return ids;
}

std::vector<engine::TokenId> prompt_tokens(const tokenizer::Tokenizer& tokenizer, std::string_view text) {
  return begin_text(tokenizer, tokenizer.encode(text));
}

std::vector<engine::TokenId> prompt_tokens(const tokenizer::Tokenizer& tokenizer, const tasks::Problem& problem) {
  const auto chat = problem.as_chat.find(problem.prompt);
  return chat == problem.as_chat.end() ? prompt_tokens(tokenizer, problem.prompt) : tokenizer.encode(chat->second);
}

std::vector<Group> sample_groups(engine::Model& model, const tokenizer::Tokenizer& tokenizer, const tasks::Task& task,
                                 std::vector<tasks::Problem> problems, int samples,
                                 const engine::SamplingOptions& sampling, std::uint64_t stream, bool grading) {
  std::vector<engine::Prompt> prompts;
  prompts.reserve(problems.size());
  for (const tasks::Problem& problem : problems) {
    prompts.push_back({prompt_tokens(tokenizer, problem), draw_key(problem), samples});
  }
  auto rollouts = model.rollout({prompts, sampling, stream});
  require_finite(rollouts);
  std::vector<Group> groups(problems.size());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    Group& group = groups[g];
    group.problem = std::move(problems[g]);
    group.prompt = std::move(prompts[g].tokens);
    group.rollouts = std::move(rollouts[g]);
    const bool has_label = grading && task.has_label(group.problem);
    for (const engine::Rollout& rollout : group.rollouts) {
      group.texts.push_back(tokenizer.decode(rollout.tokens, /*skip_special=*/true));
      // What stands at the end of a cut response need not be what it would have ended with.
      const bool can_answer = !rollout.truncated || task.answers_when_truncated();
      group.answers.push_back(can_answer ? task.answer_in(group.problem, group.texts.back()) : std::nullopt);
      const auto& answer = group.answers.back();
      group.correct.push_back(has_label ? std::optional<bool>(answer && task.correct(group.problem, *answer))
                                        : std::nullopt);
    }
    group.classes.assign(group.answers.size(), -1);
    number_classes(group, task);
  }
  return groups;
}

Ballot ballot_of(const Group& group, rewards::Votes voters) {
  Ballot ballot{voters, {}};
  for (std::size_t i = 0; i < group.rollouts.size(); ++i) {
    double logprob = 0;
    for (const float value : group.rollouts[i].logprob) logprob += static_cast<double>(value);
    ballot.votes.push_back({group.classes[i], group.answers[i].value_or(""), logprob});
  }
  return ballot;
}

void number_classes(Group& group, const tasks::Task& task) {
  std::vector<std::optional<std::string>> answers = group.answers;
  for (const Ballot& ballot : group.ballots) {
    for (const rewards::Vote& vote : ballot.votes) {
      answers.push_back(vote.answer_class >= 0 ? std::optional(vote.answer) : std::nullopt);
    }
  }
  const std::vector<int> classes = text::clusters(
      answers, [&](std::string_view a, std::string_view b) { return task.equivalent(group.problem, a, b); });
  const auto rollouts = static_cast<std::ptrdiff_t>(group.classes.size());
  group.classes.assign(classes.begin(), classes.begin() + rollouts);
  auto next = classes.begin() + rollouts;
  for (Ballot& ballot : group.ballots) {
    for (rewards::Vote& vote : ballot.votes) vote.answer_class = *next++;
  }
  group.majority = rewards::majority_class(reward_view(group, task, rewards::Votes::kNone));
}

void keep_rollouts(Group& group, std::span<const std::size_t> places) {
  const auto keep = [&](auto& values) {
    if (values.empty()) return;  // evidence that was not gathered
    std::remove_reference_t<decltype(values)> kept;
    for (const std::size_t place : places) kept.push_back(std::move(values[place]));
    values = std::move(kept);
  };
  keep(group.rollouts);
  keep(group.texts);
  keep(group.answers);
  keep(group.classes);
  keep(group.correct);
  keep(group.verdicts);
  keep(group.answer_tokens);
  if (!group.checked.empty()) {
    std::vector<bool> kept;
    for (const std::size_t place : places) kept.push_back(group.checked[place]);
    group.checked = std::move(kept);
  }
  group.majority = rewards::winning_class({ballot_of(group, rewards::Votes::kOwn).votes});
}

rewards::Group reward_view(const Group& group, const tasks::Task& task, rewards::Votes votes) {
  rewards::Group view;
  view.equivalent = [&group, &task](std::string_view a, std::string_view b) {
    return task.equivalent(group.problem, a, b);
  };
  for (const Ballot& ballot : group.ballots) {
    if (ballot.voters == votes) view.ballots.push_back({ballot.votes});
  }
  for (std::size_t i = 0; i < group.rollouts.size(); ++i) {
    const engine::Rollout& rollout = group.rollouts[i];
    rewards::Sample sample;
    sample.answer_class = group.classes[i];
    sample.answer = group.answers[i].value_or("");
    sample.logprob = rollout.logprob;
    sample.entropy = rollout.entropy;
    sample.self_certainty = rollout.self_certainty;
    sample.gap = rollout.gap;
    sample.truncated = rollout.truncated;
    sample.length = static_cast<std::int64_t>(rollout.tokens.size());
    sample.correct = group.correct[i];
    if (!group.checked.empty()) sample.checked = group.checked[i];
    if (!group.verdicts.empty()) sample.verdicts = group.verdicts[i];
    if (!group.answer_tokens.empty()) sample.answer_span = group.answer_tokens[i];
    view.samples.push_back(std::move(sample));
  }
  return view;
}

analysis::GroupView signal_view(const Group& group, const std::vector<double>& rewards,
                                const std::vector<double>& advantages) {
  analysis::GroupView view;
  view.majority_class = group.majority;
  for (std::size_t i = 0; i < group.rollouts.size(); ++i) {
    const engine::Rollout& rollout = group.rollouts[i];
    view.rollouts.push_back({.answer_class = group.classes[i],
                             .answer = group.answers[i] ? std::string_view(*group.answers[i]) : std::string_view(),
                             .tokens = rollout.tokens,
                             .logprob = rollout.logprob,
                             .entropy = rollout.entropy,
                             .truncated = rollout.truncated,
                             .correct = group.correct[i],
                             .reward = rewards[i],
                             .advantage = advantages[i]});
  }
  return view;
}

theory::ProblemCounts answer_counts(const Group& group) {
  theory::ProblemCounts counts;
  for (std::size_t i = 0; i < group.classes.size(); ++i) {
    if (group.classes[i] < 0) {
      ++counts.absent;
      continue;
    }
    const auto answer = static_cast<std::size_t>(group.classes[i]);
    if (counts.answers.size() <= answer) {
      counts.answers.resize(answer + 1, 0);
      counts.right.resize(answer + 1, false);
    }
    ++counts.answers[answer];
    if (group.correct[i].value_or(false)) counts.right[answer] = true;
  }
  return counts;
}

analysis::ProblemOutcome outcome_of(const Group& group, const tasks::Task& task) {
  analysis::ProblemOutcome outcome;
  for (const auto& correct : group.correct) outcome.correct.push_back(correct.value_or(false));
  outcome.majority_correct = group.majority_correct(task);
  return outcome;
}

std::int64_t token_count(std::span<const Group> groups) {
  std::int64_t tokens = 0;
  for (const Group& group : groups) {
    for (const engine::Rollout& rollout : group.rollouts) tokens += static_cast<std::int64_t>(rollout.tokens.size());
  }
  return tokens;
}

engine::SharedPromptBatch shared_prompt(const Group& group) {
  engine::SharedPromptBatch batch{group.prompt, {}};
  for (const engine::Rollout& rollout : group.rollouts) batch.responses.push_back(rollout.tokens);
  return batch;
}

}  // namespace whet::train
