#include "tokenizer/chat_template.h"

#include <ctime>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/jinja_template.h"

namespace whet::tokenizer {
namespace {

namespace fs = std::filesystem;
using base::Json;
using base::user_error;

Json read_config(const fs::path& folder) {
  const fs::path file = folder / "tokenizer_config.json";
  return fs::exists(file) ? base::read_json_file(file) : Json::object();
}

/// The tokens that templates may print, by the names that transformers gives them.
jinja::Dict special_tokens(const Json& config) {
  jinja::Dict result;
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    const auto token = config.find(name);
    if (token == config.end()) continue;
    if (token->is_string()) result.set(name, token->get<std::string>());
    if (token->is_object() && token->contains("content") && (*token)["content"].is_string())
      result.set(name, (*token)["content"].get<std::string>());
  }
  return result;
}

jinja::Template parse(const std::string& source, const std::string& name) {
  try {
    return jinja::Template(source);
  } catch (const jinja::TemplateError& error) {
    user_error(name, "{}", error.what());
  }
}

}  // namespace

struct ChatTemplate::Impl {
  std::string name;
  jinja::Template plain;
  std::optional<jinja::Template> with_tools;  ///< where the model has another for chats with tools
  jinja::Dict tokens;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

const std::string& ChatTemplate::name() const { return impl_->name; }

ChatTemplate ChatTemplate::from_file(const fs::path& file, const fs::path& folder) {
  const std::string name = file.string();
  return ChatTemplate(std::make_unique<Impl>(
      Impl{name, parse(base::read_file(file), name), std::nullopt, special_tokens(read_config(folder))}));
}

std::optional<ChatTemplate> ChatTemplate::load(const fs::path& folder) {
  if (fs::exists(folder / "chat_template.jinja")) return from_file(folder / "chat_template.jinja", folder);
  const Json config = read_config(folder);
  const auto found = config.is_object() ? config.find("chat_template") : config.end();
  if (!config.is_object() || found == config.end() || found->is_null()) return std::nullopt;
  const std::string name = (folder / "tokenizer_config.json").string() + ": chat_template";
  std::optional<std::string> plain, with_tools;
  if (found->is_string()) {
    plain = found->get<std::string>();
  } else if (found->is_array()) {
    for (const Json& one : *found) {
      const bool is_named =
          one.is_object() && one.contains("name") && one.contains("template") && one["template"].is_string();
      if (!is_named)
        user_error(name, "{}, want {{\"name\": ..., \"template\": \"...\"}}", base::to_json_line(one).substr(0, 80));
      if (one["name"] == "default") plain = one["template"].get<std::string>();
      if (one["name"] == "tool_use") with_tools = one["template"].get<std::string>();
    }
    if (!plain) user_error(name, "none of the templates is named 'default'");
  } else {
    user_error(name, "it is {}, want a text or a list of templates", found->type_name());
  }
  auto impl = std::make_unique<Impl>(Impl{name, parse(*plain, name), std::nullopt, special_tokens(config)});
  if (with_tools) impl->with_tools.emplace(parse(*with_tools, name + " 'tool_use'"));
  return ChatTemplate(std::move(impl));
}

std::string ChatTemplate::render(const Json& messages, const ChatOptions& options) const {
  try {
    jinja::Dict variables = impl_->tokens;
    variables.set("messages", jinja::Value::from_json(messages));
    variables.set("tools", jinja::Value::from_json(options.tools));
    variables.set("documents", jinja::None{});
    variables.set("add_generation_prompt", options.add_generation_prompt);
    for (const auto& [name, value] : options.variables.items()) variables.set(name, jinja::Value::from_json(value));
    const jinja::Template& chosen = impl_->with_tools && !options.tools.is_null() ? *impl_->with_tools : impl_->plain;
    return chosen.render(variables, options.now.value_or(static_cast<std::int64_t>(std::time(nullptr))));
  } catch (const jinja::TemplateError& error) {
    user_error(impl_->name, "{}", error.what());
  }
}

}  // namespace whet::tokenizer
