#include "text/canonical.h"

#include <cctype>
#include <optional>
#include <vector>

#include "text/latex.h"
#include "text/number.h"
#include "text/units.h"

namespace whet::text {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Without the punctuation of the sentence around it, Markdown emphasis included.
std::string_view without_punctuation(std::string_view text) {
  text = trim(text);
  while (!text.empty() && std::string_view(".,;:!*").find(text.back()) != kNone) {
    text = trim(text.substr(0, text.size() - 1));
  }
  while (text.substr(0, 2) == "**") text = trim(text.substr(2));
  return text;
}

/// Without braces that enclose all of it. One pass finds every brace's partner, because a text may be nothing but
/// braces.
std::string_view without_outer_braces(std::string_view text) {
  if (text.empty() || text.front() != '{' || text.back() != '}') return text;
  std::vector<std::size_t> partner(text.size(), kNone), open;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      open.push_back(i);
    } else if (text[i] == '}' && !open.empty()) {
      partner[open.back()] = i;
      open.pop_back();
    }
  }
  std::size_t begin = 0, end = text.size();
  while (begin < end && partner[begin] == end - 1) {
    ++begin;
    --end;
    while (begin < end && text[begin] == ' ') ++begin;
    while (begin < end && text[end - 1] == ' ') --end;
  }
  return text.substr(begin, end - begin);
}

/// Whether only an exponent or blanks follow, as in "\text{cm}^{2}".
bool is_exponent_or_nothing(std::string_view text) {
  return text.size() <= 8 && text.find_first_not_of(" ^{}23.") == kNone;
}

/// Text boxes: one at the end that holds a unit, or follows a number, is dropped; others become what they hold.
std::string without_text_boxes(std::string_view text) {
  constexpr std::string_view kBox = "\\text";
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const bool is_box = text[i] == '\\' && text.substr(i, kBox.size()) == kBox &&
                        (i + kBox.size() == text.size() || !is_letter(text[i + kBox.size()]));
    if (!is_box) {
      out += text[i++];
      continue;
    }
    i += kBox.size();
    if (i == text.size() || text[i] != '{') continue;
    const std::size_t end = text.find_first_of("{}", i + 1);
    if (end == kNone || text[end] == '{') continue;  // boxes within boxes: the inner one is met next
    const std::string_view inside = text.substr(i + 1, end - i - 1);
    i = end + 1;
    if (is_exponent_or_nothing(text.substr(i)) && !trim(out).empty() &&
        (is_unit_text(trim(inside)) || parse_number(out))) {
      return out;
    }
    out += inside;
  }
  return out;
}

/// "x = 5" without its left side, when that is one letter and there is one equals sign.
std::string_view without_variable(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == kNone || text.find('=', equals + 1) != kNone) return text;
  const std::string_view left = trim(text.substr(0, equals));
  const std::string_view right = trim(text.substr(equals + 1));
  return left.size() == 1 && is_letter(left[0]) && !right.empty() ? right : text;
}

/// The letter of "B", "(B)", "[b]", "B)" as a capital.
std::optional<std::string> choice(std::string_view text) {
  if (!text.empty() && (text.front() == '(' || text.front() == '[')) text = trim(text.substr(1));
  if (!text.empty() && (text.back() == ')' || text.back() == ']')) text = trim(text.substr(0, text.size() - 1));
  if (text.size() != 1 || !is_letter(text[0])) return std::nullopt;
  return std::string(1, static_cast<char>(std::toupper(static_cast<unsigned char>(text[0]))));
}

/// A number, perhaps with units or a percent sign behind it.
std::optional<std::string> number(std::string_view text) {
  if (const auto value = parse_number(text)) return number_text(*value);
  // The first letter that belongs to no command begins the unit.
  std::size_t unit = kNone;
  for (std::size_t i = 0; i < text.size() && unit == kNone; ++i) {
    if (text[i] == '\\') {
      while (i + 1 < text.size() && is_letter(text[i + 1])) ++i;
    } else if (is_letter(text[i]) || text[i] == '%') {
      unit = i;
    }
  }
  if (unit == kNone) return std::nullopt;
  const std::string_view tail = text.substr(unit);
  if (tail != "%" && !is_unit_text(tail)) return std::nullopt;
  if (const auto value = parse_number(text.substr(0, unit))) return number_text(*value);
  return std::nullopt;
}

bool is_words(std::string_view text) {
  for (const char c : text) {
    if (!is_letter(c) && c != ' ' && c != '\'') return false;
  }
  return !text.empty();
}

/// Without blanks, but for those that keep two numbers, or a command and a letter, apart.
std::string without_blanks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_command = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != ' ') {
      in_command = c == '\\' || (in_command && is_letter(c));
      out += c;
      continue;
    }
    if (out.empty() || i + 1 == text.size()) continue;
    if ((is_digit(out.back()) && is_digit(text[i + 1])) || (in_command && is_letter(text[i + 1]))) out += ' ';
    in_command = false;
  }
  return out;
}

std::string canonical_once(std::string_view answer) {
  const std::string plain = plain_latex(answer);
  const std::string unboxed = without_text_boxes(without_outer_braces(without_punctuation(plain)));
  const std::string_view text = without_variable(without_punctuation(unboxed));
  if (const auto letter = choice(text)) return *letter;
  if (auto value = number(text)) return *std::move(value);
  if (is_words(text)) {
    std::string lower(text);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return lower;
  }
  return without_blanks(text);
}

}  // namespace

std::string canonical(std::string_view answer) {
  if (answer.size() > kMaxAnswerBytes) return std::string(trim(answer));
  // Taking one wrapper off can lay another one bare. Four rounds reach the end for everything but nests built on
  // purpose.
  constexpr int kRounds = 4;
  std::string text = canonical_once(answer);
  for (int round = 1; round < kRounds; ++round) {
    std::string next = canonical_once(text);
    if (next == text) break;
    text = std::move(next);
  }
  return text;
}

}  // namespace whet::text
