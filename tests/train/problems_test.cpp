// Options to problems and sampling: what is held out, how often a small file is read, which learning rate is chosen.
#include "train/problems.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

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

}  // namespace
}  // namespace whet::train
