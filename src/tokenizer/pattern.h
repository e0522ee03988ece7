// Regular expressions of tokenizer.json, run by PCRE2.
//
// A text is first rewritten, one byte a character: two characters get the same byte when no set of the expression tells them
// apart. PCRE2 then matches plain bytes, which is its fastest way, and its own idea of Unicode never matters.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/code_points.h"
#include "tokenizer/regex.h"

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
  /// `name` is what errors call it.
  Pattern(const Regex& regex, std::string_view name, std::string_view where);
  ~Pattern();
  Pattern(Pattern&& other) noexcept;
  Pattern& operator=(Pattern&&) = delete;

  /// Appends all matches, leftmost first, none overlapping; an empty match is not made where another ends. `text` must be
  /// valid UTF-8. RunError when a search would not end.
  void find_all(std::string_view text, MatchScratch& scratch, std::vector<Match>& matches) const;

 private:
  struct Code;
  void rewrite(std::string_view text, MatchScratch& scratch) const;

  std::string name_;
  CodePointTable kinds_;                         ///< byte of each code point
  std::array<std::uint8_t, 128> ascii_kinds_{};  ///< the same, for most of most texts
  std::unique_ptr<Code> code_;
};

}  // namespace whet::tokenizer
