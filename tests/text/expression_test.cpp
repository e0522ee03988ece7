// Expressions: exact values, normal forms, and refusals.
#include "text/expression.h"

#include <gtest/gtest.h>

namespace whet::text {
namespace {

std::string value(std::string_view text) {
  const auto expression = parse_expression(text);
  if (!expression) return "no expression";
  const auto result = evaluate(*expression);
  return result ? result->get_str() : "no value";
}

std::string normal(std::string_view text) {
  const auto expression = parse_expression(text);
  return expression ? normal_form(*expression) : "no expression";
}

TEST(Expression, ValuesAreExact) {
  const std::pair<const char*, const char*> cases[] = {
      {"1+2*3", "7"},
      {"(1+2)*3", "9"},
      {"7-3-2", "2"},
      {"24/4/3", "2"},
      {"1/3+1/6", "1/2"},
      {"-3^2", "-9"},
      {"(-3)^2", "9"},
      {"2^-2", "1/4"},
      {"2^3^2", "512"},
      {"0.1+0.2", "3/10"},
      {"1.5e-3", "3/2000"},
      {"2*-3", "no expression"},
      {"- 4 + 6", "2"},
      {".5", "1/2"},
      {"5.", "5"},
      {"1/0", "no value"},
      {"0^0", "no value"},
      {"0^-1", "no value"},
      {"2^(1/2)", "no value"},
      {"1^99999999", "no value"},
  };
  for (const auto& [text, want] : cases) EXPECT_EQ(value(text), want) << text;
}

TEST(Expression, OtherTextsAreRefused) {
  for (const char* text :
       {"", " ", "+", "1+", "(1", "1)", "()", "1 2", "2(3)", "x", "1..2", "1.2.3x", ".", "1e", "--1", "1**2", "\xff"}) {
    EXPECT_FALSE(parse_expression(text)) << text;
  }
  const ExpressionSyntax plain{.powers = false, .decimals = false};
  EXPECT_FALSE(parse_expression("2^3", plain));
  EXPECT_FALSE(parse_expression("1.5", plain));
  EXPECT_TRUE(parse_expression("(25+7)-3", plain));
}

TEST(Expression, NormalFormForgetsOrderAndBrackets) {
  for (const char* text : {"(25+7)-3", "7-(3-25)", "7+25-3", "25-3+7", "-3+25+7", "(((7)))+(25-3)", "07+25-3"}) {
    EXPECT_EQ(normal(text), "7+25-3") << text;
  }
  EXPECT_EQ(normal("6*(5+4)/2"), normal("(4+5)/2*6"));
  EXPECT_EQ(normal("6/(3/2)"), normal("6*2/3"));
  EXPECT_NE(normal("6/3"), normal("3/6"));
  EXPECT_NE(normal("6-3"), normal("3-6"));
  EXPECT_NE(normal("2*(3+4)"), normal("2*3+4"));
  EXPECT_NE(normal("2^3"), normal("3^2"));
}

TEST(Expression, NormalFormKeepsTheValueAndIsItsOwn) {
  for (const char* text : {"(25+7)-3", "-3-7", "2*(-3)", "2*(-(-(2*3)))", "1/(2/3)", "-(1-2)", "(1-2)/(3-4)", "2^-3",
                           "(-2)^2", "(2*3)^(1+1)", "3-(4-(5-6))", "0012", "1.50", "2^3^2", "(2^3)^2"}) {
    const std::string once = normal(text);
    EXPECT_EQ(normal(once), once) << text;
    EXPECT_EQ(value(once), value(text)) << text << " as " << once;
  }
}

TEST(Expression, LiteralsAreListedFromLeftToRight) {
  EXPECT_EQ(parse_expression("(25+7)*3-07")->literals(), (std::vector<std::string>{"25", "7", "3", "07"}));
}

TEST(Expression, NestingIsBounded) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '(') + "1" + std::string(depth, ')'); };
  EXPECT_EQ(value(nested(60)), "1");
  EXPECT_EQ(value(nested(80)), "no expression");
  EXPECT_EQ(value(nested(100000)), "no expression");
}

TEST(Expression, SizeOfValuesIsBounded) {
  EXPECT_EQ(value("9^9^9^9"), "no value");
  EXPECT_EQ(value("10^4000"), "1" + std::string(4000, '0'));
  EXPECT_EQ(value("10^5000"), "no value");
  EXPECT_EQ(value("1e999999999"), "no value");
  EXPECT_EQ(value("1e-9999999999999999999"), "no value");
  EXPECT_EQ(value("(((10^4000)))*10^4000"), "no value");
  EXPECT_EQ(value(std::string(5000, '9')), "no expression");
}

}  // namespace
}  // namespace whet::text
