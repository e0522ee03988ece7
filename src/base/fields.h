// Options listed once. A struct of options names its fields in one function,
//
//   template <class Visitor> void visit_fields(TrainOptions& o, Visitor&& visit) {
//     visit(o.steps, "steps", "policy updates to make", at_least(1));
//     visit(o.reward, "reward", "what the policy is paid for");
//   }
//
// and from it come the command line and its help, the config file, the manifest, and their checks.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace whet::base {

/// What values a field may take. Numbers are checked against the bounds, texts against the choices (if any).
struct Allowed {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;  ///< the bound itself is not allowed
  std::vector<std::string> choices = {};
};

inline Allowed anything() { return {}; }
inline Allowed at_least(double low) { return {.low = low}; }
/// A number of things: as at_least, and small enough for an int, which is what many of them become.
inline Allowed count_from(double low) { return {.low = low, .high = std::numeric_limits<int>::max()}; }
inline Allowed above(double low) { return {.low = low, .low_open = true}; }
inline Allowed within(double low, double high) { return {.low = low, .high = high}; }
inline Allowed one_of(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }

/// UserError "[--name] value, want ..." when a value is not allowed.
template <class T>
void check_allowed(const T& value, std::string_view name, const Allowed& allowed) {
  if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    const auto number = static_cast<double>(value);
    const bool low_ok = allowed.low_open ? number > allowed.low : number >= allowed.low;
    if (!std::isfinite(number) || !low_ok || number > allowed.high) {
      const bool is_count = allowed.high == std::numeric_limits<int>::max();
      if (low_ok && is_count) user_error(name, "{}, want at most {}", value, allowed.high);
      if (std::isfinite(allowed.high) && !is_count) {
        user_error(name, "{}, want {} {}..{}", value, allowed.low_open ? "above" : "within", allowed.low, allowed.high);
      }
      if (low_ok) user_error(name, "{}, want a finite number", value);
      user_error(name, "{}, want {} {}", value, allowed.low_open ? ">" : ">=", allowed.low);
    }
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (allowed.choices.empty()) return;
    for (const std::string& choice : allowed.choices) {
      if (choice == value) return;
    }
    user_error(name, "'{}', want one of: {}", value, fmt::join(allowed.choices, ", "));
  }
}

/// The fields of `options` as a JSON object, in their order.
template <class Options>
Json fields_to_json(const Options& options) {
  Json object = Json::object();
  visit_fields(const_cast<Options&>(options),
               [&](const auto& value, const char* name, const char*, const Allowed& = {}) { object[name] = value; });
  return object;
}

/// Sets the fields that `object` names and checks them. UserError for an unknown key (lists the known ones),
/// a value of the wrong type, or one that is not allowed.
template <class Options>
void fields_from_json(Options& options, const Json& object, std::string_view where) {
  std::vector<std::string> known;
  visit_fields(options, [&](auto& value, const char* name, const char*, const Allowed& allowed = {}) {
    known.emplace_back(name);
    const auto found = object.find(name);
    if (found == object.end()) return;
    using T = std::remove_cvref_t<decltype(value)>;
    const bool fits = std::is_same_v<T, bool>          ? found->is_boolean()
                      : std::is_integral_v<T>          ? found->is_number_integer()
                      : std::is_floating_point_v<T>    ? found->is_number()
                      : std::is_same_v<T, std::string> ? found->is_string()
                                                       : found->is_array();
    if (!fits) user_error(where, "{} = {}, want another type", name, to_json_line(*found));
    value = found->template get<T>();
    check_allowed(value, name, allowed);
  });
  for (const auto& [key, value] : object.items()) {
    bool is_known = false;
    for (const std::string& name : known) is_known = is_known || name == key;
    if (!is_known) user_error(where, "unknown field '{}', want one of: {}", key, fmt::join(known, ", "));
  }
}

}  // namespace whet::base
