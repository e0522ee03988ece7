// A chat as the text that a model was trained on: the "chat_template" of its folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"

namespace whet::tokenizer {

struct ChatOptions {
  bool add_generation_prompt = true;  ///< ends where the answer begins
  base::Json tools;                   ///< JSON schemas of functions; null: none
  base::Json variables;               ///< others that the template asks for ({"enable_thinking": false}); null: none
  std::optional<std::int64_t> now;    ///< seconds since 1970, for templates that print the date; default: the clock
};

class ChatTemplate {
 public:
  /// The template of a model's folder: chat_template.jinja, else "chat_template" of tokenizer_config.json (a text, or a list of
  /// named ones: "tool_use" with tools, "default" otherwise). Nothing when the folder has none. UserError naming the file, and
  /// the line in the template, for one that is malformed or not supported.
  static std::optional<ChatTemplate> load(const std::filesystem::path& folder);

  /// A template in a file of its own. The special tokens that it may print are those of `folder`'s tokenizer_config.json.
  static ChatTemplate from_file(const std::filesystem::path& file, const std::filesystem::path& folder);

  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// `messages`: a list of {role, content, ...}. As transformers' apply_chat_template renders them. UserError naming the
  /// template's file and line for what it calls that does not exist, what it refuses, and what does not end.
  std::string render(const base::Json& messages, const ChatOptions& options = {}) const;

  /// The file that it came from.
  const std::string& name() const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace whet::tokenizer
