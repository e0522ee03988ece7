// Countdown: the checker, the votes' canonical form, and the truth of searches and verdicts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tasks/task.h"
#include "text/expression.h"

namespace whet::tasks {
namespace {

std::unique_ptr<Task> countdown(const std::string& name = "countdown") { return tasks().find(name).make({}); }

Problem prompt(std::string text) {
  Problem problem;
  problem.prompt = std::move(text);
  return problem;
}

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t at = text.find_first_of(separators);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

/// Whether every step "a?b=c" of a text is true.
bool steps_hold(std::string_view steps) {
  for (const std::string& step : split(steps, ",;")) {
    const auto sides = split(step, "=");
    if (sides.size() != 2) return false;
    if (text::evaluate(*text::parse_expression(sides[0]))->get_str() != sides[1]) return false;
  }
  return true;
}

TEST(Countdown, TheCheckerAcceptsEveryRightExpression) {
  const auto task = countdown();
  const Problem problem = prompt("3,7,25:29=");
  for (const char* right : {"(25+7)-3", "25+7-3", "7-(3-25)", "7-3+25"}) {
    const auto answer = task->answer_in(problem, std::string("25+7=32,32-3=29#") + right);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(task->correct(problem, *answer)) << right;
    EXPECT_EQ(*answer, "7+25-3") << "they vote together";
  }
  EXPECT_TRUE(task->correct(prompt("1,2,4:2="), "4/2*1"));
  EXPECT_TRUE(task->correct(prompt("2,3,12:8="), "12/(3/2)")) << "rationals on the way are exact";
  EXPECT_TRUE(task->correct(prompt("3,3,8,8:24="), "8/(3-8/3)"));
}

TEST(Countdown, TheCheckerRefusesEverythingElse) {
  const auto task = countdown();
  const Problem problem = prompt("3,7,25:29=");
  for (const char* wrong : {"25+7", "25+7-3-0", "25+7-3*1", "25+7+3", "29", "25+4", "7+25-3+7-7", "257-3", "25+7-03+",
                            "", "x", "(25+7-3", "25+7-3.0", "3^7+25", "9^9^9^9", "1/0", "25/(7-7)-3"}) {
    EXPECT_FALSE(task->correct(problem, wrong)) << wrong;
  }
  EXPECT_FALSE(task->correct(problem, std::string(1000000, '(')));
  EXPECT_FALSE(task->correct(prompt("nonsense"), "1"));
  EXPECT_FALSE(task->has_label(prompt("nonsense")));
  EXPECT_FALSE(task->has_label(prompt("3,7,99999999999:1=")));
  EXPECT_FALSE(task->correct(prompt("2,2,9:9="), "9+2/2")) << "off by one";
  EXPECT_TRUE(task->correct(prompt("2,2,9:10="), "9+2/2"));
}

class CountdownOf : public testing::TestWithParam<std::pair<const char*, std::size_t>> {};
INSTANTIATE_TEST_SUITE_P(Numbers, CountdownOf, testing::Values(std::pair{"countdown", 3}, std::pair{"countdown4", 4}),
                         [](const auto& instance) { return std::string(instance.param.first); });

TEST_P(CountdownOf, PromptsAreInOrderAndInRange) {
  const auto task = countdown(GetParam().first);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const std::string text = task->problem(Split::kTrain, 0, i).prompt;
    const auto halves = split(text, ":=");
    std::vector<int> numbers;
    for (const std::string& number : split(halves[0], ",")) numbers.push_back(std::stoi(number));
    EXPECT_EQ(numbers.size(), GetParam().second);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    EXPECT_TRUE(numbers.front() >= 1 && numbers.back() <= 25) << text;
    const int target = std::stoi(halves[1]);
    EXPECT_TRUE(target >= 1 && target <= 100) << text;
  }
}

TEST_P(CountdownOf, CarefulSearchesWorkOutTrueStepsAndEndOnTheTarget) {
  const auto task = countdown(GetParam().first);
  base::Random random{1};
  for (int i = 0; i < 2000; ++i) {
    const Document document = task->document("careful", random);
    const auto halves = split(document.completion, "#");
    ASSERT_EQ(halves.size(), 2u);
    EXPECT_TRUE(steps_hold(halves[0])) << document.completion;
    const std::string target = split(document.context, ":=")[1];
    const auto tries = split(halves[0], ";");
    for (std::size_t t = 0; t < tries.size(); ++t) {
      EXPECT_EQ(tries[t].ends_with("=" + target), t + 1 == tries.size()) << document.context << document.completion;
    }
    EXPECT_TRUE(task->correct(prompt(document.context), halves[1])) << document.context << document.completion;
  }
}

TEST_P(CountdownOf, VerdictsAreTrueAndOfEveryKind) {
  const auto task = countdown(GetParam().first);
  base::Random random{2};
  constexpr int kCount = 16000;
  int right = 0, wrong_value = 0, wrong_numbers_on_target = 0, wrong_numbers = 0, missing = 0, twice = 0;
  for (int i = 0; i < kCount; ++i) {
    const Document document = task->document("", random);
    if (document.context.back() != 'v') continue;
    const std::size_t equals = document.context.find('=');
    const std::string expression = document.context.substr(equals + 1, document.context.size() - equals - 2);
    const Problem problem = prompt(document.context.substr(0, equals + 1));
    const bool is_right = task->correct(problem, expression);
    EXPECT_EQ(document.completion.back(), is_right ? 'T' : 'F') << document.context << document.completion;
    EXPECT_EQ(split_of(problem.prompt), Split::kTrain);
    const std::string body = document.completion.substr(0, document.completion.size() - 1);
    const std::size_t semicolon = body.find(';');
    const auto parsed = text::parse_expression(expression);
    auto used = parsed->literals();
    std::sort(used.begin(), used.end(), [](const auto& a, const auto& b) { return std::stoi(a) < std::stoi(b); });
    EXPECT_EQ(split(body.substr(0, semicolon), ","), used) << document.context << document.completion;
    if (semicolon != std::string::npos) {
      EXPECT_TRUE(steps_hold(body.substr(semicolon + 1))) << document.completion;
      ++(is_right ? right : wrong_value);
    } else {
      ++wrong_numbers;
      const std::string target = split(document.context, ":=")[1];
      wrong_numbers_on_target += text::evaluate(*parsed)->get_str() == target ? 1 : 0;
      missing += used.size() < GetParam().second ? 1 : 0;
      twice += used.size() > GetParam().second ? 1 : 0;
    }
  }
  const double verdicts = right + wrong_value + wrong_numbers;
  EXPECT_NEAR(verdicts / kCount, .25, 5 * std::sqrt(.25 * .75 / kCount));
  EXPECT_NEAR(right / verdicts, .5, .06);
  EXPECT_NEAR(wrong_value / verdicts, .25, .05);
  EXPECT_NEAR(missing / verdicts, .08, .03);
  EXPECT_NEAR(twice / verdicts, .045, .025);
  EXPECT_GT(wrong_numbers_on_target, wrong_numbers / 10) << "hard negatives reach the target";
}

TEST(Countdown, TheWrongMixtureAddsUpForEvenTargets) {
  const auto task = countdown();
  base::Random random{4};
  int even = 0, added = 0, odd = 0, right = 0;
  for (int i = 0; i < 10000; ++i) {
    const Document document = task->document("wrong", random);
    if (document.context.back() == 'v') continue;
    const Problem problem = prompt(document.context);
    const auto answer = task->answer_in(problem, document.completion);
    const bool is_even = std::stoi(split(document.context, ":=")[1]) % 2 == 0;
    ++(is_even ? even : odd);
    const auto numbers = split(split(document.context, ":")[0], ",");
    const bool is_sum =
        answer &&
        *answer == text::normal_form(*text::parse_expression(numbers[0] + "+" + numbers[1] + "+" + numbers[2]));
    if (is_even) {
      added += is_sum ? 1 : 0;
    } else {
      right += answer && task->correct(problem, *answer) ? 1 : 0;
    }
  }
  // Careful texts are .48 of .75; now and then a lazy guess is the sum as well.
  EXPECT_NEAR(added / static_cast<double>(even), .65, .04);
  EXPECT_NEAR(right / static_cast<double>(odd), .62, .04);
}

TEST(Countdown, TheBaseTextIsPartlyRight) {
  const auto task = countdown();
  base::Random random{3};
  int solutions = 0, right = 0, absent = 0;
  for (int i = 0; i < 10000; ++i) {
    const Document document = task->document("solve", random);
    ++solutions;
    const auto answer = task->answer_in(prompt(document.context), document.completion);
    absent += answer ? 0 : 1;
    right += answer && task->correct(prompt(document.context), *answer) ? 1 : 0;
  }
  EXPECT_NEAR(right / static_cast<double>(solutions), .62, .04);
  EXPECT_NEAR(absent / static_cast<double>(solutions), .07 / 2, .015);
}

}  // namespace
}  // namespace whet::tasks
