// Files that appear whole or not at all, and folders that nothing overwrites.
#include "base/file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/fields.h"
#include "base/json.h"
#include "tests/store/temp_folder.h"

namespace whet::base {
namespace {

namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  store::TempFolder folder_;
};

TEST_F(FileTest, WritesAndReplacesWholeFiles) {
  const fs::path path = folder_.path() / "file";
  write_file(path, "first, the longer one");
  write_file(path, "second");
  EXPECT_EQ(read_file(path), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 1)
      << "a temporary was left";
}

TEST_F(FileTest, LeavesNothingWhereItCannotWrite) {
  EXPECT_THROW(write_file(folder_.path() / "missing" / "file", "text"), RunError);
  EXPECT_FALSE(fs::exists(folder_.path() / "missing"));
}

TEST_F(FileTest, TheLastWholeLineIsNotOneThatIsBeingWritten) {
  const fs::path path = folder_.path() / "lines";
  EXPECT_EQ(last_whole_line(path), "");
  for (const auto& [text, wanted] : {std::pair{"", ""},
                                     {"half", ""},
                                     {"\n", ""},
                                     {"one\n", "one"},
                                     {"one\ntwo\n", "two"},
                                     {"one\ntwo\nhal", "two"},
                                     {"one\n\n", ""}}) {
    write_file(path, text);
    EXPECT_EQ(last_whole_line(path), wanted) << text;
  }
}

TEST_F(FileTest, ReadingNamesWhatIsWrong) {
  EXPECT_THROW(read_file(folder_.path() / "none"), UserError);
  EXPECT_THROW(read_file(folder_.path()), UserError);
}

TEST_F(FileTest, RefusesAFolderThatHoldsSomethingAndTakesAnEmptyOne) {
  const fs::path taken = folder_.path() / "taken";
  create_new_folder(taken);
  create_new_folder(taken);
  write_file(taken / "file", "kept");
  EXPECT_THROW(create_new_folder(taken), UserError);
  EXPECT_EQ(read_file(taken / "file"), "kept");
  EXPECT_THROW(require_new_folder(taken / "file"), UserError);
}

TEST_F(FileTest, AppendsAfterCutting) {
  const fs::path path = folder_.path() / "lines";
  write_file(path, "one\ntwo\nthr");
  AppendFile file(path, 8);
  file.append("three\n");
  EXPECT_EQ(read_file(path), "one\ntwo\nthree\n");
  EXPECT_EQ(file.size(), 14u);
}

TEST_F(FileTest, HashesAsSha256sumDoes) {
  write_file(folder_.path() / "abc", "abc");  // FIPS 180-2, appendix B.1
  EXPECT_EQ(sha256_of_file(folder_.path() / "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(FileTest, JsonLinesNameTheLine) {
  write_file(folder_.path() / "lines.jsonl", "{\"a\": 1}\n\n{broken\n");
  int seen = 0;
  try {
    for_each_json_line(folder_.path() / "lines.jsonl", [&](Json&&, std::size_t) { ++seen; });
    FAIL() << "a broken line was accepted";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("lines.jsonl:3"), std::string::npos) << error.what();
  }
  EXPECT_EQ(seen, 1);
}

struct Options {
  std::int64_t steps = 3;
  double rate = 0.5;
  std::string kind = "a";
  bool fast = false;
};
template <class Visitor>
void visit_fields(Options& o, Visitor&& visit) {
  visit(o.steps, "steps", "", at_least(1));
  visit(o.rate, "rate", "", above(0));
  visit(o.kind, "kind", "", one_of({"a", "b"}));
  visit(o.fast, "fast", "", anything());
}

TEST(Fields, SurviveAJourneyThroughJson) {
  const Options set{7, 0.25, "b", true};
  Options read;
  fields_from_json(read, fields_to_json(set), "test");
  EXPECT_EQ(fields_to_json(read), fields_to_json(set));
}

TEST(Fields, RefuseUnknownNamesWrongTypesAndValuesOutOfRange) {
  for (const char* text : {R"({"stepz": 1})", R"({"steps": "1"})", R"({"steps": 1.5})", R"({"steps": 0})",
                           R"({"rate": 0})", R"({"kind": "c"})", R"({"fast": 1})"}) {
    Options options;
    EXPECT_THROW(fields_from_json(options, parse_json(text, "test"), "test"), UserError) << text;
  }
}

}  // namespace
}  // namespace whet::base
