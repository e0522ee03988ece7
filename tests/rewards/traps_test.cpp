// Mistakes that implementations of these rewards are known to have made. Each test fails on the mistake it names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "store/rollout.h"
#include "tasks/task.h"
#include "tests/rewards/evidence.h"
#include "train/groups.h"

namespace whet {
namespace {

using rewards::OwnedGroup;
using rewards::score;
using testing::ElementsAre;

/// Answers each prompt with the responses that it was given for it, and gives its tokens the prompt's own number as
/// statistics, so that a mixed-up batch shows.
class Parrot final : public engine::Model {
 public:
  explicit Parrot(const tokenizer::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void teach(const std::string& prompt, float number, std::vector<std::string> responses) {
    known_[tokenizer_.encode(prompt)] = {number, std::move(responses)};
  }

  std::vector<std::vector<engine::Rollout>> rollout(const engine::RolloutRequest& request) override {
    std::vector<std::vector<engine::Rollout>> result;
    for (const engine::Prompt& prompt : request.prompts) {
      const auto& [number, responses] = known_.at(prompt.tokens);
      result.emplace_back();
      for (int i = 0; i < prompt.samples; ++i) {
        engine::Rollout rollout;
        rollout.tokens = tokenizer_.encode(responses.at(static_cast<std::size_t>(i)));
        rollout.logprob.assign(rollout.tokens.size(), -number);
        rollout.entropy.assign(rollout.tokens.size(), number);
        rollout.self_certainty.assign(rollout.tokens.size(), number);
        rollout.gap.assign(rollout.tokens.size(), 1 / number);
        result.back().push_back(std::move(rollout));
      }
    }
    return result;
  }
  const engine::ModelConfig& config() const override { return config_; }
  std::int64_t parameter_count() const override { return 0; }
  std::vector<std::vector<std::vector<float>>> logprobs(std::span<const engine::SharedPromptBatch>, double) override {
    throw std::logic_error("not asked for");
  }
  void accumulate_gradient(std::span<const engine::SharedPromptBatch>, double, std::int64_t,
                           const engine::PolicyGradient&) override {
    throw std::logic_error("not asked for");
  }
  double optimizer_step(const engine::AdamOptions&) override { throw std::logic_error("not asked for"); }
  void save(const std::filesystem::path&) const override {}
  void save_optimizer(const std::filesystem::path&) const override {}
  void load_optimizer(const std::filesystem::path&) override {}
  std::unique_ptr<Model> clone() const override { return nullptr; }
  engine::PhaseSeconds phase_seconds() const override { return {}; }

 private:
  const tokenizer::Tokenizer& tokenizer_;
  std::map<std::vector<engine::TokenId>, std::pair<float, std::vector<std::string>>> known_;
  engine::ModelConfig config_;
};

class Trap : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / fmt::format("whet_trap_{}_{}", info->name(), ::getpid());
    std::filesystem::create_directories(folder_);
    tokenizer::write_character_tokenizer(folder_, "0123456789abcdeox\\{},.?");
    tokenizer_.emplace(tokenizer::Tokenizer::load(folder_));
    parrot_.emplace(*tokenizer_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Groups of problems of the task 'file': prompts and labels.
  std::vector<train::Group> groups_of(const std::vector<std::pair<std::string, std::string>>& problems, int samples) {
    const std::string file = (folder_ / "any.jsonl").string(), held_out = (folder_ / "held.jsonl").string();
    std::ofstream(file) << R"({"prompt": "a?"})" << "\n";
    std::ofstream(held_out) << R"({"prompt": "b?"})" << "\n";
    task_ = tasks::tasks().find("file").make({{file}, {held_out}});
    std::vector<tasks::Problem> list;
    for (const auto& [prompt, label] : problems) list.push_back({prompt, "test", prompt, label, {}});
    return train::sample_groups(*parrot_, *tokenizer_, *task_, list, samples, {}, 0);
  }

  std::filesystem::path folder_;
  std::optional<tokenizer::Tokenizer> tokenizer_;
  std::optional<Parrot> parrot_;
  std::unique_ptr<tasks::Task> task_;
};

TEST_F(Trap, TokenEntropySilentlyZeroBecauseItsBufferWasDropped) {
  OwnedGroup owned;
  owned.add(0, "7", {-1, -2});
  owned.add(1, "8", {-1});
  for (const auto& reward : score("token-entropy", owned.group()).reward) EXPECT_LT(reward, 0);
  for (rewards::Sample& sample : owned.group().samples) sample.entropy = {};
  EXPECT_THROW(score("token-entropy", owned.group()), base::UserError);
}

TEST_F(Trap, SequenceScoreMultipliedByItsLength) {
  const std::vector<float> once{-0.5f, -1.5f}, twice{-0.5f, -1.5f, -0.5f, -1.5f};
  OwnedGroup owned;
  owned.add(0, "7", once);
  owned.add(0, "7", twice);
  for (const auto& [name, entry] : rewards::rewards()) {
    // Only `probability` means to sum over tokens, and only `length` to count them; a coin knows neither.
    if (name == "probability" || name == "length" || name == "random" || rewards::needs_ballots(entry)) continue;
    const auto reward = score(name, owned.group()).reward;
    EXPECT_DOUBLE_EQ(reward[0], reward[1]) << name;
    EXPECT_NE(reward[0], 0) << name;
  }
}

TEST_F(Trap, FirstKOfNVotesTakenAsTheTrainingSamples) {
  std::set<std::size_t> taken;
  int first_k = 0;
  for (std::uint64_t problem = 0; problem < 200; ++problem) {
    base::Random random{problem};
    const auto places = rewards::choose_samples(32, 8, random);
    EXPECT_EQ(std::set<std::size_t>(places.begin(), places.end()).size(), 8u);
    taken.insert(places.begin(), places.end());
    first_k += places.back() == 7 ? 1 : 0;
  }
  EXPECT_EQ(taken.size(), 32u);  // every vote can be trained on
  EXPECT_EQ(first_k, 0);         // expected once in ten million
}

TEST_F(Trap, ProblemsMixedWhenABatchIsReordered) {
  parrot_->teach("a?", 1, {R"(\boxed{1})", R"(\boxed{1})", R"(\boxed{2})"});
  parrot_->teach("b?", 2, {R"(\boxed{2})", R"(\boxed{1})", R"(\boxed{2})"});
  parrot_->teach("c?", 3, {R"(\boxed{3})", R"(\boxed{3})", "x"});
  std::vector<std::pair<std::string, std::string>> problems{{"a?", "1"}, {"b?", "2"}, {"c?", "3"}};
  std::map<std::string, std::vector<double>> votes, entropies;
  for (int order = 0; order < 6; ++order) {
    for (const train::Group& group : groups_of(problems, 3)) {
      const auto vote = score("majority-vote", train::reward_view(group)).reward;
      const auto entropy = score("token-entropy", train::reward_view(group)).reward;
      EXPECT_EQ(votes.try_emplace(group.problem.prompt, vote).first->second, vote);
      EXPECT_EQ(entropies.try_emplace(group.problem.prompt, entropy).first->second, entropy);
    }
    std::next_permutation(problems.begin(), problems.end());
  }
  EXPECT_THAT(votes, ElementsAre(testing::Pair("a?", ElementsAre(1, 1, 0)), testing::Pair("b?", ElementsAre(1, 0, 1)),
                                 testing::Pair("c?", ElementsAre(1, 1, 0))));
  for (const auto& [prompt, entropy] : entropies) {
    EXPECT_THAT(entropy, testing::Each(-static_cast<double>(prompt[0] - 'a' + 1))) << prompt;
  }
}

/// A response that carries the majority's answer is paid, and a right one counts as right, however it is written.
TEST_F(Trap, LabelMadeByAnotherRelationThanTheOneThatGrades) {
  parrot_->teach("a?", 1, {R"(\boxed{025})", R"(\boxed{25})", R"(\boxed{25.0})", R"(\boxed{0})"});
  parrot_->teach("b?", 2, {R"(\boxed{1,000})", R"(\boxed{1000})", R"(\boxed{0})", R"(\boxed{1})"});
  const auto groups = groups_of({{"a?", "25"}, {"b?", "1000"}}, 4);
  for (const char* name : {"majority-vote", "pairwise-vote", "ground-truth"}) {
    EXPECT_THAT(score(name, train::reward_view(groups[0])).reward, ElementsAre(1, 1, 1, 0)) << name;
    EXPECT_THAT(score(name, train::reward_view(groups[1])).reward, ElementsAre(1, 1, 0, 0)) << name;
  }
  for (const train::Group& group : groups) EXPECT_EQ(group.majority_correct(*task_), true);
}

TEST_F(Trap, ScoreOfTheDumpOverwrittenByAnotherColumn) {
  store::RolloutRow row;
  row.score = 0.125;
  row.true_score = 1;
  row.logprob = -2;
  row.entropy = 3;
  row.self_certainty = 4;
  const base::Json object = store::to_json(row, 5);
  EXPECT_EQ(object.at("score"), 0.125);  // what the policy was trained on
  EXPECT_EQ(object.at("true_score"), 1);
  EXPECT_EQ(object.at("logprob"), -2);
  EXPECT_EQ(object.at("entropy"), 3);
  EXPECT_EQ(object.at("self_certainty"), 4);
  EXPECT_EQ(object.at("step"), 5);
}

}  // namespace
}  // namespace whet
