// Where answers are found in responses.
#include "text/extract.h"

#include <gtest/gtest.h>

#include "tests/text/hostile.h"

namespace whet::text {
namespace {

struct Case {
  std::string response;
  std::optional<std::string> answer;
};

class Extract : public testing::TestWithParam<Case> {};

TEST_P(Extract, FindsTheAnswer) {
  const std::string& response = GetParam().response;
  EXPECT_EQ(extract_answer(response), GetParam().answer) << response;
  const auto place = find_answer(response);
  ASSERT_EQ(place.has_value(), GetParam().answer.has_value()) << response;
  if (!place) return;
  EXPECT_EQ(*place, *GetParam().answer);
  EXPECT_TRUE(place->data() >= response.data() && place->data() + place->size() <= response.data() + response.size());
}

INSTANTIATE_TEST_SUITE_P(
    Boxes, Extract,
    testing::Values(Case{"so \\boxed{42}.", "42"}, Case{"\\boxed{1} then \\boxed{2}", "2"},
                    Case{"\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"}, Case{"\\boxed{ 7 }", "7"},
                    Case{"\\boxed 5 is it", "5"}, Case{"$\\boxed 5$", "5"}, Case{"\\boxed {5}", "5"},
                    Case{"\\fbox{x}", "x"}, Case{"\\boxed{\\boxed{5}}", "5"}, Case{"\\boxed{3} and \\boxed{4", "3"},
                    Case{"\\boxed{\\{1,2\\}}", "\\{1,2\\}"},
                    Case{"\\boxed{\\left\\{ 1 \\right.}", "\\left\\{ 1 \\right."}, Case{"} \\boxed{9}", "9"},
                    Case{"{ \\boxed{9}", "9"}, Case{"\\boxed{5} \\boxed{}", "5"}, Case{"\\boxed{8} #### 9", "8"},
                    Case{"\\boxed{1}, \\boxed{2} and \\boxed{3}.", "\\boxed{1}, \\boxed{2} and \\boxed{3}"},
                    Case{"\\boxed{7} so \\boxed{1}\\text{ or }\\boxed 2", "\\boxed{1}\\text{ or }\\boxed 2"},
                    Case{"\\boxed{4}, \\boxed{4}", "4"}, Case{"\\boxed{4} \\boxed{5}", "5"},
                    Case{"\\boxedx{5}", std::nullopt},
                    Case{"\\boxed{(-\\infty, 2] \\cup [3, \\infty)}", "(-\\infty, 2] \\cup [3, \\infty)"}));

INSTANTIATE_TEST_SUITE_P(Hashes, Extract,
                         testing::Values(Case{"5+6 = 11\n#### 11", "11"}, Case{"#### 1\nno\n#### 2\n", "2"},
                                         Case{"####72", "72"}, Case{"#### 1,000.\nmore", "1,000"},
                                         Case{"#### 3\n####\n", "3"}, Case{"#### 5\nThe answer is 6.", "5"}));

INSTANTIATE_TEST_SUITE_P(Phrases, Extract,
                         testing::Values(Case{"Answer: 5", "5"}, Case{"ANSWER: B", "B"}, Case{"**Answer:** 12", "12"},
                                         Case{"**Answer**: 12", "12"}, Case{"The answer is 3.5.", "3.5"},
                                         Case{"The final answer is: $7$. I hope so.", "$7$"},
                                         Case{"the answer is 1\nthe answer is 2", "2"}, Case{"Answer:\n\n 9", "9"},
                                         Case{"The answer is (C).", "(C)"}, Case{"answer = 4", "4"},
                                         Case{"The answer isn't here", std::nullopt},
                                         Case{"I cannot answer", std::nullopt},
                                         Case{"The answer is isosceles", "isosceles"}, Case{"Answer:", std::nullopt}));

INSTANTIATE_TEST_SUITE_P(Nothing, Extract,
                         testing::Values(Case{"", std::nullopt}, Case{"42", std::nullopt},
                                         Case{"\\boxed{", std::nullopt}, Case{"\\boxed", std::nullopt},
                                         Case{"\\boxed{}", std::nullopt}, Case{"\\", std::nullopt},
                                         Case{"####", std::nullopt}, Case{"}}}{{{", std::nullopt}));

TEST(ExtractHostile, ReturnsInBoundedTime) {
  for (const std::string& text : hostile_texts(1000000)) {
    within_seconds(4.0, text, [&] { extract_answer(text); });
  }
}

}  // namespace
}  // namespace whet::text
