#include "text/units.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string>

namespace whet::text {
namespace {

// In lower case; a plural with "s" need not be listed.
constexpr std::string_view kUnits[] = {
    "cm",         "mm",         "km",         "dm",        "nm",        "ft",      "in",     "inch",       "inches",
    "foot",       "feet",       "yard",       "yd",        "mile",      "mi",      "meter",  "metre",      "centimeter",
    "centimetre", "millimeter", "millimetre", "kilometer", "kilometre", "second",  "sec",    "minute",     "min",
    "hour",       "hr",         "day",        "week",      "month",     "year",    "mph",    "kph",        "kg",
    "mg",         "gram",       "kilogram",   "lb",        "pound",     "ounce",   "oz",     "ton",        "liter",
    "litre",      "ml",         "gallon",     "quart",     "pint",      "cup",     "dollar", "cent",       "usd",
    "euro",       "degree",     "deg",        "radian",    "rad",       "percent", "pct",    "percentage", "unit",
    "square",     "cubic",      "sq",         "cu",        "per",       "point",   "people", "person",     "way",
    "time",       "student",    "coin",       "piece",     "page",      "number",  "hertz",  "hz",
};

/// Symbols of units that are words of their own only in a text box.
constexpr std::string_view kSymbols[] = {"m", "s", "g", "h", "l",  "L",   "N",  "J",  "W",   "V",   "A",  "K",
                                         "C", "F", "B", "d", "Pa", "kPa", "kJ", "kW", "MHz", "mol", "ms", "kN"};

bool is_unit(std::string_view word, bool in_text_box) {
  if (in_text_box && std::find(std::begin(kSymbols), std::end(kSymbols), word) != std::end(kSymbols)) return true;
  std::string lower(word);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto listed = [](std::string_view name) {
    return std::find(std::begin(kUnits), std::end(kUnits), name) != std::end(kUnits);
  };
  return listed(lower) ||
         (lower.size() > 2 && lower.back() == 's' && listed(std::string_view(lower).substr(0, lower.size() - 1)));
}

}  // namespace

bool is_unit_text(std::string_view text, bool in_text_box) {
  constexpr std::size_t kLongest = 64;
  if (text.size() > kLongest) return false;
  bool has_unit = false;
  for (std::size_t i = 0; i < text.size();) {
    if (std::isalpha(static_cast<unsigned char>(text[i]))) {
      std::size_t end = i;
      while (end < text.size() && std::isalpha(static_cast<unsigned char>(text[end]))) ++end;
      if (!is_unit(text.substr(i, end - i), in_text_box)) return false;
      has_unit = true;
      i = end;
    } else if (text[i] == '2' || text[i] == '3') {  // an exponent, and no further number ("5 ft 3 in")
      if (i == 0 || !(std::isalpha(static_cast<unsigned char>(text[i - 1])) || text[i - 1] == '^' ||
                      text[i - 1] == '{' || text[i - 1] == '-')) {
        return false;
      }
      ++i;
    } else if (std::string_view(" ./^{}-%").find(text[i]) != std::string_view::npos) {
      ++i;
    } else {
      return false;
    }
  }
  return has_unit;
}

}  // namespace whet::text
