// Filters, tests and global functions that templates call.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>

#include "tokenizer/jinja_arguments.h"

namespace whet::tokenizer::jinja {
namespace {

constexpr std::size_t kMostItems = 1'000'000;

/// An item's attribute by its path: "function.name", or a number.
Value path_of(const Value& item, const Value& path) {
  if (!path.is_text()) return item.subscript(path);
  Value at = item;
  std::string_view rest = path.text();
  while (true) {
    const std::size_t dot = rest.find('.');
    at = at.subscript(Value(std::string(rest.substr(0, dot))));
    if (dot == std::string_view::npos) return at;
    rest.remove_prefix(dot + 1);
  }
}

Arguments without_first(const Arguments& given, std::size_t count) {
  Arguments rest = given;
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<std::ptrdiff_t>(std::min(count, rest.positional.size())));
  return rest;
}

/// select, reject, selectattr, rejectattr: items for which a test (truth, when none is named) says `wanted`.
Value select(const Value& input, const Arguments& given, bool by_attribute, bool wanted) {
  const std::size_t first = by_attribute ? 1 : 0;
  if (by_attribute && given.positional.empty()) throw TemplateError("selectattr and rejectattr want an attribute");
  List result;
  for (const Value& item : input.iterate()) {
    const Value tested = by_attribute ? path_of(item, given.positional[0]) : item;
    const bool holds = given.positional.size() > first
                           ? call_test(given.positional[first].str(), tested, without_first(given, first + 1))
                           : tested.truth();
    if (holds == wanted) result.items.push_back(item);
  }
  return result;
}

Value map_filter(const Value& input, const Arguments& given) {
  List result;
  const Value attribute = argument(given, 1, "attribute");
  for (const Value& item : input.iterate()) {
    if (given.positional.empty() && !attribute.is_undefined()) {
      const Value found = path_of(item, attribute);
      result.items.push_back(found.is_undefined() ? argument(given, 2, "default", found) : found);
    } else if (!given.positional.empty()) {
      result.items.push_back(call_filter(given.positional[0].str(), item, without_first(given, 1)));
    } else {
      throw TemplateError("map wants a filter or attribute=");
    }
  }
  return result;
}

Value sorted(std::vector<Value> items, const Arguments& given, std::size_t reverse_place) {
  const Value attribute = argument(given, 2, "attribute");
  const bool is_case_sensitive = argument(given, 1, "case_sensitive", false).truth();
  const auto key_of = [&](const Value& item) {
    const Value key = attribute.is_undefined() || attribute.is_none() ? item : path_of(item, attribute);
    return key.is_text() && !is_case_sensitive ? Value(change_case(key.text(), Case::kLower)) : key;
  };
  const bool descends = argument(given, reverse_place, "reverse", false).truth();
  std::stable_sort(items.begin(), items.end(), [&](const Value& a, const Value& b) {
    const int order = key_of(a).compare(key_of(b));
    return descends ? order > 0 : order < 0;
  });
  return List{std::move(items), false};
}

Value to_json_filter(const Value& input, const Arguments& given) {
  const Value indent = argument(given, 1, "indent"), separators = argument(given, 2, "separators");
  const bool has_indent = !indent.is_undefined() && !indent.is_none();
  std::string item_separator = has_indent ? "," : ", ", key_separator = ": ";
  if (separators.is_list() && separators.list().items.size() == 2) {
    item_separator = separators.list().items[0].str();
    key_separator = separators.list().items[1].str();
  }
  if (argument(given, 0, "ensure_ascii", false).truth())
    throw TemplateError("tojson with ensure_ascii is not supported");
  return input.to_json(has_indent ? std::optional(indent.integer("indent")) : std::nullopt, item_separator,
                       key_separator, argument(given, 3, "sort_keys", false).truth());
}

Value indent_filter(const Value& input, const Arguments& given) {
  const Value width = argument(given, 0, "width", std::int64_t{4});
  const std::string pad =
      width.is_text()
          ? width.text()
          : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(width.integer("width"), 0, 1000)), ' ');
  const bool first = argument(given, 1, "first", false).truth(), blank = argument(given, 2, "blank", false).truth();
  std::string result = first ? pad : "";
  const std::string text = input.str();
  for (std::size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (text[i] == '\n' && i + 1 < text.size() && (blank || text[i + 1] != '\n')) result += pad;
  }
  return result;
}

Value int_filter(const Value& input, const Arguments& given) {
  if (input.is_float()) return static_cast<std::int64_t>(input.number());
  if (input.is_number()) return input.integer("");
  if (input.is_text()) {
    const std::string text(strip(input.text(), std::nullopt, true, true));
    try {
      std::size_t used = 0;
      const std::int64_t value = std::stoll(text, &used);
      if (used == text.size()) return value;
      const double number = std::stod(text, &used);
      if (used == text.size()) return static_cast<std::int64_t>(number);
    } catch (const std::exception&) {
    }
  }
  return argument(given, 0, "default", std::int64_t{0});
}

Value float_filter(const Value& input, const Arguments& given) {
  if (input.is_number()) return input.number();
  try {
    if (input.is_text()) return std::stod(input.text());
  } catch (const std::exception&) {
  }
  return argument(given, 0, "default", 0.0);
}

Value extreme(const Value& input, const Arguments&, bool largest) {
  const std::vector<Value> items = input.iterate();
  if (items.empty()) return Undefined{largest ? "max of nothing" : "min of nothing"};
  return *std::min_element(items.begin(), items.end(), [&](const Value& a, const Value& b) {
    return largest ? a.compare(b) > 0 : a.compare(b) < 0;
  });
}

Value unique(const Value& input) {
  List result;
  for (const Value& item : input.iterate()) {
    const auto is_same = [&](const Value& other) { return other.equals(item); };
    if (std::none_of(result.items.begin(), result.items.end(), is_same)) result.items.push_back(item);
  }
  return result;
}

Value reversed(const Value& input) {
  std::vector<Value> items = input.iterate();
  std::reverse(items.begin(), items.end());
  if (!input.is_text()) return List{std::move(items), false};
  return join(items, "");
}

using Filter = Value (*)(const Value& input, const Arguments& given);

const std::map<std::string, Filter, std::less<>>& filters() {
  static const Filter kLength = [](const Value& v, const Arguments&) { return Value(v.length()); };
  static const Filter kDefault = [](const Value& v, const Arguments& a) {
    const bool replaces = v.is_undefined() || (argument(a, 1, "boolean", false).truth() && !v.truth());
    return replaces ? argument(a, 0, "default_value", "") : v;
  };
  static const Filter kItems = [](const Value& v, const Arguments&) {
    if (v.is_undefined()) return Value(List{});
    if (!v.is_dict()) throw TemplateError(fmt::format("items wants a dict, got a {}", v.type_name()));
    return Value(dict_items(v.dict()));
  };
  static const std::map<std::string, Filter, std::less<>> all = {
      {"length", kLength},
      {"count", kLength},
      {"default", kDefault},
      {"d", kDefault},
      {"items", kItems},
      {"tojson", to_json_filter},
      {"map", map_filter},
      {"indent", indent_filter},
      {"int", int_filter},
      {"float", float_filter},
      {"trim", [](const Value& v, const Arguments& a) { return strip_method(v.str(), a, true, true); }},
      {"upper", [](const Value& v, const Arguments&) { return Value(change_case(v.str(), Case::kUpper)); }},
      {"lower", [](const Value& v, const Arguments&) { return Value(change_case(v.str(), Case::kLower)); }},
      {"title", [](const Value& v, const Arguments&) { return Value(change_case(v.str(), Case::kTitle)); }},
      {"capitalize", [](const Value& v, const Arguments&) { return Value(change_case(v.str(), Case::kCapital)); }},
      {"string", [](const Value& v, const Arguments&) { return Value(v.str()); }},
      {"safe", [](const Value& v, const Arguments&) { return v; }},
      {"list", [](const Value& v, const Arguments&) { return Value(List{v.iterate(), false}); }},
      {"first",
       [](const Value& v, const Arguments&) {
         const auto items = v.iterate();
         return items.empty() ? Value(Undefined{"first of nothing"}) : items.front();
       }},
      {"last",
       [](const Value& v, const Arguments&) {
         const auto items = v.iterate();
         return items.empty() ? Value(Undefined{"last of nothing"}) : items.back();
       }},
      {"join",
       [](const Value& v, const Arguments& a) {
         std::vector<Value> items = v.iterate();
         const Value attribute = argument(a, 1, "attribute");
         if (!attribute.is_undefined()) {
           for (Value& item : items) item = path_of(item, attribute);
         }
         return Value(join(items, argument(a, 0, "d", "").str()));
       }},
      {"replace",
       [](const Value& v, const Arguments& a) {
         const Value most = argument(a, 2, "count");
         return Value(replace_text(v.str(), text_argument(a, 0, "old", "replace"),
                                   text_argument(a, 1, "new", "replace"),
                                   most.is_undefined() || most.is_none() ? -1 : most.integer("count")));
       }},
      {"select", [](const Value& v, const Arguments& a) { return select(v, a, false, true); }},
      {"reject", [](const Value& v, const Arguments& a) { return select(v, a, false, false); }},
      {"selectattr", [](const Value& v, const Arguments& a) { return select(v, a, true, true); }},
      {"rejectattr", [](const Value& v, const Arguments& a) { return select(v, a, true, false); }},
      {"sort", [](const Value& v, const Arguments& a) { return sorted(v.iterate(), a, 0); }},
      {"dictsort",
       [](const Value& v, const Arguments&) {
         if (!v.is_dict()) throw TemplateError(fmt::format("dictsort wants a dict, got a {}", v.type_name()));
         Arguments by_key;
         by_key.named.emplace_back("attribute", std::int64_t{0});
         return sorted(dict_items(v.dict()).items, by_key, 0);
       }},
      {"reverse", [](const Value& v, const Arguments&) { return reversed(v); }},
      {"unique", [](const Value& v, const Arguments&) { return unique(v); }},
      {"max", [](const Value& v, const Arguments& a) { return extreme(v, a, true); }},
      {"min", [](const Value& v, const Arguments& a) { return extreme(v, a, false); }},
      {"abs",
       [](const Value& v, const Arguments&) {
         return v.is_float() ? Value(std::abs(v.number())) : Value(std::abs(v.integer("the operand of abs")));
       }},
  };
  return all;
}

using Test = bool (*)(const Value& input, const Arguments& given);

const std::map<std::string, Test, std::less<>>& tests() {
  static const Test kEqual = [](const Value& v, const Arguments& a) { return v.equals(argument(a, 0, "other")); };
  static const Test kUnequal = [](const Value& v, const Arguments& a) { return !v.equals(argument(a, 0, "other")); };
  static const Test kLess = [](const Value& v, const Arguments& a) { return v.compare(argument(a, 0, "other")) < 0; };
  static const Test kMore = [](const Value& v, const Arguments& a) { return v.compare(argument(a, 0, "other")) > 0; };
  static const Test kLessOrEqual = [](const Value& v, const Arguments& a) {
    return v.compare(argument(a, 0, "other")) <= 0;
  };
  static const Test kMoreOrEqual = [](const Value& v, const Arguments& a) {
    return v.compare(argument(a, 0, "other")) >= 0;
  };
  static const std::map<std::string, Test, std::less<>> all = {
      {"defined", [](const Value& v, const Arguments&) { return !v.is_undefined(); }},
      {"undefined", [](const Value& v, const Arguments&) { return v.is_undefined(); }},
      {"none", [](const Value& v, const Arguments&) { return v.is_none(); }},
      {"string", [](const Value& v, const Arguments&) { return v.is_text(); }},
      {"mapping", [](const Value& v, const Arguments&) { return v.is_dict() && !v.dict().is_namespace; }},
      {"iterable",
       [](const Value& v, const Arguments&) {
         return v.is_text() || v.is_list() || v.is_undefined() || (v.is_dict() && !v.dict().is_namespace);
       }},
      {"sequence",
       [](const Value& v, const Arguments&) {
         return v.is_text() || v.is_list() || v.is_undefined() || (v.is_dict() && !v.dict().is_namespace);
       }},
      {"number", [](const Value& v, const Arguments&) { return v.is_number(); }},
      {"integer", [](const Value& v, const Arguments&) { return v.is_integer(); }},
      {"float", [](const Value& v, const Arguments&) { return v.is_float(); }},
      {"boolean", [](const Value& v, const Arguments&) { return v.is_bool(); }},
      {"true", [](const Value& v, const Arguments&) { return v.is_bool() && v.truth(); }},
      {"false", [](const Value& v, const Arguments&) { return v.is_bool() && !v.truth(); }},
      {"callable", [](const Value& v, const Arguments&) { return v.is_function(); }},
      {"odd", [](const Value& v, const Arguments&) { return v.integer("the operand of odd") % 2 != 0; }},
      {"even", [](const Value& v, const Arguments&) { return v.integer("the operand of even") % 2 == 0; }},
      {"divisibleby",
       [](const Value& v, const Arguments& a) {
         const std::int64_t by = argument(a, 0, "num").integer("num");
         if (by == 0) throw TemplateError("divisibleby 0");
         return v.integer("the operand of divisibleby") % by == 0;
       }},
      {"in", [](const Value& v, const Arguments& a) { return argument(a, 0, "seq").contains(v); }},
      {"equalto", kEqual},
      {"eq", kEqual},
      {"==", kEqual},
      {"ne", kUnequal},
      {"!=", kUnequal},
      {"lt", kLess},
      {"lessthan", kLess},
      {"<", kLess},
      {"gt", kMore},
      {"greaterthan", kMore},
      {">", kMore},
      {"le", kLessOrEqual},
      {"<=", kLessOrEqual},
      {"ge", kMoreOrEqual},
      {">=", kMoreOrEqual},
  };
  return all;
}

Value range(const Arguments& given) {
  if (given.positional.empty() || given.positional.size() > 3) throw TemplateError("range takes one to three numbers");
  const auto at = [&](std::size_t i) { return given.positional[i].integer("an argument of range"); };
  const std::int64_t begin = given.positional.size() > 1 ? at(0) : 0;
  const std::int64_t end = given.positional.size() > 1 ? at(1) : at(0);
  const std::int64_t step = given.positional.size() > 2 ? at(2) : 1;
  if (step == 0) throw TemplateError("range with step 0");
  List result;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
    result.items.emplace_back(i);
    if (result.items.size() > kMostItems) throw TemplateError(fmt::format("range of more than {} numbers", kMostItems));
    if (step > 0 ? i > end - step : i < end - step) break;
  }
  return result;
}

Dict make_dict(const Arguments& given) {
  Dict result;
  for (const Value& positional : given.positional) {
    if (!positional.is_dict())
      throw TemplateError(fmt::format("dict and namespace want a dict, got a {}", positional.type_name()));
    for (const auto& [key, value] : positional.dict().items) result.set(key, value);
  }
  for (const auto& [key, value] : given.named) result.set(key, value);
  return result;
}

}  // namespace

Value call_filter(const std::string& name, const Value& input, const Arguments& arguments) {
  const auto found = filters().find(name);
  if (found == filters().end()) throw TemplateError(fmt::format("there is no filter '{}'", name));
  return found->second(input, arguments);
}

bool call_test(const std::string& name, const Value& input, const Arguments& arguments) {
  const auto found = tests().find(name);
  if (found == tests().end()) throw TemplateError(fmt::format("there is no test '{}'", name));
  return found->second(input, arguments);
}

std::vector<std::pair<std::string, Value>> global_functions(std::int64_t now) {
  return {
      {"range", Function{"range", range}},
      {"dict", Function{"dict", [](const Arguments& a) { return Value(make_dict(a)); }}},
      {"namespace", Function{"namespace",
                             [](const Arguments& a) {
                               Dict result = make_dict(a);
                               result.is_namespace = true;
                               return Value(result);
                             }}},
      {"raise_exception", Function{"raise_exception",
                                   [](const Arguments& a) -> Value {
                                     throw TemplateError(fmt::format("the template refuses this chat: {}",
                                                                     argument(a, 0, "message").str()));
                                   }}},
      {"strftime_now", Function{"strftime_now",
                                [now](const Arguments& a) {
                                  const std::string format = text_argument(a, 0, "format", "strftime_now");
                                  const auto seconds = static_cast<std::time_t>(now);
                                  std::tm local{};
                                  localtime_r(&seconds, &local);
                                  std::string text(256 + 8 * format.size(), '\0');
                                  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &local));
                                  return Value(text);
                                }}},
  };
}

}  // namespace whet::tokenizer::jinja
