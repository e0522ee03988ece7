#include "tokenizer/regex.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer {
namespace {

const CodePointSet kNewline = CodePointSet::one('\n');

bool is_ascii_letter(std::uint32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// What an ASCII set matches without regard to case. Two letters have a third form outside ASCII.
CodePointSet both_cases(const CodePointSet& set) {
  std::vector<CodePointSet::Range> ranges = set.ranges();
  for (std::uint32_t c = 'A'; c <= 'z'; ++c) {
    if (!is_ascii_letter(c) || !set.contains(c)) continue;
    ranges.emplace_back(c ^ 32, c ^ 32);
    if ((c | 32) == 's') ranges.emplace_back(0x17F, 0x17F);
    if ((c | 32) == 'k') ranges.emplace_back(0x212A, 0x212A);
  }
  return CodePointSet(std::move(ranges));
}

class Parser {
 public:
  Parser(std::string_view regex, std::string_view where) : regex_(regex), where_(where) {}

  Regex run() {
    if (valid_utf8_prefix(regex_) != regex_.size()) base::user_error(where_, "pattern '{}' is not UTF-8", regex_);
    groups_.push_back({});
    while (at_ < regex_.size()) step();
    if (groups_.size() > 1) refuse("'(' without ')'");
    end_group();
    return std::move(out_);
  }

 private:
  /// What ends with the group's ')'.
  struct Group {
    bool ignores_case = false;  ///< outside of it
    std::size_t opened = 0;     ///< groups that an option in it has opened
  };

  [[noreturn]] void refuse(std::string_view what) const {
    base::user_error(where_, "pattern '{}': {} is not supported", regex_, what);
  }

  bool at(std::string_view text) const { return regex_.substr(at_).starts_with(text); }

  bool take(std::string_view text) {
    if (!at(text)) return false;
    at_ += text.size();
    return true;
  }

  std::uint32_t take_character() {
    const Utf8Char c = first_utf8(regex_.substr(at_));
    if (c.length == 0) refuse("an end in the middle");
    at_ += c.length;
    return c.code;
  }

  void step() {
    const bool follows_literal = is_after_literal_;
    is_after_literal_ = false;
    if (repeat()) return;
    can_repeat_ = true;
    if (take("(")) return open_group();
    if (take(")")) return close_group();
    if (take("|")) return bare("|");
    if (take("^")) return line_begin();
    if (take("$")) return line_end();
    if (take(".")) return out_.add_set(kNewline.complement());
    if (take("[")) return out_.add_set(char_class());
    if (take("\\")) {
      if (std::optional<CodePointSet> set = set_escape()) {
        if (ignores_case_) refuse("a set without regard to case");
        return out_.add_set(*set);
      }
      if (anchor_escape()) return;
      return literal(character_escape(), follows_literal);
    }
    literal(take_character(), follows_literal);
  }

  void bare(std::string_view syntax) {
    out_.add_syntax(syntax);
    can_repeat_ = false;
  }

  void literal(std::uint32_t code, bool follows_literal) {
    CodePointSet set = CodePointSet::one(code);
    if (ignores_case_) {
      if (code > 0x7F) refuse("a character outside ASCII without regard to case");
      // "ss" is also U+00DF, and the others are ligatures.
      const auto lower = static_cast<char>(is_ascii_letter(code) ? code | 32 : code);
      if (follows_literal) {
        for (const std::string_view pair : {"ss", "st", "ff", "fi", "fl"}) {
          if (pair[0] == last_letter_ && pair[1] == lower) refuse(fmt::format("'{}' without regard to case", pair));
        }
      }
      last_letter_ = lower;
      set = both_cases(set);
    }
    is_after_literal_ = true;
    out_.add_set(set);
  }

  void open_group() {
    groups_.push_back({ignores_case_, 0});
    if (!take("?")) return bare("(?:");  // without references back, what a group captures does not matter
    for (const std::string_view same : {":", "=", "!", "<=", "<!", ">"}) {
      if (!take(same)) continue;
      return bare(fmt::format("(?{}", same));
    }
    if (take("i:")) {
      ignores_case_ = true;
      return bare("(?:");
    }
    if (take("i)")) {
      // It holds to the end of the group around it, alternatives included.
      groups_.pop_back();
      ++groups_.back().opened;
      ignores_case_ = true;
      return bare("(?:");
    }
    refuse(fmt::format("(?{}", regex_.substr(at_, 2)));
  }

  void end_group() {
    for (std::size_t i = 0; i < groups_.back().opened; ++i) out_.add_syntax(")");
  }

  void close_group() {
    if (groups_.size() == 1) refuse("')' without '('");
    end_group();
    ignores_case_ = groups_.back().ignores_case;
    groups_.pop_back();
    out_.add_syntax(")");
  }

  void line_begin() {
    out_.add_syntax("(?:\\A|(?<=");
    out_.add_set(kNewline);
    bare(")(?!\\z))");
  }

  void line_end() {
    out_.add_syntax("(?:(?=");
    out_.add_set(kNewline);
    out_.add_syntax(")|\\z(?<!");
    out_.add_set(kNewline);
    bare("))");
  }

  void word_border(bool is_border) {
    const CodePointSet word = word_set();
    out_.add_syntax("(?:(?<=");
    out_.add_set(word);
    out_.add_syntax(is_border ? ")(?!" : ")(?=");
    out_.add_set(word);
    out_.add_syntax(")|(?<!");
    out_.add_set(word);
    out_.add_syntax(is_border ? ")(?=" : ")(?!");
    out_.add_set(word);
    bare("))");
  }

  /// *, +, ?, {n,m} with what may follow them; false when no repeat stands here.
  bool repeat() {
    std::string syntax;
    if (at("*") || at("+") || at("?")) {
      syntax = regex_[at_++];
      if (at("?") || at("+")) syntax += regex_[at_++];
    } else if (std::optional<std::string> interval = take_interval()) {
      syntax = *interval;
      // x{2}? and x{1,2}+ are repeats of a repeat to Oniguruma.
      const bool is_exact = syntax.find(',') == std::string::npos;
      if (at("+") || (is_exact && at("?"))) refuse(fmt::format("'{}{}'", syntax, regex_[at_]));
      if (take("?")) syntax += '?';
    } else {
      return false;
    }
    if (!can_repeat_) refuse(fmt::format("'{}' of nothing that can repeat", syntax));
    out_.add_syntax(syntax);
    can_repeat_ = false;
    return true;
  }

  /// "{2,5}", with the 0 that "{,5}" leaves out. A brace that begins none is a character.
  std::optional<std::string> take_interval() {
    if (!at("{")) return std::nullopt;
    const std::size_t close = regex_.find('}', at_);
    if (close == std::string_view::npos) return std::nullopt;
    std::string_view inside = regex_.substr(at_ + 1, close - at_ - 1);
    const std::size_t comma = inside.find(',');
    const std::string_view low = inside.substr(0, comma);
    const std::string_view high = comma == std::string_view::npos ? low : inside.substr(comma + 1);
    const auto is_number = [](std::string_view s) {
      return s.find_first_not_of("0123456789") == std::string_view::npos;
    };
    if (!is_number(low) || !is_number(high) || (low.empty() && high.empty())) return std::nullopt;
    if (low.size() > 4 || high.size() > 4) refuse("a repeat of more than 9999");
    const int least = low.empty() ? 0 : std::stoi(std::string(low));
    if (!high.empty() && std::stoi(std::string(high)) < least) refuse("a repeat whose first number is the larger");
    at_ = close + 1;
    return comma == std::string_view::npos ? fmt::format("{{{}}}", least) : fmt::format("{{{},{}}}", least, high);
  }

  /// After the backslash: \s, \w, \d, \h, \p{..} and their opposites.
  std::optional<CodePointSet> set_escape() {
    if (take("s")) return space_set();
    if (take("S")) return space_set().complement();
    if (take("w")) return word_set();
    if (take("W")) return word_set().complement();
    if (take("d")) return *property_set("Nd");
    if (take("D")) return property_set("Nd")->complement();
    if (take("h")) return CodePointSet({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
    if (!at("p") && !at("P")) return std::nullopt;
    const std::size_t begin = at_;
    bool is_negated = regex_[at_++] == 'P';
    const std::size_t close = regex_.find('}', at_);
    if (!take("{") || close == std::string_view::npos) refuse("'\\p' without braces");
    if (take("^")) is_negated = !is_negated;
    const std::string_view name = regex_.substr(at_, close - at_);
    const std::optional<CodePointSet> set = property_set(name);
    if (!set) refuse(fmt::format("'\\{}'", regex_.substr(begin, close + 1 - begin)));
    at_ = close + 1;
    return is_negated ? set->complement() : *set;
  }

  bool anchor_escape() {
    if (take("b")) return word_border(true), true;
    if (take("B")) return word_border(false), true;
    if (take("A")) return bare("\\A"), true;
    if (take("z")) return bare("\\z"), true;
    return false;
  }

  /// After the backslash: one character.
  std::uint32_t character_escape() {
    constexpr std::array<std::pair<char, char>, 7> kControls = {
        {{'r', '\r'}, {'n', '\n'}, {'t', '\t'}, {'f', '\f'}, {'v', '\v'}, {'a', '\a'}, {'e', '\x1B'}}};
    for (const auto& [name, code] : kControls) {
      if (take(std::string_view(&name, 1))) return static_cast<std::uint32_t>(code);
    }
    if (take("u")) return take_hex(regex_.substr(at_, 4), 4);
    if (take("x{")) {
      const std::size_t close = std::min(regex_.find('}', at_), regex_.size());
      const std::uint32_t code = take_hex(regex_.substr(at_, close - at_), 0);
      if (!take("}") || code > kLastCodePoint) refuse("'\\x{' of no code point");
      return code;
    }
    if (take("x")) {
      const std::uint32_t code = take_hex(regex_.substr(at_, 2), 2);
      if (code > 0x7F) refuse("'\\x' of a byte that is no character");
      return code;
    }
    const std::uint32_t code = take_character();
    if (is_ascii_letter(code) || (code >= '0' && code <= '9')) refuse(fmt::format("'\\{}'", static_cast<char>(code)));
    return code;
  }

  std::uint32_t take_hex(std::string_view digits, std::size_t count) {
    const bool is_hex = digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
    if (!is_hex || digits.empty() || digits.size() > 8 || (count != 0 && digits.size() != count))
      refuse(fmt::format("the code '{}'", digits));
    at_ += digits.size();
    return static_cast<std::uint32_t>(std::stoul(std::string(digits), nullptr, 16));
  }

  /// After the bracket.
  CodePointSet char_class() {
    if (++class_depth_ > 50) refuse("so deep a class");
    const bool is_negated = take("^");
    if (at("]")) refuse("']' first in a class");
    CodePointSet set;
    std::optional<CodePointSet> left;  // of &&
    while (!take("]")) {
      if (at_ >= regex_.size()) refuse("'[' without ']'");
      if (take("&&")) {
        left = left ? left->without(set.complement()) : set;
        set = {};
      } else {
        set = set.with(class_item());
      }
    }
    --class_depth_;
    if (left) set = left->without(set.complement());
    if (ignores_case_) {
      const bool is_ascii = set.ranges().empty() || set.ranges().back().second <= 0x7F;
      if (!is_ascii || is_negated) refuse("a class that is negated or outside ASCII without regard to case");
      set = both_cases(set);
    }
    return is_negated ? set.complement() : set;
  }

  CodePointSet class_item() {
    if (at("[:")) refuse("'[:' inside a class");
    if (take("[")) return char_class();
    if (at("\\")) {
      ++at_;
      if (std::optional<CodePointSet> set = set_escape()) {
        if (at("-") && !at("-]")) refuse("a range that begins with a set");
        return *set;
      }
      --at_;
    }
    const std::uint32_t first = class_character();
    if (!at("-") || at("-]")) return CodePointSet::one(first);
    ++at_;
    if (at("[")) refuse("a range that ends with a class");
    const std::uint32_t last = class_character();
    if (last < first) refuse("a range whose first character is the larger");
    if (at("-") && !at("-]")) refuse("'-' after a range");
    return CodePointSet({{first, last}});
  }

  std::uint32_t class_character() {
    if (!take("\\")) return take_character();
    for (const char set : std::string_view("sSwWdDhHpPbB")) {
      if (at(std::string_view(&set, 1))) refuse(fmt::format("'\\{}' in a range or class", set));
    }
    return character_escape();
  }

  std::string_view regex_;
  std::string_view where_;
  std::size_t at_ = 0;
  Regex out_;
  std::vector<Group> groups_;
  int class_depth_ = 0;
  bool ignores_case_ = false;
  bool can_repeat_ = false;        ///< what stands before is an atom
  bool is_after_literal_ = false;  ///< and a single character
  char last_letter_ = 0;
};

}  // namespace

void Regex::add_set(const CodePointSet& set) {
  const auto known =
      std::find_if(sets.begin(), sets.end(), [&](const CodePointSet& s) { return s.ranges() == set.ranges(); });
  parts.push_back({"", static_cast<std::size_t>(known - sets.begin())});
  if (known == sets.end()) sets.push_back(set);
}

Regex parse_regex(std::string_view regex, std::string_view where) { return Parser(regex, where).run(); }

Regex literal_regex(std::string_view text) {
  Regex regex;
  while (!text.empty()) {
    const Utf8Char c = first_utf8(text);
    regex.add_set(CodePointSet::one(c.code));
    text.remove_prefix(std::max<std::size_t>(c.length, 1));
  }
  return regex;
}

Regex set_regex(const CodePointSet& set) {
  Regex regex;
  regex.add_set(set);
  return regex;
}

}  // namespace whet::tokenizer
