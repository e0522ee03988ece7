// TOML and JSON, both ways.
#include "store/config_toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/store/temp_folder.h"

namespace whet::store {
namespace {

using base::Json;

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const base::UserError& error) {
    return error.what();
  }
  return "no UserError";
}

TEST(ToToml, KeepsOrderAndTypesThroughARoundTrip) {
  const Json config = Json::parse(R"({
    "task": "sort-digits", "seed": 7, "learning_rate": 1e-6, "temperature": 1.0, "kl": 0.1, "big": 9223372036854775807,
    "greedy": false, "steps": [1, 2, 3], "names": ["a\"b", "c\\d", "e\nf", "ü"], "mixed": [1, "x", [2.5, true]],
    "rows": [{"x": 1, "y": [2]}, {"x": 3}],
    "sampling": {"zeta": 1, "alpha": {"deep key": 2, "a.b": 3}, "after": {"e": {}}}, "empty": {}, "none": []
  })");
  const std::string text = to_toml(config);
  // Comparing dumps compares order and number types as well as values. Tables move behind the scalars of their level.
  Json want = config;
  const Json sampling = want["sampling"], empty = want["empty"];
  want.erase("sampling");
  want.erase("empty");
  want["sampling"] = sampling;
  want["empty"] = empty;
  EXPECT_EQ(parse_toml(text, "test").dump(), want.dump()) << text;
}

TEST(ToToml, RoundTripsEveryBitOfADouble) {
  for (const double value :
       {0.1, 1.0 / 3, 1e-300, 5e-324, 1.7976931348623157e308, -2.5e-7, 123456789012345680.0, 1e22, 0.0}) {
    const Json back = parse_toml(to_toml(Json{{"x", value}}), "test");
    ASSERT_TRUE(back["x"].is_number_float()) << value;
    EXPECT_EQ(back["x"].get<double>(), value);
  }
}

TEST(ToToml, LeavesNullMembersOut) {
  EXPECT_EQ(parse_toml(to_toml(Json{{"a", nullptr}, {"b", 1}, {"t", {{"c", nullptr}, {"d", 2}}}}), "test").dump(),
            R"({"b":1,"t":{"d":2}})");
}

TEST(ToToml, RefusesWhatTomlCannotSay) {
  EXPECT_THAT(message_of([] { to_toml(Json{{"list", {1, nullptr}}}); }), testing::HasSubstr("list holds null"));
  EXPECT_THAT(message_of([] { to_toml(Json{{"t", {{"seed", 18446744073709551615ull}}}}); }),
              testing::HasSubstr("t.seed = 18446744073709551615, want at most"));
}

TEST(ParseToml, NamesFileAndLineOfASyntaxError) {
  EXPECT_THAT(message_of([] { parse_toml("a = 1\nb = 2\nc = = 3\n", "some.toml"); }),
              testing::StartsWith("[some.toml:3] "));
  EXPECT_THAT(message_of([] { parse_toml("a = 1\na = 2\n", "some.toml"); }), testing::StartsWith("[some.toml:2] "));
  EXPECT_THAT(message_of([] { parse_toml("a = \"open\n", "some.toml"); }), testing::StartsWith("[some.toml:1] "));
}

TEST(ParseToml, RefusesADate) {
  EXPECT_THAT(message_of([] { parse_toml("a = 1\nwhen = 2020-01-01\n", "some.toml"); }),
              testing::StartsWith("[some.toml:2] a date or time"));
}

TEST(ReadTomlFile, NamesTheFile) {
  const TempFolder folder;
  const auto path = folder.path() / "config.toml";
  EXPECT_THAT(message_of([&] { read_toml_file(path); }), testing::HasSubstr(path.string()));
  base::write_file(path, "steps = 10\nreward = [\n");
  EXPECT_THAT(message_of([&] { read_toml_file(path); }), testing::HasSubstr(path.string() + ":"));
}

}  // namespace
}  // namespace whet::store
