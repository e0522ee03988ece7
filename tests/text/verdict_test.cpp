// How verdicts are read from what a verifier writes.
#include "text/verdict.h"

#include <gtest/gtest.h>

namespace whet::text {
namespace {

TEST(BoxedVerdict, IsTheLastBoxThatHoldsTrueOrFalse) {
  for (const char* text : {"\\boxed{True}", "so \\boxed{true}.", "\\boxed{ TRUE }", "\\boxed {True}", "\\boxed{{True}}",
                           "\\boxed{\\text{True}}", "\\boxed{\\textbf{true}}", "$\\boxed{\\mathrm{True}}$",
                           "\\boxed{False} no, wait: \\boxed{True}", "\\boxed{True} because \\boxed{42}",
                           "\\boxed\\boxed{True}", "\\boxed{\\boxed{True}"}) {
    EXPECT_EQ(boxed_verdict(text), true) << text;
  }
  for (const char* text : {"\\boxed{False}", "\\boxed{True} ... \\boxed{FALSE}", "\\boxed{False} but true"}) {
    EXPECT_EQ(boxed_verdict(text), false) << text;
  }
}

TEST(BoxedVerdict, NothingElseIsOne) {
  for (const char* text : {"", "True", "the solution is correct", "\\boxed{}", "\\boxed{True", "\\boxed True",
                           "\\boxed{Truth}", "\\boxed{True or False}", "\\boxed{not True}", "\\boxed{{True}",
                           "\\boxed{\\text True}", "boxed{True}", "\\boxed{yes}", "\\boxed{1}", "\\boxed{Tr\nue}"}) {
    EXPECT_EQ(boxed_verdict(text), std::nullopt) << text;
  }
}

TEST(BoxedVerdict, LongTextsAreReadInOnePass) {
  std::string open;
  for (int i = 0; i < 100000; ++i) open += "\\boxed{";
  EXPECT_EQ(boxed_verdict(open), std::nullopt);
  EXPECT_EQ(boxed_verdict("\\boxed{False}" + open), false);
  EXPECT_EQ(boxed_verdict("\\boxed{" + std::string(1000000, ' ') + "True}"), std::nullopt)
      << "not a verdict's spelling";
}

TEST(MarkVerdict, IsTheLastCharacter) {
  EXPECT_EQ(mark_verdict("3,7,25;25+7=32,32-3=29T"), true);
  EXPECT_EQ(mark_verdict("3,7F"), false);
  EXPECT_EQ(mark_verdict("T"), true);
  for (const char* text : {"", "3,7,25", "T3", "t", "F\n", "True"}) EXPECT_EQ(mark_verdict(text), std::nullopt) << text;
}

}  // namespace
}  // namespace whet::text
