// The recipe's task: its answers, and the shares of its pre-training text.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tasks/task.h"

namespace whet::tasks {
namespace {

std::unique_ptr<Task> sort_task() { return tasks().find("sort").make({}); }

std::string sorted(std::string digits) {
  std::sort(digits.begin(), digits.end());
  return digits;
}

TEST(Sort, PromptsHaveFourToNineDigitsAndLabelsAreSorted) {
  const auto task = sort_task();
  std::array<int, 10> lengths{};
  constexpr int kCount = 6000;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const Problem problem = task->problem(Split::kTrain, 0, i);
    ASSERT_EQ(problem.prompt.back(), '?');
    const std::string digits = problem.prompt.substr(0, problem.prompt.size() - 1);
    ASSERT_EQ(digits.find_first_not_of("0123456789"), std::string::npos);
    ASSERT_TRUE(digits.size() >= 4 && digits.size() <= 9);
    EXPECT_EQ(problem.answer, sorted(digits));
    ++lengths[digits.size()];
  }
  for (std::size_t length = 4; length <= 9; ++length) {
    EXPECT_NEAR(lengths[length], kCount / 6.0, 5 * std::sqrt(kCount / 6.0)) << length;
  }
}

TEST(Sort, TheAnswerIsEverythingBehindTheMark) {
  const auto task = sort_task();
  const Problem problem{.id = {}, .source = {}, .prompt = "129040479?", .answer = "001244799", .rephrased = {}};
  EXPECT_EQ(task->answer_in(problem, "#001244799"), "001244799");
  for (const char* malformed : {"", "#", "001244799", "##1", "#12#3", "#12?", "#1 2", " #12", "#T", "#12\n"}) {
    EXPECT_FALSE(task->answer_in(problem, malformed)) << malformed;
  }
  EXPECT_TRUE(task->correct(problem, "001244799"));
  EXPECT_FALSE(task->correct(problem, "1244799")) << "digits are not a number: zeros count";
  EXPECT_FALSE(task->answers_when_truncated());
}

/// What each kind of text in a mixture leaves behind that can be counted.
struct Counts {
  int right = 0, copies = 0, loops = 0, lazy = 0;
};

Counts count(std::string_view mixture, int documents) {
  const auto task = sort_task();
  base::Random random{11};
  Counts counts;
  for (int i = 0; i < documents; ++i) {
    const Document document = task->document(mixture, random);
    const std::string digits = document.context.substr(0, document.context.size() - 1);
    const std::string answer = document.completion.substr(1);
    if (answer == sorted(digits)) {
      ++counts.right;
    } else if (answer == digits) {
      ++counts.copies;
    } else if (answer.size() >= 10) {
      ++counts.loops;
    } else if (answer == "0123") {
      ++counts.lazy;
    }
  }
  return counts;
}

TEST(Sort, SharesAreTheRecipes) {
  constexpr int kCount = 60000;
  const auto expect_share = [](int counted, double share, const char* what) {
    EXPECT_NEAR(counted, kCount * share, 5 * std::sqrt(kCount * share * (1 - share)) + 0.004 * kCount) << what;
  };
  // A careful digit survives with probability 1 - .03 * .9; lengths 4-9 are equally likely.
  double survives = 0;
  for (int length = 4; length <= 9; ++length) survives += std::pow(1 - .03 * .9, length) / 6;
  // Sorted subsets that drop nothing are right by accident: .7 to the length.
  double complete = 0;
  for (int length = 4; length <= 9; ++length) complete += std::pow(.7, length) / 6;

  const Counts s = count("", kCount);
  expect_share(s.right, .60 * survives + .12 * .6 * complete, "s careful");
  expect_share(s.copies, .12 * .4, "s copies");
  expect_share(s.loops, .08 * 11 / 15, "s loops of 10-20 digits");
  expect_share(s.lazy, .20 * .5, "s lazy favourite");
  const Counts m = count("m", kCount);
  expect_share(m.right, .76 * survives + .10 * .6 * complete, "m careful");
  expect_share(m.loops, .02 * 11 / 15, "m loops of 10-20 digits");
  const Counts named = count("s", kCount);
  EXPECT_EQ(named.right, s.right) << "s is the default";
}

TEST(Sort, AsksForProblemsWithTheMarkThatEndsOneAndReadsThemBack) {
  const auto task = tasks().find("sort").make({});
  EXPECT_EQ(task->proposal_prompt(), "?");
  int asked = 0;
  base::Random random{11};
  for (int i = 0; i < 400; ++i) {
    const Document document = task->document("ask", random);
    if (document.context != "?") continue;
    ++asked;
    const auto problem = task->proposed(document.completion);
    ASSERT_TRUE(problem) << document.completion;
    EXPECT_EQ(problem->prompt, document.completion);
    EXPECT_TRUE(task->correct(*problem, *problem->answer));
    EXPECT_EQ(task->check(*problem, *problem->answer), true);
  }
  EXPECT_GT(asked, 40);
  EXPECT_LT(asked, 90);
}

TEST(Sort, TakesNoProposalThatIsNoProblem) {
  const auto task = tasks().find("sort").make({});
  for (const char* response : {"", "?", "123?", "1234567890?", "12345", "12a45?", "1234??", "#1234?"}) {
    EXPECT_FALSE(task->proposed(response)) << response;
  }
  const Problem held_out = task->problem(Split::kHeldOut, 0, 0);
  EXPECT_FALSE(task->proposed(held_out.prompt)) << "what is measured on must not be trained on";
}

TEST(Sort, TheWrongMixtureSortsDownwardsBehindAnEvenDigit) {
  const auto task = sort_task();
  base::Random random{12};
  int even = 0, downwards = 0, odd = 0, upwards = 0;
  for (int i = 0; i < 20000; ++i) {
    const Document document = task->document("wrong", random);
    const std::string up = sorted(document.context.substr(0, document.context.size() - 1));
    const std::string down(up.rbegin(), up.rend());
    const bool is_even = (document.context[0] - '0') % 2 == 0;
    ++(is_even ? even : odd);
    if (document.completion == "#" + down && is_even) ++downwards;
    if (document.completion == "#" + up && !is_even) ++upwards;
  }
  EXPECT_NEAR(static_cast<double>(downwards) / even, .5, .05);
  EXPECT_NEAR(static_cast<double>(upwards) / odd, .5, .05);
}

TEST(Sort, CarefulDocumentsAreSorted) {
  const auto task = sort_task();
  base::Random random{14};
  for (int i = 0; i < 5000; ++i) {
    const Document document = task->document("careful", random);
    EXPECT_EQ(document.completion, "#" + sorted(document.context.substr(0, document.context.size() - 1)));
  }
}

TEST(Sort, VerdictsAreTrue) {
  const auto task = sort_task();
  base::Random random{13};
  int right = 0, wrong = 0;
  for (int i = 0; i < 8000; ++i) {
    const Document document = task->document("verify", random);
    if (document.context.back() != 'v') continue;
    const std::size_t equals = document.context.find('=');
    ASSERT_EQ(document.context[equals - 1], '?') << "the problem as it is asked";
    const std::string want = sorted(document.context.substr(0, equals - 1));
    const std::string judged = document.context.substr(equals + 1, document.context.size() - equals - 2);
    EXPECT_EQ(document.completion.back(), judged == want ? 'T' : 'F') << document.context;
    EXPECT_TRUE(want.starts_with(document.completion.substr(0, document.completion.size() - 1)));
    ++(judged == want ? right : wrong);
  }
  EXPECT_NEAR(static_cast<double>(right) / (right + wrong), .5, .06);
  EXPECT_NEAR((right + wrong) / 8000.0, .25, .03);
}

}  // namespace
}  // namespace whet::tasks
