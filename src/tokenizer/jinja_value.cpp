#include "tokenizer/jinja_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tokenizer/utf8.h"

namespace whet::tokenizer::jinja {
namespace {

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string quoted(const std::string& text) {
  const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string result(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\r') {
      result += "\\r";
    } else if (c == '\t') {
      result += "\\t";
    } else if (static_cast<std::uint8_t>(c) < 0x20 || c == 0x7F) {
      result += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(c));
    } else {
      result += c;
    }
  }
  return result + quote;
}

std::string json_text(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        result += "\\\"";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\r':
        result += "\\r";
        break;
      case '\t':
        result += "\\t";
        break;
      case '\b':
        result += "\\b";
        break;
      case '\f':
        result += "\\f";
        break;
      default:
        if (static_cast<std::uint8_t>(c) < 0x20) {
          result += fmt::format("\\u{:04x}", static_cast<std::uint8_t>(c));
        } else {
          result += c;
        }
    }
  }
  return result + '"';
}

struct JsonWriter {
  std::optional<std::int64_t> indent;
  std::string_view item_separator, key_separator;
  bool sort_keys;
  std::string out;

  void line(int depth) {
    if (indent) out += '\n' + std::string(static_cast<std::size_t>(std::max<std::int64_t>(*indent, 0) * depth), ' ');
  }

  void write(const Value& value, int depth) {
    if (depth > 200) throw TemplateError("tojson of a value nested more than 200 deep");
    if (value.is_none()) {
      out += "null";
    } else if (value.is_bool()) {
      out += value.truth() ? "true" : "false";
    } else if (value.is_integer() || value.is_float()) {
      const std::string text = value.str();
      out += text == "nan" ? "NaN" : text == "inf" ? "Infinity" : text == "-inf" ? "-Infinity" : text;
    } else if (value.is_text()) {
      out += json_text(value.text());
    } else if (value.is_list()) {
      out += '[';
      for (std::size_t i = 0; i < value.list().items.size(); ++i) {
        if (i > 0) out += item_separator;
        line(depth + 1);
        write(value.list().items[i], depth + 1);
      }
      if (!value.list().items.empty()) line(depth);
      out += ']';
    } else if (value.is_dict()) {
      auto items = value.dict().items;
      if (sort_keys) {
        std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      }
      out += '{';
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out += item_separator;
        line(depth + 1);
        out += json_text(items[i].first);
        out += key_separator;
        write(items[i].second, depth + 1);
      }
      if (!items.empty()) line(depth);
      out += '}';
    } else if (value.is_undefined()) {
      throw TemplateError(fmt::format("tojson of '{}', which is undefined", value.undefined().name));
    } else {
      throw TemplateError(fmt::format("tojson of a {}", value.type_name()));
    }
  }
};

}  // namespace

const Value* Dict::find(std::string_view key) const {
  for (const auto& [name, value] : items) {
    if (name == key) return &value;
  }
  return nullptr;
}

void Dict::set(const std::string& key, Value value) {
  for (auto& [name, old] : items) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  items.emplace_back(key, std::move(value));
}

Value Value::from_json(const base::Json& json) {
  if (json.is_null()) return None{};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
    throw TemplateError(fmt::format("the number {} is too large", json.dump()));
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    List list;
    for (const base::Json& item : json) list.items.push_back(from_json(item));
    return list;
  }
  Dict dict;
  for (const auto& [key, item] : json.items()) dict.items.emplace_back(key, from_json(item));
  return dict;
}

std::int64_t Value::integer(std::string_view what) const {
  if (is_bool()) return std::get<bool>(data_) ? 1 : 0;
  if (is_integer()) return std::get<std::int64_t>(data_);
  throw TemplateError(fmt::format("{} is a {}, want a whole number", what, type_name()));
}

double Value::number() const {
  return is_float() ? std::get<double>(data_) : static_cast<double>(integer("an operand"));
}

bool Value::truth() const {
  if (is_undefined() || is_none()) return false;
  if (is_float()) return number() != 0;
  if (is_number()) return integer("") != 0;
  if (is_text()) return !text().empty();
  if (is_list()) return !list().items.empty();
  if (is_dict()) return dict().is_namespace || !dict().items.empty();
  return true;
}

std::string Value::type_name() const {
  if (is_undefined()) return "undefined value";
  if (is_none()) return "None";
  if (is_bool()) return "bool";
  if (is_integer()) return "int";
  if (is_float()) return "float";
  if (is_text()) return "text";
  if (is_list()) return list().is_tuple ? "tuple" : "list";
  if (is_dict()) return dict().is_namespace ? "namespace" : "dict";
  return "function";
}

std::string Value::str() const {
  if (is_undefined()) return "";
  if (is_text()) return text();
  return repr();
}

std::string Value::repr() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "None";
  if (is_bool()) return truth() ? "True" : "False";
  if (is_integer()) return fmt::format("{}", integer(""));
  if (is_float()) return float_text(number());
  if (is_text()) return quoted(text());
  std::string result;
  if (is_list()) {
    const List& all = list();
    for (const Value& item : all.items) result += (result.empty() ? "" : ", ") + item.repr();
    if (!all.is_tuple) return "[" + result + "]";
    return "(" + result + (all.items.size() == 1 ? ",)" : ")");
  }
  if (is_dict() && !dict().is_namespace) {
    for (const auto& [key, item] : dict().items)
      result += (result.empty() ? "" : ", ") + quoted(key) + ": " + item.repr();
    return "{" + result + "}";
  }
  throw TemplateError(fmt::format("a {} cannot be printed", type_name()));
}

bool Value::equals(const Value& other) const {
  if (is_number() && other.is_number()) {
    if (is_float() || other.is_float()) return number() == other.number();
    return integer("") == other.integer("");
  }
  if (is_text() && other.is_text()) return text() == other.text();
  if (is_none() || is_undefined()) return is_none() ? other.is_none() : other.is_undefined();
  if (is_list() && other.is_list()) {
    const auto &a = list().items, &b = other.list().items;
    return list().is_tuple == other.list().is_tuple && a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](const Value& x, const Value& y) { return x.equals(y); });
  }
  if (is_dict() && other.is_dict()) {
    if (dict().items.size() != other.dict().items.size()) return false;
    return std::all_of(dict().items.begin(), dict().items.end(), [&](const auto& item) {
      const Value* value = other.dict().find(item.first);
      return value != nullptr && item.second.equals(*value);
    });
  }
  return false;
}

int Value::compare(const Value& other) const {
  if (is_number() && other.is_number()) {
    if (is_float() || other.is_float()) return number() < other.number() ? -1 : number() > other.number() ? 1 : 0;
    const std::int64_t a = integer(""), b = other.integer("");
    return a < b ? -1 : a > b ? 1 : 0;
  }
  // UTF-8 sorts as its code points do.
  if (is_text() && other.is_text()) return text().compare(other.text());
  if (is_list() && other.is_list()) {
    const auto &a = list().items, &b = other.list().items;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (!a[i].equals(b[i])) return a[i].compare(b[i]);
    }
    return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
  }
  throw TemplateError(fmt::format("a {} and a {} cannot be put in order", type_name(), other.type_name()));
}

std::vector<Value> Value::iterate() const {
  if (is_list()) return list().items;
  std::vector<Value> result;
  if (is_undefined()) return result;
  if (is_dict() && !dict().is_namespace) {
    for (const auto& [key, item] : dict().items) result.emplace_back(key);
    return result;
  }
  if (is_text()) {
    for (const std::string_view c : characters(text())) result.emplace_back(std::string(c));
    return result;
  }
  throw TemplateError(fmt::format("a {} cannot be looped over", type_name()));
}

bool Value::contains(const Value& item) const {
  if (is_text()) {
    if (!item.is_text()) throw TemplateError(fmt::format("'in' asks for a {} in a text", item.type_name()));
    return text().find(item.text()) != std::string::npos;
  }
  if (is_dict() && !dict().is_namespace) return item.is_text() && dict().find(item.text()) != nullptr;
  const std::vector<Value> all = iterate();
  return std::any_of(all.begin(), all.end(), [&](const Value& one) { return one.equals(item); });
}

std::int64_t Value::length() const {
  if (is_undefined()) return 0;
  if (is_text()) return static_cast<std::int64_t>(characters(text()).size());
  if (is_list()) return static_cast<std::int64_t>(list().items.size());
  if (is_dict() && !dict().is_namespace) return static_cast<std::int64_t>(dict().items.size());
  throw TemplateError(fmt::format("a {} has no length", type_name()));
}

Value Value::attribute(const std::string& name) const {
  if (is_undefined()) throw TemplateError(fmt::format("'{}' is undefined, and has no '{}'", undefined().name, name));
  // A method goes before a key of its name, as in Python.
  if (std::optional<Value> method = method_of(*this, name)) return *method;
  if (is_dict()) {
    if (const Value* found = dict().find(name)) return *found;
  }
  return Undefined{name};
}

Value Value::subscript(const Value& key) const {
  if (is_undefined())
    throw TemplateError(fmt::format("'{}' is undefined, and has no [{}]", undefined().name, key.repr()));
  if (is_dict() && key.is_text()) {
    if (const Value* found = dict().find(key.text())) return *found;
    if (std::optional<Value> method = method_of(*this, key.text())) return *method;
    return Undefined{key.text()};
  }
  if ((is_list() || is_text()) && (key.is_integer() || key.is_bool())) {
    const std::vector<Value> items = iterate();
    const auto size = static_cast<std::int64_t>(items.size());
    std::int64_t index = key.integer("");
    if (index < 0) index += size;
    if (index < 0 || index >= size) return Undefined{fmt::format("[{}]", key.repr())};
    return items[static_cast<std::size_t>(index)];
  }
  return Undefined{key.is_text() ? key.text() : key.repr()};
}

Value Value::slice(const Value& start, const Value& stop, const Value& step) const {
  if (!is_list() && !is_text()) {
    if (is_undefined()) throw TemplateError(fmt::format("'{}' is undefined, and cannot be sliced", undefined().name));
    throw TemplateError(fmt::format("a {} cannot be sliced", type_name()));
  }
  const std::vector<Value> items = iterate();
  const auto size = static_cast<std::int64_t>(items.size());
  const auto is_open = [](const Value& v) { return v.is_undefined() || v.is_none(); };
  const std::int64_t by = is_open(step) ? 1 : step.integer("the step of a slice");
  if (by == 0) throw TemplateError("the step of a slice is 0");
  const auto bound = [&](const Value& v, std::int64_t open) {
    if (is_open(v)) return open;
    std::int64_t i = v.integer("the bound of a slice");
    if (i < 0) i = i < -size ? -1 : i + size;
    return by > 0 ? std::clamp<std::int64_t>(i, 0, size) : std::clamp<std::int64_t>(i, -1, size - 1);
  };
  const std::int64_t begin = bound(start, by > 0 ? 0 : size - 1), end = bound(stop, by > 0 ? size : -1);
  List result;
  if (is_list()) result.is_tuple = list().is_tuple;
  std::string joined;
  for (std::int64_t i = begin; by > 0 ? i < end : i > end; i += by) {
    if (is_text()) {
      joined += items[static_cast<std::size_t>(i)].text();
    } else {
      result.items.push_back(items[static_cast<std::size_t>(i)]);
    }
    if (std::abs(by) > size) break;
  }
  if (is_text()) return joined;
  return result;
}

std::string Value::to_json(std::optional<std::int64_t> indent, std::string_view item_separator,
                           std::string_view key_separator, bool sort_keys) const {
  JsonWriter writer{indent, item_separator, key_separator, sort_keys, ""};
  writer.write(*this, 0);
  return std::move(writer.out);
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(first_utf8(text.substr(0, 4)).length, 1);
    result.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return result;
}

}  // namespace whet::tokenizer::jinja
