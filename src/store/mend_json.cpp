#include "store/mend_json.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

namespace whet::store {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// The length of the well-formed UTF-8 sequence at `at`, or 0 (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto within = [&](std::size_t i, unsigned low, unsigned high) {
    return at + i < text.size() && static_cast<unsigned char>(text[at + i]) >= low &&
           static_cast<unsigned char>(text[at + i]) <= high;
  };
  const auto follows = [&](std::size_t i) { return within(i, 0x80, 0xBF); };
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return 1;
  if (within(0, 0xC2, 0xDF)) return follows(1) ? 2 : 0;
  if (within(0, 0xE0, 0xEF)) {
    // No overlong forms, no surrogates.
    return within(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) && follows(2) ? 3 : 0;
  }
  if (within(0, 0xF0, 0xF4)) {
    return within(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

/// The code unit of an escape `\uXXXX` at `at`.
std::optional<unsigned> escaped_unit(std::string_view text, std::size_t at) {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return std::nullopt;
  unsigned unit = 0;
  const char* end = text.data() + at + 6;
  const auto [stop, error] = std::from_chars(text.data() + at + 2, end, unit, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return unit;
}

bool is_high(unsigned unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool is_low(unsigned unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

/// Whether a strict parser with 64-bit integers and doubles can hold the number.
bool fits(std::string_view number) {
  const char* end = number.data() + number.size();
  if (number.find_first_of(".eE") == std::string_view::npos) {
    std::int64_t whole = 0;
    return std::from_chars(number.data(), end, whole).ec != std::errc::result_out_of_range;
  }
  double value = 0;
  return std::from_chars(number.data(), end, value).ec != std::errc::result_out_of_range;
}

}  // namespace

std::string mend_json(std::string_view line) {
  std::string mended;
  mended.reserve(line.size() + 16);
  bool in_string = false;
  for (std::size_t i = 0; i < line.size();) {
    const char c = line[i];
    if (in_string) {
      if (c == '\\') {
        const auto unit = escaped_unit(line, i);
        if (!unit || (!is_high(*unit) && !is_low(*unit))) {
          mended += line.substr(i, 2);
          i += 2;
          continue;
        }
        const auto next = escaped_unit(line, i + 6);
        const bool is_pair = is_high(*unit) && next && is_low(*next);
        mended += is_pair ? line.substr(i, 12) : kReplacement;
        i += is_pair ? 12 : 6;
        continue;
      }
      if (c == '"') in_string = false;
      const std::size_t length = utf8_length(line, i);
      mended += length == 0 ? kReplacement : line.substr(i, length);
      i += length == 0 ? 1 : length;
      continue;
    }
    const std::string_view rest = line.substr(i);
    bool is_word = false;
    for (const std::string_view word : {"NaN", "Infinity", "-Infinity"}) {
      if (rest.substr(0, word.size()) != word) continue;
      mended += "null";
      i += word.size();
      is_word = true;
      break;
    }
    if (is_word) continue;
    if (c == '-' || (c >= '0' && c <= '9')) {
      const std::size_t length = std::min(rest.find_first_not_of("+-0123456789.eE"), rest.size());
      const std::string_view number = rest.substr(0, length);
      const bool is_text = !fits(number);
      if (is_text) mended += '"';
      mended += number;
      if (is_text) mended += '"';
      i += length;
      continue;
    }
    if (c == '"') in_string = true;
    mended += c;
    ++i;
  }
  return mended;
}

}  // namespace whet::store
