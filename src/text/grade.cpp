#include "text/grade.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <utility>

#include "text/canonical.h"
#include "text/extract.h"
#include "text/latex.h"

namespace whet::text {
namespace {

std::string_view noun(AnswerKind kind) {
  switch (kind) {
    case AnswerKind::kNumber:
      return "number";
    case AnswerKind::kExpression:
      return "expression";
    case AnswerKind::kList:
      return "list";
    case AnswerKind::kTuple:
      return "tuple";
    case AnswerKind::kInterval:
      return "interval";
    case AnswerKind::kMatrix:
      return "matrix";
    case AnswerKind::kEquation:
      return "equation";
    case AnswerKind::kInequality:
      return "inequality";
    case AnswerKind::kChoice:
      return "letter";
    case AnswerKind::kWords:
      return "word";
    case AnswerKind::kNumeral:
      return "numeral";
    case AnswerKind::kText:
      return "text";
  }
  return "text";
}

std::string plural(AnswerKind kind) {
  if (kind == AnswerKind::kMatrix) return "matrices";
  if (kind == AnswerKind::kInequality) return "inequalities";
  return std::string(noun(kind)) + "s";
}

/// An answer as it is shown: not whole when long, and never cut inside a character of UTF-8.
std::string shown(const std::string& text) {
  constexpr std::size_t kLongest = 60;
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

/// In how many elements two lists differ: those of the longer one that find no partner.
std::size_t unmatched(const Answer& a, const Answer& b) {
  if (a.kind != AnswerKind::kList) {
    std::size_t same = 0;
    for (std::size_t i = 0; i < std::min(a.parts.size(), b.parts.size()); ++i) same += a.parts[i] == b.parts[i];
    return std::max(a.parts.size(), b.parts.size()) - same;
  }
  std::vector<std::string> left = a.parts, right = b.parts, common;
  std::sort(left.begin(), left.end());
  std::sort(right.begin(), right.end());
  std::set_intersection(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(common));
  return std::max(left.size(), right.size()) - common.size();
}

/// Where a text has words outside its formulas, and its last formula.
struct Prose {
  bool has_words = false;
  std::string_view formula;
};

/// Words of three letters and more count, "and" apart. Nothing for a text whose last "$" opens what nothing closes.
Prose prose_of(std::string_view text) {
  Prose prose;
  std::size_t word = 0;
  const auto end_word = [&](std::size_t end) {
    if (word >= 3 && text.substr(end - word, word) != "and") prose.has_words = true;
    word = 0;
  };
  for (std::size_t i = 0; i < text.size();) {
    std::string_view closing;
    for (const auto& [open, close] : {std::pair{"$$", "$$"}, {"$", "$"}, {"\\[", "\\]"}, {"\\(", "\\)"}}) {
      if (text.substr(i, std::string_view(open).size()) == open) {
        closing = close;
        break;
      }
    }
    if (!closing.empty()) {
      end_word(i);
      const std::size_t begin = i + closing.size(), end = text.find(closing, begin);
      if (end == std::string_view::npos) return {};
      if (const std::string_view inside = trim(text.substr(begin, end - begin)); !inside.empty())
        prose.formula = inside;
      i = end + closing.size();
    } else if ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z')) {
      ++word;
      ++i;
    } else {
      end_word(i);
      if (text[i] == '\\') {  // a command is no word
        ++i;
        while (i < text.size() && ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z'))) ++i;
        if (i < text.size() && text[i - 1] == '\\') ++i;
      } else {
        ++i;
      }
    }
  }
  end_word(text.size());
  return prose;
}

/// The answer in a sentence: "the largest $n$ is 34" says 34, "therefore $x \\geq 5$ is the solution" the formula. What
/// is not a sentence stays whole.
std::string_view stated(std::string_view text) {
  const Prose prose = prose_of(text);
  if (!prose.has_words) return text;
  const AnswerKind kind = canonical_answer(text).kind;  // "C. The mass is 12 kg" and "12 apples" are understood
  if (kind != AnswerKind::kText && kind != AnswerKind::kWords) return text;
  constexpr std::string_view kIs = " is ";
  if (const std::size_t at = text.rfind(kIs); at != std::string_view::npos) {
    const std::string_view tail = trim(text.substr(at + kIs.size()));
    const bool is_short = tail.size() <= 64 && tail.find_first_of("0123456789\\") != std::string_view::npos;
    if (is_short && !prose_of(tail).has_words) return tail;
  }
  return prose.formula.empty() ? text : prose.formula;
}

/// A text that was escaped once too often on its way ("\\frac{1}{2}"): every backslash is doubled, or was a line's end.
bool is_escaped_twice(std::string_view text) {
  bool has_command = false;
  for (std::size_t i = text.find('\\'); i < text.size(); i = text.find('\\', i + 2)) {
    if (i + 1 == text.size()) return false;
    const bool is_letter_behind = i + 2 < text.size() && std::isalpha(static_cast<unsigned char>(text[i + 2])) != 0;
    if (text[i + 1] == '\\') {
      has_command |= is_letter_behind;
    } else if (text[i + 1] != 'n' || (is_letter_behind && std::islower(static_cast<unsigned char>(text[i + 2])) != 0)) {
      return false;
    }
  }
  return has_command;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_line_end = text[i] == '\\' && i + 1 < text.size() && text[i + 1] == 'n';
    out += is_line_end ? '\n' : text[i];
    i += text[i] == '\\';
  }
  return out;
}

}  // namespace

std::string answer_in_text(std::string_view text) {
  if (is_escaped_twice(text)) return answer_in_text(unescaped(text));
  return std::string(trim(stated(find_answer(text).value_or(text))));
}

Verdict grade(std::string_view answer, std::string_view reference) {
  const std::string left = answer_in_text(answer), right = answer_in_text(reference);
  if (left.empty() || right.empty()) {
    return {false, fmt::format("no-answer: the {} is empty", left.empty() ? "answer" : "reference")};
  }
  const Answer a = canonical_answer(left), b = canonical_answer(right);
  if (left == right) return {true, fmt::format("same-text: {}", shown(left))};
  if (a.text == b.text) return {true, fmt::format("equal: {} {}", noun(b.kind), shown(b.text))};
  if (a.too_hard || b.too_hard) {
    return {false, fmt::format("too-hard: {} is beyond the bounds of the algebra, and they are not written alike",
                               shown(a.too_hard ? a.text : b.text))};
  }
  if (a.kind == AnswerKind::kText || b.kind == AnswerKind::kText) {
    const Answer& unknown = a.kind == AnswerKind::kText ? a : b;
    return {false,
            fmt::format("different-text: {} is not parsed, and they are not written alike", shown(unknown.text))};
  }
  const auto is_quantity = [](AnswerKind kind) {
    return kind == AnswerKind::kNumber || kind == AnswerKind::kExpression;
  };
  if (a.kind != b.kind && !(is_quantity(a.kind) && is_quantity(b.kind))) {
    return {false,
            fmt::format("different-kind: {} {} and {} {}", noun(a.kind), shown(a.text), noun(b.kind), shown(b.text))};
  }
  if (!a.parts.empty() && !b.parts.empty()) {
    const std::size_t count = unmatched(a, b);
    if (count > 0) {
      return {false, fmt::format("different-elements: {} differ in {} element{}", plural(a.kind), count,
                                 count == 1 ? "" : "s")};
    }
    return {false, fmt::format("different-elements: {} with the same elements, {} and {}", plural(a.kind),
                               shown(a.text), shown(b.text))};
  }
  const AnswerKind kind = is_quantity(a.kind) ? std::max(a.kind, b.kind) : a.kind;
  return {false, fmt::format("different-value: {} {} and {}", plural(kind), shown(a.text), shown(b.text))};
}

}  // namespace whet::text
