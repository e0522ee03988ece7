// How a text is cut into words before any merging: the "pre_tokenizer" of tokenizer.json.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/pattern.h"

namespace whet::tokenizer {

/// The words of one text. Words are never empty, and cover the text except for what a rule removes.
struct Words {
  std::string_view text;        ///< as the rules changed it; lives in what was given or in `room`
  std::vector<Match> ranges;    ///< of the words in `text`, in order
  std::string room, next_room;  ///< for the rules' own use
  std::vector<Match> next_ranges, matches;

  std::string_view word(const Match& range) const { return text.substr(range.begin, range.end - range.begin); }
};

/// A chain of splitting rules. Each sees the pieces of the one before it, never across a cut.
class PreTokenizer {
 public:
  /// `node` is the file's "pre_tokenizer". Known are ByteLevel (last), Split, Digits, Punctuation, Metaspace, Whitespace,
  /// WhitespaceSplit and a Sequence of them. UserError naming `where` and the type for another.
  PreTokenizer(const nlohmann::json& node, const std::string& where);

  /// Cuts a text of valid UTF-8 that must live as long as the words are used. `at_begin`: it is where the whole text begins.
  void run(std::string_view text, bool at_begin, MatchScratch& scratch, Words& words) const;

  /// Whether the merging works on bytes (spelled as byte_level.h says) instead of characters.
  bool is_byte_level() const { return has_byte_level_; }

 private:
  /// What becomes of the separators that a pattern finds.
  enum class Behavior { kIsolated, kRemoved, kContiguous, kMergedWithPrevious, kMergedWithNext };
  /// Where a piece gets its prefix, unless it has one.
  enum class Prefix { kNever, kFirst, kAlways };
  struct Rule {
    std::optional<Pattern> pattern;  ///< none: it only changes the text
    Behavior behavior = Behavior::kIsolated;
    bool invert = false;      ///< the separators are what lies between matches
    std::string replacement;  ///< of each space, before all else; "": they stay
    Prefix prefix_where = Prefix::kNever;
    std::string prefix;
  };
  struct Piece {
    std::size_t begin, end;
    bool is_separator;
  };

  void add(const nlohmann::json& node, const std::string& where);
  void add_metaspace(const nlohmann::json& node, const std::string& where);
  static Behavior read_behavior(const nlohmann::json& node, const std::string& where, const char* type);
  static void change_text(const Rule& rule, bool at_begin, Words& words);
  static void cut(const Rule& rule, MatchScratch& scratch, Words& words);
  static void keep(const Rule& rule, const std::vector<Piece>& pieces, std::size_t shift, std::vector<Match>& out);

  std::vector<Rule> rules_;
  bool has_byte_level_ = false;
};

}  // namespace whet::tokenizer
