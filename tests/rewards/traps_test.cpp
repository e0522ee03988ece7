// Mistakes that implementations of these rewards are known to have made. Each test fails on the mistake it names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "store/rollout.h"
#include "tasks/task.h"
#include "tests/rewards/evidence.h"
#include "tests/store/temp_folder.h"
#include "tests/train/fake_model.h"
#include "train/groups.h"

namespace whet {
namespace {

using rewards::OwnedGroup;
using rewards::score;
using testing::ElementsAre;

/// What a model answers to each prompt, one response after the other.
using Script = std::map<std::string, std::vector<std::string>>;

struct Sampled {
  std::unique_ptr<tasks::Task> task;
  std::vector<train::Group> groups;
};

/// Groups of the task 'file' for problems {prompt, label}.
Sampled sample(const Script& script, const std::vector<std::pair<std::string, std::string>>& problems, int samples) {
  std::map<std::string, std::size_t> spoken;
  train::TextModel model = train::fake_text_model("0123456789abcdeox\\{},.?", [&](const std::string& prompt, auto&) {
    return script.at(prompt).at(spoken[prompt]++);
  });
  const store::TempFolder folder;
  const std::string train_file = (folder.path() / "train.jsonl").string();
  const std::string held_out = (folder.path() / "held.jsonl").string();
  base::write_file(train_file, R"({"prompt": "d?"})");
  base::write_file(held_out, R"({"prompt": "e?"})");
  Sampled sampled{.task = tasks::tasks().find("file").make({{train_file}, {held_out}}), .groups = {}};
  std::vector<tasks::Problem> list;
  for (const auto& [prompt, label] : problems) list.push_back({prompt, "test", prompt, label, {}});
  sampled.groups = train::sample_groups(*model.model, model.tokenizer, *sampled.task, list, samples, {}, 0);
  return sampled;
}

TEST(Trap, TokenEntropySilentlyZeroBecauseItsBufferWasDropped) {
  OwnedGroup owned;
  owned.add(0, "7", {-1, -2});
  owned.add(1, "8", {-1});
  for (const auto& reward : score("token-entropy", owned.group()).reward) EXPECT_LT(reward, 0);
  for (rewards::Sample& sample : owned.group().samples) sample.entropy = {};
  EXPECT_THROW(score("token-entropy", owned.group()), base::UserError);
}

TEST(Trap, SequenceScoreMultipliedByItsLength) {
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

TEST(Trap, FirstKOfNVotesTakenAsTheTrainingSamples) {
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

TEST(Trap, ProblemsMixedWhenABatchIsReordered) {
  const Script script{{"a?", {R"(\boxed{1})", R"(\boxed{1})", R"(\boxed{2})"}},
                      {"b?", {R"(\boxed{2})", R"(\boxed{1})", R"(\boxed{2})"}},
                      {"c?", {R"(\boxed{3})", R"(\boxed{3})", "x"}}};
  std::vector<std::pair<std::string, std::string>> problems{{"a?", "1"}, {"b?", "2"}, {"c?", "3"}};
  std::map<std::string, std::vector<double>> votes, logprobs;
  do {
    const Sampled sampled = sample(script, problems, 3);
    for (const train::Group& group : sampled.groups) {
      const auto view = train::reward_view(group, *sampled.task, rewards::Votes::kOwn);
      const auto vote = score("majority-vote", view).reward, logprob = score("trajectory-entropy", view).reward;
      EXPECT_EQ(votes.try_emplace(group.problem.prompt, vote).first->second, vote);
      EXPECT_EQ(logprobs.try_emplace(group.problem.prompt, logprob).first->second, logprob);
    }
  } while (std::next_permutation(problems.begin(), problems.end()));
  EXPECT_THAT(votes, ElementsAre(testing::Pair("a?", ElementsAre(1, 1, 0)), testing::Pair("b?", ElementsAre(1, 0, 1)),
                                 testing::Pair("c?", ElementsAre(1, 1, 0))));
  EXPECT_NE(logprobs["a?"], logprobs["b?"]);
}

/// A response that carries the majority's answer is paid, and a right one counts as right, however it is written.
TEST(Trap, LabelMadeByAnotherRelationThanTheOneThatGrades) {
  const Script script{{"a?", {R"(\boxed{025})", R"(\boxed{25})", R"(\boxed{25.0})", R"(\boxed{0})"}},
                      {"b?", {R"(\boxed{1,000})", R"(\boxed{1000})", R"(\boxed{0})", R"(\boxed{1})"}}};
  const Sampled sampled = sample(script, {{"a?", "25"}, {"b?", "1000"}}, 4);
  for (const char* name : {"majority-vote", "pairwise-vote", "ground-truth"}) {
    const auto reward = [&](std::size_t g) {
      return score(name, train::reward_view(sampled.groups[g], *sampled.task, rewards::Votes::kOwn)).reward;
    };
    EXPECT_THAT(reward(0), ElementsAre(1, 1, 1, 0)) << name;
    EXPECT_THAT(reward(1), ElementsAre(1, 1, 0, 0)) << name;
  }
  for (const train::Group& group : sampled.groups) EXPECT_EQ(group.majority_correct(*sampled.task), true);
}

TEST(Trap, ScoreOfTheDumpOverwrittenByAnotherColumn) {
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
