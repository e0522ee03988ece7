#include "tasks/problem_file.h"

#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "text/canonical.h"
#include "text/extract.h"

namespace whet::tasks {
namespace {

using base::Json;

constexpr std::string_view kPlace = "problems";

/// The value under `key` of an object, or nullptr when it is absent or null.
const Json* field(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

/// A text, or a number as it would be written.
std::optional<std::string> text_or_number(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return value.dump();
  return std::nullopt;
}

std::string read_prompt(const Json& value, const std::string& where) {
  std::string prompt;
  if (value.is_string()) {
    prompt = value.get<std::string>();
  } else if (value.is_array()) {
    for (const Json& message : value) {
      const Json* content = field(message, "content");
      if (!content || !content->is_string()) {
        base::user_error(
            kPlace, "{}: a message of 'prompt' has no text 'content', want {{\"role\": ..., \"content\": \"...\"}}",
            where);
      }
      if (!prompt.empty()) prompt += "\n\n";
      prompt += content->get<std::string>();
    }
  } else {
    base::user_error(kPlace, "{}: 'prompt' is {}, want text or a list of messages", where, value.type_name());
  }
  if (prompt.empty()) base::user_error(kPlace, "{}: 'prompt' is empty, want text", where);
  return prompt;
}

/// What the model is given in place of a prompt, if a template writes it.
void write_chat(const Json& value, const std::string& prompt, const std::optional<ChatWriter>& chat,
                const std::string& where, Problem& problem) {
  if (!chat || !(value.is_array() || chat->writes_plain_prompts)) return;
  const Json messages = value.is_array() ? value : Json::array({{{"role", "user"}, {"content", value}}});
  try {
    problem.as_chat.emplace(prompt, chat->write(messages));
  } catch (const base::UserError& error) {
    base::user_error(kPlace, "{}: {}", where, error.what());
  }
}

std::string read_answer(const Json& value, const LabelRule& label, const std::string& where) {
  const auto text = text_or_number(value);
  if (!text) base::user_error(kPlace, "{}: the answer is {}, want text or a number", where, value.type_name());
  const auto answer = label(*text);
  if (!answer) base::user_error(kPlace, "{}: the answer '{}' is empty, want text or a number", where, *text);
  return *answer;
}

/// The first of two fields that is there, as text.
std::string read_name(const Json* own, const Json* verl, const char* what, std::string otherwise,
                      const std::string& where) {
  const Json* value = own ? own : verl;
  if (!value) return otherwise;
  const auto text = text_or_number(*value);
  if (!text) base::user_error(kPlace, "{}: '{}' is {}, want text or a number", where, what, value->type_name());
  return *text;
}

Problem read_problem(const Json& row, const std::string& where, const std::string& file_name, std::size_t number,
                     const std::optional<ChatWriter>& chat, const LabelRule& label) {
  if (!row.is_object()) base::user_error(kPlace, "{}: {}, want an object with a 'prompt'", where, row.type_name());
  const Json* prompt = field(row, "prompt");
  if (!prompt) base::user_error(kPlace, "{}: no 'prompt', want one", where);
  const Json* reward_model = field(row, "reward_model");
  const Json* extra_info = field(row, "extra_info");

  Problem problem;
  problem.prompt = read_prompt(*prompt, where);
  write_chat(*prompt, problem.prompt, chat, where, problem);
  const Json* answer = field(row, "answer");
  if (!answer && reward_model) answer = field(*reward_model, "ground_truth");
  if (answer) problem.answer = read_answer(*answer, label, where);
  problem.id = read_name(field(row, "id"), extra_info ? field(*extra_info, "index") : nullptr, "id",
                         fmt::format("{}:{}", file_name, number), where);
  problem.source = read_name(field(row, "source"), field(row, "data_source"), "source", file_name, where);
  if (const Json* rephrased = field(row, "rephrased")) {
    if (!rephrased->is_array())
      base::user_error(kPlace, "{}: 'rephrased' is {}, want a list of texts", where, rephrased->type_name());
    for (const Json& other : *rephrased) {
      problem.rephrased.push_back(read_prompt(other, where));
      write_chat(other, problem.rephrased.back(), chat, where, problem);
    }
  }
  return problem;
}

}  // namespace

std::optional<std::string> label_in(std::string_view written) {
  const bool is_worked =
      written.find("\\boxed") != std::string_view::npos || written.find("####") != std::string_view::npos;
  const auto found = is_worked ? text::extract_answer(written) : std::nullopt;
  std::string label = text::canonical(found ? std::string_view(*found) : written);
  if (label.empty()) return std::nullopt;
  return label;
}

std::vector<Problem> read_problems(const std::filesystem::path& path, const std::optional<ChatWriter>& chat,
                                   const LabelRule& label) {
  const std::string name = path.string();
  const std::string file_name = path.filename().string();
  const std::string content = base::read_file(path);
  std::vector<Problem> problems;
  const std::size_t first = content.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && content[first] == '[') {
    const Json rows = base::parse_json(content, name);
    for (const Json& row : rows) {
      const std::size_t number = problems.size() + 1;
      problems.push_back(read_problem(row, fmt::format("{}: item {}", name, number), file_name, number, chat, label));
    }
  } else {
    std::istringstream lines(content);
    base::for_each_json_line(lines, name, [&](Json&& row, std::size_t line) {
      problems.push_back(read_problem(row, fmt::format("{}: line {}", name, line), file_name, line, chat, label));
    });
  }
  if (problems.empty()) base::user_error(kPlace, "{}: no problems in it, want at least one", name);
  return problems;
}

}  // namespace whet::tasks
