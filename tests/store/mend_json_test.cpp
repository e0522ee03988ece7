#include "store/mend_json.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace whet::store {
namespace {

TEST(MendJson, LeavesJsonAsItIs) {
  for (const char* line : {R"({"a": [1, -2.5e3, true, null], "b": "NaN Infinity \"-Infinity\" \\"})",
                           R"({"é": "日本 \ud83d\ude00 \u00e9"})",
                           R"({"n": 9223372036854775807, "m": -9223372036854775808, "x": 1e308})", "", "{}"}) {
    EXPECT_EQ(mend_json(line), line);
  }
}

TEST(MendJson, TurnsPythonsNumbersThatAreNotFiniteIntoNull) {
  EXPECT_EQ(mend_json(R"({"a": NaN, "b": [Infinity, -Infinity, 1], "NaN": "NaN"})"),
            R"({"a": null, "b": [null, null, 1], "NaN": "NaN"})");
}

TEST(MendJson, KeepsTheDigitsOfNumbersThatAreTooLarge) {
  EXPECT_EQ(mend_json(R"({"a": 123456789012345678901234567890, "b": -1e999})"),
            R"({"a": "123456789012345678901234567890", "b": "-1e999"})");
}

TEST(MendJson, ReplacesBytesThatAreNotUtf8) {
  const std::string replacement = "\xEF\xBF\xBD";
  const auto inside = [](const std::string& text) { return "{\"a\": \"" + text + "\"}"; };
  EXPECT_EQ(mend_json(inside("x\xFFy")), inside("x" + replacement + "y"));
  EXPECT_EQ(mend_json(inside("\xC3")), inside(replacement));                    // cut before the quote
  EXPECT_EQ(mend_json(inside("\xC0\xAF")), inside(replacement + replacement));  // overlong
  EXPECT_EQ(mend_json(inside("\xED\xA0\x80")), inside(replacement + replacement + replacement));  // a surrogate
  EXPECT_EQ(mend_json(inside("\xF4\x90\x80\x80")), inside(replacement + replacement + replacement + replacement));
  EXPECT_EQ(mend_json(inside("\xF0\x9F\x98\x80")), inside("\xF0\x9F\x98\x80"));
}

TEST(MendJson, ReplacesHalvesOfSurrogatePairs) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(mend_json(R"({"a": "\ud83dx\ude00"})"), "{\"a\": \"" + replacement + "x" + replacement + "\"}");
  EXPECT_EQ(mend_json(R"({"a": "\ud83d\ud83d\ude00"})"), "{\"a\": \"" + replacement + "\\ud83d\\ude00\"}");
  EXPECT_EQ(mend_json(R"({"a": "\ud8)"), R"({"a": "\ud8)");
}

// Whatever is cut or broken stays so, and nothing is read beyond the end.
TEST(MendJson, TakesAnyBeginningOfALine) {
  const std::string line =
      "{\"a\": NaN, \"b\": \"\\ud83d\\ude00 \xF0\x9F\x98\x80 \\\\\", \"c\": -123456789012345678901e5}";
  for (std::size_t size = 0; size <= line.size(); ++size) {
    const std::string copy(line.data(), size);  // of exactly this size, for the sanitizer
    EXPECT_LE(mend_json(copy).size(), size + 16);
  }
  EXPECT_TRUE(base::Json::accept(mend_json(line)));
}

}  // namespace
}  // namespace whet::store
