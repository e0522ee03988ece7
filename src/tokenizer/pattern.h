// Regular expressions of tokenizer.json, run by PCRE2.
//
// The files are written for Oniguruma, whose classes differ from PCRE2's in a few characters (U+180E is white space to
// one only). A pattern is therefore rewritten piece by piece, and what has no known equal is refused.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace whet::tokenizer {

/// What one running match needs and no two threads may share.
class MatchScratch {
 public:
  MatchScratch();
  ~MatchScratch();
  MatchScratch(const MatchScratch&) = delete;
  MatchScratch& operator=(const MatchScratch&) = delete;

 private:
  friend class Pattern;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

struct Match {
  std::size_t begin = 0;
  std::size_t end = 0;
};

class Pattern {
 public:
  /// UserError naming `where` and the pattern when it is malformed or has a part that is not supported.
  Pattern(std::string_view regex, std::string_view where);
  ~Pattern();
  Pattern(Pattern&& other) noexcept;
  Pattern& operator=(Pattern&&) = delete;

  /// The leftmost match at or after `from`. `text` must be valid UTF-8 and `from` the start of a character.
  std::optional<Match> find(std::string_view text, std::size_t from, MatchScratch& scratch) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
  std::string regex_;
};

/// `regex` in PCRE2's syntax; see above for the errors.
std::string translate_regex(std::string_view regex, std::string_view where);

/// Escapes a text so that it matches itself.
std::string literal_regex(std::string_view text);

}  // namespace whet::tokenizer
