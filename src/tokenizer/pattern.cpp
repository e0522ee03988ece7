#include "tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"

namespace whet::tokenizer {
namespace {

/// Unicode's White_Space, which is what \s means to Oniguruma. The property is closed by Unicode's stability policy,
/// and a class of ranges is faster than a property look-up.
constexpr std::string_view kSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

class Translator {
 public:
  Translator(std::string_view regex, std::string_view where) : regex_(regex), where_(where) {}

  std::string run() {
    while (at_ < regex_.size()) {
      const char c = regex_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_character(c);
      } else {
        plain_character(c);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    base::user_error(where_, "pattern '{}': {} is not supported", regex_, what);
  }

  char peek(std::size_t ahead) const { return at_ + ahead < regex_.size() ? regex_[at_ + ahead] : '\0'; }

  void copy(std::size_t count) {
    out_ += regex_.substr(at_, count);
    at_ += count;
  }

  void plain_character(char c) {
    if (c == '[') {
      in_class_ = true;
      copy(peek(1) == '^' ? 2 : 1);
      if (peek(0) == ']') refuse("']' first in a class");
      return;
    }
    if (c == '(' && peek(1) == '?') {
      // Groups, look-around and case folding mean the same to both; the rest (names, conditions, comments) may not.
      for (const std::string_view known : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)"}) {
        if (regex_.substr(at_, known.size()) == known) return copy(known.size());
      }
      refuse(regex_.substr(at_, 4));
    }
    // x{1,3}+ is a possessive repeat to PCRE2 and a repeat of a repeat to Oniguruma.
    if (c == '}' && peek(1) == '+') refuse("'}+'");
    copy(1);
  }

  void class_character(char c) {
    if (c == '[') refuse("'[' inside a class");
    if (c == '&' && peek(1) == '&') refuse("'&&' inside a class");
    if (c == ']') in_class_ = false;
    copy(1);
  }

  void escape() {
    const char c = peek(1);
    switch (c) {
      case 's':
        return set(kSpace, false);
      case 'S':
        return set(kSpace, true);
      case 'w':
        return set(kWord, false);
      case 'W':
        return set(kWord, true);
      case 'd':
      case 'D':
      case 'r':
      case 'n':
      case 't':
      case 'f':
      case 'v':
        // \v is one character to Oniguruma and a class to PCRE2.
        if (c == 'v') {
          out_ += "\\x{b}";
          at_ += 2;
          return;
        }
        return copy(2);
      case 'p':
      case 'P':
        return property();
      case 'u':
        return code_point(2, 4);
      case 'x':
        return peek(2) == '{' ? braced_code_point() : code_point(2, 2);
      default:
        break;
    }
    const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\0';
    if (is_word) refuse(regex_.substr(at_, 2));
    copy(2);
  }

  void set(std::string_view members, bool negated) {
    at_ += 2;
    if (!in_class_) {
      out_ += fmt::format("[{}{}]", negated ? "^" : "", members);
    } else if (!negated) {
      out_ += members;
    } else {
      refuse("'\\S' or '\\W' inside a class");
    }
  }

  void code_point(std::size_t skip, std::size_t digits) {
    const std::string_view hex = regex_.substr(std::min(at_ + skip, regex_.size()), digits);
    if (hex.size() != digits || hex.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
      refuse(regex_.substr(at_, skip + digits));
    }
    out_ += fmt::format("\\x{{{}}}", hex);
    at_ += skip + digits;
  }

  void braced_code_point() {
    const std::size_t close = regex_.find('}', at_);
    if (close == std::string_view::npos) refuse("'\\x{' without '}'");
    copy(close + 1 - at_);
  }

  /// \p{L} means the same to both. A script's name means the script to Oniguruma, but the script and what shares its
  /// characters to PCRE2, unless it is asked for the script alone.
  void property() {
    const std::size_t close = regex_.find('}', at_);
    if (peek(2) != '{' || close == std::string_view::npos) refuse("'\\p' without braces");
    std::string_view name = regex_.substr(at_ + 3, close - at_ - 3);
    bool negated = peek(1) == 'P';
    if (!name.empty() && name.front() == '^') {
      negated = !negated;
      name.remove_prefix(1);
    }
    if (name.find_first_of(":=&") != std::string_view::npos) refuse(regex_.substr(at_, close + 1 - at_));
    const bool is_script = name.size() > 2 && name != "Alphabetic" && name != "Any";
    out_ += fmt::format("\\{}{{{}{}}}", negated ? 'P' : 'p', is_script ? "sc:" : "", name);
    at_ = close + 1;
  }

  std::string_view regex_;
  std::string_view where_;
  std::size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

std::string translate_regex(std::string_view regex, std::string_view where) { return Translator(regex, where).run(); }

std::string literal_regex(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
    result += is_plain ? std::string(1, c) : fmt::format("\\x{{{:x}}}", c);
  }
  return result;
}

struct MatchScratch::Parts {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  // The machine stack's share (32 KiB) is too small for a long run of one class in the middle of a pattern.
  pcre2_jit_stack* stack = pcre2_jit_stack_create(64 << 10, 16 << 20, nullptr);

  /// Work that one match may take: a text of many megabytes must still be possible, an endless search not.
  static constexpr std::uint32_t kMatchLimit = 2'000'000'000;

  Parts() {
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Parts() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
};

MatchScratch::MatchScratch() : parts_(std::make_unique<Parts>()) {}
MatchScratch::~MatchScratch() = default;

struct Pattern::Code {
  pcre2_code* compiled = nullptr;
  ~Code() { pcre2_code_free(compiled); }
};

Pattern::Pattern(std::string_view regex, std::string_view where) : code_(std::make_unique<Code>()), regex_(regex) {
  const std::string translated = translate_regex(regex, where);
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  // ^ and $ are those of a line to Oniguruma, always.
  code_->compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &offset, context.get());
  if (code_->compiled == nullptr) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    base::user_error(where, "pattern '{}': {}", regex, reinterpret_cast<const char*>(message.data()));
  }
  // Without a just-in-time compiler on this machine the pattern is interpreted: slower, same matches.
  pcre2_jit_compile(code_->compiled, PCRE2_JIT_COMPLETE);
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&& other) noexcept = default;

std::optional<Match> Pattern::find(std::string_view text, std::size_t from, MatchScratch& scratch) const {
  const auto run = [&](std::uint32_t options) {
    return pcre2_match(code_->compiled, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                       PCRE2_NO_UTF_CHECK | options, scratch.parts_->data, scratch.parts_->context);
  };
  int result = run(0);
  // The interpreter keeps its backtracking on the heap, which is slower and far larger.
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(PCRE2_NO_JIT);
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (result < 0) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(result, message.data(), message.size());
    base::run_error("tokenizer", "pattern '{}' failed on a text of {} bytes: {}", regex_, text.size(),
                    reinterpret_cast<const char*>(message.data()));
  }
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(scratch.parts_->data);
  return Match{range[0], range[1]};
}

}  // namespace whet::tokenizer
