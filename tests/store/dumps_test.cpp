#include "store/dumps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "store/dump_files.h"
#include "store/line_reader.h"
#include "tests/store/temp_folder.h"

namespace whet::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(WHET_SOURCE_DIR) / "tests/golden/dumps";

/// A row whose views have been copied.
struct Row {
  std::string line, input, output;
  std::optional<std::int64_t> step, length;
  std::optional<std::string> label;
  bool truncated, has_odd_label, starts_file, starts_dump;
  std::vector<float> logprob;
  std::string fault;
};

class Dumps : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) {
    const auto path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    base::write_file(path, bytes);
    return path.string();
  }

  std::vector<Row> read(const std::vector<std::string>& paths, DumpOptions options = {}) {
    DumpReader reader(paths, std::move(options));
    std::vector<Row> rows;
    while (const DumpRow* row = reader.next()) {
      const TokenColumn& logprob = row->tokens[static_cast<std::size_t>(Role::kLogprob)];
      rows.push_back({std::string(row->line), std::string(row->input), std::string(row->output), row->step, row->length,
                      row->label ? std::optional<std::string>(*row->label) : std::nullopt, row->truncated,
                      row->has_odd_label, row->starts_file, row->starts_dump, logprob.values, logprob.fault});
      format_ = reader.format();
    }
    counts_ = reader.counts();
    return rows;
  }

  /// The message with which reading `bytes` fails.
  std::string refusal(const std::string& bytes, DumpOptions options = {}) {
    try {
      read({write("x.jsonl", bytes)}, std::move(options));
    } catch (const base::UserError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "not refused";
  }

  TempFolder folder_;
  DumpFormat format_{};
  DumpCounts counts_;
};

// ---- dumps that grow

std::vector<std::string> outputs_of_rest(DumpReader& reader) {
  std::vector<std::string> outputs;
  while (const DumpRow* row = reader.next()) outputs.emplace_back(row->output);
  return outputs;
}

TEST_F(Dumps, GoesOnWithWhatWasWrittenSince) {
  const auto row = [](const char* output) { return fmt::format("{{\"input\":\"x\",\"output\":\"{}\"}}\n", output); };
  const auto append = [](const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::app) << bytes;
  };
  const std::string first = write("d/1.jsonl", row("a"));
  const std::string second = write("d/2.jsonl", row("b"));
  DumpReader reader({(folder_.path() / "d").string()}, {});
  EXPECT_THAT(outputs_of_rest(reader), ElementsAre("a", "b"));
  ASSERT_TRUE(reader.more());
  EXPECT_EQ(reader.next(), nullptr);
  // A line that is not all there yet comes when it is, and once.
  append(second, row("c") + row("dd").substr(0, 20));
  ASSERT_TRUE(reader.more());
  EXPECT_THAT(outputs_of_rest(reader), ElementsAre("c"));
  EXPECT_EQ(reader.counts().cut.size(), 1u);
  append(second, row("dd").substr(20));
  write("d/10.jsonl", row("e"));
  // The files before the last are not opened again: this one would be refused.
  append(first, "");
  std::fstream(first, std::ios::in | std::ios::out) << "garbage";
  ASSERT_TRUE(reader.more());
  EXPECT_THAT(outputs_of_rest(reader), ElementsAre("dd", "e"));
  EXPECT_TRUE(reader.counts().cut.empty());
  EXPECT_EQ(reader.counts().rows, 5);
  EXPECT_EQ(reader.text(reader.place()), (folder_.path() / "d/10.jsonl:1").string());
}

TEST_F(Dumps, DoesNotGoOnWhereWhatWasReadHasChanged) {
  const std::string row = "{\"input\":\"x\",\"output\":\"y\"}\n";
  const auto after = [&](const auto& change) {
    std::filesystem::remove_all(folder_.path() / "d");
    write("d/1.jsonl", row);
    write("d/3.jsonl", row + row);
    DumpReader reader({(folder_.path() / "d").string()}, {});
    EXPECT_EQ(outputs_of_rest(reader).size(), 3u);
    change();
    return reader.more();
  };
  EXPECT_TRUE(after([] {}));
  EXPECT_FALSE(after([&] { write("d/1.jsonl", row + row); }));
  EXPECT_FALSE(after([&] { write("d/2.jsonl", row); }));
  EXPECT_FALSE(after([&] { std::filesystem::remove(folder_.path() / "d/1.jsonl"); }));
  EXPECT_FALSE(after([&] { std::filesystem::resize_file(folder_.path() / "d/3.jsonl", 5); }));
  // Written anew under its name, though it is longer now.
  EXPECT_FALSE(after([&] { write("d/3.jsonl", row + row + row); }));
}

// ---- what the programs write

TEST_F(Dumps, ReadsWhatVerlWrites) {
  const auto rows = read({(kGolden / "verl").string()});
  ASSERT_EQ(rows.size(), 16u);
  EXPECT_EQ(format_, DumpFormat::kVerl);
  EXPECT_EQ(rows[0].input, "user\nWhat is 15 + 10?\nassistant\n");
  EXPECT_EQ(rows[0].output, "Adding them gives \\boxed{25}.");
  EXPECT_EQ(rows[0].step, 1);
  EXPECT_EQ(rows[0].label, "25");
  EXPECT_EQ(rows[15].step, 2);
  EXPECT_EQ(rows[15].label, std::nullopt);
  EXPECT_TRUE(rows[0].starts_dump);
  EXPECT_TRUE(rows[8].starts_file);
  EXPECT_FALSE(rows[8].starts_dump);
  EXPECT_EQ(counts_.mended, 16);  // its NaN
  EXPECT_THAT(rows[0].line, HasSubstr("NaN"));
}

TEST_F(Dumps, ReadsWhatTrlWritesOncePandasHasMadeJsonLinesOfIt) {
  for (const char* name : {"trl", "trl_chat"}) {
    const auto rows = read({(kGolden / name).string()});
    ASSERT_EQ(rows.size(), 16u) << name;
    EXPECT_EQ(format_, DumpFormat::kTrl);
    EXPECT_EQ(rows[0].input, "55021?") << name;
    EXPECT_EQ(rows[0].output[0], '#');
    EXPECT_EQ(rows[0].step, 1);
    EXPECT_EQ(rows[8].step, 2);
  }
}

TEST_F(Dumps, ReadsWhatNemoRlWritesWithoutTheEnvironmentsReply) {
  const auto rows = read({(kGolden / "nemo_rl").string()});
  ASSERT_EQ(rows.size(), 16u);
  EXPECT_EQ(format_, DumpFormat::kNemoRl);
  EXPECT_EQ(rows[0].input, "What is 15 + 10?");
  EXPECT_EQ(rows[0].output, "Adding them gives \\boxed{25}.");
  EXPECT_EQ(rows[0].step, 1);  // of the file's name
  EXPECT_EQ(rows[0].length, 29);
  EXPECT_EQ(rows[0].logprob, std::vector<float>(29, -0.125f));
}

TEST_F(Dumps, ReadsWhatArealWritesWithTheVersionAsStep) {
  const auto rows = read({(kGolden / "areal").string()});
  ASSERT_EQ(rows.size(), 16u);
  EXPECT_EQ(format_, DumpFormat::kAreal);
  EXPECT_EQ(rows[0].input, "What is 15 + 10?");
  EXPECT_EQ(rows[0].length, 29);
  EXPECT_EQ(rows[7].step, 1);
  EXPECT_EQ(rows[8].step, 2);
}

TEST_F(Dumps, ReadsOurOwnMeans) {
  const auto rows = read({write(
      "1.jsonl", R"({"input": "p", "output": "o", "gts": null, "score": 1, "step": 1, "answer": null, )"
                 R"("true_score": null, "logprob": -0.5, "entropy": null, "truncated": true, "tokens": [4, 5]})")});
  EXPECT_EQ(format_, DumpFormat::kWhetstone);
  EXPECT_TRUE(rows[0].truncated);
  EXPECT_EQ(rows[0].length, 2);
  EXPECT_THAT(rows[0].logprob, ElementsAre(-0.5f));
}

// ---- conversations

TEST_F(Dumps, CutsConversationsByTheMask) {
  const auto row = [this](const std::string& content, const std::string& mask, int length) {
    return read(
        {write("a.jsonl", R"({"content": [)" + content + R"(], "rewards": [1.0], "input_lengths": [)" +
                              std::to_string(length) + R"(], "token_loss_mask": [)" + mask + R"(], "idx": 0})")})[0];
  };
  // A reply stands behind the response.
  EXPECT_EQ(row(R"(["ask", "say", "Environment: correct"])", "[0, 1, 1, 0, 0]", 4).output, "say");
  // None does, and what is behind the mask's ones is padding.
  EXPECT_EQ(row(R"(["ask", "say"])", "[0, 1, 1, 0, 0]", 3).output, "say");
  EXPECT_EQ(row(R"(["system", "ask", "say"])", "[0, 1, 1, 0, 0]", 3).output, "say");
  EXPECT_EQ(row(R"(["system", "ask", "say"])", "[0, 1, 1, 0, 0]", 3).input, "system\n\nask");
  // The length limit left the reply no token.
  EXPECT_EQ(row(R"(["ask", "say", "Environment: incorrect"])", "[0, 1, 1]", 3).output, "say");
  // Two turns.
  EXPECT_EQ(row(R"(["ask", "say", "Environment: go on", "more", "Environment: correct"])", "[0, 1, 0, 1, 0]", 5).output,
            "say\nmore");
  EXPECT_EQ(row(R"(["ask", "say", "go on", "more"])", "[0, 1, 0, 1]", 4).input, "ask");
}

TEST_F(Dumps, RefusesConversationsThatCannotBeCut) {
  EXPECT_THAT(refusal(R"({"content": [["ask", "say", "reply"]], "rewards": [1.0], "idx": 0})"),
              HasSubstr("token_loss_mask"));
  EXPECT_THAT(refusal(R"({"content": [["ask"]], "rewards": [1.0], "token_loss_mask": [[0, 1]], "idx": 0})"),
              HasSubstr("content"));
  EXPECT_THAT(refusal(R"({"content": [["ask", "say"]], "rewards": [1.0], "token_loss_mask": [[0, 0]], "idx": 0})"),
              HasSubstr("do not fit"));
  EXPECT_THAT(refusal(R"({"content": [[]], "rewards": [1.0], "idx": 0})"), HasSubstr("content"));
  EXPECT_THAT(refusal(R"({"content": "all in one", "rewards": [1.0], "idx": 0})"),
              HasSubstr("want a list of messages"));
}

TEST_F(Dumps, ReadsMessagesWithRoles) {
  const auto rows = read(
      {write("a.jsonl", R"({"content": [[{"role": "user", "content": "ask"}, {"role": "assistant", "content": "say"}, )"
                        R"({"role": "environment", "content": "r"}]], "rewards": [1.0], "idx": 0})")});
  EXPECT_EQ(rows[0].input, "ask");
  EXPECT_EQ(rows[0].output, "say");
  const auto chat = read(
      {write("b.jsonl",
             R"({"prompt": [{"role": "system", "content": "s"}, )"
             R"({"role": "user", "content": [{"type": "text", "text": "ask"}]}], )"
             R"("completion": [{"role": "assistant", "content": "one"}, {"role": "tool", "content": "\\boxed{9}"}, )"
             R"({"role": "assistant", "content": "two"}]})")});
  EXPECT_EQ(chat[0].input, "s\n\nask");
  EXPECT_EQ(chat[0].output, "one\n\ntwo");
}

// ---- columns

TEST_F(Dumps, RefusesAFormatThatIsNotKnownNamingTheColumns) {
  EXPECT_THAT(refusal("{\"question\": 1, \"reply\": 2}\n"),
              HasSubstr("x.jsonl:1: columns question, reply are of no known dump"));
  EXPECT_THAT(refusal("{}\n"), HasSubstr("of no known dump"));
}

TEST_F(Dumps, RefusesMixedFormatsAndMissingColumns) {
  const std::string verl = "{\"input\": \"p\", \"output\": \"o\", \"step\": 1}\n";
  EXPECT_THAT(refusal(verl + "{\"prompt\": \"p\", \"completion\": \"o\", \"step\": 1}\n"),
              AllOf(HasSubstr("x.jsonl:2: no column input, output (there are prompt, completion, step)"),
                    HasSubstr("told from"), HasSubstr("x.jsonl:1")));
  EXPECT_THAT(refusal(verl + "{\"input\": \"p\"}\n"), HasSubstr("x.jsonl:2: no column output"));
  EXPECT_THAT(refusal(verl, {.format = DumpFormat::kTrl}), HasSubstr("no column prompt, completion"));
}

TEST_F(Dumps, RefusesAColumnOfTheWrongTypeOrTwice) {
  EXPECT_THAT(refusal(R"({"input": 5, "output": "o"})"
                      "\n"),
              HasSubstr("column 'input' is a number, want text or a list of messages"));
  EXPECT_THAT(refusal("{\"input\": \"p\", \"output\": null}\n"), HasSubstr("column 'output' is null"));
  EXPECT_THAT(refusal("{\"input\": \"p\", \"output\": \"o\", \"step\": \"one\"}\n"), HasSubstr("want a whole number"));
  EXPECT_THAT(refusal("{\"input\": \"p\", \"output\": \"o\", \"step\": 1.5}\n"), HasSubstr("want a whole number"));
  EXPECT_THAT(refusal("{\"input\": \"p\", \"output\": \"o\", \"truncated\": 1}\n"), HasSubstr("want true or false"));
  EXPECT_THAT(refusal("{\"input\": \"p\", \"output\": \"o\", \"output\": \"x\"}\n"),
              HasSubstr("'output' stands twice"));
}

TEST_F(Dumps, RefusesToAddAColumnThatIsThere) {
  const std::string line = R"({"input": "p", "output": "o", "reward": 5})";
  EXPECT_THAT(refusal(line + "\n", {.added = {"reward", "class"}}),
              AllOf(HasSubstr("'reward'"), HasSubstr("--prefix")));
  EXPECT_EQ(read({write("a.jsonl", line)}, {.added = {"reward"}, .prefix = "my_"}).size(), 1u);
  // AReaL's rows always have one.
  EXPECT_EQ(read({(kGolden / "areal").string()}, {.added = {"reward"}}).size(), 16u);
}

TEST_F(Dumps, TakesTheColumnsThatTheCallerNames) {
  const auto rows =
      read({write("a.jsonl", R"({"question": "p", "reply": "o", "key": 7, "lp": [-1, -2], "logprob": [0]})")},
           {.columns = {
                {Role::kInput, "question"}, {Role::kOutput, "reply"}, {Role::kLabel, "key"}, {Role::kLogprob, "lp"}}});
  EXPECT_EQ(rows[0].input, "p");
  EXPECT_EQ(rows[0].output, "o");
  EXPECT_EQ(rows[0].label, "7");
  EXPECT_THAT(rows[0].logprob, ElementsAre(-1.0f, -2.0f));
}

TEST_F(Dumps, ReadsLabelsThatAreTextNumbersOrAListOfOne) {
  const auto label = [this](const std::string& json) {
    return read({write("a.jsonl", R"({"input": "p", "output": "o", "gts": )" + json + "}")})[0];
  };
  EXPECT_EQ(label("\"x\"").label, "x");
  EXPECT_EQ(label("-12").label, "-12");
  EXPECT_EQ(label("0.25").label, "0.25");
  EXPECT_EQ(label("[\"x\"]").label, "x");
  EXPECT_EQ(label("123456789012345678901234567890").label, "123456789012345678901234567890");
  EXPECT_EQ(label("null").label, std::nullopt);
  EXPECT_FALSE(label("null").has_odd_label);
  EXPECT_TRUE(label("{\"target\": 1}").has_odd_label);
  EXPECT_TRUE(label("[1, 2]").has_odd_label);
  EXPECT_TRUE(label("[]").has_odd_label);
}

TEST_F(Dumps, SaysWhyPerTokenValuesCannotBeUsed) {
  const auto row = [this](const std::string& more) {
    return read({write("a.jsonl", R"({"input": "p", "output": "o", )" + more + "}")})[0];
  };
  EXPECT_THAT(row(R"("logprobs": [-1, -2, -4], "response_mask": [1, 0, 1])").logprob, ElementsAre(-1.0f, -4.0f));
  EXPECT_EQ(row(R"("logprobs": [-1, -2, -4], "response_mask": [1, 0, 1])").length, 2);
  EXPECT_THAT(row(R"("logprobs": [-1], "response_mask": [1, 0, 1])").fault, HasSubstr("1 values for the 3 tokens"));
  EXPECT_THAT(row(R"("logprobs": [-1, NaN])").fault, HasSubstr("at token 2"));
  EXPECT_THAT(row(R"("logprobs": -1)").fault, HasSubstr("a list with a number for each token"));
  EXPECT_THAT(row(R"("logprobs": null)").fault, HasSubstr("is null"));
}

// ---- lines and files

TEST_F(Dumps, LeavesOutALastLineThatWasCutAndSaysSo) {
  const std::string line = R"({"input": "p", "output": "o"})";
  for (std::size_t size = 1; size < line.size(); ++size) {
    const auto rows = read({write("a.jsonl", line + "\n" + line.substr(0, size))});
    EXPECT_EQ(rows.size(), 1u);
    EXPECT_EQ(counts_.cut.size(), 1u);
    EXPECT_THAT(counts_.cut.at(0), HasSubstr("a.jsonl:2"));
  }
  EXPECT_EQ(read({write("a.jsonl", line + "\n" + line)}).size(), 2u);
  EXPECT_THAT(refusal(line + "\n" + line.substr(0, 9) + "\n" + line + "\n"), HasSubstr("x.jsonl:2: not JSON"));
}

TEST_F(Dumps, TakesEmptyFilesBlankLinesLineEndsOfWindowsAndAMark) {
  const std::string line = R"({"input": "p", "output": "o"})";
  EXPECT_EQ(read({write("empty.jsonl", "")}).size(), 0u);
  const auto rows = read({write("a.jsonl", "\xEF\xBB\xBF" + line + "\r\n\r\n  \n" + line + "\r\n")});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].line, line + "\r");
}

TEST_F(Dumps, TakesBytesThatAreNotUtf8) {
  const auto rows = read({write("a.jsonl", "{\"input\": \"p\", \"output\": \"x\xFFy\"}\n")});
  EXPECT_EQ(rows[0].output, "x\xEF\xBF\xBDy");
  EXPECT_THAT(rows[0].line, HasSubstr("x\xFFy"));
  EXPECT_EQ(counts_.mended, 1);
}

TEST_F(Dumps, RefusesLinesThatAreNoObjects) {
  EXPECT_THAT(refusal("5\n"), HasSubstr("x.jsonl:1: a number, want an object"));
  EXPECT_THAT(refusal("\"text\"\n"), HasSubstr("a text, want an object"));
  EXPECT_THAT(refusal("[{\"input\": 1}]\n"), HasSubstr("jq -c '.[]'"));
  EXPECT_THAT(refusal("{\"a\": " + std::string(3000, '[') + std::string(3000, ']') + "}\n"), HasSubstr("x.jsonl:1:"));
  EXPECT_THAT(refusal(std::string(100, '\0') + "\n"), HasSubstr("not JSON"));
}

TEST_F(Dumps, RefusesOtherKindsOfFileWithTheCommandThatConvertsThem) {
  EXPECT_THAT(refusal(base::read_file(kGolden / "trl_parquet/completions_00001.parquet")), HasSubstr("read_parquet"));
  EXPECT_THAT(refusal("\x1F\x8B\x08"), HasSubstr("zcat"));
  EXPECT_THAT(refusal("\x28\xB5\x2F\xFD"), HasSubstr("zstdcat"));
  EXPECT_THROW(dump_files((kGolden / "trl_parquet").string()), base::UserError);
  std::filesystem::create_directory(folder_.path() / "empty");
  EXPECT_THROW(dump_files((folder_.path() / "empty").string()), base::UserError);
  EXPECT_THROW(read({(folder_.path() / "none.jsonl").string()}), base::UserError);
}

TEST_F(Dumps, ListsTheFilesOfAFolderByTheNumbersInTheirNames) {
  for (const char* name : {"10.jsonl", "9.jsonl", "2/b.jsonl", "10/a.jsonl", "notes.txt", ".hidden.jsonl"})
    write(name, "");
  std::vector<std::string> names;
  for (const auto& file : dump_files(folder_.path().string()))
    names.push_back(std::filesystem::relative(file, folder_.path()).string());
  EXPECT_THAT(names, ElementsAre("2/b.jsonl", "9.jsonl", "10.jsonl", "10/a.jsonl"));
}

TEST_F(Dumps, TakesOnlyTheTrainingDumpsOfANemoRlFolderAndTheRolloutsOfARun) {
  for (const char* name : {"nemo/train_data_step10.jsonl", "nemo/train_data_step9.jsonl", "nemo/val_data_step9.jsonl"})
    write(name, "");
  EXPECT_EQ(dump_files((folder_.path() / "nemo").string()).size(), 2u);
  for (const char* name : {"run/manifest.json", "run/metrics.jsonl", "run/rollouts/5.jsonl"}) write(name, "");
  EXPECT_EQ(dump_files((folder_.path() / "run").string()).size(), 1u);
  write("bare/manifest.json", "");
  EXPECT_THROW(dump_files((folder_.path() / "bare").string()), base::UserError);
}

TEST(NaturalLess, IsAnOrder) {
  const std::vector<std::string> sorted{"",  "1",  "01",  "1.jsonl", "2.jsonl", "10.jsonl", "10/a",
                                        "a", "a1", "a01", "a1b",     "a2",      "a10",      "b"};
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (std::size_t j = 0; j < sorted.size(); ++j) {
      // Leading zeros do not count, but for telling equal names apart.
      EXPECT_EQ(natural_less(sorted[i], sorted[j]) + natural_less(sorted[j], sorted[i]), i == j ? 0 : 1)
          << sorted[i] << " " << sorted[j];
    }
  }
  EXPECT_TRUE(natural_less("2.jsonl", "10.jsonl"));
  EXPECT_TRUE(natural_less("step_9/z", "step_10/a"));
}

TEST(LineReader, ReadsLinesLongerThanItsBufferAndOverItsEdges) {
  TempFolder folder;
  std::vector<std::string> lines;
  std::string bytes;
  for (const std::size_t size :
       {std::size_t{3} << 20, std::size_t{0}, (std::size_t{1} << 20) - 1, std::size_t{1} << 20, std::size_t{5}}) {
    lines.push_back(std::string(size, static_cast<char>('a' + lines.size())));
    bytes += lines.back() + "\n";
  }
  bytes.pop_back();
  base::write_file(folder.path() / "a", bytes);
  LineReader reader((folder.path() / "a").string());
  std::string_view line;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    ASSERT_TRUE(reader.next(line));
    EXPECT_EQ(line, lines[i]);
    EXPECT_EQ(reader.number(), i + 1);
    EXPECT_EQ(reader.ended(), i + 1 < lines.size());
  }
  EXPECT_FALSE(reader.next(line));
}

}  // namespace
}  // namespace whet::store
