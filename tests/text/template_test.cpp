// Templates: values go in as they are, whatever they contain; braces of the template itself are text.
#include "text/template.h"

#include <gtest/gtest.h>

#include <map>

namespace whet::text {
namespace {

std::string fill(std::string_view text, const std::map<std::string, std::string>& values) {
  const Template made(text, {"problem", "solution"});
  std::string filled;
  made.visit([&](std::string_view own) { filled += own; },
             [&](std::string_view place) { filled += values.at(std::string(place)); });
  return filled;
}

TEST(Template, PutsValuesInTheirPlaces) {
  EXPECT_EQ(fill("Q: {problem}\nA: {solution}!", {{"problem", "1+1"}, {"solution", "2"}}), "Q: 1+1\nA: 2!");
  EXPECT_EQ(fill("{solution}{problem}{solution}", {{"problem", "p"}, {"solution", "s"}}), "sps");
  EXPECT_EQ(fill("", {}), "");
}

TEST(Template, OtherBracesAreText) {
  const std::map<std::string, std::string> values{{"problem", "p"}, {"solution", "s"}};
  EXPECT_EQ(fill("\\boxed{True} {Problem} {problem } { problem} {} {{problem}} {problem", values),
            "\\boxed{True} {Problem} {problem } { problem} {} {p} {problem");
  EXPECT_EQ(fill("{{{{solution}", values), "{{{s");
  EXPECT_EQ(fill("{problem{solution}}", values), "{problems}");
}

TEST(Template, NothingInAValueIsAPlaceOrBreaksTheText) {
  for (const std::string& hostile :
       {std::string("{problem}"), std::string("{solution}{solution}"), std::string("}{"),
        std::string("{{0}} %s %n $1 \\1"), std::string("\"quotes' `\n\r\n\t"), std::string("\0nul", 4),
        std::string("\xff\xfe"), std::string("\\boxed{True}"), std::string(100000, '{')}) {
    EXPECT_EQ(fill("<{problem}|{solution}>", {{"problem", hostile}, {"solution", "{problem}"}}),
              "<" + hostile + "|{problem}>");
    EXPECT_EQ(fill("<{problem}|{solution}>", {{"problem", "{solution}"}, {"solution", hostile}}),
              "<{solution}|" + hostile + ">");
  }
}

TEST(Template, CountsItsPlaces) {
  const Template made("{problem} {solution} {problem} {answer}", {"problem", "solution"});
  EXPECT_EQ(made.count("problem"), 2);
  EXPECT_EQ(made.count("solution"), 1);
  EXPECT_EQ(made.count("answer"), 0);
}

}  // namespace
}  // namespace whet::text
