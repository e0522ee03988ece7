// Methods of texts and dicts that templates call.
#include "tokenizer/jinja_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tokenizer/code_points.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer::jinja {
namespace {

void at_most(const Arguments& given, std::size_t count, std::string_view of) {
  if (given.positional.size() > count)
    throw TemplateError(fmt::format("{} takes at most {} arguments, got {}", of, count, given.positional.size()));
}

const CodePointSet& python_spaces() {
  static const CodePointSet set = space_set().with(CodePointSet({{0x1C, 0x1F}}));
  return set;
}

bool is_space(std::string_view character) { return python_spaces().contains(first_utf8(character).code); }

Value split_text(const std::string& text, const Value& by, std::int64_t most) {
  List parts;
  if (by.is_undefined() || by.is_none()) {
    std::string word;
    std::string_view rest = strip(text, std::nullopt, true, false);
    while (!rest.empty()) {
      if (most >= 0 && static_cast<std::int64_t>(parts.items.size()) == most) {
        parts.items.emplace_back(std::string(strip(rest, std::nullopt, false, true)));
        break;
      }
      word.clear();
      while (!rest.empty()) {
        const std::string_view c = rest.substr(0, std::max<std::size_t>(first_utf8(rest.substr(0, 4)).length, 1));
        if (is_space(c)) break;
        word += c;
        rest.remove_prefix(c.size());
      }
      parts.items.emplace_back(word);
      rest = strip(rest, std::nullopt, true, false);
    }
    return parts;
  }
  if (!by.is_text() || by.text().empty()) throw TemplateError("split wants a text that is not empty");
  std::size_t done = 0;
  for (std::size_t at; most != 0 && (at = text.find(by.text(), done)) != std::string::npos; --most) {
    parts.items.emplace_back(text.substr(done, at - done));
    done = at + by.text().size();
  }
  parts.items.emplace_back(text.substr(done));
  return parts;
}

Value rsplit_text(const std::string& text, const std::string& by, std::int64_t most) {
  List parts;
  std::string rest = text;
  for (std::size_t at; most != 0 && (at = rest.rfind(by)) != std::string::npos; --most) {
    parts.items.insert(parts.items.begin(), rest.substr(at + by.size()));
    rest.resize(at);
  }
  parts.items.insert(parts.items.begin(), rest);
  return parts;
}

bool has_affix(const std::string& text, const Value& affix, bool at_begin) {
  if (affix.is_list()) {
    const auto& all = affix.list().items;
    return std::any_of(all.begin(), all.end(), [&](const Value& one) { return has_affix(text, one, at_begin); });
  }
  if (!affix.is_text())
    throw TemplateError(fmt::format("startswith and endswith want a text, got a {}", affix.type_name()));
  return at_begin ? text.starts_with(affix.text()) : text.ends_with(affix.text());
}

using TextMethod = Value (*)(const std::string& self, const Arguments& given);

const std::map<std::string, TextMethod, std::less<>>& text_methods() {
  static const std::map<std::string, TextMethod, std::less<>> methods = {
      {"strip", [](const std::string& s, const Arguments& a) { return strip_method(s, a, true, true); }},
      {"lstrip", [](const std::string& s, const Arguments& a) { return strip_method(s, a, true, false); }},
      {"rstrip", [](const std::string& s, const Arguments& a) { return strip_method(s, a, false, true); }},
      {"split",
       [](const std::string& s, const Arguments& a) {
         return split_text(s, argument(a, 0, "sep"), argument(a, 1, "maxsplit", std::int64_t{-1}).integer("maxsplit"));
       }},
      {"rsplit",
       [](const std::string& s, const Arguments& a) {
         const std::string by = text_argument(a, 0, "sep", "rsplit");
         if (by.empty()) throw TemplateError("rsplit wants a text that is not empty");
         return rsplit_text(s, by, argument(a, 1, "maxsplit", std::int64_t{-1}).integer("maxsplit"));
       }},
      {"splitlines",
       [](const std::string& s, const Arguments&) {
         List lines;
         std::string line;
         for (std::size_t i = 0; i < s.size(); ++i) {
           if (s[i] != '\n' && s[i] != '\r') {
             line += s[i];
             continue;
           }
           if (s[i] == '\r' && i + 1 < s.size() && s[i + 1] == '\n') ++i;
           lines.items.emplace_back(std::exchange(line, ""));
         }
         if (!line.empty()) lines.items.emplace_back(line);
         return Value(lines);
       }},
      {"startswith",
       [](const std::string& s, const Arguments& a) { return Value(has_affix(s, argument(a, 0, "prefix"), true)); }},
      {"endswith",
       [](const std::string& s, const Arguments& a) { return Value(has_affix(s, argument(a, 0, "suffix"), false)); }},
      {"removeprefix",
       [](const std::string& s, const Arguments& a) {
         const std::string affix = text_argument(a, 0, "prefix", "removeprefix");
         return Value(s.starts_with(affix) ? s.substr(affix.size()) : s);
       }},
      {"removesuffix",
       [](const std::string& s, const Arguments& a) {
         const std::string affix = text_argument(a, 0, "suffix", "removesuffix");
         return Value(s.ends_with(affix) ? s.substr(0, s.size() - affix.size()) : s);
       }},
      {"replace",
       [](const std::string& s, const Arguments& a) {
         return Value(replace_text(s, text_argument(a, 0, "old", "replace"), text_argument(a, 1, "new", "replace"),
                                   argument(a, 2, "count", std::int64_t{-1}).integer("count")));
       }},
      {"find",
       [](const std::string& s, const Arguments& a) {
         const std::size_t at = s.find(text_argument(a, 0, "sub", "find"));
         if (at == std::string::npos) return Value(std::int64_t{-1});
         return Value(static_cast<std::int64_t>(characters(std::string_view(s).substr(0, at)).size()));
       }},
      {"count",
       [](const std::string& s, const Arguments& a) {
         const std::string what = text_argument(a, 0, "sub", "count");
         if (what.empty()) throw TemplateError("count of an empty text is not supported");
         std::int64_t count = 0;
         for (std::size_t at = 0; (at = s.find(what, at)) != std::string::npos; at += what.size()) ++count;
         return Value(count);
       }},
      {"isdigit",
       [](const std::string& s, const Arguments&) {
         return Value(!s.empty() && s.find_first_not_of("0123456789") == std::string::npos);
       }},
      {"join",
       [](const std::string& s, const Arguments& a) { return Value(join(argument(a, 0, "iterable").iterate(), s)); }},
      {"upper", [](const std::string& s, const Arguments&) { return Value(change_case(s, Case::kUpper)); }},
      {"lower", [](const std::string& s, const Arguments&) { return Value(change_case(s, Case::kLower)); }},
      {"title", [](const std::string& s, const Arguments&) { return Value(change_case(s, Case::kTitle)); }},
      {"capitalize", [](const std::string& s, const Arguments&) { return Value(change_case(s, Case::kCapital)); }},
  };
  return methods;
}

}  // namespace

Value argument(const Arguments& given, std::size_t place, std::string_view name, Value otherwise) {
  if (place < given.positional.size()) return given.positional[place];
  for (const auto& [other, value] : given.named) {
    if (other == name) return value;
  }
  return otherwise;
}

std::string text_argument(const Arguments& given, std::size_t place, std::string_view name, std::string_view of) {
  const Value value = argument(given, place, name);
  if (!value.is_text())
    throw TemplateError(fmt::format("{} wants a text for '{}', got a {}", of, name, value.type_name()));
  return value.text();
}

std::string change_case(const std::string& text, Case wanted) {
  std::string result;
  bool in_word = false;
  for (const char c : text) {
    // Their case is a table of its own, and no chat template asks for it.
    if ((c & 0x80) != 0) throw TemplateError("upper and lower case of a text outside ASCII are not supported");
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool up =
        wanted == Case::kUpper || (wanted == Case::kTitle && !in_word) || (wanted == Case::kCapital && result.empty());
    result += !is_letter ? c : static_cast<char>(up ? c & ~32 : c | 32);
    in_word = is_letter;
  }
  return result;
}

std::string replace_text(const std::string& text, const std::string& what, const std::string& by, std::int64_t most) {
  std::string result;
  if (what.empty()) throw TemplateError("replace of an empty text is not supported");
  std::size_t done = 0;
  for (std::size_t at; most != 0 && (at = text.find(what, done)) != std::string::npos; --most) {
    result.append(text, done, at - done).append(by);
    done = at + what.size();
  }
  return result.append(text, done);
}

std::string join(const std::vector<Value>& items, const std::string& by) {
  std::string result;
  for (std::size_t i = 0; i < items.size(); ++i) result += (i > 0 ? by : "") + items[i].str();
  return result;
}

Value strip_method(const std::string& self, const Arguments& given, bool left, bool right) {
  at_most(given, 1, "strip");
  const Value members = argument(given, 0, "chars");
  if (members.is_undefined() || members.is_none()) return std::string(strip(self, std::nullopt, left, right));
  return std::string(strip(self, text_argument(given, 0, "chars", "strip"), left, right));
}

List dict_items(const Dict& dict) {
  List result;
  for (const auto& [key, value] : dict.items) result.items.emplace_back(List{{Value(key), value}, true});
  return result;
}

std::string_view strip(std::string_view text, std::optional<std::string_view> members, bool left, bool right) {
  const std::vector<std::string_view> wanted = members ? characters(*members) : std::vector<std::string_view>();
  const auto goes = [&](std::string_view c) {
    return members ? std::find(wanted.begin(), wanted.end(), c) != wanted.end() : is_space(c);
  };
  while (left && !text.empty()) {
    const std::string_view c = text.substr(0, std::max<std::size_t>(first_utf8(text.substr(0, 4)).length, 1));
    if (!goes(c)) break;
    text.remove_prefix(c.size());
  }
  while (right && !text.empty()) {
    const std::string_view c = text.substr(last_utf8(text));
    if (!goes(c)) break;
    text.remove_suffix(c.size());
  }
  return text;
}

std::optional<Value> method_of(const Value& object, const std::string& name) {
  if (object.is_text()) {
    const auto found = text_methods().find(name);
    if (found == text_methods().end()) return std::nullopt;
    return Function{name,
                    [self = object.text(), method = found->second](const Arguments& a) { return method(self, a); }};
  }
  if (object.is_list() && (name == "index" || name == "count")) {
    return Function{name, [object, name](const Arguments& a) -> Value {
                      std::int64_t count = 0;
                      const auto& items = object.list().items;
                      for (std::size_t i = 0; i < items.size(); ++i) {
                        if (!items[i].equals(argument(a, 0, "value"))) continue;
                        if (name == "index") return static_cast<std::int64_t>(i);
                        ++count;
                      }
                      if (name == "index") throw TemplateError("index of what is not in the list");
                      return count;
                    }};
  }
  if (!object.is_dict() || object.dict().is_namespace) return std::nullopt;
  if (name == "items") return Function{name, [object](const Arguments&) { return Value(dict_items(object.dict())); }};
  if (name == "keys")
    return Function{name, [object](const Arguments&) { return Value(List{object.iterate(), false}); }};
  if (name == "values") {
    return Function{name, [object](const Arguments&) {
                      List values;
                      for (const auto& [key, value] : object.dict().items) values.items.push_back(value);
                      return Value(values);
                    }};
  }
  if (name == "get") {
    return Function{name, [object](const Arguments& a) {
                      const Value key = argument(a, 0, "key");
                      const Value* found = key.is_text() ? object.dict().find(key.text()) : nullptr;
                      return found != nullptr ? *found : argument(a, 1, "default", None{});
                    }};
  }
  return std::nullopt;
}

}  // namespace whet::tokenizer::jinja
