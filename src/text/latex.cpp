#include "text/latex.h"

#include <cctype>

namespace whet::text {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

struct Rewrite {
  std::string_view from, to;
};

/// Commands (without the backslash) and what stands in their place.
constexpr Rewrite kCommands[] = {
    {"left", ""},
    {"right", ""},
    {"big", ""},
    {"Big", ""},
    {"bigl", ""},
    {"bigr", ""},
    {"Bigl", ""},
    {"Bigr", ""},
    {"bigg", ""},
    {"Bigg", ""},
    {"displaystyle", ""},
    {"quad", " "},
    {"qquad", " "},
    {"dfrac", "\\frac"},
    {"tfrac", "\\frac"},
    {"cfrac", "\\frac"},
    {"cdot", "*"},
    {"times", "*"},
    {"div", "/"},
    {"degree", ""},
    {"circ", "\xC2\xB0"},
    {"leq", "\\le"},
    {"geq", "\\ge"},
    {"neq", "\\ne"},
    {"lbrace", "\\{"},
    {"rbrace", "\\}"},
    {"text", "\\text"},
    {"textbf", "\\text"},
    {"textit", "\\text"},
    {"textrm", "\\text"},
    {"texttt", "\\text"},
    {"textsf", "\\text"},
    {"mbox", "\\text"},
    {"hbox", "\\text"},
    {"mathrm", "\\text"},
    {"mathbf", "\\text"},
    {"mathit", "\\text"},
    {"mathsf", "\\text"},
    {"mathtt", "\\text"},
    {"boldsymbol", "\\text"},
    {"operatorname", "\\text"},
    {"rm", ""},
    {"bf", ""},
    {"limits", ""},
    {"percent", "%"},
};

/// UTF-8 signs and what stands in their place: minus, dashes, times, division, middle dot, no-break and narrow spaces.
constexpr Rewrite kSigns[] = {
    {"\xE2\x88\x92", "-"}, {"\xE2\x80\x93", "-"}, {"\xC3\x97", "*"},     {"\xC3\xB7", "/"},     {"\xC2\xB7", "*"},
    {"\xC2\xA0", " "},     {"\xE2\x80\xAF", " "}, {"\xE2\x80\x89", " "}, {"\xE2\x8B\x85", "*"}, {"\xCF\x80", "\\pi"},
};

/// One pass over the input: commands, signs and blanks.
std::string rewrite_symbols(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto blank = [&out] {
    if (!out.empty() && out.back() != ' ') out += ' ';
  };
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (is_blank(c) || c == '~') {
      blank();
      ++i;
      continue;
    }
    if (c == '$') {
      ++i;
      continue;
    }
    if (c == '\\' && i + 1 < text.size()) {
      const char next = text[i + 1];
      if (is_letter(next)) {
        std::size_t end = i + 1;
        while (end < text.size() && is_letter(text[end])) ++end;
        const std::string_view name = text.substr(i + 1, end - i - 1);
        bool known = false;
        for (const Rewrite& command : kCommands) {
          if (command.from != name) continue;
          known = true;
          if (command.to == " ") {
            blank();
          } else {
            out += command.to;
          }
          break;
        }
        if (!known) out.append(text.substr(i, end - i));
        i = end;
        // Blanks behind a command only end its name.
        if (i < text.size() && is_blank(text[i])) {
          while (i < text.size() && is_blank(text[i])) ++i;
          if (!known && i < text.size() && is_letter(text[i])) out += ' ';
        }
        continue;
      }
      if (next == '!' || next == ',' || next == ';' || next == ':' || next == '>' || is_blank(next)) {
        // "\," groups digits ("1\,000"); elsewhere these are blanks.
        if (next != '!' && next != ',') blank();
        i += 2;
        continue;
      }
      if (next == '$' || next == '%' || next == '#' || next == '&' || next == '_') {
        if (next != '$') out += next;
        i += 2;
        continue;
      }
      if (next == '(' || next == ')' || next == '[' || next == ']') {  // math delimiters
        i += 2;
        continue;
      }
      out += c;
      out += next;
      i += 2;
      continue;
    }
    bool is_sign = false;
    if (static_cast<unsigned char>(c) >= 0x80) {
      for (const Rewrite& sign : kSigns) {
        if (text.substr(i, sign.from.size()) != sign.from) continue;
        if (sign.to == " ") {
          blank();
        } else {
          out += sign.to;
        }
        i += sign.from.size();
        is_sign = true;
        break;
      }
    }
    if (!is_sign) out += text[i++];
  }
  return out;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (text.find(from) == std::string::npos) return;
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    if (text.compare(i, from.size(), from) == 0) {
      out += to;
      i += from.size();
    } else {
      out += text[i++];
    }
  }
  text = std::move(out);
}

/// Degree signs that stand behind a caret or a digit; elsewhere a \circ is a composition.
std::string without_degrees(std::string_view text) {
  constexpr std::string_view kDegree = "\xC2\xB0";
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i, kDegree.size()) == kDegree) {
      const std::size_t last = out.find_last_not_of(' ');
      if (last != std::string::npos && (out[last] == '^' || std::isdigit(static_cast<unsigned char>(out[last])))) {
        if (out[last] == '^') out.resize(last);
        i += kDegree.size();
        continue;
      }
    }
    out += text[i++];
  }
  return out;
}

/// "\frac12" and "\frac1{23}" get the braces that TeX implies.
std::string brace_fractions(std::string_view text) {
  constexpr std::string_view kFraction = "\\frac";
  std::string out;
  out.reserve(text.size());
  int arguments_due = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i, kFraction.size()) == kFraction) {
      out += kFraction;
      i += kFraction.size();
      arguments_due = 2;
      while (arguments_due > 0 && i < text.size()) {
        if (text[i] == ' ') {
          ++i;
          continue;
        }
        if (!std::isalnum(static_cast<unsigned char>(text[i]))) break;
        out += '{';
        out += text[i++];
        out += '}';
        --arguments_due;
      }
      // The second argument may follow a first one in braces of its own; no nesting is needed to find its begin.
      if (arguments_due == 2 && i < text.size() && text[i] == '{') {
        std::size_t end = i + 1;
        while (end < text.size() && text[end] != '{' && text[end] != '}') ++end;
        if (end + 1 < text.size() && text[end] == '}' && std::isalnum(static_cast<unsigned char>(text[end + 1]))) {
          out.append(text.substr(i, end + 1 - i));
          out += '{';
          out += text[end + 1];
          out += '}';
          i = end + 2;
        }
      }
      continue;
    }
    out += text[i++];
  }
  return out;
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string plain_latex(std::string_view text) {
  std::string out = rewrite_symbols(text);
  replace_all(out, "{,}", ",");
  replace_all(out, "^{\xC2\xB0}", "^\xC2\xB0");
  out = without_degrees(out);
  return std::string(trim(brace_fractions(out)));
}

}  // namespace whet::text
