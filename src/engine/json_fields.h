// The fields of one JSON object from a file, each read with its type and range. Errors name file and field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace whet::engine {

class JsonFields {
 public:
  /// `object` must outlive this. `file` names it in errors. UserError when it is not an object.
  JsonFields(const base::Json& object, std::string file);

  /// nullptr when the field is missing or null.
  const base::Json* find(const char* name) const;
  /// Whether the field stands there, null or not: some defaults differ from what null means.
  bool has(const char* name) const { return object_.contains(name); }

  /// Each throws UserError for a value of another type or outside the range; integer also for a missing one, unless
  /// `missing` says what that means.
  std::int64_t integer(const char* name, std::int64_t low, std::int64_t high,
                       std::optional<std::int64_t> missing = std::nullopt) const;
  double number(const char* name, double low, double high, std::optional<double> missing = std::nullopt) const;
  bool flag(const char* name, bool missing) const;
  /// An id, a list of ids, or nothing.
  std::vector<std::int32_t> token_ids(const char* name, std::int64_t vocab_size) const;

  const base::Json& object() const { return object_; }
  const std::string& file() const { return file_; }

 private:
  std::int64_t checked_integer(const base::Json& value, const char* name, std::int64_t low, std::int64_t high) const;

  const base::Json& object_;
  std::string file_;
};

}  // namespace whet::engine
