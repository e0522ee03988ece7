// A template that can be rendered: the part of Jinja that chat templates use, with transformers' settings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tokenizer/jinja_parser.h"
#include "tokenizer/jinja_value.h"

namespace whet::tokenizer::jinja {

class Template {
 public:
  /// TemplateError that begins with "line N: " for what is malformed or not supported.
  explicit Template(std::string_view source) : block_(parse_template(source)) {}

  /// `now`: seconds since 1970, for strftime_now. TemplateError that begins with "line N: " for what does not exist or does
  /// not fit, for what the template itself refuses, and for one that does not come to an end.
  std::string render(const Dict& variables, std::int64_t now) const;

 private:
  Block block_;
};

}  // namespace whet::tokenizer::jinja
