// Chat templates against transformers (golden texts), and against templates and chats that lie.
#include "tokenizer/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"

namespace whet::tokenizer {
namespace {

namespace fs = std::filesystem;
using base::Json;
using testing::HasSubstr;

fs::path golden(const std::string& name) { return fs::path(WHET_SOURCE_DIR) / "tests/golden" / name; }

/// Noon of 2024-07-26, wherever the test runs.
std::int64_t clock_of_golden() {
  std::tm time{};
  time.tm_year = 124, time.tm_mon = 6, time.tm_mday = 26, time.tm_hour = 12, time.tm_isdst = -1;
  return static_cast<std::int64_t>(std::mktime(&time));
}

class ChatTemplateTest : public testing::Test {
 protected:
  ChatTemplateTest() {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("whet-chat-") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write("tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": {"__type": "AddedToken", "content": "</s>"}})");
  }
  ~ChatTemplateTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::trunc) << text;
  }

  ChatTemplate from(const std::string& source) {
    write("t.jinja", source);
    return ChatTemplate::from_file(folder_ / "t.jinja", folder_);
  }

  std::string render(const std::string& source, const Json& variables = Json()) {
    ChatOptions options;
    options.variables = variables;
    return from(source).render(Json::array({{{"role", "user"}, {"content", "Hi"}}}), options);
  }

  /// The message of the UserError that a template is refused with.
  std::string refusal(const std::string& source) {
    try {
      render(source);
    } catch (const base::UserError& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(ChatTemplateTest, RendersAsTransformersDoes) {
  const Json cases = base::read_json_file(golden("chat_cases.json"));
  ASSERT_GT(cases.size(), 80u);
  for (const Json& one : cases) {
    const ChatTemplate chat =
        ChatTemplate::from_file(golden("chat_templates") / one["template"].get<std::string>(), folder_);
    ChatOptions options;
    options.add_generation_prompt = one["add_generation_prompt"];
    options.tools = one.value("tools", Json());
    options.variables = one.value("variables", Json());
    options.now = clock_of_golden();
    if (one["text"].is_null()) {
      EXPECT_THROW(chat.render(one["messages"], options), base::UserError) << one.dump();
    } else {
      EXPECT_EQ(chat.render(one["messages"], options), one["text"].get<std::string>()) << one.dump();
    }
  }
}

TEST_F(ChatTemplateTest, TakesTheFileThenTheConfigThenTheNamedOne) {
  EXPECT_FALSE(ChatTemplate::load(folder_).has_value());
  const Json chat = Json::array({{{"role", "user"}, {"content", "Hi"}}});
  write("tokenizer_config.json", R"({"chat_template": "config {{ messages[0].content }}"})");
  EXPECT_EQ(ChatTemplate::load(folder_)->render(chat), "config Hi");
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]})");
  EXPECT_EQ(ChatTemplate::load(folder_)->render(chat), "plain");
  ChatOptions with_tools;
  with_tools.tools = Json::array();
  EXPECT_EQ(ChatTemplate::load(folder_)->render(chat, with_tools), "tools");
  write("chat_template.jinja", "file");
  EXPECT_EQ(ChatTemplate::load(folder_)->render(chat), "file");
  fs::remove(folder_ / "chat_template.jinja");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"}]})");
  EXPECT_THROW(ChatTemplate::load(folder_), base::UserError);
  write("tokenizer_config.json", R"({"chat_template": 3})");
  EXPECT_THROW(ChatTemplate::load(folder_), base::UserError);
}

TEST_F(ChatTemplateTest, NamesFileLineAndWhatDoesNotExist) {
  const std::vector<std::pair<std::string, std::string>> faults = {
      {"a\n{{ foo('x') }}", "t.jinja] line 2: there is no function 'foo'"},
      {"{% if true %}\n\n{{ messages | frobnicate }}{% endif %}", "line 3: there is no filter 'frobnicate'"},
      {"{{ 1 is prime }}", "line 1: there is no test 'prime'"},
      {"{{ 'x'.frob() }}", "line 1: a text has no method 'frob'"},
      {"{{ missing.name }}", "'missing' is undefined, and has no 'name'"},
      {"{{ 'a' + missing }}", "'missing' is undefined, in a '+'"},
      {"{{ 'a' + 1 }}", "'+' of a text and a int"},
      {"{% include 'x' %}", "line 1: the statement 'include' is not supported"},
      {"{% for x in y %}", "'endfor' was wanted"},
      {"{% endif %}", "'endif' is not supported"},
      {"{{ 1 ", "a tag without '}}'"},
      {"\n{{ 'abc }}", "line 2: a text without its closing quote"},
      {"{{ 1 + }}", "'}}' where a value was wanted"},
      {"{{ ? }}", "the character '?' is no token"},
      {"{# x", "'{#' without '#}'"},
      {"{{ raise_exception('no ' + messages[0].role) }}", "the template refuses this chat: no user"},
      {"{% break %}", "'break' outside of a loop"},
      {"{% set messages.x = 1 %}", "'messages' is no namespace"},
      {"{{ 1 // 0 }}", "a division by 0"},
      {"{{ 9223372036854775 * 9223372036854775 }}", "is too large"},
      {"{{ messages.append(1) }}", "a list has no method 'append'"},
  };
  for (const auto& [source, message] : faults) EXPECT_THAT(refusal(source), HasSubstr(message)) << source;
}

TEST_F(ChatTemplateTest, ComesToAnEnd) {
  EXPECT_THAT(refusal("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}"), HasSubstr("macros call each other"));
  EXPECT_THAT(refusal("{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}"),
              HasSubstr("steps, does it end?"));
  EXPECT_THAT(refusal("{{ range(10**9) }}"), HasSubstr("range of more than"));
  EXPECT_THAT(refusal("{{ 'x' * 10**12 }}"), HasSubstr("a text of more than"));
  EXPECT_THAT(
      refusal("{% set ns = namespace(t='x') %}{% for i in range(64) %}{% set ns.t = ns.t + ns.t %}{% endfor %}"),
      HasSubstr("a text of more than"));
  std::string deep = "1", chain = "1";
  for (int i = 0; i < 100'000; ++i) chain += "+1";
  deep = std::string(100'000, '(') + deep + std::string(100'000, ')');
  EXPECT_THAT(refusal("{{ " + deep + " }}"), HasSubstr("deep"));
  EXPECT_THAT(refusal("{{ " + chain + " }}"), HasSubstr("operators"));
  std::string blocks;
  for (int i = 0; i < 100'000; ++i) blocks += "{% if true %}";
  EXPECT_THAT(refusal(blocks), HasSubstr("deep"));
}

// A damaged template is refused with a UserError or renders something; nothing else.
TEST_F(ChatTemplateTest, SurvivesRandomDamage) {
  const Json chat = Json::array({{{"role", "user"}, {"content", "Hi"}}, {{"role", "assistant"}, {"content", "Ho"}}});
  base::Random random({4, 1});
  int refused = 0;
  for (const auto& entry : fs::directory_iterator(golden("chat_templates"))) {
    const std::string original = base::read_file(entry.path());
    for (int round = 0; round < 250; ++round) {
      std::string text = original;
      for (std::uint64_t edits = random.between(1, 3); edits > 0; --edits) {
        const std::size_t at = random.below(text.size());
        if (random.below(2) == 0) {
          text.erase(at, random.between(1, 12));
        } else {
          text.insert(at, 1, "{}%-|().,'\"[]: x0"[random.below(17)]);
        }
      }
      try {
        from(text).render(chat);
      } catch (const base::UserError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace whet::tokenizer
