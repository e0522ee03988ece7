// A given list under a task's rules: the same problems on both sides, judged as the task judges.
#include "tasks/listed.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"

namespace whet::tasks {
namespace {

Problem problem_of(const std::string& prompt, std::optional<std::string> answer = std::nullopt) {
  Problem problem;
  problem.id = prompt;
  problem.prompt = prompt;
  problem.answer = std::move(answer);
  return problem;
}

std::unique_ptr<Task> rules(const std::string& name) { return tasks().find(name).make({{}, {}, true, {}}); }

TEST(Listed, EachPassTrainsOnEveryProblemOnceInAnOrderOfItsOwn) {
  std::vector<Problem> problems;
  for (int i = 0; i < 23; ++i) problems.push_back(problem_of(std::to_string(1000 + i) + "?"));
  const auto task = with_problems(rules("sort"), problems);
  EXPECT_EQ(task->size(Split::kTrain), 23u);
  EXPECT_EQ(task->size(Split::kHeldOut), 23u);
  std::set<std::vector<std::string>> orders;
  for (std::uint64_t pass = 0; pass < 4; ++pass) {
    std::vector<std::string> order;
    for (std::uint64_t i = 0; i < 23; ++i) order.push_back(task->problem(Split::kTrain, 5, pass * 23 + i).prompt);
    EXPECT_EQ(std::set<std::string>(order.begin(), order.end()).size(), 23u);
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 4u);
  for (std::uint64_t i = 0; i < 23; ++i) EXPECT_EQ(task->problem(Split::kHeldOut, 5, i).prompt, problems[i].prompt);
}

TEST(Listed, JudgesAsTheTaskDoes) {
  for (const auto& [name, entry] : tasks()) {
    if (name == "file") continue;
    const auto own = entry.make({});
    const auto listed = with_problems(rules(name), {own->problem(Split::kTrain, 1, 0)});
    const Problem problem = listed->problem(Split::kTrain, 0, 0);
    ASSERT_TRUE(listed->has_label(problem)) << name;
    const std::string response = "#" + *problem.answer;
    EXPECT_EQ(listed->answer_in(problem, response), own->answer_in(problem, response)) << name;
    EXPECT_TRUE(listed->correct(problem, *problem.answer)) << name;
    EXPECT_FALSE(listed->correct(problem, "0")) << name;
    EXPECT_EQ(listed->response_limit(), own->response_limit()) << name;
    EXPECT_EQ(listed->check(problem, "0"), own->check(problem, "0")) << name;
  }
}

TEST(Listed, APromptThatStandsThereTwiceIsUsedOnceAndNoted) {
  const auto task = with_problems(rules("sort"), {problem_of("1200?", "0012"), problem_of("31?"), problem_of("1200?")});
  EXPECT_EQ(task->size(Split::kTrain), 2u);
  EXPECT_EQ(task->notes(), (std::vector<std::string>{"1 prompts stand there again: used once",
                                                     "1 of 2 problems have no answer: accuracy is not measured"}));
  EXPECT_TRUE(with_problems(rules("sort"), {problem_of("31?")})->notes().empty());
  EXPECT_THROW(with_problems(rules("sort"), {}), base::UserError);
}

TEST(Listed, ASmallTrainingSetIsMeasuredOnTheTasksOwnHeldOutProblems) {
  const auto own = tasks().find("sort").make({});
  const auto small =
      with_training_problems(tasks().find("sort").make({}), {problem_of("1200?", "0012"), problem_of("31?", "13")});
  EXPECT_EQ(small->size(Split::kTrain), 2u);
  EXPECT_EQ(small->size(Split::kHeldOut), std::nullopt);
  EXPECT_NE(small->problem(Split::kTrain, 3, 0).prompt, small->problem(Split::kTrain, 3, 1).prompt);
  for (std::uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(small->problem(Split::kHeldOut, 7, i).prompt, own->problem(Split::kHeldOut, 7, i).prompt);
  }
}

}  // namespace
}  // namespace whet::tasks
