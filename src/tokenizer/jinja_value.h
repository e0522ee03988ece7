// The values that a chat template computes with: Python's, as far as templates see them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"

namespace whet::tokenizer::jinja {

/// A fault of the template or of what it was given. The interpreter adds file and line.
class TemplateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Value;

struct Undefined {
  std::string name;  ///< what the template asked for
};
struct None {};
struct Dict {
  std::vector<std::pair<std::string, Value>> items;  ///< in the order in which they came
  bool is_namespace = false;                         ///< its fields may be set

  const Value* find(std::string_view key) const;
  void set(const std::string& key, Value value);
};
struct List {
  std::vector<Value> items;
  bool is_tuple = false;
};
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};
struct Function {
  std::string name;
  std::function<Value(const Arguments&)> call;
};

class Value {
 public:
  Value() : data_(Undefined{}) {}
  Value(Undefined u) : data_(std::move(u)) {}
  Value(None n) : data_(n) {}
  Value(bool b) : data_(b) {}
  Value(std::int64_t i) : data_(i) {}
  Value(double d) : data_(d) {}
  Value(std::string s) : data_(std::move(s)) {}
  Value(const char* s) : data_(std::string(s)) {}
  Value(List l) : data_(std::make_shared<List>(std::move(l))) {}
  Value(Dict d) : data_(std::make_shared<Dict>(std::move(d))) {}
  Value(Function f) : data_(std::make_shared<Function>(std::move(f))) {}
  /// TemplateError for a number that does not fit 64 bits.
  static Value from_json(const base::Json& json);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_integer() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_bool() || is_integer() || is_float(); }
  bool is_text() const { return std::holds_alternative<std::string>(data_); }
  bool is_list() const { return std::holds_alternative<std::shared_ptr<List>>(data_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<Dict>>(data_); }
  bool is_function() const { return std::holds_alternative<std::shared_ptr<Function>>(data_); }

  const Undefined& undefined() const { return std::get<Undefined>(data_); }
  const std::string& text() const { return std::get<std::string>(data_); }
  const List& list() const { return *std::get<std::shared_ptr<List>>(data_); }
  Dict& dict() const { return *std::get<std::shared_ptr<Dict>>(data_); }
  const Function& function() const { return *std::get<std::shared_ptr<Function>>(data_); }
  /// Of a bool or integer (True is 1). TemplateError, naming `what`, for another.
  std::int64_t integer(std::string_view what) const;
  double number() const;  ///< of any number

  bool truth() const;
  std::string type_name() const;  ///< Python's

  /// As {{ }} prints it: str().
  std::string str() const;
  /// As it stands inside a printed list: repr().
  std::string repr() const;

  bool equals(const Value& other) const;
  /// Python's order of numbers, texts and lists; TemplateError for what has none.
  int compare(const Value& other) const;
  /// What a loop over it goes through: items, keys, characters. TemplateError for what cannot be looped over.
  std::vector<Value> iterate() const;
  bool contains(const Value& item) const;  ///< `item in *this`
  std::int64_t length() const;

  /// obj.name and obj[key] as Jinja looks them up; Undefined when there is neither.
  Value attribute(const std::string& name) const;
  Value subscript(const Value& key) const;
  /// obj[start:stop:step]; undefined bounds are open.
  Value slice(const Value& start, const Value& stop, const Value& step) const;

  /// Python's json.dumps(value, ensure_ascii=False, ...).
  std::string to_json(std::optional<std::int64_t> indent, std::string_view item_separator,
                      std::string_view key_separator, bool sort_keys) const;

 private:
  std::variant<Undefined, None, bool, std::int64_t, double, std::string, std::shared_ptr<List>, std::shared_ptr<Dict>,
               std::shared_ptr<Function>>
      data_;
};

/// The method of a text or dict that templates may call, bound to it; nothing when there is none of that name.
std::optional<Value> method_of(const Value& object, const std::string& name);

/// Calls a filter. TemplateError for one that does not exist.
Value call_filter(const std::string& name, const Value& input, const Arguments& arguments);
bool call_test(const std::string& name, const Value& input, const Arguments& arguments);

/// range, namespace, dict, raise_exception, strftime_now. `now`: seconds since 1970.
std::vector<std::pair<std::string, Value>> global_functions(std::int64_t now);

// Texts as Python sees them: by code point.
std::vector<std::string_view> characters(std::string_view text);
std::string_view strip(std::string_view text, std::optional<std::string_view> members, bool left, bool right);

}  // namespace whet::tokenizer::jinja
