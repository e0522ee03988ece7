// A template cut into text and the tokens between its braces. White space is kept and dropped as transformers sets Jinja up:
// trim_blocks and lstrip_blocks are on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace whet::tokenizer::jinja {

struct Token {
  enum class Kind {
    kText,
    kOutputBegin,
    kOutputEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEnd
  };
  Kind kind;
  std::string text;  ///< of a string, without quotes and escapes
  int line;
};

/// TemplateError that begins with "line N: " for what does not end or is no token.
std::vector<Token> cut_template(std::string_view source);

}  // namespace whet::tokenizer::jinja
