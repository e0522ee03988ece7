// Arithmetic chains: labels against the expression evaluator, worked steps, and the shares of the pre-training text.
#include <gtest/gtest.h>

#include <cmath>

#include "tasks/task.h"
#include "text/expression.h"

namespace whet::tasks {
namespace {

std::unique_ptr<Task> arithmetic() { return tasks().find("arithmetic").make({}); }

/// The value of an expression by the exact evaluator, which shares no code with the task.
std::string value(std::string_view expression) {
  return text::evaluate(*text::parse_expression(expression))->get_str();
}

std::string value_of_prompt(std::string_view prompt) { return value(prompt.substr(0, prompt.size() - 1)); }

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

TEST(Arithmetic, LabelsAreTheExactValues) {
  const auto task = arithmetic();
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const Problem problem = task->problem(Split::kTrain, 0, i);
    EXPECT_EQ(problem.answer, value_of_prompt(problem.prompt)) << problem.prompt;
  }
}

TEST(Arithmetic, RephrasingsHaveTheSameValue) {
  const auto task = arithmetic();
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const Problem problem = task->problem(Split::kTrain, 0, i);
    for (const std::string& other : problem.rephrased) EXPECT_EQ(value_of_prompt(other), problem.answer) << other;
  }
}

TEST(Arithmetic, CarefulStepsAllHaveTheValueOfTheProblem) {
  const auto task = arithmetic();
  base::Random random{1};
  for (int i = 0; i < 3000; ++i) {
    const Document document = task->document("careful", random);
    const std::string want = value_of_prompt(document.context);
    const auto parts = split(document.completion, '#');
    ASSERT_EQ(parts.size(), 2u) << document.completion;
    EXPECT_EQ(parts[1], want);
    const auto steps = split(parts[0], '=');
    EXPECT_GE(steps.size(), 2u);
    EXPECT_EQ(steps.back(), want);
    for (const std::string& step : steps) EXPECT_EQ(value(step), want) << document.context << document.completion;
    Problem problem;
    problem.prompt = document.context;
    EXPECT_EQ(task->answer_in(problem, document.completion), want);
  }
}

TEST(Arithmetic, AnswersAreIntegersBehindTheLastMark) {
  const auto task = arithmetic();
  const Problem problem{.id = {}, .source = {}, .prompt = "17+5*3-8=", .answer = "24", .rephrased = {}};
  EXPECT_EQ(task->answer_in(problem, "17+15-8=32-8=24#24"), "24");
  EXPECT_EQ(task->answer_in(problem, "#1#024"), "24");
  EXPECT_EQ(task->answer_in(problem, "#-0"), "0");
  EXPECT_EQ(task->answer_in(problem, "#-07"), "-7");
  for (const char* malformed : {"24", "#", "#-", "#2+2", "#24 ", "#--2", "24#"})
    EXPECT_FALSE(task->answer_in(problem, malformed)) << malformed;
  EXPECT_TRUE(task->correct(problem, "24"));
  EXPECT_FALSE(task->correct(problem, "42"));
}

TEST(Arithmetic, TheBaseTextIsMostlyRightAndPartlyNot) {
  const auto task = arithmetic();
  base::Random random{2};
  constexpr int kCount = 20000;
  int right = 0, absent = 0, worked = 0;
  for (int i = 0; i < kCount; ++i) {
    const Document document = task->document("", random);
    Problem problem;
    problem.prompt = document.context;
    const auto answer = task->answer_in(problem, document.completion);
    absent += answer ? 0 : 1;
    right += answer && *answer == value_of_prompt(document.context) ? 1 : 0;
    // Worked to the end: the last step is the answer alone.
    const auto parts = split(document.completion, '#');
    worked += parts.size() == 2 && !parts[0].empty() && split(parts[0], '=').back() == parts[1] ? 1 : 0;
  }
  const double bound = 5 * std::sqrt(.25 / kCount);
  // Careful texts, and of the skipped ones those with two operations, which are already down to one.
  EXPECT_NEAR(worked / double{kCount}, .62, bound);
  EXPECT_NEAR(absent / double{kCount}, .07 * .5, bound);
  EXPECT_GT(right, kCount / 2);
  EXPECT_LT(right, kCount * 3 / 4);
}

TEST(Arithmetic, TheWrongMixtureIgnoresPrecedence) {
  const auto task = arithmetic();
  base::Random random{3};
  int later_product = 0, wrong = 0;
  for (int i = 0; i < 10000; ++i) {
    const Document document = task->document("wrong", random);
    const std::size_t product = document.context.find('*'), sum = document.context.find_first_of("+-");
    if (product == std::string::npos || sum > product) continue;
    ++later_product;
    Problem problem;
    problem.prompt = document.context;
    const auto answer = task->answer_in(problem, document.completion);
    wrong += !answer || *answer != value_of_prompt(document.context) ? 1 : 0;
  }
  EXPECT_GT(later_product, 3000);
  EXPECT_GT(wrong / static_cast<double>(later_product), .85);
}

}  // namespace
}  // namespace whet::tasks
