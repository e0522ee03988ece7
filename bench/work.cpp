#include "bench/work.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/json.h"

namespace whet::bench {

using engine::ModelConfig;
using engine::SharedPromptBatch;
using engine::TokenId;

SortTask::SortTask(const Options& options, const ModelConfig& config) {
  for (TokenId digit = 0; digit < 10; ++digit) digits_.push_back(digit);
  if (options.model.empty()) return;
  const std::filesystem::path file = std::filesystem::path(options.model) / "tokenizer.json";
  const base::Json vocabulary = base::read_json_file(file).at("model").at("vocab");
  const auto id = [&](const std::string& text) {
    if (!vocabulary.contains(text)) base::user_error("bench", "{}: no token '{}', want the sorting task's characters", file.string(), text);
    return vocabulary.at(text).get<TokenId>();
  };
  for (std::size_t digit = 0; digit < 10; ++digit) digits_[digit] = id(std::to_string(digit));
  ask_ = id("?");
  mark_ = id("#");
  if (config.eos_token_ids.empty()) base::user_error("bench", "{}: no end token", options.model);
  end_ = config.eos_token_ids[0];
}

SortTask::Problem SortTask::problem(base::Random& random) const {
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

SharedPromptBatch SortTask::document(base::Random& random) const {
  Problem drawn = problem(random);
  std::vector<TokenId> response = {mark_};
  for (const TokenId digit : drawn.answer) response.push_back(random.uniform() < 0.03 ? random.pick(digits_) : digit);
  response.push_back(end_);
  return {std::move(drawn.prompt), {std::move(response)}};
}

std::vector<TokenId> SortTask::answer_of(const std::vector<TokenId>& response) const {
  if (response.size() < 3 || response.front() != mark_ || response.back() != end_) return {};
  std::vector<TokenId> answer(response.begin() + 1, response.end() - 1);
  for (const TokenId token : answer) {
    if (std::find(digits_.begin(), digits_.end(), token) == digits_.end()) return {};
  }
  return answer;
}

namespace {

/// FLOPs of a forward pass, by what it is charged for.
struct ForwardCost {
  double row = 0;   ///< the layers' products for one row
  double head = 0;  ///< logits of one row
  double key = 0;   ///< attention of one row to one key, all layers

  explicit ForwardCost(const ModelConfig& c) {
    const auto d = static_cast<double>(c.hidden_size), f = static_cast<double>(c.intermediate_size);
    const auto q = static_cast<double>(c.num_attention_heads * c.head_dim), k = static_cast<double>(c.num_key_value_heads * c.head_dim);
    const auto layers = static_cast<double>(c.num_hidden_layers);
    row = layers * 2 * d * (q + 2 * k + q + 3 * f);
    head = 2 * d * static_cast<double>(c.vocab_size);
    key = layers * 4 * q;
  }
};

/// Keys seen by `count` rows of which the first sees `first` keys and each next one more.
double keys_seen(std::size_t first, std::size_t count) {
  return static_cast<double>(count) * (static_cast<double>(first) + static_cast<double>(count - 1) / 2);
}

/// A prompt once and `lengths` response tokens after it; the last token of a response is not an input.
double forward_flops(const ForwardCost& cost, std::size_t prompt, const std::vector<std::size_t>& lengths) {
  double flops = static_cast<double>(prompt) * cost.row + keys_seen(1, prompt) * cost.key + cost.head;
  for (const std::size_t length : lengths) {
    const std::size_t rows = length - 1;
    if (rows > 0) flops += static_cast<double>(rows) * (cost.row + cost.head) + keys_seen(prompt + 1, rows) * cost.key;
  }
  return flops;
}

std::vector<std::size_t> lengths_of(const SharedPromptBatch& group) {
  std::vector<std::size_t> lengths;
  for (const auto& response : group.responses) lengths.push_back(response.size());
  return lengths;
}

/// The update that both kinds of training end in. `weights`: dLoss/dlogprob of each response's tokens, times -tokens.
void update(engine::Model& model, const std::vector<SharedPromptBatch>& groups, const std::vector<float>& weights,
            const Options& options, StepCount& count) {
  const ForwardCost cost(model.config());
  std::vector<std::size_t> lengths;
  for (const SharedPromptBatch& group : groups) {
    const auto own = lengths_of(group);
    count.packed += static_cast<std::int64_t>(group.prompt.size());
    for (const std::size_t length : own) {
      count.trained += static_cast<std::int64_t>(length);
      count.packed += static_cast<std::int64_t>(length) - 1;
    }
    lengths.insert(lengths.end(), own.begin(), own.end());
    count.update_flops += 3 * forward_flops(cost, group.prompt.size(), own);
  }
  model.accumulate_gradient(groups, 1.0, options.token_budget,
                            [&](std::size_t first, std::size_t responses, std::span<const float>, std::span<float> gradient) {
                              std::size_t next = 0;
                              for (std::size_t r = first; r < first + responses; ++r) {
                                const float value = -weights[r] / static_cast<float>(count.trained);
                                for (std::size_t t = 0; t < lengths[r]; ++t) gradient[next++] = value;
                              }
                            });
  model.optimizer_step({.learning_rate = options.learning_rate, .beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0.0});
}

std::vector<float> rewards_of(const std::vector<engine::Rollout>& group, const SortTask& task, const Options& options,
                              base::Random& coin) {
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

StepCount run_step(engine::Model& model, const SortTask& task, const Options& options, std::uint64_t step) {
  base::Random random{options.seed, step};
  StepCount count;
  std::vector<SharedPromptBatch> groups;
  std::vector<float> weights;
  if (options.mode == "pretrain") {
    for (int i = 0; i < options.batch; ++i) groups.push_back(task.document(random));
    weights.assign(groups.size(), 1.0f);
    update(model, groups, weights, options, count);
    return count;
  }
  std::vector<engine::Prompt> prompts;
  for (int i = 0; i < options.problems; ++i) {
    prompts.push_back({task.problem(random).prompt, static_cast<std::uint64_t>(i), options.samples});
  }
  const auto rollouts = model.rollout({prompts, {.max_new_tokens = options.max_new_tokens}, base::combine({options.seed, step})});
  const ForwardCost cost(model.config());
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    SharedPromptBatch group{prompts[p].tokens, {}};
    for (const engine::Rollout& rollout : rollouts[p]) {
      group.responses.push_back(rollout.tokens);
      count.sampled += static_cast<std::int64_t>(rollout.tokens.size());
    }
    count.rollout_flops += forward_flops(cost, group.prompt.size(), lengths_of(group));
    const std::vector<float> rewards = rewards_of(rollouts[p], task, options, random);
    double mean = 0, square = 0;
    for (const float reward : rewards) mean += reward / static_cast<double>(rewards.size());
    for (const float reward : rewards) square += (reward - mean) * (reward - mean);
    const double spread = std::sqrt(square / static_cast<double>(rewards.size() - 1));
    if (!(spread > 0)) continue;  // no advantage, nothing to train on
    for (const float reward : rewards) weights.push_back(static_cast<float>((reward - mean) / (spread + 1e-6)));
    groups.push_back(std::move(group));
  }
  if (options.mode == "rl" && !groups.empty()) update(model, groups, weights, options, count);
  return count;
}

}  // namespace whet::bench
