#include "tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer {
namespace {

/// The byte of every code point, and which bytes each set of the expression consists of.
struct Kinds {
  std::vector<std::uint8_t> of_code = std::vector<std::uint8_t>(kLastCodePoint + 1);
  std::vector<std::string> of_set;
};

Kinds tell_apart(const Regex& regex, std::string_view name, std::string_view where) {
  // Where membership in some set changes: a code point, the set, whether it begins.
  std::vector<std::tuple<std::uint32_t, std::size_t, bool>> changes;
  for (std::size_t s = 0; s < regex.sets.size(); ++s) {
    for (const auto& [first, last] : regex.sets[s].ranges()) {
      changes.emplace_back(first, s, true);
      changes.emplace_back(last + 1, s, false);
    }
  }
  std::sort(changes.begin(), changes.end());
  Kinds kinds;
  kinds.of_set.resize(regex.sets.size());
  std::map<std::string, std::uint8_t> known;
  std::string membership(regex.sets.size(), '0');
  std::uint32_t begin = 0;
  for (std::size_t i = 0; begin <= kLastCodePoint;) {
    for (; i < changes.size() && std::get<0>(changes[i]) == begin; ++i) {
      membership[std::get<1>(changes[i])] = std::get<2>(changes[i]) ? '1' : '0';
    }
    const std::uint32_t end = i < changes.size() ? std::get<0>(changes[i]) : kLastCodePoint + 1;
    const auto [kind, is_new] = known.emplace(membership, static_cast<std::uint8_t>(known.size()));
    if (known.size() > 256) base::user_error(where, "pattern '{}' tells more than 256 kinds of characters apart", name);
    if (is_new) {
      for (std::size_t s = 0; s < membership.size(); ++s) {
        if (membership[s] == '1') kinds.of_set[s] += static_cast<char>(kind->second);
      }
    }
    std::fill(kinds.of_code.begin() + begin, kinds.of_code.begin() + end, kind->second);
    begin = end;
  }
  return kinds;
}

std::string over_kinds(const Regex& regex, const Kinds& kinds) {
  std::string result;
  for (const RegexPart& part : regex.parts) {
    if (part.set == RegexPart::kNoSet) {
      result += part.syntax;
    } else if (kinds.of_set[part.set].empty()) {
      result += "(?:(?!))";
    } else {
      result += '[';
      for (const char kind : kinds.of_set[part.set])
        result += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(kind));
      result += ']';
    }
  }
  return result;
}

std::string describe(int error) {
  std::array<PCRE2_UCHAR, 256> message{};
  pcre2_get_error_message(error, message.data(), message.size());
  return reinterpret_cast<const char*>(message.data());
}

}  // namespace

struct MatchScratch::Parts {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  // The machine stack's share (32 KiB) is too small for a long run of one class in the middle of a pattern.
  pcre2_jit_stack* stack = pcre2_jit_stack_create(64 << 10, 16 << 20, nullptr);
  std::string kinds;                   ///< the text, a byte a character
  std::vector<std::uint32_t> offsets;  ///< of each character in the text, and its end; empty where all are one byte

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

Pattern::Pattern(std::string_view regex, std::string_view where) : Pattern(parse_regex(regex, where), regex, where) {}

Pattern::Pattern(const Regex& regex, std::string_view name, std::string_view where)
    : name_(name), code_(std::make_unique<Code>()) {
  const Kinds kinds = tell_apart(regex, name, where);
  kinds_ = CodePointTable(kinds.of_code);
  std::copy_n(kinds.of_code.begin(), ascii_kinds_.size(), ascii_kinds_.begin());
  const std::string over = over_kinds(regex, kinds);
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(over.data()), over.size(), PCRE2_NEVER_UTF, &error, &offset, nullptr);
  if (code_->compiled == nullptr) base::user_error(where, "pattern '{}': {}", name, describe(error));
  // Without a just-in-time compiler on this machine the pattern is interpreted: slower, same matches.
  pcre2_jit_compile(code_->compiled, PCRE2_JIT_COMPLETE);
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&& other) noexcept = default;

void Pattern::rewrite(std::string_view text, MatchScratch& scratch) const {
  std::string& kinds = scratch.parts_->kinds;
  std::vector<std::uint32_t>& offsets = scratch.parts_->offsets;
  kinds.resize(text.size());
  offsets.clear();
  std::size_t i = 0;
  for (; i < text.size() && static_cast<std::uint8_t>(text[i]) < 0x80; ++i) {
    kinds[i] = static_cast<char>(ascii_kinds_[static_cast<std::uint8_t>(text[i])]);
  }
  if (i == text.size()) return;
  offsets.resize(text.size() + 1);
  std::size_t n = 0;
  for (; n < i; ++n) offsets[n] = static_cast<std::uint32_t>(n);
  while (i < text.size()) {
    offsets[n] = static_cast<std::uint32_t>(i);
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if (byte < 0x80) {
      kinds[n++] = static_cast<char>(ascii_kinds_[byte]);
      ++i;
    } else {
      const Utf8Char c = decode_valid_utf8(text.data() + i);
      kinds[n++] = static_cast<char>(kinds_[c.code]);
      i += c.length;
    }
  }
  offsets[n] = static_cast<std::uint32_t>(text.size());
  kinds.resize(n);
}

void Pattern::find_all(std::string_view text, MatchScratch& scratch, std::vector<Match>& matches) const {
  rewrite(text, scratch);
  MatchScratch::Parts& parts = *scratch.parts_;
  const std::string& kinds = parts.kinds;
  const auto run = [&](std::size_t from, std::uint32_t options) {
    return pcre2_match(code_->compiled, reinterpret_cast<PCRE2_SPTR>(kinds.data()), kinds.size(), from, options,
                       parts.data, parts.context);
  };
  std::size_t from = 0;
  std::size_t last_end = ~std::size_t{0};
  while (from <= kinds.size()) {
    int result = run(from, 0);
    // The interpreter keeps its backtracking on the heap, which is slower and far larger.
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(from, PCRE2_NO_JIT);
    if (result == PCRE2_ERROR_NOMATCH) return;
    if (result < 0)
      base::run_error("tokenizer", "pattern '{}' failed on a text of {} bytes: {}", name_, text.size(),
                      describe(result));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(parts.data);
    const std::size_t begin = range[0], end = range[1];
    if (begin == end) {
      from = end + 1;
      if (end == last_end) continue;
    } else {
      from = end;
    }
    last_end = end;
    if (parts.offsets.empty()) {
      matches.push_back({begin, end});
    } else {
      matches.push_back({parts.offsets[begin], parts.offsets[end]});
    }
  }
}

}  // namespace whet::tokenizer
