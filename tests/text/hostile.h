// Inputs made to hang, crash or exhaust a grader, and a clock to show that they do not.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace whet::text {

/// `part` again and again, up to `bytes`.
inline std::string filled(std::string_view part, std::size_t bytes) {
  std::string text;
  text.reserve(bytes);
  while (text.size() + part.size() <= bytes) text += part;
  return text;
}

/// Texts of about `bytes` bytes, and some short ones that stand for huge numbers.
inline std::vector<std::string> hostile_texts(std::size_t bytes) {
  std::vector<std::string> texts{
      std::string(bytes, '7'),
      "0." + std::string(bytes, '3'),
      "9^9^9^9",
      "9^{9^{9^{9}}}",
      "2^{99999999999999999999}",
      "1e999999999",
      "\\frac{1}{9^{9^9}}",
      filled("(", bytes / 2) + filled(")", bytes / 2),
      filled("{", bytes / 2) + "5" + filled("}", bytes / 2),
      "\xc3\x28\xe2\x82 \\boxed{\xf0\x90}",
      filled("\\boxed{", bytes / 2) + "5" + filled("}", bytes / 14),
      filled("\\text{", bytes / 2) + "cm" + filled("}", bytes / 12),
      filled("\\frac{1}{", 3600) + "2" + filled("}", 400),
      filled("+1/3", 4000),
      filled("1/7+", 4000) + "1",
      filled("(1/3^900)+", 4000) + "1",
      filled("10^4000*", 4000) + "1",
  };
  for (const char* part : {"{",
                           "}",
                           "\\",
                           " ",
                           "#",
                           "*",
                           "\xff",
                           "^",
                           "\xC2\xB0",
                           "x=",
                           "^\\circ",
                           "\\boxed{",
                           "\\boxed 5",
                           "5\\text{ cm}",
                           "\\frac{",
                           "\\frac12",
                           "answer: ",
                           "answer is ",
                           "answer is . ",
                           "answer:\n",
                           "1,000,",
                           "\\left(",
                           "(a",
                           "-"}) {
    texts.push_back(filled(part, bytes));
  }
  texts.push_back(std::string(bytes, '\0'));
  return texts;
}

/// Runs `work` and fails when it takes longer; `text` is named by its first characters. The bound is generous, because
/// the machine may be busy and the build may be a sanitised one: it separates linear from quadratic at a million bytes.
template <class Work>
void within_seconds(double seconds, const std::string& text, Work work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_LT(taken, seconds) << text.size() << " bytes: " << text.substr(0, 40);
}

}  // namespace whet::text
