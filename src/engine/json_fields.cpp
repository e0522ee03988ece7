#include "engine/json_fields.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace whet::engine {

using base::Json;
using base::user_error;

JsonFields::JsonFields(const Json& object, std::string file) : object_(object), file_(std::move(file)) {
  if (!object_.is_object()) user_error(file_, "not a JSON object");
}

const Json* JsonFields::find(const char* name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::int64_t JsonFields::integer(const char* name, std::int64_t low, std::int64_t high,
                                 std::optional<std::int64_t> missing) const {
  const Json* value = find(name);
  if (value == nullptr) {
    if (!missing) user_error(file_, "{} is missing, want a whole number {}..{}", name, low, high);
    return *missing;
  }
  return checked_integer(*value, name, low, high);
}

double JsonFields::number(const char* name, double low, double high, std::optional<double> missing) const {
  const Json* value = find(name);
  if (value == nullptr) {
    if (!missing) user_error(file_, "{} is missing, want a number {}..{}", name, low, high);
    return *missing;
  }
  const double result = value->is_number() ? value->get<double>() : std::nan("");
  if (!(result >= low && result <= high)) {
    user_error(file_, "{} = {}, want a number {}..{}", name, base::to_json_line(*value), low, high);
  }
  return result;
}

bool JsonFields::flag(const char* name, bool missing) const {
  const Json* value = find(name);
  if (value == nullptr) return missing;
  if (!value->is_boolean()) user_error(file_, "{} = {}, want true or false", name, base::to_json_line(*value));
  return value->get<bool>();
}

std::vector<std::int32_t> JsonFields::token_ids(const char* name, std::int64_t vocab_size) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  std::vector<std::int32_t> ids;
  if (!value->is_array()) return {static_cast<std::int32_t>(checked_integer(*value, name, 0, vocab_size - 1))};
  for (const Json& id : *value) {
    ids.push_back(static_cast<std::int32_t>(checked_integer(id, name, 0, vocab_size - 1)));
  }
  return ids;
}

std::int64_t JsonFields::checked_integer(const Json& value, const char* name, std::int64_t low,
                                         std::int64_t high) const {
  // A number past 2^63 is stored unsigned and would wrap.
  const bool fits =
      value.is_number_integer() &&
      !(value.is_number_unsigned() &&
        value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (!fits || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
    user_error(file_, "{} = {}, want a whole number {}..{}", name, base::to_json_line(value), low, high);
  }
  return value.get<std::int64_t>();
}

}  // namespace whet::engine
