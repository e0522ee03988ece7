#include "store/config_toml.h"

#include <toml++/toml.h>
#include <algorithm>
#include <cstdint>
#include <limits>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace whet::store {
namespace {

using base::Json;

Json from_toml(const toml::node& node, std::string_view where);

/// toml++ sorts a table's keys; their positions in the source give back the order in which they were written.
Json from_table(const toml::table& table, std::string_view where) {
  std::vector<std::pair<const toml::key*, const toml::node*>> entries;
  for (const auto& [key, value] : table) entries.emplace_back(&key, &value);
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    const toml::source_position left = a.first->source().begin, right = b.first->source().begin;
    return left < right;
  });
  Json object = Json::object();
  for (const auto& [key, value] : entries) object[std::string(key->str())] = from_toml(*value, where);
  return object;
}

Json from_toml(const toml::node& node, std::string_view where) {
  switch (node.type()) {
    case toml::node_type::table:
      return from_table(*node.as_table(), where);
    case toml::node_type::array: {
      Json array = Json::array();
      for (const toml::node& item : *node.as_array()) array.push_back(from_toml(item, where));
      return array;
    }
    case toml::node_type::string:
      return Json(node.as_string()->get());
    case toml::node_type::integer:
      return Json(node.as_integer()->get());
    case toml::node_type::floating_point:
      return Json(node.as_floating_point()->get());
    case toml::node_type::boolean:
      return Json(node.as_boolean()->get());
    default:
      base::user_error(fmt::format("{}:{}", where, node.source().begin.line),
                       "a date or time, want a text, number, boolean, array or table");
  }
}

toml::table table_of(const Json& object, const std::string& path);

/// Where a value goes: to the end of an array, or under a key of a table.
struct Place {
  toml::array* array = nullptr;
  toml::table* table = nullptr;
  std::string key;

  template <class T>
  void operator()(T&& value) const {
    if (array != nullptr) array->push_back(std::forward<T>(value));
    if (table != nullptr) table->insert_or_assign(key, std::forward<T>(value));
  }
};

void add_value(const Json& value, const std::string& path, const Place& add) {
  if (value.is_string()) {
    add(value.get<std::string>());
  } else if (value.is_boolean()) {
    add(value.get<bool>());
  } else if (value.is_number_unsigned() &&
             value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    base::user_error("config", "{} = {}, want at most 2^63 - 1", path, value.get<std::uint64_t>());
  } else if (value.is_number_integer()) {
    add(value.get<std::int64_t>());
  } else if (value.is_number_float()) {
    add(value.get<double>());
  } else if (value.is_array()) {
    toml::array array;
    for (const Json& item : value) add_value(item, path, {.array = &array, .key = {}});
    add(std::move(array));
  } else if (value.is_object()) {
    add(table_of(value, path));
  } else {
    base::user_error("config", "{} holds null, want a value (TOML has no null)", path);
  }
}

/// A table that is printed inside its line: for objects within arrays.
toml::table table_of(const Json& object, const std::string& path) {
  toml::table table;
  table.is_inline(true);
  for (const auto& [key, value] : object.items()) {
    if (value.is_null()) continue;
    add_value(value, path + "." + key, {.table = &table, .key = key});
  }
  return table;
}

std::string join(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

/// `header` is the table's name as TOML writes it (keys quoted where needed), empty for the root.
void write_table(std::string& out, const Json& object, const std::string& header, const std::string& path) {
  // One entry at a time goes through the library, which knows quoting and numbers: a whole table would be sorted.
  const auto key_text = [](const std::string& key) {
    std::ostringstream line;
    line << toml::toml_formatter{toml::table{{key, 0}}};
    const std::string text = line.str();
    return text.substr(0, text.rfind(" = "));
  };
  for (const auto& [key, value] : object.items()) {
    if (value.is_object() || value.is_null()) continue;
    toml::table one;
    add_value(value, join(path, key), {.table = &one, .key = key});
    std::ostringstream line;
    line << toml::toml_formatter{one};
    out += line.str() + "\n";
  }
  for (const auto& [key, value] : object.items()) {
    if (!value.is_object()) continue;
    const std::string inner = join(header, key_text(key));
    out += (out.empty() ? "[" : "\n[") + inner + "]\n";
    write_table(out, value, inner, join(path, key));
  }
}

}  // namespace

Json parse_toml(std::string_view text, std::string_view where) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    base::user_error(fmt::format("{}:{}", where, error.source().begin.line), "{}", error.description());
  }
  return from_table(table, where);
}

Json read_toml_file(const std::filesystem::path& path) { return parse_toml(base::read_file(path), path.string()); }

std::string to_toml(const Json& object) {
  std::string out;
  write_table(out, object, "", "");
  return out;
}

}  // namespace whet::store
