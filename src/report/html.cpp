#include "report/html.h"

#include <fmt/format.h>

#include <cmath>

namespace whet::report {
namespace {

constexpr const char* kDash = "\u2013";

/// A number with a true minus sign.
std::string with_minus(std::string text) {
  if (!text.empty() && text[0] == '-') text.replace(0, 1, "\u2212");
  return text;
}

}  // namespace

std::string html_escape(std::string_view text) {
  // The JSON writer replaces bytes that are not UTF-8; its reader gives the clean text back.
  const std::string clean =
      base::Json::parse(base::Json(text).dump(-1, ' ', false, base::Json::error_handler_t::replace)).get<std::string>();
  std::string out;
  out.reserve(clean.size());
  for (const char c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if (byte == 0x7f) {
      out += "\u2421";
    } else if (byte < 0x20 && c != '\n' && c != '\t') {
      out += {'\xe2', '\x90', static_cast<char>(0x80 + byte)};
    } else {
      out += c;
    }
  }
  return out;
}

std::string script_json(const base::Json& value) {
  std::string out;
  for (const char c : base::to_json_line(value)) {
    // "<" in JSON stands only inside strings, where its escape means the same.
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string percent(std::optional<double> share) {
  if (!share || !std::isfinite(*share)) return kDash;
  return with_minus(fmt::format("{:.1f}\u00a0%", 100 * *share));
}

std::string number(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return kDash;
  return with_minus(fmt::format("{:.3g}", *value));
}

}  // namespace whet::report
