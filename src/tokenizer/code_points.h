// Sets of code points, those that regular expressions and pre-tokenizers name, and a table that sorts every code point
// into one of a few kinds.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace whet::tokenizer {

inline constexpr std::uint32_t kLastCodePoint = 0x10FFFF;

class CodePointSet {
 public:
  using Range = std::pair<std::uint32_t, std::uint32_t>;  ///< first and last

  CodePointSet() = default;
  explicit CodePointSet(std::vector<Range> ranges);  ///< in any order, may overlap
  static CodePointSet one(std::uint32_t code) { return CodePointSet({{code, code}}); }

  CodePointSet with(const CodePointSet& other) const;
  CodePointSet without(const CodePointSet& other) const;
  CodePointSet complement() const;
  bool contains(std::uint32_t code) const;

  /// Sorted, apart from each other.
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

/// The set of a property's name as Oniguruma spells it: a category ("L", "Lu", "Letter"), "Alphabetic", "Any", or a script
/// ("Han"). Nothing for a name that is not known.
std::optional<CodePointSet> property_set(std::string_view name);

CodePointSet space_set();        ///< White_Space: \s
CodePointSet word_set();         ///< \w of regular expressions
CodePointSet plain_word_set();   ///< \w of Whitespace and of the borders of added tokens; another age of Unicode
CodePointSet numeric_set();      ///< what Digits takes for a digit
CodePointSet punctuation_set();  ///< what Punctuation takes for punctuation

/// One byte for each code point; most pages of 256 are alike and are kept once.
class CodePointTable {
 public:
  /// Every code point is of kind 0.
  CodePointTable();
  /// kinds[code] for all code points.
  explicit CodePointTable(const std::vector<std::uint8_t>& kinds);
  /// Kind 1 for the members of a set, 0 for the others.
  explicit CodePointTable(const CodePointSet& members);

  std::uint8_t operator[](std::uint32_t code) const { return cells_[pages_[code >> 8] << 8 | (code & 0xFF)]; }

 private:
  std::vector<std::uint32_t> pages_;
  std::vector<std::uint8_t> cells_;
};

}  // namespace whet::tokenizer
