#include "text/canonical.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <numeric>
#include <optional>
#include <vector>

#include "text/latex.h"
#include "text/units.h"

namespace whet::text {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// Short integers, decimals and fractions of integers, and one capital letter: most answers of most benchmarks, without
/// a parser.
std::optional<Answer> quick(std::string_view text) {
  text = trim(text);
  if (text.empty() || text.size() > 18) return std::nullopt;
  if (text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z') return Answer{AnswerKind::kChoice, std::string(text)};
  const bool is_negative = text[0] == '-';
  std::int64_t digits = 0, below = 1;
  bool after_point = false, has_digit = false;
  for (std::size_t i = is_negative ? 1 : 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_digit(c)) {
      has_digit = true;
      digits = digits * 10 + (c - '0');
      if (after_point) below *= 10;
    } else if (c == '.' && !after_point) {
      after_point = true;
    } else if (c == '/' && has_digit && !after_point) {
      const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + text.size(), below);
      if (error != std::errc{} || end != text.data() + text.size() || below <= 0) return std::nullopt;
      break;
    } else {
      return std::nullopt;
    }
  }
  if (!has_digit) return std::nullopt;
  const std::int64_t divisor = std::gcd(digits, below);
  std::string out = is_negative && digits != 0 ? "-" : "";
  out += std::to_string(digits / divisor);
  if (below != divisor) out += "/" + std::to_string(below / divisor);
  return Answer{AnswerKind::kNumber, std::move(out)};
}

/// Without the punctuation of the sentence around it, Markdown emphasis included.
std::string_view without_punctuation(std::string_view text, std::string_view marks) {
  text = trim(text);
  while (!text.empty() && marks.find(text.back()) != kNone) text = trim(text.substr(0, text.size() - 1));
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

/// The same for text that is still LaTeX: delimiters of mathematics may stand inside the punctuation. An exclamation
/// mark stays, because it is a factorial.
std::string_view without_delimiters(std::string_view text) {
  int boxes_left = 4;  // each costs a pass
  for (;;) {
    const std::size_t before = text.size();
    text = without_punctuation(text, ".,;:*$");
    while (!text.empty() && text.front() == '$') text = trim(text.substr(1));
    for (const std::string_view opening : {"\\(", "\\["}) {
      if (text.substr(0, 2) == opening) text = trim(text.substr(2));
    }
    for (const std::string_view closing : {"\\)", "\\]"}) {
      if (text.size() >= 2 && text.substr(text.size() - 2) == closing) text = trim(text.substr(0, text.size() - 2));
    }
    for (const std::string_view box : {"\\boxed", "\\fbox"}) {
      if (text.substr(0, box.size()) != box || --boxes_left < 0) continue;
      const std::string_view braced = trim(text.substr(box.size()));
      if (const std::string_view inside = without_outer_braces(braced); inside.size() < braced.size()) text = inside;
    }
    if (text.size() == before) return without_outer_braces(text);
  }
}

/// Whether only an exponent or blanks follow, as in "\text{cm}^{2}".
bool is_exponent_or_nothing(std::string_view text) {
  return text.size() <= 8 && text.find_first_not_of(" ^{}23.") == kNone;
}

/// Text boxes: one at the end that holds a unit is dropped; others become what they hold.
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
    if (is_exponent_or_nothing(text.substr(i)) && !trim(out).empty() && is_unit_text(trim(inside), true)) return out;
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

/// The letter of "C. 12 m", "(C) 12 m", "C: twelve", "Option C". What follows must not continue an expression.
std::optional<std::string> choice_with_text(std::string_view text) {
  for (const std::string_view word : {"option ", "choice ", "answer "}) {
    if (text.size() > word.size() && lower_case(text.substr(0, word.size())) == word) {
      text = trim(text.substr(word.size()));
      if (auto letter = choice(text)) return letter;
      break;
    }
  }
  const bool in_brackets = !text.empty() && text[0] == '(';
  if (in_brackets) text.remove_prefix(1);
  if (text.size() < 4 || text[0] < 'A' || text[0] > 'J') return std::nullopt;
  if (in_brackets ? text[1] != ')' : std::string_view(".):").find(text[1]) == kNone) return std::nullopt;
  const bool has_blank = text[2] == ' ';
  if (!has_blank && !(in_brackets && is_digit(text[2]))) return std::nullopt;
  const std::string_view rest = trim(text.substr(2));
  if (rest.empty() || std::string_view("+-*/^=<>,;:|").find(rest[0]) != kNone) return std::nullopt;
  return std::string(1, text[0]);
}

/// "1011_2", "(1011)_{2}", "1011_{two}", "1011 base 2": digits, "_" and the base. The same number in another base is
/// another numeral, because such questions ask for the writing.
std::optional<std::string> numeral(std::string_view text) {
  constexpr std::string_view kWords[] = {"two",   "three", "four", "five",   "six",   "seven",
                                         "eight", "nine",  "ten",  "eleven", "twelve"};
  std::size_t mark = text.find('_');
  std::string_view base;
  if (mark != kNone) {
    base = text.substr(mark + 1);
  } else {
    for (const std::string_view word : {" base ", " in base ", " (base "}) {
      if (const std::size_t at = text.find(word); at != kNone) {
        mark = at;
        base = text.substr(at + word.size());
        break;
      }
    }
    if (mark == kNone) return std::nullopt;
  }
  const auto unwrapped = [](std::string_view part) {
    while (!part.empty() && std::string_view("({ ").find(part.front()) != kNone) part.remove_prefix(1);
    while (!part.empty() && std::string_view(")} ").find(part.back()) != kNone) part.remove_suffix(1);
    return part;
  };
  const std::string_view digits = unwrapped(text.substr(0, mark));
  base = unwrapped(base);
  if (digits.empty() || !is_digit(digits.find_first_of("0123456789") == kNone ? ' ' : '0')) return std::nullopt;
  int radix = 0;
  const auto word = std::find(std::begin(kWords), std::end(kWords), lower_case(base));
  if (word != std::end(kWords)) {
    radix = static_cast<int>(word - std::begin(kWords)) + 2;
  } else {
    const auto [end, error] = std::from_chars(base.data(), base.data() + base.size(), radix);
    if (error != std::errc{} || end != base.data() + base.size()) return std::nullopt;
  }
  if (radix < 2 || radix > 36) return std::nullopt;
  std::string out;
  bool after_point = false;
  for (const char c : digits) {
    const int value = is_digit(c) ? c - '0' : c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
    const bool is_point = c == '.' && !after_point;
    after_point |= is_point;
    if (value >= radix && !is_point) return std::nullopt;
    if (!(out.empty() && c == '0')) out += c;
  }
  return (out.empty() ? "0" : out) + "_{" + std::to_string(radix) + "}";
}

/// "3:30 PM", "3:30 p.m.", "3 pm" as "3:30pm", "3pm".
std::optional<std::string> time_of_day(std::string_view text) {
  if (text.size() > 16 || text.empty() || !is_digit(text[0])) return std::nullopt;
  std::string out;
  for (const char c : lower_case(text)) {
    if (c != ' ' && c != '.') out += c;
  }
  if (out.size() < 3 || out.back() != 'm' || (out[out.size() - 2] != 'a' && out[out.size() - 2] != 'p'))
    return std::nullopt;
  std::string clock = out.substr(0, out.size() - 2);
  if (clock.size() > 3 && clock.substr(clock.size() - 3) == ":00") clock.resize(clock.size() - 3);
  if (clock.find_first_not_of("0123456789:") != std::string::npos) return std::nullopt;
  return clock + out.substr(out.size() - 2);
}

/// Letters and blanks only, and not a product such as "xy".
bool is_words(std::string_view text) {
  for (const char c : text) {
    if (!is_letter(c) && c != ' ' && c != '\'') return false;
  }
  const bool is_product =
      text.size() >= 2 && text.size() <= 4 && text.find_first_not_of("bcdfghjklmnpqrstvwxyz") == kNone;
  return !text.empty() && !is_product;
}

/// Words with the punctuation that may stand inside a phrase.
bool is_phrase(std::string_view text) {
  for (const char c : text) {
    if (!is_letter(c) && static_cast<unsigned char>(c) < 0x80 && std::string_view(" '-.,").find(c) == kNone)
      return false;
  }
  return true;
}

/// "red, blue and green" as its sorted names.
std::optional<Answer> list_of_names(std::string_view text) {
  Answer list{AnswerKind::kList, {}};
  std::string rest = lower_case(text);
  for (std::size_t at; (at = rest.find(" and ")) != std::string::npos;) rest.replace(at, 5, ", ");
  for (std::size_t begin = 0; begin <= rest.size();) {
    const std::size_t end = std::min(rest.find(',', begin), rest.size());
    const std::string_view name = trim(std::string_view(rest).substr(begin, end - begin));
    begin = end + 1;
    if (name.empty()) continue;
    if (std::count(name.begin(), name.end(), ' ') > 2 || list.parts.size() > 64) return std::nullopt;
    list.parts.emplace_back(name);
  }
  if (list.parts.size() < 2) return std::nullopt;
  std::sort(list.parts.begin(), list.parts.end());
  for (const std::string& name : list.parts) list.text += (list.text.empty() ? "" : ", ") + name;
  return list;
}

/// Without blanks, but for those that keep two numbers, two words, or a command and a letter, apart.
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
    const bool parts_numbers = is_digit(out.back()) && is_digit(text[i + 1]);
    if (parts_numbers || ((in_command || is_letter(out.back())) && is_letter(text[i + 1]))) out += ' ';
    in_command = false;
  }
  return out;
}

/// Whether a text holds a word of three letters or more and no command: prose, whose case does not matter.
bool is_prose(std::string_view text) {
  int run = 0, longest = 0;
  for (const char c : text) {
    if (c == '\\') return false;
    run = is_letter(c) ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest >= 3;
}

Answer canonical_once(std::string_view answer) {
  const std::string_view bare = without_delimiters(answer);
  const std::string plain = plain_latex(bare);
  const std::string unboxed = without_text_boxes(without_outer_braces(without_punctuation(plain, ".,;:*")));
  const std::string_view trimmed = without_punctuation(unboxed, ".,;:*");
  const std::string_view text = without_variable(trimmed);
  if (auto letter = choice(text)) return {AnswerKind::kChoice, *std::move(letter)};
  if (auto letter = choice_with_text(text)) return {AnswerKind::kChoice, *std::move(letter)};
  if (auto digits = numeral(text)) return {AnswerKind::kNumeral, *std::move(digits)};
  if (auto time = time_of_day(text)) return {AnswerKind::kWords, *std::move(time)};
  if (is_words(text)) {
    // "A and C" is a list of letters, which the parser knows.
    const auto names = list_of_names(text);
    const auto is_letter = [](const std::string& name) { return name.size() == 1; };
    if (!names) return {AnswerKind::kWords, lower_case(text)};
    if (std::none_of(names->parts.begin(), names->parts.end(), is_letter)) return *names;
  }
  if (const std::string_view called = without_punctuation(text, "!");
      called.size() > 2 && called.size() < text.size() && is_words(called)) {
    return {AnswerKind::kWords, lower_case(called)};
  }
  bool too_hard = false;
  if (auto parsed = parse_answer(bare)) {
    if (!parsed->too_hard) return *std::move(parsed);
    too_hard = true;
  }
  const std::string_view phrase = without_punctuation(text, ".,;:!*");
  if (is_phrase(phrase)) {
    return list_of_names(phrase).value_or(Answer{AnswerKind::kWords, lower_case(phrase)});
  }
  std::string rest = without_blanks(phrase);
  return {AnswerKind::kText, is_prose(phrase) ? lower_case(rest) : std::move(rest), {}, too_hard};
}

}  // namespace

Answer canonical_answer(std::string_view answer) {
  if (auto number = quick(answer)) return *std::move(number);
  if (answer.size() > kMaxAnswerBytes) return {AnswerKind::kText, std::string(trim(answer)), {}, true};
  // Taking one wrapper off can lay another one bare. Four rounds reach the end for everything but nests built on
  // purpose.
  constexpr int kRounds = 4;
  Answer found = canonical_once(answer);
  if (found.kind == AnswerKind::kNumber) return found;
  for (int round = 1; round < kRounds; ++round) {
    Answer next = canonical_once(found.text);
    next.too_hard |= found.too_hard;
    if (next.text == found.text) break;
    found = std::move(next);
  }
  return found;
}

}  // namespace whet::text
