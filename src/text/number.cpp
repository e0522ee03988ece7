#include "text/number.h"

#include <algorithm>

#include "text/expression.h"
#include "text/latex.h"

namespace whet::text {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t digits_end(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

/// "12,345,678.9" or "12 345 678" with its separators removed, when all of it is such a number; nullopt otherwise. A
/// comma that is not followed by exactly three digits separates two numbers and not thousands.
std::optional<std::string> without_thousands(std::string_view text) {
  std::size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  std::string out(text.substr(0, at));
  std::size_t end = digits_end(text, at);
  if (end == at || end - at > 3 || end == text.size()) return std::nullopt;
  const char separator = text[end];
  if (separator != ',' && separator != ' ') return std::nullopt;
  // "0,123" is a pair or a decimal comma, never a thousand.
  if (text[at] == '0') return std::nullopt;
  out += text.substr(at, end - at);
  while (end < text.size() && text[end] == separator) {
    at = end + 1;
    end = digits_end(text, at);
    if (end - at != 3) return std::nullopt;
    out += text.substr(at, 3);
  }
  if (end < text.size() && text[end] == '.') {
    at = end;
    end = digits_end(text, at + 1);
    out += text.substr(at, end - at);
  }
  if (end != text.size()) return std::nullopt;
  return out;
}

/// LaTeX's braces and fractions as the brackets and slashes of text/expression.h. A whole number directly before a
/// fraction is the whole part of a mixed number. nullopt when a command other than \frac occurs.
std::optional<std::string> as_expression(std::string_view text) {
  std::string out;
  // What each open brace is: ')' a group, '/' a numerator, 'd' a denominator; 'M' and 'm' those of a mixed number.
  std::string closers;
  std::size_t whole_begin = std::string::npos;  // where a number in `out` began that may become a whole part
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      if (text.substr(i, 6) != "\\frac{") return std::nullopt;
      const bool is_mixed = whole_begin != std::string::npos;
      if (is_mixed) {
        out.insert(whole_begin, "(");
        out += '+';
      }
      whole_begin = std::string::npos;
      out += "((";
      closers += is_mixed ? 'M' : '/';
      i += 5;
    } else if (c == '{') {
      out += '(';
      closers += ')';
      whole_begin = std::string::npos;
    } else if (c == '}') {
      if (closers.empty()) return std::nullopt;
      const char closer = closers.back();
      closers.pop_back();
      whole_begin = std::string::npos;
      if (closer == '/' || closer == 'M') {
        std::size_t next = i + 1;
        while (next < text.size() && text[next] == ' ') ++next;
        if (next == text.size() || text[next] != '{') return std::nullopt;
        out += ")/(";
        closers += closer == 'M' ? 'm' : 'd';
        i = next;
      } else {
        out += closer == ')' ? ")" : closer == 'd' ? "))" : ")))";
      }
    } else {
      const bool continues = whole_begin != std::string::npos && (is_digit(c) || c == ' ');
      if (is_digit(c)) {
        const char before = out.empty() ? '(' : out.back();
        // A digit that follows '.', '^' or a letter does not begin a whole part.
        if (!continues && !is_digit(before) && before != '.' && before != '^') whole_begin = out.size();
      } else if (!continues) {
        whole_begin = std::string::npos;
      }
      out += c;
    }
    if (out.size() > kMaxExpressionBytes) return std::nullopt;
  }
  if (!closers.empty()) return std::nullopt;
  return out;
}

/// "1 1/2" as "(1+1/2)", with its sign outside; other texts as they are.
std::string with_mixed_number(std::string_view text) {
  const std::size_t begin = !text.empty() && text[0] == '-' ? 1 : 0;
  const std::size_t whole = digits_end(text, begin);
  if (whole == begin || whole >= text.size() || text[whole] != ' ') return std::string(text);
  const std::size_t numerator = digits_end(text, whole + 1);
  if (numerator == whole + 1 || numerator >= text.size() || text[numerator] != '/') return std::string(text);
  const std::size_t denominator = digits_end(text, numerator + 1);
  if (denominator == numerator + 1 || denominator != text.size()) return std::string(text);
  std::string out(text.substr(0, begin));
  out += '(';
  out += text.substr(begin, whole - begin);
  out += '+';
  out += text.substr(whole + 1);
  return out + ')';
}

}  // namespace

std::optional<mpq_class> parse_number(std::string_view plain) {
  plain = trim(plain);
  if (plain.empty() || plain.size() > kMaxExpressionBytes) return std::nullopt;
  std::string text;
  if (const auto joined = without_thousands(plain)) {
    text = *joined;
  } else if (const auto translated = as_expression(with_mixed_number(plain))) {
    text = *translated;
  } else {
    return std::nullopt;
  }
  const auto expression = parse_expression(text);
  if (!expression) return std::nullopt;
  return evaluate(*expression);
}

std::string number_text(const mpq_class& value) { return value.get_str(); }

}  // namespace whet::text
