// Options to problems and sampling: what is held out, how often a small file is read, which learning rate is chosen.
#include "train/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "train/groups.h"

namespace whet::train {
namespace {

class ProblemsFile : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() / fmt::format("whet_problems_{}_{}.jsonl", info->name(), ::getpid());
  }
  void TearDown() override { std::filesystem::remove(path_); }

  /// `count` problems; the one at `unlabelled` (if any) has no answer.
  std::unique_ptr<tasks::Task> file_task(int count, int unlabelled = -1) {
    std::ofstream out(path_);
    for (int i = 0; i < count; ++i) {
      out << fmt::format("{{\"prompt\": \"{}+1=\", \"id\": \"{}\"", i, i);
      if (i != unlabelled) out << fmt::format(", \"answer\": \"{}\"", i + 1);
      out << "}\n";
    }
    out.close();
    return make_task({.problems = {path_.string()}});
  }

  std::filesystem::path path_;
};

std::set<std::string> prompts(const std::vector<tasks::Problem>& problems) {
  std::set<std::string> result;
  for (const auto& problem : problems) result.insert(problem.prompt);
  return result;
}

TEST(Problems, HeldOutOnesAreTheSameAtEachCallAndNoneIsTrainedOn) {
  for (const auto& [name, entry] : tasks::tasks()) {
    if (name == "file") continue;
    const auto task = make_task({.task = name});
    const auto held_out = prompts(held_out_problems(*task, 40));
    EXPECT_EQ(prompts(held_out_problems(*make_task({.task = name}), 40)), held_out) << name;
    EXPECT_GT(held_out.size(), 1u) << name;
    for (const std::uint64_t seed : {0, 1, 20260308}) {
      for (const auto& problem : take_problems(*task, tasks::Split::kTrain, seed, 200)) {
        EXPECT_EQ(held_out.count(problem.prompt), 0u) << name << ": " << problem.prompt;
      }
    }
  }
}

TEST_F(ProblemsFile, AFileHoldsOutEachOfItsProblemsOnceAndIsReadAgainWhereTrainingAsksForMore) {
  const auto task = file_task(60);
  const auto held_out = held_out_problems(*task, 1000);
  EXPECT_EQ(prompts(held_out).size(), held_out.size());
  const std::size_t trained = 60 - held_out.size();
  const auto two_passes = take_problems(*task, tasks::Split::kTrain, 3, static_cast<std::int64_t>(2 * trained));
  EXPECT_EQ(two_passes.size(), 2 * trained);
  EXPECT_EQ(prompts(two_passes).size(), trained);
  for (const auto& problem : held_out) EXPECT_EQ(prompts(two_passes).count(problem.prompt), 0u) << problem.prompt;
}

class Prompts : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / fmt::format("whet_prompts_{}_{}", info->name(), ::getpid());
    std::filesystem::create_directories(folder_);
    write("tokenizer_config.json", R"({"chat_template": "{{ messages[-1].role }}: {{ messages[-1].content }}"})");
    std::string rows;
    for (int i = 0; i < 40; ++i) {
      rows +=
          fmt::format("{{\"prompt\": [{{\"role\": \"user\", \"content\": \"{}+1=\"}}], \"answer\": {}}}\n", i, i + 1);
    }
    write("chats.jsonl", rows);
    write("plain.jsonl", "{\"prompt\": \"1+1=\"}\n{\"prompt\": \"2+1=\"}\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::trunc) << text;
    return (folder_ / name).string();
  }

  tasks::Problem first(const std::string& option, const std::string& file = "chats.jsonl") {
    const std::string path = (folder_ / file).string();
    const auto task = make_task({.problems = {path},
                                 .held_out_problems = {write("held.jsonl", "{\"prompt\": \"9+9=\"}\n")},
                                 .chat_template = option},
                                folder_);
    return take_problems(*task, tasks::Split::kTrain, 0, 1)[0];
  }

  std::filesystem::path folder_;
};

TEST_F(Prompts, ChatsAreWrittenByTheTemplateThatIsAskedFor) {
  const tasks::Problem problem = first("model");
  EXPECT_EQ(problem.as_chat.at(problem.prompt), "user: " + problem.prompt);
  EXPECT_TRUE(first("none").as_chat.empty());
  EXPECT_EQ(first(write("own.jinja", "{{ messages | length }}")).as_chat.begin()->second, "1");
  EXPECT_TRUE(first("model", "plain.jsonl").as_chat.empty());
  const tasks::Problem plain = first("all", "plain.jsonl");
  EXPECT_EQ(plain.as_chat.at(plain.prompt), "user: " + plain.prompt);
  EXPECT_THROW(make_task({.task = "sort", .chat_template = "all"}, folder_), base::UserError);
  EXPECT_THROW(first((folder_ / "absent.jinja").string()), base::UserError);
  write("tokenizer_config.json", "{}");
  EXPECT_TRUE(first("model").as_chat.empty());
  EXPECT_THROW(first("all"), base::UserError);
}

TEST_F(Prompts, BeginWithTheTokenThatTheTokenizerPutsBeforeEveryText) {
  base::Json content =
      base::read_json_file(std::filesystem::path(WHET_SOURCE_DIR) / "tests/golden/bpe_gpt2/tokenizer.json");
  content["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single",
       {{{"SpecialToken", {{"id", "<|endoftext|>"}, {"type_id", 0}}}},
        {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
        {{"SpecialToken", {{"id", "<|endoftext|>"}, {"type_id", 0}}}}}},
      {"pair", base::Json::array()},
      {"special_tokens", {{"<|endoftext|>", {{"id", "<|endoftext|>"}, {"ids", {0}}, {"tokens", {"<|endoftext|>"}}}}}}};
  write("tokenizer.json", content.dump());
  const auto tokenizer = tokenizer::Tokenizer::load(folder_);
  const std::vector<engine::TokenId> plain = tokenizer.encode("1+1=");
  std::vector<engine::TokenId> begun = plain;
  begun.insert(begun.begin(), 0);
  EXPECT_EQ(prompt_tokens(tokenizer, "1+1="), begun) << "nothing behind it: the text goes on";
  EXPECT_EQ(prompt_tokens(tokenizer, "<|endoftext|>1+1="), begun) << "not twice";
  EXPECT_EQ(prompt_tokens(tokenizer, tasks::Problem{.prompt = "1+1="}), begun);
  EXPECT_EQ(prompt_tokens(tokenizer, tasks::Problem{.prompt = "a", .as_chat = {{"a", "1+1="}}}), plain);
  std::vector<engine::TokenId> around = begun;
  around.push_back(0);
  EXPECT_EQ(tokenizer.encode("1+1=", /*add_special=*/true), around);
}

TEST_F(ProblemsFile, StepsTakeUpWhereTheLastOneEnded) {
  const auto task = file_task(60);
  auto joined = take_problems(*task, tasks::Split::kTrain, 3, 7);
  for (auto& problem : take_problems(*task, tasks::Split::kTrain, 3, 7, 7)) joined.push_back(problem);
  const auto whole = take_problems(*task, tasks::Split::kTrain, 3, 14);
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(joined[i].prompt, whole[i].prompt) << i;
}

TEST_F(ProblemsFile, AMissingLabelIsFoundWhereverItStands) {
  EXPECT_NO_THROW(require_labels(*file_task(60), tasks::Split::kTrain, "here"));
  int found = 0;
  for (int i = 0; i < 60; ++i) {
    const auto task = file_task(60, i);
    const bool is_held_out = tasks::split_of(fmt::format("{}+1=", i)) == tasks::Split::kHeldOut;
    try {
      require_labels(*task, tasks::Split::kTrain, "here");
      EXPECT_TRUE(is_held_out) << i;
    } catch (const base::UserError& error) {
      ++found;
      EXPECT_FALSE(is_held_out) << i;
      EXPECT_NE(std::string(error.what()).find(fmt::format("[here] problem {} has no answer", i)), std::string::npos)
          << error.what();
    }
  }
  EXPECT_GT(found, 30);
}

TEST(Problems, SamplingTakesTheTasksLengthLimitWhereNoneIsGiven) {
  const auto task = make_task({.task = "sort"});
  EXPECT_EQ(sampling_options({}, *task).max_new_tokens, task->response_limit() + 1);
  const auto given = sampling_options({.temperature = 0.5, .top_p = 0.9, .top_k = 7, .max_new_tokens = 3}, *task);
  EXPECT_EQ(given.max_new_tokens, 3);
  EXPECT_EQ(given.temperature, 0.5);
  EXPECT_EQ(given.top_p, 0.9);
  EXPECT_EQ(given.top_k, 7);
}

TEST(Problems, TheLearningRateGoesThroughItsTwoAnchorsAndFallsWithTheSize) {
  EXPECT_EQ(learning_rate_for(0, 150'000), 2.5e-4);
  EXPECT_EQ(learning_rate_for(0, 1'700'000'000), 1e-6);
  EXPECT_EQ(learning_rate_for(0.3, 150'000), 0.3);
  double last = 1;
  for (std::int64_t size = 10'000; size < 10'000'000'000; size *= 3) {
    const double rate = learning_rate_for(0, size);
    EXPECT_LT(rate, last) << size;
    // Two digits, so that the line a person reads is short.
    EXPECT_EQ(rate, std::stod(fmt::format("{:.1e}", rate))) << size;
    last = rate;
  }
}

TEST(Problems, ASmallTrainingSetIsChosenBySeedAndMeasuredOnTheUsualProblems) {
  TrainOptions options;
  options.train_problems = 5;
  const auto task = make_training_task(options, {});
  const auto chosen = prompts(take_problems(*task, tasks::Split::kTrain, 0, 50));
  EXPECT_EQ(chosen.size(), 5u);
  EXPECT_EQ(prompts(held_out_problems(*task, 20)), prompts(held_out_problems(*make_task({}), 20)));
  options.seed = 1;
  EXPECT_NE(prompts(take_problems(*make_training_task(options, {}), tasks::Split::kTrain, 0, 50)), chosen);
}

TEST_F(ProblemsFile, MoreTrainingProblemsThanThereAreAreRefused) {
  (void)file_task(60);
  TrainOptions options;
  options.source.problems = {path_.string()};
  options.train_problems = 1000;
  try {
    (void)make_training_task(options, {});
    FAIL() << "not refused";
  } catch (const base::UserError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("train-problems"));
  }
  options.train_problems = 3;
  options.transductive = "file";
  EXPECT_THROW((void)make_training_task(options, {}), base::UserError);
}

}  // namespace
}  // namespace whet::train
