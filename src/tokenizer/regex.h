// Regular expressions of tokenizer.json, read as Oniguruma reads them.
//
// The result names no character: it is a pattern over sets of code points, to which pattern.h gives a byte each. So only one
// Unicode matters, this room's own, and a matcher that knows none can run it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/code_points.h"

namespace whet::tokenizer {

struct RegexPart {
  std::string syntax;  ///< groups, repeats and anchors, as Perl and Oniguruma both understand them
  std::size_t set;     ///< or, unless kNoSet, one character of sets[set]

  static constexpr std::size_t kNoSet = ~std::size_t{0};
};

struct Regex {
  std::vector<RegexPart> parts;
  std::vector<CodePointSet> sets;  ///< each once

  void add_syntax(std::string_view text) { parts.push_back({std::string(text), RegexPart::kNoSet}); }
  void add_set(const CodePointSet& set);
};

/// UserError naming `where`, the expression and the part of it that is malformed or not supported.
Regex parse_regex(std::string_view regex, std::string_view where);

/// Matches `text` (valid UTF-8) itself.
Regex literal_regex(std::string_view text);

/// Matches one member.
Regex set_regex(const CodePointSet& set);

}  // namespace whet::tokenizer
