// Reading tokenizer.json: fields with their types, errors that name the part of the file. The sorted JSON type of the
// library is used here, not base::Json: looking up one of 150,000 vocabulary entries must not walk through them all.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer {

/// The field; UserError when it is missing.
inline const nlohmann::json& require(const nlohmann::json& node, const char* name, const std::string& where) {
  if (!node.is_object() || !node.contains(name)) base::user_error(where, "{} is missing", name);
  return node[name];
}

/// The field, or nullptr when it is missing or null.
inline const nlohmann::json* optional_field(const nlohmann::json& node, const char* name) {
  const auto found = node.find(name);
  return found == node.end() || found->is_null() ? nullptr : &*found;
}

inline bool flag(const nlohmann::json& node, const char* name, bool missing, const std::string& where) {
  const nlohmann::json* value = optional_field(node, name);
  if (value == nullptr) return missing;
  if (!value->is_boolean()) base::user_error(where, "{} = {}, want true or false", name, value->dump());
  return value->get<bool>();
}

inline std::string text_field(const nlohmann::json& node, const char* name, const std::string& where) {
  const nlohmann::json& value = require(node, name, where);
  if (!value.is_string()) base::user_error(where, "{} = {}, want a text", name, value.dump());
  return value.get<std::string>();
}

/// The one character of a field that holds one.
inline std::string character_field(const nlohmann::json& node, const char* name, const std::string& where) {
  const std::string text = text_field(node, name, where);
  if (text.empty() || first_utf8(text).length != text.size())
    base::user_error(where, "{} = '{}', want one character", name, text);
  return text;
}

struct TextPattern {
  std::string text;
  bool is_regex = false;
};

/// The "pattern" that several parts of the pipeline have.
inline TextPattern read_pattern(const nlohmann::json& node, const std::string& where) {
  const nlohmann::json& pattern = require(node, "pattern", where);
  if (pattern.is_object() && pattern.size() == 1) {
    const std::string text = pattern.begin()->is_string() ? pattern.begin()->get<std::string>() : "";
    if (!text.empty() && pattern.begin().key() == "Regex") return {text, true};
    if (!text.empty() && pattern.begin().key() == "String") return {text, false};
  }
  base::user_error(where, "pattern {}, want {{\"Regex\": ...}} or {{\"String\": ...}}", pattern.dump());
}

/// The "type" that every part of the pipeline has; "null" for a part that is null.
inline std::string type_of(const nlohmann::json& node, const std::string& where) {
  if (node.is_null()) return "null";
  const nlohmann::json& type = require(node, "type", where);
  if (!type.is_string()) base::user_error(where, "type {}, want a text", type.dump());
  return type.get<std::string>();
}

}  // namespace whet::tokenizer
