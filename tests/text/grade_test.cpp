// Verdicts, their reasons, and laws that hold for every pair.
#include "text/grade.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/json.h"
#include "base/random.h"
#include "tests/text/hostile.h"
#include "text/canonical.h"
#include "text/equivalence.h"

namespace whet::text {
namespace {

struct Pair {
  std::string reference, answer;
  bool equivalent;
};

std::vector<Pair> golden(const std::string& file) {
  std::vector<Pair> pairs;
  const auto path = std::filesystem::path(WHET_SOURCE_DIR) / "tests" / "golden" / file;
  base::for_each_json_line(path, [&pairs](base::Json&& row, std::size_t) {
    pairs.push_back({row["reference"], row["answer"], row["equivalent"]});
  });
  return pairs;
}

std::vector<Pair> all_pairs() {
  std::vector<Pair> pairs = golden("grader_pairs.jsonl");
  for (Pair& pair : golden("algebra_pairs.jsonl")) pairs.push_back(std::move(pair));
  return pairs;
}

TEST(Grade, AgreesWithVerdictsOfPeopleAndOfSymPyBothWaysRound) {
  const auto pairs = all_pairs();
  ASSERT_GT(pairs.size(), 600U);
  for (const Pair& pair : pairs) {
    const Verdict verdict = grade(pair.answer, pair.reference);
    EXPECT_EQ(verdict.equivalent, pair.equivalent)
        << pair.answer << " against " << pair.reference << ": " << verdict.reason;
    EXPECT_EQ(grade(pair.reference, pair.answer).equivalent, pair.equivalent) << pair.reference << " | " << pair.answer;
  }
}

TEST(Grade, EveryAnswerEqualsItselfItsCanonicalFormAndItsWrappings) {
  for (const Pair& pair : all_pairs()) {
    const std::string text = answer_in_text(pair.reference);
    const std::string form = canonical(text);
    EXPECT_TRUE(equivalent(text, form)) << text << " | " << form;
    EXPECT_EQ(canonical(form), form) << text;
    for (const std::string& wrapped :
         {"$" + text + "$", "\\boxed{" + text + "}", " " + text + ".", "\\(" + text + "\\)", "{" + text + "}"}) {
      EXPECT_EQ(canonical(wrapped), form) << wrapped;
    }
  }
}

TEST(Grade, ClassesDoNotDependOnOrder) {
  // The relation is equality of one text, so this holds by construction; the test keeps it so.
  const auto pairs = golden("grader_pairs.jsonl");
  base::Random random{3};
  for (int round = 0; round < 2000; ++round) {
    const std::string& a = pairs[random.below(pairs.size())].answer;
    const std::string& b = pairs[random.below(pairs.size())].reference;
    const std::string& c = pairs[random.below(pairs.size())].reference;
    EXPECT_EQ(equivalent(a, b), equivalent(b, a));
    if (!equivalent(a, b) || !equivalent(b, c)) continue;
    EXPECT_TRUE(equivalent(a, c)) << a << " | " << b << " | " << c;
  }
}

TEST(Grade, SaysWhy) {
  const auto why = [](std::string_view answer, std::string_view reference) {
    const std::string reason = grade(answer, reference).reason;
    return reason.substr(0, reason.find(':'));
  };
  EXPECT_EQ(why("5", "5"), "same-text");
  EXPECT_EQ(why("5.0", "5"), "equal");
  EXPECT_EQ(why("6", "5"), "different-value");
  EXPECT_EQ(why("\\sqrt2", "5"), "different-value");
  EXPECT_EQ(why("(1,2)", "5"), "different-kind");
  EXPECT_EQ(why("(1,2)", "(1,3)"), "different-elements");
  EXPECT_EQ(why("1,2,3", "3,2,4"), "different-elements");
  EXPECT_EQ(why("[1,2)", "[1,2]"), "different-elements");
  EXPECT_EQ(why("\\int x", "5"), "different-text");
  EXPECT_EQ(why("\\sqrt{2^{2^{2^{2^{2^{99}}}}}+x}^{999999999}", "\\frac{1}{0}"), "too-hard");
  EXPECT_EQ(why(" ", "5"), "no-answer");
  EXPECT_EQ(why("5", ""), "no-answer");
  EXPECT_EQ(grade("1,2,3", "3,2,4").reason, "different-elements: lists differ in 1 element");
  EXPECT_EQ(grade("\\frac{2}{4}", "0.5").reason, "equal: number 1/2");
  EXPECT_EQ(grade("7", "\\sqrt{2}").reason, "different-value: expressions 7 and \\sqrt{2}");
}

TEST(Grade, FindsAnswersInResponses) {
  EXPECT_EQ(answer_in_text("so \\boxed{1}, no: \\boxed{2}."), "2");
  EXPECT_EQ(canonical(answer_in_text("so \\boxed{1}$, $\\boxed{2} and \\boxed{3}.")), "1, 2, 3");
  EXPECT_EQ(canonical(answer_in_text("\\boxed{3} then \\boxed{1}, \\boxed{2}")), "1, 2");
  EXPECT_EQ(answer_in_text("\\boxed{5} and \\boxed{5}"), "5");
  EXPECT_EQ(answer_in_text("Therefore $x \\geq 5$ is the solution."), "x \\geq 5");
  EXPECT_EQ(answer_in_text("It costs $5 and $6."), "5 and");  // two dollar signs are a formula
  EXPECT_EQ(answer_in_text("Final Answer: The largest $n$ is 34."), "34");
  EXPECT_EQ(answer_in_text("The answer is: the sum $s$ is $12$."), "$12$");
  EXPECT_EQ(answer_in_text("C. The mass is 12 kg"), "C. The mass is 12 kg");
  EXPECT_EQ(answer_in_text("the sky is blue"), "the sky is blue");
  EXPECT_EQ(answer_in_text("so \\\\boxed{\\\\frac{1}{2}}"), "\\frac{1}{2}");  // escaped once too often
  EXPECT_EQ(answer_in_text("$x=1$ or $x=2$"), "$x=1$ or $x=2$");
  EXPECT_EQ(answer_in_text("  12 "), "12");
  EXPECT_EQ(answer_in_text("Hence \\[ 9 \\]"), "9");
  EXPECT_EQ(answer_in_text("the last one is open: $5"), "the last one is open: $5");
}

/// Fragments of mathematics strung together at random: nothing may crash, take long, or break a law.
TEST(GradeFuzz, RandomStringsOfFragmentsKeepTheLaws) {
  const std::vector<std::string> fragments{"1",
                                           "2",
                                           "x",
                                           "y",
                                           "+",
                                           "-",
                                           "*",
                                           "/",
                                           "^",
                                           "{",
                                           "}",
                                           "(",
                                           ")",
                                           "[",
                                           "]",
                                           ",",
                                           "\\frac",
                                           "\\sqrt",
                                           "\\pi",
                                           "i",
                                           "e",
                                           "\\pm",
                                           "=",
                                           "<",
                                           "\\cup",
                                           "\\{",
                                           "\\}",
                                           "!",
                                           "|",
                                           " ",
                                           "\\sin",
                                           "\\ln",
                                           "_",
                                           "\\text{ cm}",
                                           "\\infty",
                                           "0.5",
                                           "^2",
                                           "\\begin{pmatrix}",
                                           "&",
                                           "\\\\",
                                           "\\end{pmatrix}",
                                           "\\binom",
                                           "%",
                                           "^\\circ",
                                           "\\text{and}",
                                           ":",
                                           "ab",
                                           "\xff",
                                           "\\le",
                                           "\\sqrt[3]",
                                           "10^{10}",
                                           "9^9",
                                           "\\in",
                                           ";",
                                           "\\mathbb{R}",
                                           "\\setminus",
                                           "1/0",
                                           "\\log_2",
                                           "f(x)",
                                           "\\lfloor",
                                           "\\rfloor"};
  base::Random random{11};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    const std::size_t length = 1 + random.below(14);
    for (std::size_t i = 0; i < length; ++i) text += fragments[random.below(fragments.size())];
    within_seconds(60.0, text, [&] {
      const std::string form = canonical(text);
      EXPECT_EQ(canonical(form), form) << text;
      EXPECT_TRUE(equivalent(text, form)) << text;
      EXPECT_EQ(equivalent(text, "1"), equivalent("1", text)) << text;
    });
  }
}

TEST(GradeHostile, ShortTextsThatAskForMuchWorkReturn) {
  for (const std::string text :
       {"\\frac{1}{\\sqrt{2}+\\sqrt{3}+\\sqrt{5}+\\sqrt{7}+\\sqrt{11}}", "\\frac{1}{\\sqrt[16]{2}+\\sqrt[15]{3}}",
        "\\frac{(x+y+z)^{20}}{(x-y+z)^{19}}", "(a+b+c+d+e+f+g+h)^{50}", "\\frac{x^{100000}-1}{x^{99999}-1}",
        "((((x+1)^9+1)^9+1)^9+1)^9", "(1+\\sqrt{2}+\\sqrt{3}+\\sqrt{5})^{900}", "\\sin(12(a+b+c+d))", "\\sqrt{1500!}",
        "\\ln(1500!)", "1000000!", "\\binom{1000000}{500000}", "((2^{9999})!)!", "10^{10^{10^{10}}}", "9^9^9^9^9^9^9^9",
        "\\sqrt{\\sqrt{\\sqrt{\\sqrt{\\sqrt{2}+1}+1}+1}+1}", "\\frac{1}{\\sqrt{\\sqrt{\\sqrt{2}+1}+1}+\\sqrt[3]{7}}",
        "\\frac{1}{a+b+c}+\\frac{1}{a-b+c}+\\frac{1}{a+b-c}+\\frac{1}{a^2+b^3+c^5}"}) {
    within_seconds(60.0, text, [&] { EXPECT_EQ(canonical(canonical(text)), canonical(text)) << text; });
  }
}

TEST(GradeHostile, TenMegabytesReturn) {
  for (const char* part : {"(x+1)", "$a$ is ", "\\boxed{1}, "}) {
    const std::string text = filled(part, 10000000);
    within_seconds(60.0, text, [&] { EXPECT_TRUE(grade(text, text).equivalent); });
  }
}

TEST(Grade, ThreadsAgree) {
  const auto pairs = all_pairs();
  std::vector<std::vector<std::string>> forms(4);
  std::vector<std::thread> threads;
  for (auto& own : forms) {
    threads.emplace_back([&own, &pairs] {
      for (const Pair& pair : pairs) own.push_back(canonical(pair.answer));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& own : forms) EXPECT_EQ(own, forms[0]);
}

}  // namespace
}  // namespace whet::text
