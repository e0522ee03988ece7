#include "tokenizer/jinja_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tokenizer/jinja_value.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer::jinja {
namespace {

using Kind = Token::Kind;

bool is_name_begin(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// One kind of line end, and none at the very end.
std::string plain_lines(std::string_view source) {
  std::string result;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      result += source[i];
      continue;
    }
    result += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (result.ends_with('\n')) result.pop_back();
  return result;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(plain_lines(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    add(Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw TemplateError(fmt::format("line {}: {}", line_, what));
  }

  void add(Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void advance(std::size_t count) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + count), '\n'));
    at_ += count;
  }

  std::string_view rest() const { return std::string_view(source_).substr(at_); }

  /// The text up to the next tag, and the tag.
  void text() {
    std::size_t tag = at_;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= source_.size()) {
        tag = source_.size();
        break;
      }
      if (std::string_view("{%#").find(source_[tag + 1]) != std::string_view::npos) break;
      ++tag;
    }
    std::string_view piece = std::string_view(source_).substr(at_, tag - at_);
    if (tag < source_.size()) {
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
      if (sign == '-') {
        piece = strip(piece, std::nullopt, false, true);
      } else if (sign != '+' && source_[tag + 1] != '{') {
        const std::size_t line_begin = piece.rfind('\n') + 1;  // 0 when there is none
        const bool is_line_begin = line_begin > 0 || begins_line_;
        if (is_line_begin && strip(piece.substr(line_begin), std::nullopt, true, false).empty())
          piece = piece.substr(0, line_begin);
      }
    }
    if (!piece.empty()) add(Kind::kText, std::string(piece));
    const std::size_t tag_length = tag < source_.size() ? 2 : 0;
    const char tag_kind = tag_length > 0 ? source_[tag + 1] : ' ';
    advance(tag - at_);
    if (tag_length == 0) return;
    advance(2);
    if (rest().starts_with('-') || rest().starts_with('+')) advance(1);
    if (tag_kind == '#') {
      comment();
    } else if (tag_kind == '{') {
      add(Kind::kOutputBegin, "{{");
      inside("}}", Kind::kOutputEnd);
    } else {
      add(Kind::kBlockBegin, "{%");
      inside("%}", Kind::kBlockEnd);
      if (is_block("raw")) raw();
    }
  }

  bool is_block(std::string_view name) const {
    return tokens_.size() >= 3 && tokens_[tokens_.size() - 2].text == name &&
           tokens_[tokens_.size() - 3].kind == Kind::kBlockBegin;
  }

  void comment() {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string::npos) fail("'{#' without '#}'");
    const char sign = end > at_ ? source_[end - 1] : ' ';
    advance(end + 2 - at_);
    end_tag(sign, true);
  }

  /// What the end of a tag takes with it.
  void end_tag(char sign, bool trims) {
    const std::size_t before = at_;
    if (sign == '-') {
      advance(rest().size() - strip(rest(), std::nullopt, true, false).size());
    } else if (trims && sign != '+' && rest().starts_with('\n')) {
      advance(1);
    }
    begins_line_ = at_ > before && source_[at_ - 1] == '\n';
  }

  void raw() {
    tokens_.resize(tokens_.size() - 3);
    // Its own tags take white space as all do.
    const std::size_t begin = at_;
    for (std::size_t at = begin; (at = source_.find("{%", at)) != std::string::npos; at += 2) {
      std::size_t end = at + 2;
      const char sign = end < source_.size() ? source_[end] : ' ';
      if (sign == '-' || sign == '+') ++end;
      while (end < source_.size() && source_[end] == ' ') ++end;
      if (std::string_view(source_).substr(end, 6) != "endraw") continue;
      end += 6;
      while (end < source_.size() && source_[end] == ' ') ++end;
      const char end_sign = end < source_.size() ? source_[end] : ' ';
      if (end_sign == '-' || end_sign == '+') ++end;
      if (std::string_view(source_).substr(end, 2) != "%}") fail("'endraw' without '%}'");
      std::string_view piece = std::string_view(source_).substr(begin, at - begin);
      if (sign == '-') piece = strip(piece, std::nullopt, false, true);
      const std::size_t line_begin = piece.rfind('\n') + 1;
      if (sign == ' ' && line_begin > 0 && strip(piece.substr(line_begin), std::nullopt, true, false).empty())
        piece = piece.substr(0, line_begin);
      if (!piece.empty()) add(Kind::kText, std::string(piece));
      advance(end + 2 - at_);
      end_tag(end_sign, true);
      return;
    }
    fail("'raw' without 'endraw'");
  }

  /// The tokens up to the end of the tag.
  void inside(std::string_view end, Kind end_kind) {
    const int begin_line = line_;
    std::string open;  // brackets, because '}}' may close two dicts
    while (true) {
      while (at_ < source_.size() && strip(rest().substr(0, 1), std::nullopt, true, false).empty()) advance(1);
      if (at_ >= source_.size()) {
        line_ = begin_line;
        fail(fmt::format("a tag without '{}'", end));
      }
      const char sign = rest()[0];
      const std::size_t sign_length = sign == '-' || sign == '+' ? 1 : 0;
      if (open.empty() && rest().substr(sign_length).starts_with(end)) {
        add(end_kind, std::string(end));
        advance(sign_length + 2);
        end_tag(sign_length > 0 ? sign : ' ', end_kind == Kind::kBlockEnd);
        return;
      }
      token(open);
    }
  }

  void token(std::string& open) {
    const char c = rest()[0];
    if (is_name_begin(c)) {
      std::size_t length = 1;
      while (length < rest().size() && (is_name_begin(rest()[length]) || is_digit(rest()[length]))) ++length;
      add(Kind::kName, std::string(rest().substr(0, length)));
      return advance(length);
    }
    if (is_digit(c)) return number();
    if (c == '"' || c == '\'') return string(c);
    constexpr std::array<std::string_view, 27> kOperators = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "*",
                                                             "/",  "%",  "~",  "<",  ">",  "=",  "(", ")", "[",
                                                             "]",  "{",  "}",  ".",  ",",  ":",  "|", ";", "!"};
    for (const std::string_view op : kOperators) {
      if (!rest().starts_with(op)) continue;
      if (op == "(" || op == "[" || op == "{") open += op;
      if ((op == ")" || op == "]" || op == "}") && !open.empty()) open.pop_back();
      add(Kind::kOperator, std::string(op));
      return advance(op.size());
    }
    fail(fmt::format("the character '{}' is no token",
                     rest().substr(0, std::max<std::size_t>(first_utf8(rest().substr(0, 4)).length, 1))));
  }

  void number() {
    std::size_t length = 0;
    bool is_float = false;
    const auto digits = [&] {
      while (length < rest().size() && (is_digit(rest()[length]) || rest()[length] == '_')) ++length;
    };
    digits();
    if (length + 1 < rest().size() && rest()[length] == '.' && is_digit(rest()[length + 1])) {
      is_float = true;
      ++length;
      digits();
    }
    if (length < rest().size() && (rest()[length] == 'e' || rest()[length] == 'E')) {
      std::size_t exponent = length + 1;
      if (exponent < rest().size() && (rest()[exponent] == '-' || rest()[exponent] == '+')) ++exponent;
      if (exponent < rest().size() && is_digit(rest()[exponent])) {
        is_float = true;
        length = exponent;
        digits();
      }
    }
    std::string text(rest().substr(0, length));
    std::erase(text, '_');
    if (text.size() > (is_float ? 300u : 18u)) fail(fmt::format("the number {} is too large", text));
    add(is_float ? Kind::kFloat : Kind::kInteger, text);
    advance(length);
  }

  void string(char quote) {
    std::string value;
    std::size_t i = 1;
    const std::string_view all = rest();
    for (; i < all.size() && all[i] != quote; ++i) {
      if (all[i] != '\\' || i + 1 >= all.size()) {
        value += all[i];
        continue;
      }
      i += escape(all.substr(i + 1), value);
    }
    if (i >= all.size()) fail("a text without its closing quote");
    add(Kind::kString, std::move(value));
    advance(i + 1);
  }

  /// What stands after a backslash; how many characters it is.
  std::size_t escape(std::string_view after, std::string& value) const {
    constexpr std::string_view kNames = "nrtabfv\\'\"", kValues = "\n\r\t\a\b\f\v\\'\"";
    const std::size_t known = kNames.find(after[0]);
    if (known != std::string_view::npos) {
      value += kValues[known];
      return 1;
    }
    if (after[0] == '\n') return 1;
    const std::size_t digits = after[0] == 'x' ? 2 : after[0] == 'u' ? 4 : after[0] == 'U' ? 8 : 0;
    if (digits == 0) {
      if (is_digit(after[0])) fail("octal escapes are not supported");
      value += '\\';  // as Python leaves it
      return 0;
    }
    const std::string hex(after.substr(1, digits));
    if (hex.size() != digits || hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
      fail(fmt::format("the escape '\\{}{}' is malformed", after[0], hex));
    const unsigned long code = std::stoul(hex, nullptr, 16);
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
      fail(fmt::format("the escape '\\{}{}' is no character", after[0], hex));
    append_utf8(value, static_cast<std::uint32_t>(code));
    return digits + 1;
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool begins_line_ = true;  ///< what stood before ended with a line end
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> cut_template(std::string_view source) { return Lexer(source).run(); }

}  // namespace whet::tokenizer::jinja
