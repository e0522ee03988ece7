// What methods and filters of templates share: reading their arguments, and Python's handling of texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja_value.h"

namespace whet::tokenizer::jinja {

/// The argument at a place or of a name; `otherwise` when it is not given.
Value argument(const Arguments& given, std::size_t place, std::string_view name, Value otherwise = {});
/// The same, which must be a text. `of`: who asks.
std::string text_argument(const Arguments& given, std::size_t place, std::string_view name, std::string_view of);

enum class Case { kUpper, kLower, kTitle, kCapital };
/// TemplateError for a text outside ASCII.
std::string change_case(const std::string& text, Case wanted);
/// At most so many of them; -1: all.
std::string replace_text(const std::string& text, const std::string& what, const std::string& by, std::int64_t most);
std::string join(const std::vector<Value>& items, const std::string& by);
/// strip() with the characters that the arguments name, or white space.
Value strip_method(const std::string& self, const Arguments& given, bool left, bool right);
/// Pairs of key and value.
List dict_items(const Dict& dict);

}  // namespace whet::tokenizer::jinja
