// Which answers are the same, and which are not.
#include "text/canonical.h"

#include <gtest/gtest.h>

#include "tests/text/hostile.h"
#include "text/equivalence.h"

namespace whet::text {
namespace {

/// Each row is one class: its members are equivalent to each other and to no member of another row.
const std::vector<std::vector<std::string>>& classes() {
  static const std::vector<std::vector<std::string>> kClasses{
      {"25",
       "025",
       "25.0",
       "$25$",
       "+25",
       " 25 ",
       "50/2",
       "\\frac{50}{2}",
       "25.",
       "\\left(25\\right)",
       "{25}",
       "2.5e1",
       "5^2",
       "\\text{25}",
       "x = 25",
       "25\\text{ cm}",
       "25 cm",
       "25 square inches",
       "25^\\circ",
       "25^{\\circ}",
       "25\xC2\xB0",
       "25 degrees",
       "25\\%",
       "25%",
       "\\$25",
       "25\\,\\mathrm{cm}^2",
       "25 \\text{ feet}^{3}",
       "**25**",
       "\\(25\\)",
       "\\mathrm{25}",
       "(25)",
       "25 \\text{ apples}",
       "\\boldsymbol{25}"},
      {"1000", "1,000", "1{,}000", "1\\,000", "1,000.00", "1 000", "\\$1,000", "10^3", "10^{3}", "1\\!000", "01000"},
      {"1000000", "1,000,000", "10^6", "1e6", "1 \\times 10^6", "1\\cdot 10^{6}"},
      {"(1,000)"},
      {"1,00"},
      {"0", "-0", "0.0", "00"},
      {"-3",
       "\xE2\x88\x92"
       "3",
       "- 3", "-03", "-3.0", "-\\frac{6}{2}", "\\frac{-6}{2}"},
      {"3"},
      {"1/2", "0.5", ".5", "\\frac{1}{2}", "\\dfrac12", "\\tfrac{1}{2}", "\\frac12", "2/4", "\\frac 1 2", "\\frac{1}2",
       "5 \\times 10^{-1}", "2^{-1}"},
      {"-1/2", "-0.5", "-\\frac{1}{2}", "\\frac{-1}{2}", "\\frac{1}{-2}"},
      {"3/2", "1 1/2", "1\\frac{1}{2}", "1 \\frac12", "1.5"},
      {"-3/2", "-1 1/2", "-1\\frac{1}{2}"},
      {"12"},
      {"1 2"},
      {"1,2", "1, 2"},
      {"(1,2)", "(1, 2)", "\\left(1,2\\right)", "\\left( 1, \\, 2 \\right)"},
      {"0.333"},
      {"1/3", "\\frac{1}{3}"},
      {"2^{-99}", "2^-99", "1/2^{99}"},
      {"2^{-98}"},
      {"9007199254740993"},
      {"9007199254740992"},
      {"0.1", "1/10"},
      {"0.1000000000000000055511151231257827"},
      {"B", "(B)", "B.", "b", "\\text{B}", "\\text{(B)}", "\\textbf{(B)}", "(b)", "B)", "[B]"},
      {"C", "(C)"},
      {"yes", "Yes", "YES", "\\text{Yes}", "yes."},
      {"no"},
      {"east side", "East  Side"},
      {"p-q", "p - q", "$p-q$"},
      {"P-Q"},
      {"q-p"},
      {"x^2+1", "x^2 + 1"},
      {"\\frac{\\pi}{2}", "\\dfrac{\\pi}{2}", "\\frac{\\pi}{2}\\text{ radians}"},
      {"2\\pi r", "2 \\pi r"},
      {"11\\sqrt2"},
      {"5x"},
      {"3:4", "3 : 4"},
      {"9^9^9^9"},
      {"9^9^9^8"},
  };
  return kClasses;
}

TEST(Equivalence, TableOfClasses) {
  const auto& rows = classes();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const std::string& a : rows[i]) {
      for (std::size_t j = 0; j < rows.size(); ++j) {
        for (const std::string& b : rows[j]) {
          EXPECT_EQ(equivalent(a, b), i == j)
              << "'" << a << "' (" << canonical(a) << ") and '" << b << "' (" << canonical(b) << ")";
        }
      }
    }
  }
}

TEST(Equivalence, TrapsOfLeadingZerosAndThousands) {
  EXPECT_TRUE(equivalent("025", "25"));
  EXPECT_TRUE(equivalent("1,000", "1000"));
  EXPECT_FALSE(equivalent("025", "0"));
  EXPECT_FALSE(equivalent("1,000", "1"));
  EXPECT_FALSE(equivalent("1,000", "(1,0)"));
  EXPECT_EQ(canonical("025"), "25");
  EXPECT_EQ(canonical("1,000"), "1000");
}

TEST(Canonical, IsItsOwnCanonicalForm) {
  for (const auto& row : classes()) {
    for (const std::string& answer : row) EXPECT_EQ(canonical(canonical(answer)), canonical(answer)) << answer;
  }
}

TEST(Canonical, ReadsWell) {
  EXPECT_EQ(canonical("(b)"), "B");
  EXPECT_EQ(canonical("\\dfrac{6}{-8}"), "-3/4");
  EXPECT_EQ(canonical("\\text{Evelyn}"), "evelyn");
  EXPECT_EQ(canonical("x \\in [-2,7]"), "[-2,7]");
  EXPECT_EQ(canonical("$$"), "");
}

TEST(Canonical, NumbersBeyondTheLimitStayText) {
  const std::string huge(5000, '7');
  EXPECT_EQ(canonical(huge), huge);
  EXPECT_FALSE(equivalent(huge, huge + "7"));
  EXPECT_EQ(canonical("10^{5000}"), "10^{5000}");
}

TEST(EquivalenceHostile, ReturnsInBoundedTimeAndStaysSymmetricAndReflexive) {
  for (const std::size_t bytes : {kMaxAnswerBytes - 1000, std::size_t{1000000}}) {
    for (const std::string& text : hostile_texts(bytes)) {
      within_seconds(4.0, text, [&] {
        EXPECT_TRUE(equivalent(text, std::string(text)));
        EXPECT_EQ(equivalent(text, "5"), equivalent("5", text));
      });
    }
  }
}

}  // namespace
}  // namespace whet::text
