// Problems from files: shapes that are read, mistakes that are named, and the order in which problems come.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "tasks/problem_file.h"
#include "tasks/task.h"

namespace whet::tasks {
namespace {

class FileTask : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              (std::string("whet_file_") + info->name() + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content) {
    const auto path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  /// `count` problems "what is i+i?" with their answers.
  std::string write_sums(const std::string& name, int count) {
    std::string rows;
    for (int i = 0; i < count; ++i) {
      rows += fmt::format("{{\"prompt\": \"what is {}+{}?\", \"answer\": {}, \"id\": {}}}\n", i, i, 2 * i, i);
    }
    return write(name, rows);
  }

  static std::unique_ptr<Task> make(std::vector<std::string> files, std::vector<std::string> held_out = {}) {
    return tasks().find("file").make({std::move(files), std::move(held_out)});
  }

  /// The message of the UserError that reading `content` ends in.
  std::string error_of(const std::string& content) {
    const std::string path = write("bad.jsonl", content);
    try {
      read_problems(path);
    } catch (const base::UserError& error) {
      std::string message = error.what();
      EXPECT_NE(message.find(path), std::string::npos) << message;
      return message;
    }
    return "no error";
  }

  std::filesystem::path folder_;
};

TEST_F(FileTask, CanBeMeasuredOnFilesThatLeaveNothingToTrainOn) {
  const std::string file = write_sums("sums.jsonl", 3);
  for (const auto& task : {make({}, {file}), make({file}, {file})}) {
    EXPECT_EQ(task->size(Split::kHeldOut), 3);
    EXPECT_EQ(task->size(Split::kTrain), 0);
    EXPECT_TRUE(task->problem(Split::kHeldOut, 0, 2).answer);
    EXPECT_THROW(task->problem(Split::kTrain, 0, 0), base::UserError);
  }
}

TEST_F(FileTask, ReadsAProposedProblemBetweenItsTags) {
  const auto task = make({write_sums("sums.jsonl", 40)});
  ASSERT_TRUE(task->proposal_prompt());
  EXPECT_EQ(task->proposed("Sure! <question>\n What is 2+2?\n</question> Good luck.")->prompt, "What is 2+2?");
  EXPECT_EQ(task->proposed("<question>a</question> or <question>b</question>")->prompt, "b");
  for (const char* response :
       {"", "What is 2+2?", "<question>What", "</question><question>", "<question>  </question>"}) {
    EXPECT_FALSE(task->proposed(response)) << response;
  }
  const Problem held_out = task->problem(Split::kHeldOut, 0, 0);
  EXPECT_FALSE(task->proposed("<question>" + held_out.prompt + "</question>"));
}

TEST_F(FileTask, ReadsTheBenchmarksShape) {
  const auto problems = read_problems(
      write("b.jsonl", R"({"id": "0", "source": "aime", "prompt": "Find $x$ with $x^2 = 625$, $x>0$.", "answer": "025"}
{"id": "test/algebra/1.json", "source": "math", "prompt": "What is $\\frac{2}{3} + 4$?", "answer": "\\frac{14}{3}"}

{"id": "7", "source": "amc", "prompt": "How many?", "answer": "1,000.0"}
)"));
  ASSERT_EQ(problems.size(), 3u);
  EXPECT_EQ(problems[0].answer, "25");
  EXPECT_EQ(problems[0].source, "aime");
  EXPECT_EQ(problems[1].answer, "14/3");
  EXPECT_EQ(problems[1].id, "test/algebra/1.json");
  EXPECT_EQ(problems[2].answer, "1000");
}

TEST_F(FileTask, ReadsVerlRows) {
  const auto problems = read_problems(write("verl.json", R"([
    {"data_source": "gsm8k", "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}],
     "reward_model": {"style": "rule", "ground_truth": "4"}, "extra_info": {"index": 17, "split": "train"}},
    {"data_source": "gsm8k", "prompt": [{"role": "user", "content": "3+3?"}], "reward_model": {"ground_truth": 6}}
  ])"));
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].prompt, "Be brief.\n\n2+2?");
  EXPECT_EQ(problems[0].answer, "4");
  EXPECT_EQ(problems[0].id, "17");
  EXPECT_EQ(problems[0].source, "gsm8k");
  EXPECT_EQ(problems[1].answer, "6");
  EXPECT_EQ(problems[1].id, "verl.json:2");
}

TEST_F(FileTask, KeepsWhatAChatTemplateWritesBesideThePrompt) {
  const std::string path = write("chat.jsonl",
                                 "{\"prompt\": [{\"role\": \"user\", \"content\": \"2+2?\"}], \"rephrased\": "
                                 "[[{\"role\": \"user\", \"content\": \"two and two?\"}]]}\n{\"prompt\": \"plain\"}\n");
  ChatWriter writer{"test",
                    [](const base::Json& messages) { return "<" + messages[0]["content"].get<std::string>() + ">"; }};
  auto problems = read_problems(path, writer);
  EXPECT_EQ(problems[0].prompt, "2+2?");
  EXPECT_EQ(problems[0].as_chat,
            (std::map<std::string, std::string>{{"2+2?", "<2+2?>"}, {"two and two?", "<two and two?>"}}));
  EXPECT_TRUE(problems[1].as_chat.empty());
  EXPECT_TRUE(read_problems(path)[0].as_chat.empty());
  writer.writes_plain_prompts = true;
  EXPECT_EQ(read_problems(path, writer)[1].as_chat.at("plain"), "<plain>");
  writer.write = [](const base::Json&) -> std::string { base::user_error("t.jinja", "line 3: no"); };
  try {
    read_problems(path, writer);
    ADD_FAILURE() << "the template refuses the chat";
  } catch (const base::UserError& error) {
    EXPECT_NE(std::string(error.what()).find(path + ": line 1: [t.jinja] line 3: no"), std::string::npos)
        << error.what();
  }
}

TEST_F(FileTask, ReadsOptionalFields) {
  const auto problems =
      read_problems(write("o.jsonl",
                          "{\"prompt\": \"a\", \"answer\": 142.0}\n{\"prompt\": \"b\", \"answer\": null}\n"
                          "{\"prompt\": \"c\", \"answer\": \"so 6*7 = 42\\n#### 42\", \"rephrased\": [\"d\"]}"));
  EXPECT_EQ(problems[0].answer, "142");
  EXPECT_EQ(problems[0].id, "o.jsonl:1");
  EXPECT_EQ(problems[0].source, "o.jsonl");
  EXPECT_EQ(problems[1].answer, std::nullopt);
  EXPECT_EQ(problems[2].answer, "42");
  EXPECT_EQ(problems[2].rephrased, std::vector<std::string>{"d"});
}

TEST_F(FileTask, NamesFileAndLineOfEveryMistake) {
  const std::string good = "{\"prompt\": \"a\"}\n\n";
  const std::pair<std::string, std::string> cases[] = {
      {good + "{\"prompt\": ", "3"},
      {good + "{\"answer\": 5}", "line 3: no 'prompt'"},
      {good + "{\"prompt\": null}", "line 3: no 'prompt'"},
      {good + "{\"prompt\": 5}", "line 3: 'prompt' is number"},
      {good + "{\"prompt\": \"\"}", "line 3: 'prompt' is empty"},
      {good + "{\"prompt\": []}", "line 3: 'prompt' is empty"},
      {good + "{\"prompt\": [5]}", "line 3: a message"},
      {good + "{\"prompt\": [{\"role\": \"user\"}]}", "line 3: a message"},
      {good + "{\"prompt\": \"b\", \"answer\": [1]}", "line 3: the answer is array"},
      {good + "{\"prompt\": \"b\", \"answer\": true}", "line 3: the answer is boolean"},
      {good + "{\"prompt\": \"b\", \"answer\": \" \"}", "line 3: the answer ' ' is empty"},
      {good + "{\"prompt\": \"b\", \"reward_model\": {\"ground_truth\": {}}}", "line 3: the answer is object"},
      {good + "{\"prompt\": \"b\", \"id\": []}", "line 3: 'id' is array"},
      {good + "{\"prompt\": \"b\", \"rephrased\": \"c\"}", "line 3: 'rephrased' is string"},
      {good + "5", "line 3: number"},
      {good + "{\"prompt\": \"\xff\"}", "3"},
      {"[{\"prompt\": \"a\"}, {\"answer\": 5}]", "item 2: no 'prompt'"},
      {"[{\"prompt\": \"a\"}", "not JSON"},
      {"[]", "no problems in it"},
      {"", "no problems in it"},
      {"\n\n", "no problems in it"},
  };
  for (const auto& [content, want] : cases) {
    const std::string message = error_of(content);
    EXPECT_NE(message.find(want), std::string::npos) << message << "\nwanted " << want;
  }
}

TEST_F(FileTask, MissingFilesAreUserErrors) {
  EXPECT_THROW(make({}), base::UserError);
  EXPECT_THROW(make({(folder_ / "none.jsonl").string()}), base::UserError);
  EXPECT_THROW(make({folder_.string()}), base::UserError);
}

TEST_F(FileTask, SplitsOneFileByItsPrompts) {
  const auto task = make({write_sums("sums.jsonl", 500)});
  const std::uint64_t train = *task->size(Split::kTrain), held_out = *task->size(Split::kHeldOut);
  EXPECT_EQ(train + held_out, 500u);
  EXPECT_GT(held_out, 20u);
  EXPECT_LT(held_out, 90u);
  for (std::uint64_t i = 0; i < train; ++i)
    EXPECT_EQ(split_of(task->problem(Split::kTrain, 0, i).prompt), Split::kTrain);
  EXPECT_TRUE(task->notes().empty());
}

TEST_F(FileTask, EveryPassShowsEachProblemOnceInItsOwnOrder) {
  for (const int count : {1, 2, 3, 5, 64, 100}) {
    const auto task =
        make({write_sums("train.jsonl", count)}, {write("test.jsonl", "{\"prompt\": \"other\", \"answer\": 1}\n")});
    const std::uint64_t size = *task->size(Split::kTrain);
    ASSERT_EQ(size, static_cast<std::uint64_t>(count));
    std::vector<std::vector<std::string>> passes;
    for (std::uint64_t pass = 0; pass < 3; ++pass) {
      std::vector<std::string> ids;
      for (std::uint64_t i = 0; i < size; ++i) ids.push_back(task->problem(Split::kTrain, 9, pass * size + i).id);
      EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), size) << "pass " << pass;
      passes.push_back(ids);
    }
    if (count >= 64) {
      EXPECT_NE(passes[0], passes[1]);
      EXPECT_NE(passes[0].front(), task->problem(Split::kTrain, 10, 0).id);
    }
    EXPECT_EQ(passes[1].back(), task->problem(Split::kTrain, 9, 2 * size - 1).id)
        << "the same arguments, the same problem";
  }
}

TEST_F(FileTask, HeldOutPromptsAreNotTrainedOn) {
  const auto task = make({write_sums("train.jsonl", 20)}, {write_sums("test.jsonl", 5)});
  EXPECT_EQ(task->size(Split::kTrain), 15u);
  EXPECT_EQ(task->size(Split::kHeldOut), 5u);
  ASSERT_EQ(task->notes().size(), 1u);
  EXPECT_EQ(task->notes()[0], "5 problems are held out as well: not trained on");
  std::set<std::string> ids;
  for (std::uint64_t i = 0; i < 15; ++i) ids.insert(task->problem(Split::kTrain, 0, i).prompt);
  for (std::uint64_t i = 0; i < 5; ++i) EXPECT_FALSE(ids.contains(task->problem(Split::kHeldOut, 0, i).prompt));
}

TEST_F(FileTask, ARephrasingThatIsHeldOutIsNotUsedAndThatIsSaid) {
  const auto task = make({write("train.jsonl", "{\"prompt\": \"a\", \"rephrased\": [\"held\", \"b\"]}\n")},
                         {write("test.jsonl", "{\"prompt\": \"held\", \"answer\": \"1\"}\n")});
  EXPECT_EQ(task->problem(Split::kTrain, 0, 0).rephrased, std::vector<std::string>{"b"});
  ASSERT_EQ(task->notes().size(), 1u);
  EXPECT_EQ(task->notes()[0], "1 rephrasings are prompts that are held out: not used");
}

TEST_F(FileTask, AnEmptySideIsAUserError) {
  std::string train_only, held_out_only;
  for (int i = 0; i < 100; ++i) {
    const std::string prompt = std::to_string(i);
    (split_of(prompt) == Split::kTrain ? train_only : held_out_only) += "{\"prompt\": \"" + prompt + "\"}\n";
  }
  EXPECT_THROW(make({write("train_only.jsonl", train_only)}), base::UserError);
  EXPECT_THROW(make({write("held_out_only.jsonl", held_out_only)}), base::UserError);
}

TEST_F(FileTask, IdsAreUnique) {
  const auto task = make({write_sums("a.jsonl", 10), write_sums("b.jsonl", 10)},
                         {write("c.jsonl", "{\"prompt\": \"x\", \"id\": 3}\n")});
  std::set<std::string> ids{task->problem(Split::kHeldOut, 0, 0).id};
  for (std::uint64_t i = 0; i < 20; ++i) ids.insert(task->problem(Split::kTrain, 0, i).id);
  EXPECT_EQ(ids.size(), 21u);
}

TEST_F(FileTask, AnswersAreFoundAndComparedAsMathematics) {
  const auto task = make({write_sums("train.jsonl", 30)});
  Problem problem;
  problem.answer = "25";
  EXPECT_EQ(task->answer_in(problem, "so it is \\boxed{025}."), "25");
  EXPECT_EQ(task->answer_in(problem, "no answer"), std::nullopt);
  EXPECT_EQ(task->answer_in(problem, "\\boxed{$$}"), std::nullopt);
  EXPECT_TRUE(task->correct(problem, *task->answer_in(problem, "The answer is $\\frac{50}{2}$.")));
  problem.answer = "1000";
  EXPECT_TRUE(task->correct(problem, *task->answer_in(problem, "#### 1,000")));
  EXPECT_TRUE(task->answers_when_truncated());
  base::Random random{1};
  EXPECT_THROW(task->document("", random), base::UserError);
}

TEST_F(FileTask, TheAlphabetHoldsEveryCharacterOnce) {
  const auto task = make({write("u.jsonl", "{\"prompt\": \"ab\xC3\xA9\xC3\xA9\", \"answer\": \"7\"}\n")},
                         {write("v.jsonl", "{\"prompt\": \"bc\"}\n")});
  EXPECT_EQ(task->alphabet(), "7abc\xC3\xA9");
}

}  // namespace
}  // namespace whet::tasks
