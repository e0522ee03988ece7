// How a text is cut into words before any merging: the "pre_tokenizer" of tokenizer.json.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/pattern.h"

namespace whet::tokenizer {

/// Gets each word in order; words are never empty, and cover the text except for what a rule removes.
using WordSink = std::function<void(std::string_view word)>;

/// A chain of splitting rules that ends in ByteLevel. Each rule sees the pieces of the one before it, never across a
/// cut.
class PreTokenizer {
 public:
  /// `node` is the file's "pre_tokenizer". UserError naming `where` and the type for one that is not supported.
  PreTokenizer(const nlohmann::json& node, std::string_view where);

  /// Cuts a text of valid UTF-8.
  void run(std::string_view text, MatchScratch& scratch, const WordSink& sink) const {
    run_from(0, text, scratch, sink);
  }

 private:
  /// What becomes of the separators that a pattern finds.
  enum class Behavior { kIsolated, kRemoved, kContiguous, kMergedWithPrevious, kMergedWithNext };
  struct Rule {
    Pattern pattern;
    Behavior behavior;
    bool invert;            ///< the separators are what lies between matches
    bool add_prefix_space;  ///< each piece gets a leading space unless it has one
  };
  struct Piece {
    std::size_t begin, end;
    bool is_separator;
  };

  void add(const nlohmann::json& node, std::string_view where);
  void run_from(std::size_t rule, std::string_view text, MatchScratch& scratch, const WordSink& sink) const;
  static std::vector<Piece> cut(const Rule& rule, std::string_view text, MatchScratch& scratch);

  std::vector<Rule> rules_;
  bool has_byte_level_ = false;
};

}  // namespace whet::tokenizer
