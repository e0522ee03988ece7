// whet tokenize: text to token ids and back, without weights or engine.
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>

#include "app/command.h"
#include "base/error.h"
#include "base/json.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"
#include "train/text_model.h"

namespace whet::app {
namespace {

using base::Json;

struct TokenizeOptions {
  std::string model;
  bool decode = false;
  bool add_special = false;
  bool skip_special = false;
  bool chat = false;
};

template <class Visitor>
void visit_fields(TokenizeOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.model, "model", "a folder with tokenizer.json (no weights needed), or the name of an embedded base model",
        anything());
  visit(o.decode, "decode", "the other way: {ids} in, {text} out", anything());
  visit(o.add_special, "add-special", "also the tokens that the model's file puts around every text", anything());
  visit(o.chat, "chat",
        "{messages, tools?, add_generation_prompt?} in, rendered by the model's template; {text, ids} out", anything());
  visit(o.skip_special, "skip-special", "with --decode: leave special tokens out", anything());
}

/// Puts a field in place of another, so that a row keeps the order of its fields.
Json replace_field(const Json& row, const std::string& field, const std::string& by, Json value) {
  Json result = Json::object();
  for (const auto& [name, old] : row.items()) {
    if (name == field) {
      result[by] = std::move(value);
    } else if (name != by) {
      result[name] = old;
    }
  }
  return result;
}

Json encode_row(const tokenizer::Tokenizer& tokenizer, const Json& row, bool add_special, const std::string& where) {
  const auto text = row.is_object() ? row.find("text") : row.end();
  if (!row.is_object() || text == row.end() || !text->is_string())
    base::user_error("tokenize", "{}: no text 'text', want {{\"text\": \"...\"}}", where);
  try {
    return replace_field(row, "text", "ids", tokenizer.encode(text->get_ref<const std::string&>(), add_special));
  } catch (const base::UserError& error) {
    base::user_error("tokenize", "{}: {}", where, error.what());
  }
}

Json decode_row(const tokenizer::Tokenizer& tokenizer, const Json& row, bool skip_special, const std::string& where) {
  const auto list = row.is_object() ? row.find("ids") : row.end();
  if (!row.is_object() || list == row.end() || !list->is_array())
    base::user_error("tokenize", "{}: no list 'ids', want {{\"ids\": [1, 2]}}", where);
  std::vector<tokenizer::TokenId> ids;
  for (const Json& id : *list) {
    const bool is_token =
        id.is_number_unsigned() && id.get<std::uint64_t>() < static_cast<std::uint64_t>(tokenizer.vocab_size());
    if (!is_token)
      base::user_error("tokenize", "{}: id {}, want a whole number from 0 to {}", where, id.dump(),
                       tokenizer.vocab_size() - 1);
    ids.push_back(id.get<tokenizer::TokenId>());
  }
  return replace_field(row, "ids", "text", tokenizer.decode(ids, skip_special));
}

/// The model's template with its own tokens: nothing is added around what it prints.
Json chat_row(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatTemplate& chat, const Json& row,
              const std::string& where) {
  const auto messages = row.is_object() ? row.find("messages") : row.end();
  if (!row.is_object() || messages == row.end() || !messages->is_array())
    base::user_error("tokenize", "{}: no list 'messages', want {{\"messages\": [{{\"role\": ..., \"content\": ...}}]}}",
                     where);
  tokenizer::ChatOptions options;
  const Json prompt = row.value("add_generation_prompt", Json(true));
  if (!prompt.is_boolean())
    base::user_error("tokenize", "{}: add_generation_prompt is {}, want true or false", where, prompt.dump());
  options.add_generation_prompt = prompt.get<bool>();
  options.tools = row.value("tools", Json());
  options.variables = row.value("chat_template_kwargs", Json());
  try {
    const std::string text = chat.render(*messages, options);
    Json result = Json::object();
    for (const auto& [name, value] : row.items()) {
      const bool is_input =
          name == "messages" || name == "tools" || name == "add_generation_prompt" || name == "chat_template_kwargs";
      if (!is_input) result[name] = value;
    }
    result["text"] = text;
    result["ids"] = tokenizer.encode(text);
    return result;
  } catch (const base::UserError& error) {
    base::user_error("tokenize", "{}: {}", where, error.what());
  }
}

int run(const TokenizeOptions& options, const std::string& file) {
  if (options.decode && options.add_special)
    base::user_error("tokenize", "--add-special with --decode, want one of them");
  if (!options.decode && options.skip_special) base::user_error("tokenize", "--skip-special without --decode");
  if (options.chat && (options.decode || options.add_special))
    base::user_error("tokenize", "--chat with --{}, want one of them", options.decode ? "decode" : "add-special");
  const auto folder = train::resolve_tokenizer(options.model);
  const auto tokenizer = tokenizer::Tokenizer::load(folder);
  const auto chat = options.chat ? tokenizer::ChatTemplate::load(folder) : std::nullopt;
  if (options.chat && !chat)
    base::user_error("tokenize",
                     "{} has no chat template, want chat_template.jinja or 'chat_template' in tokenizer_config.json",
                     folder.string());
  const bool is_standard_input = file == "-";
  const std::string name = is_standard_input ? "standard input" : file;
  const auto visit = [&](Json&& row, std::size_t line) {
    const std::string where = fmt::format("{}:{}", name, line);
    const Json result = chat             ? chat_row(tokenizer, *chat, row, where)
                        : options.decode ? decode_row(tokenizer, row, options.skip_special, where)
                                         : encode_row(tokenizer, row, options.add_special, where);
    const std::string text = base::to_json_line(result);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
  };
  if (is_standard_input) {
    base::for_each_json_line(std::cin, name, visit);
  } else {
    base::for_each_json_line(std::filesystem::path(file), visit);
  }
  return 0;
}

const base::Registrar kRegistered(
    commands(), "tokenize",
    Command{"turn text into token ids, or back",
            "  echo '{\"text\": \"40317?\"}' | whet tokenize --model sort-strong\n"
            "  whet tokenize --model ~/models/Qwen3-1.7B texts.jsonl > ids.jsonl\n"
            "  whet tokenize --model ~/models/Qwen3-1.7B --decode ids.jsonl\n"
            "  whet tokenize --model ~/models/Qwen3-1.7B --chat chats.jsonl",
            [](CLI::App& app) -> Run {
              auto options = std::make_shared<TokenizeOptions>();
              auto file = std::make_shared<std::string>("-");
              add_fields(app, *options);
              app.add_option("file", *file, "JSON Lines of {text}, or of {ids} with --decode; '-': standard input")
                  ->capture_default_str();
              return [options, file] { return run(*options, *file); };
            }});

}  // namespace
}  // namespace whet::app
