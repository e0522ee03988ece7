#include "app/bench_work.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/json.h"

namespace whet::app {

using engine::SharedPromptBatch;
using engine::TokenId;

BenchTask::BenchTask(const BenchOptions& options, const std::string& folder, const engine::ModelConfig& config,
                     std::int64_t vocabulary)
    : prompt_tokens_(options.prompt_tokens), vocabulary_(vocabulary) {
  for (TokenId digit = 0; digit < 10; ++digit) digits_.push_back(digit);
  if (prompt_tokens_ > 0) {
    if (options.mode == "pretrain" || options.reward != "random") {
      base::user_error("prompt-tokens",
                       "{} for {}, want 0 (or --mode rl or rollout with --reward random): random tokens have no answer",
                       prompt_tokens_, options.mode == "pretrain" ? "--mode pretrain" : "--reward majority-vote");
    }
    return;
  }
  if (folder.empty()) {
    if (vocabulary <= end_)
      base::user_error("config", "{}: vocab_size {}, want at least {}", options.config, vocabulary, end_ + 1);
    return;
  }
  const std::filesystem::path file = std::filesystem::path(folder) / "tokenizer.json";
  const base::Json tokens = base::read_json_file(file).at("model").at("vocab");
  const auto id = [&](const std::string& text) {
    if (!tokens.contains(text))
      base::user_error("bench", "{}: no token '{}', want the sorting task's characters, or --prompt-tokens N",
                       file.string(), text);
    return tokens.at(text).get<TokenId>();
  };
  for (std::size_t digit = 0; digit < 10; ++digit) digits_[digit] = id(std::to_string(digit));
  ask_ = id("?");
  mark_ = id("#");
  if (config.eos_token_ids.empty()) base::user_error("bench", "{}: no end token", folder);
  end_ = config.eos_token_ids[0];
}

BenchTask::Problem BenchTask::problem(base::Random& random) const {
  if (prompt_tokens_ > 0) {
    Problem problem;
    for (std::int64_t i = 0; i < prompt_tokens_; ++i) {
      problem.prompt.push_back(static_cast<TokenId>(random.below(static_cast<std::uint64_t>(vocabulary_))));
    }
    return problem;
  }
  std::vector<std::size_t> values(static_cast<std::size_t>(random.between(4, 9)));
  Problem problem;
  for (std::size_t& value : values) {
    value = random.below(10);
    problem.prompt.push_back(digits_[value]);
  }
  problem.prompt.push_back(ask_);
  std::sort(values.begin(), values.end());
  for (const std::size_t value : values) problem.answer.push_back(digits_[value]);
  return problem;
}

SharedPromptBatch BenchTask::document(base::Random& random) const {
  Problem drawn = problem(random);
  std::vector<TokenId> response = {mark_};
  for (const TokenId digit : drawn.answer) response.push_back(random.uniform() < 0.03 ? random.pick(digits_) : digit);
  response.push_back(end_);
  return {std::move(drawn.prompt), {std::move(response)}};
}

std::vector<TokenId> BenchTask::answer_of(const std::vector<TokenId>& response) const {
  if (response.size() < 3 || response.front() != mark_ || response.back() != end_) return {};
  std::vector<TokenId> answer(response.begin() + 1, response.end() - 1);
  for (const TokenId token : answer) {
    if (std::find(digits_.begin(), digits_.end(), token) == digits_.end()) return {};
  }
  return answer;
}

namespace {

/// The update that both kinds of training end in. `weights`: dLoss/dlogprob of each response's tokens, times -tokens.
void update(engine::Model& model, const std::vector<SharedPromptBatch>& groups, const std::vector<float>& weights,
            const BenchOptions& options, StepCount& count) {
  std::vector<std::size_t> lengths;
  for (const SharedPromptBatch& group : groups) {
    count.packed += static_cast<std::int64_t>(group.prompt.size());
    for (const auto& response : group.responses) {
      count.trained += static_cast<std::int64_t>(response.size());
      count.packed += static_cast<std::int64_t>(response.size()) - 1;
      lengths.push_back(response.size());
    }
  }
  model.accumulate_gradient(
      groups, 1.0, options.token_budget,
      [&](std::size_t first, std::size_t responses, std::span<const float>, std::span<float> gradient) {
        std::size_t next = 0;
        for (std::size_t r = first; r < first + responses; ++r) {
          const float value = -weights[r] / static_cast<float>(count.trained);
          for (std::size_t t = 0; t < lengths[r]; ++t) gradient[next++] = value;
        }
      });
  model.optimizer_step({.learning_rate = options.learning_rate, .beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0.0});
}

std::vector<float> rewards_of(const std::vector<engine::Rollout>& group, const BenchTask& task,
                              const BenchOptions& options, base::Random& coin) {
  std::vector<float> rewards;
  if (options.reward == "random") {
    for (std::size_t i = 0; i < group.size(); ++i) rewards.push_back(coin.uniform() < 0.5 ? 1.0f : 0.0f);
    return rewards;
  }
  std::map<std::vector<TokenId>, int> votes;
  std::vector<std::vector<TokenId>> answers;
  for (const engine::Rollout& rollout : group) {
    answers.push_back(task.answer_of(rollout.tokens));
    if (!answers.back().empty()) ++votes[answers.back()];
  }
  int most = 0;
  const std::vector<TokenId>* winner = nullptr;
  for (const auto& [answer, count] : votes) {
    if (count > most) most = count, winner = &answer;
  }
  for (const auto& answer : answers) rewards.push_back(winner != nullptr && answer == *winner ? 1.0f : 0.0f);
  return rewards;
}

}  // namespace

StepCount bench_step(engine::Model& model, const BenchTask& task, const BenchOptions& options, std::uint64_t step,
                     base::Profile& profile) {
  const base::Span span(&profile, base::Phase::kOther, fmt::format("step {}", step));
  const auto seed = static_cast<std::uint64_t>(options.seed);
  base::Random random{seed, step};
  StepCount count;
  std::vector<SharedPromptBatch> groups;
  std::vector<float> weights;
  if (options.mode == "pretrain") {
    for (std::int64_t i = 0; i < options.batch; ++i) groups.push_back(task.document(random));
    weights.assign(groups.size(), 1.0f);
    update(model, groups, weights, options, count);
    return count;
  }
  std::vector<engine::Prompt> prompts;
  for (std::int64_t i = 0; i < options.problems; ++i) {
    prompts.push_back({task.problem(random).prompt, static_cast<std::uint64_t>(i), static_cast<int>(options.samples)});
    count.prompted += static_cast<std::int64_t>(prompts.back().tokens.size());
  }
  engine::SamplingOptions sampling;
  sampling.max_new_tokens = static_cast<int>(options.max_new_tokens);
  const auto rollouts = model.rollout({prompts, sampling, base::combine({seed, step})});
  std::optional<base::Span> scoring(std::in_place, &profile, base::Phase::kReward);
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    SharedPromptBatch group{prompts[p].tokens, {}};
    for (const engine::Rollout& rollout : rollouts[p]) {
      group.responses.push_back(rollout.tokens);
      count.sampled += static_cast<std::int64_t>(rollout.tokens.size());
    }
    const std::vector<float> rewards = rewards_of(rollouts[p], task, options, random);
    double mean = 0, square = 0;
    for (const float reward : rewards) mean += reward / static_cast<double>(rewards.size());
    for (const float reward : rewards) square += (reward - mean) * (reward - mean);
    const double spread = std::sqrt(square / static_cast<double>(rewards.size() - 1));
    if (!(spread > 0)) continue;  // no advantage, nothing to train on
    for (const float reward : rewards) weights.push_back(static_cast<float>((reward - mean) / (spread + 1e-6)));
    groups.push_back(std::move(group));
  }
  scoring.reset();
  if (options.mode == "rl" && !groups.empty()) update(model, groups, weights, options, count);
  return count;
}

}  // namespace whet::app
