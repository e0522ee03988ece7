#include "text/answer_lexer.h"

#include <algorithm>
#include <iterator>

#include "text/answer_symbols.h"
#include "text/latex.h"

namespace whet::text {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

template <class Table>
const Meaning* meaning(const Table& table, std::string_view from) {
  for (const Meaning& entry : table) {
    if (entry.from == from) return &entry;
  }
  return nullptr;
}

template <class Table>
bool listed(const Table& table, std::string_view word) {
  return std::find(std::begin(table), std::end(table), word) != std::end(table);
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) step();
    Token end;
    end.begin = text_.size();
    out_.push_back(std::move(end));
    return std::move(out_);
  }

 private:
  using Type = Token::Type;

  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  Token& emit(Type type, std::string text, std::size_t begin) {
    Token token;
    token.type = type;
    token.text = std::move(text);
    token.begin = begin;
    token.after_blank = blank_;
    blank_ = false;
    out_.push_back(std::move(token));
    return out_.back();
  }

  void symbol(std::string_view text) {
    const std::size_t begin = at_;
    Token& token = emit(Type::kSymbol, std::string(text), begin);
    if (text == "{") {
      braces_.push_back(static_cast<int>(out_.size()) - 1);
    } else if (text == "}") {
      if (braces_.empty()) throw NotMathematics{};
      token.opened_at = braces_.back();
      braces_.pop_back();
      if (token.opened_at == kBox) out_.pop_back();
    } else if (text == "(" || text == "[" || text == "\\{" || text == "<(") {
      ++brackets_;
    } else if (text == ")" || text == "]" || text == "\\}" || text == ">)") {
      --brackets_;
    }
  }

  /// Whether the next character is an argument of \frac or \log_ without braces, which TeX takes alone.
  bool takes_one_character() const {
    if (out_.empty()) return false;
    const auto is_fraction = [this](int index) {
      return index >= 0 && (out_[index].is("frac") || out_[index].is("binom"));
    };
    const int last = static_cast<int>(out_.size()) - 1;
    if (is_fraction(last)) return true;
    if (last > 0 && out_[last].is("_") && out_[last - 1].text == "log") return true;
    if (out_[last].is("}")) return is_fraction(out_[last].opened_at - 1);
    return is_fraction(last - 1) && out_[last].text.size() == 1 && out_[last].type != Type::kSymbol;
  }

  void step() {
    const char c = peek();
    if (is_blank(c) || c == '~') {
      blank_ = true;
      ++at_;
    } else if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      number();
    } else if (is_letter(c)) {
      letters();
    } else if (c == '\\') {
      command();
    } else if (c == '$') {
      ++at_;
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      sign();
    } else {
      punctuation();
    }
  }

  std::size_t digits_end(std::size_t at) const {
    while (at < text_.size() && is_digit(text_[at])) ++at;
    return at;
  }

  /// Behind a separator of thousands at `at`, or 0 when there is none.
  std::size_t after_separator(std::size_t at) const {
    const std::string_view rest = text_.substr(at);
    for (const std::string_view separator : {"{,}", ",\\!", "\\,", ",\\! ", "{,}\\!"}) {
      if (rest.substr(0, separator.size()) == separator && separator.size() < rest.size() &&
          is_digit(rest[separator.size()])) {
        return at + separator.size();
      }
    }
    if (brackets_ <= 0 && rest.size() > 1 && (rest[0] == ',' || rest[0] == ' ') && is_digit(rest[1])) return at + 1;
    return 0;
  }

  void number() {
    const std::size_t begin = at_;
    if (takes_one_character()) {
      ++at_;
      emit(Type::kNumber, std::string(1, text_[begin]), begin);
      return;
    }
    // A digit directly behind a letter is an index that nobody marked.
    if (!blank_ && !out_.empty() && (out_.back().type == Type::kLetter || out_.back().type == Type::kWord)) {
      throw NotMathematics{};
    }
    std::size_t end = digits_end(at_);
    std::string value(text_.substr(at_, end - at_));
    if (!value.empty() && value.size() <= 3 && value[0] != '0') {
      for (std::size_t next; (next = after_separator(end)) != 0;) {
        const std::size_t group_end = digits_end(next);
        if (group_end - next != 3) break;
        value += text_.substr(next, 3);
        end = group_end;
      }
    }
    at_ = end;
    std::string repeating;
    if (peek() == '.' && peek(1) != '.') {
      end = digits_end(at_ + 1);
      value += text_.substr(at_, end - at_);
      at_ = end;
      for (const std::string_view mark : {"\\overline{", "\\bar{", "\\dot{"}) {
        if (text_.substr(at_, mark.size()) != mark) continue;
        end = digits_end(at_ + mark.size());
        if (end == at_ + mark.size() || end >= text_.size() || text_[end] != '}') throw NotMathematics{};
        repeating = text_.substr(at_ + mark.size(), end - at_ - mark.size());
        at_ = end + 1;
      }
    }
    if (peek() == 'e' || peek() == 'E') {
      std::size_t exponent = at_ + 1;
      if (exponent < text_.size() && (text_[exponent] == '-' || text_[exponent] == '+')) ++exponent;
      end = digits_end(exponent);
      if (end > exponent && (end == text_.size() || !is_letter(text_[end]))) {
        value += text_.substr(at_, end - at_);
        at_ = end;
      }
    }
    emit(Type::kNumber, std::move(value), begin).repeating = std::move(repeating);
  }

  /// Whether a run of letters is a product of them and not a word.
  static bool is_product(std::string_view run, bool after_blank) {
    constexpr std::string_view kVowels = "aeiouAEIOU";
    const bool has_vowel = run.find_first_of(kVowels) != std::string_view::npos;
    if (run.size() <= 2) return true;
    return run.size() <= 4 && (!has_vowel || (run.size() == 3 && !after_blank));
  }

  void letters() {
    const std::size_t begin = at_;
    if (takes_one_character()) {
      ++at_;
      emit(Type::kLetter, std::string(1, text_[begin]), begin);
      return;
    }
    std::size_t end = at_;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    std::string_view run = text_.substr(at_, end - at_);
    at_ = end;
    if (run == "and" || run == "or") {
      emit(Type::kSymbol, std::string(run), begin);
      return;
    }
    if (run == "U" && !out_.empty() && (out_.back().is(")") || out_.back().is("]") || out_.back().is("\\}"))) {
      emit(Type::kSymbol, "cup", begin);
      return;
    }
    if (const Meaning* plain = meaning(kPlainNames, run)) {
      emit(plain->to[0] == '\\' ? Type::kName : Type::kFunction, std::string(plain->to), begin).begins_run = true;
      return;
    }
    // "sqrt2", "2sqrt(3)", "pi r": a function's name may begin the run, nothing else may stand around it.
    if (listed(kFunctions, run)) {
      emit(Type::kFunction, std::string(run), begin);
      return;
    }
    const bool after_blank = blank_;
    if (run.size() > 1 && !is_product(run, after_blank)) {
      emit(Type::kWord, std::string(run), begin).begins_run = true;
      return;
    }
    for (std::size_t i = 0; i < run.size(); ++i) {
      emit(Type::kLetter, std::string(1, run[i]), begin + i).begins_run = i == 0;
    }
  }

  /// What stands in braces at the position, and moves behind it. Without braces the next character alone.
  std::string_view braced() {
    while (is_blank(peek())) ++at_;
    if (peek() != '{') {
      if (peek() == '\0') throw NotMathematics{};
      return text_.substr(at_++, 1);
    }
    int depth = 0;
    for (std::size_t i = at_; i < text_.size(); ++i) {
      if (text_[i] == '\\') {
        ++i;
      } else if (text_[i] == '{') {
        ++depth;
      } else if (text_[i] == '}' && --depth == 0) {
        const std::string_view inside = text_.substr(at_ + 1, i - at_ - 1);
        at_ = i + 1;
        return inside;
      }
    }
    throw NotMathematics{};
  }

  void boxed_text(std::string_view name, std::size_t begin) {
    const bool is_font = listed(kFonts, name);
    const std::string_view inside = trim(braced());
    if (name == "mathbb" || name == "mathcal") {
      if (inside != "R") throw NotMathematics{};
      emit(Type::kSymbol, "reals", begin);
    } else if (is_font && listed(kFunctions, inside)) {
      emit(Type::kFunction, std::string(inside), begin);
    } else if (is_font && inside.size() == 1 && is_letter(inside[0]) &&
               (name != "mathrm" || inside == "e" || inside == "i" || out_.empty() ||
                out_.back().type != Type::kNumber)) {
      emit(Type::kLetter, std::string(inside), begin);
    } else if (is_font && !inside.empty() && std::all_of(inside.begin(), inside.end(), is_digit)) {
      emit(Type::kNumber, std::string(inside), begin);
    } else {
      emit(Type::kText, std::string(inside), begin);
    }
  }

  void command() {
    const std::size_t begin = at_;
    const char next = peek(1);
    if (!is_letter(next)) {
      at_ += 2;
      switch (next) {
        case '{':
        case '}':
          at_ = begin;
          symbol(next == '{' ? "\\{" : "\\}");
          at_ = begin + 2;
          return;
        case '\\':
          emit(Type::kSymbol, "\\\\", begin);
          return;
        case '%':
          emit(Type::kSymbol, "%", begin);
          return;
        case '!':
          return;
        case ',':
        case ';':
        case ':':
        case '>':
        case ' ':
        case '\n':
          blank_ = true;
          return;
        case '$':
        case '(':
        case ')':
        case '[':
        case ']':
          return;
        default:
          throw NotMathematics{};
      }
    }
    std::size_t end = at_ + 1;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end;
    if (listed(kIgnored, name)) {
      if ((name == "left" || name == "right") && peek() == '.') ++at_;
      if (name == "boxed" || name == "fbox") {
        while (is_blank(peek())) ++at_;
        if (peek() == '{') {
          braces_.push_back(kBox);
          ++at_;
        }
      }
      if (name == "hspace") braced();
    } else if (listed(kTextBoxes, name) || listed(kFonts, name)) {
      boxed_text(name, begin);
    } else if (const Meaning* known = meaning(kSymbols, name)) {
      at_ = begin;
      symbol(known->to);
      at_ = end;
    } else if (listed(kNames, name)) {
      emit(Type::kName, "\\" + std::string(name), begin);
    } else if (listed(kFunctions, name)) {
      emit(Type::kFunction, std::string(name), begin);
    } else if (name == "begin" || name == "end") {
      std::string environment(trim(braced()));
      if (!environment.empty() && environment.back() == '*') environment.pop_back();
      if (environment == "array" && name == "begin") braced();  // the columns' alignment
      constexpr std::string_view kMatrices[] = {"pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix", "array"};
      if (!listed(kMatrices, environment)) throw NotMathematics{};
      brackets_ += name == "begin" ? 1 : -1;
      emit(Type::kSymbol, std::string(name), begin);
    } else if (name.substr(0, 4) == "quad") {  // "\quadx", where a blank was lost
      at_ = begin + 5;
      blank_ = true;
    } else {
      throw NotMathematics{};
    }
  }

  void sign() {
    const std::size_t begin = at_;
    const auto starting = [this](const auto& table) -> const Meaning* {
      for (const Meaning& entry : table) {
        if (text_.substr(at_, entry.from.size()) == entry.from) return &entry;
      }
      return nullptr;
    };
    if (const Meaning* known = starting(kSigns)) {
      symbol(known->to);
      at_ = begin + known->from.size();
    } else if (const Meaning* name = starting(kSignNames)) {
      emit(Type::kName, std::string(name->to), begin);
      at_ += name->from.size();
    } else if (const Meaning* plain = starting(kPlainText)) {
      if (plain->to == " ") blank_ = true;
      if (plain->to.size() > 1) {
        for (Token token : tokens_of(plain->to)) {
          if (token.type == Type::kEnd) break;
          token.begin = begin;
          out_.push_back(std::move(token));
        }
      }
      at_ += plain->from.size();
    } else if (text_.substr(at_, 3) == "\xE2\x88\x9A") {
      emit(Type::kFunction, "sqrt", begin);
      at_ += 3;
    } else if (text_.substr(at_, 3) == "\xE2\x84\x9D") {
      emit(Type::kSymbol, "reals", begin);
      at_ += 3;
    } else {
      throw NotMathematics{};
    }
  }

  void punctuation() {
    const std::size_t begin = at_;
    // "^\circ", "^{\circ}": degrees.
    if (peek() == '^') {
      std::size_t at = at_ + 1;
      while (at < text_.size() && (is_blank(text_[at]) || text_[at] == '{')) ++at;
      for (const std::string_view mark : {"\\circ", "\\degree", "\xC2\xB0"}) {
        if (text_.substr(at, mark.size()) != mark) continue;
        at += mark.size();
        while (at < text_.size() && (is_blank(text_[at]) || text_[at] == '}')) {
          const bool closes = text_[at++] == '}';
          if (closes) break;
        }
        emit(Type::kSymbol, "deg", begin);
        at_ = at;
        return;
      }
    }
    for (const std::string_view pair : {"**", "<=", ">=", "!=", "=="}) {
      if (text_.substr(at_, 2) != pair) continue;
      emit(Type::kSymbol, pair == "**" ? "^" : pair == "==" ? "=" : std::string(pair), begin);
      at_ += 2;
      return;
    }
    constexpr std::string_view kSingle = "+-*/^_()[]{}|,;:=<>!%&'";
    if (kSingle.find(peek()) == std::string_view::npos) throw NotMathematics{};
    symbol(text_.substr(at_, 1));
    ++at_;
  }

  static constexpr int kBox = -2;  ///< the brace of a \boxed, which is no symbol

  std::string_view text_;
  std::size_t at_ = 0;
  bool blank_ = false;
  int brackets_ = 0;
  std::vector<int> braces_;
  std::vector<Token> out_;
};

}  // namespace

std::vector<Token> tokens_of(std::string_view answer) { return Lexer(answer).run(); }

}  // namespace whet::text
