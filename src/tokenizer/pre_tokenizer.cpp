#include "tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizer/json_fields.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer {
namespace {

using nlohmann::json;

/// The pattern of the first byte-level tokenizer (GPT-2, 2019), which ByteLevel applies unless told not to.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// A pattern that matches nowhere: a rule that only adds a space.
constexpr std::string_view kNowhere = "(?!)";

std::string read_pattern(const json& node, const std::string& where) {
  const json& pattern = require(node, "pattern", where);
  if (pattern.is_object() && pattern.size() == 1) {
    const std::string text = pattern.begin()->is_string() ? pattern.begin()->get<std::string>() : "";
    if (!text.empty() && pattern.begin().key() == "Regex") return text;
    if (!text.empty() && pattern.begin().key() == "String") return literal_regex(text);
  }
  base::user_error(where, "pattern {}, want {{\"Regex\": ...}} or {{\"String\": ...}}", pattern.dump());
}

}  // namespace

PreTokenizer::PreTokenizer(const json& node, std::string_view where) {
  add(node, where);
  if (!has_byte_level_) base::user_error(where, "no ByteLevel, want a byte-level tokenizer");
}

void PreTokenizer::add(const json& node, std::string_view where) {
  const std::string place(where);
  const std::string type = type_of(node, place);
  if (type == "Sequence") {
    const json& parts = require(node, "pretokenizers", place);
    if (!parts.is_array()) base::user_error(place, "pretokenizers is not a list");
    for (const json& part : parts) add(part, where);
    return;
  }
  // What follows ByteLevel would see the bytes' spellings instead of the text.
  if (has_byte_level_) base::user_error(place, "{} after ByteLevel is not supported", type);
  if (type == "ByteLevel") {
    has_byte_level_ = true;
    const bool add_prefix_space = flag(node, "add_prefix_space", true, place);
    const bool use_regex = flag(node, "use_regex", true, place);
    if (use_regex || add_prefix_space) {
      rules_.push_back(
          {Pattern(use_regex ? kByteLevelPattern : kNowhere, place), Behavior::kIsolated, false, add_prefix_space});
    }
    return;
  }
  if (type == "Digits") {
    const bool individual = flag(node, "individual_digits", false, place);
    rules_.push_back(
        {Pattern("\\p{N}", place), individual ? Behavior::kIsolated : Behavior::kContiguous, false, false});
    return;
  }
  if (type == "Split") {
    static const std::vector<std::pair<std::string, Behavior>> kBehaviors = {
        {"Isolated", Behavior::kIsolated},
        {"Removed", Behavior::kRemoved},
        {"Contiguous", Behavior::kContiguous},
        {"MergedWithPrevious", Behavior::kMergedWithPrevious},
        {"MergedWithNext", Behavior::kMergedWithNext},
    };
    const json& name = require(node, "behavior", place);
    for (const auto& [known, behavior] : kBehaviors) {
      if (name != known) continue;
      rules_.push_back(
          {Pattern(read_pattern(node, place), place), behavior, flag(node, "invert", false, place), false});
      return;
    }
    base::user_error(place, "Split has behavior {}, which is not supported", name.dump());
  }
  base::user_error(place, "type {} is not supported, want ByteLevel, Split, Digits or a Sequence of them", type);
}

void PreTokenizer::run_from(std::size_t index, std::string_view text, MatchScratch& scratch,
                            const WordSink& sink) const {
  if (text.empty()) return;
  if (index == rules_.size()) return sink(text);
  const Rule& rule = rules_[index];
  std::string spaced;
  if (rule.add_prefix_space && text.front() != ' ') {
    spaced = ' ' + std::string(text);
    text = spaced;
  }
  if (rule.behavior != Behavior::kIsolated) {
    for (const Piece& piece : cut(rule, text, scratch)) {
      run_from(index + 1, text.substr(piece.begin, piece.end - piece.begin), scratch, sink);
    }
    return;
  }
  // The common case without a list: each match and each gap is a piece, whichever of them the rule calls separators.
  std::size_t done = 0, from = 0;
  while (from <= text.size()) {
    const std::optional<Match> match = rule.pattern.find(text, from, scratch);
    if (!match) break;
    run_from(index + 1, text.substr(done, match->begin - done), scratch, sink);
    run_from(index + 1, text.substr(match->begin, match->end - match->begin), scratch, sink);
    done = from = match->end;
    // After an empty match the search must move on by a character or it would stay for ever.
    if (match->begin == match->end)
      from += std::max<std::size_t>(1, first_utf8(text.substr(std::min(from, text.size()))).length);
  }
  run_from(index + 1, text.substr(done), scratch, sink);
}

std::vector<PreTokenizer::Piece> PreTokenizer::cut(const Rule& rule, std::string_view text, MatchScratch& scratch) {
  std::vector<Piece> pieces;
  std::size_t done = 0, from = 0;
  while (from <= text.size()) {
    const std::optional<Match> match = rule.pattern.find(text, from, scratch);
    if (!match) break;
    if (match->begin > done) pieces.push_back({done, match->begin, rule.invert});
    pieces.push_back({match->begin, match->end, !rule.invert});
    done = from = match->end;
    if (match->begin == match->end)
      from += std::max<std::size_t>(1, first_utf8(text.substr(std::min(from, text.size()))).length);
  }
  if (done < text.size()) pieces.push_back({done, text.size(), rule.invert});

  std::vector<Piece> result;
  switch (rule.behavior) {
    case Behavior::kIsolated:
      return pieces;
    case Behavior::kRemoved:
      std::copy_if(pieces.begin(), pieces.end(), std::back_inserter(result),
                   [](const Piece& p) { return !p.is_separator; });
      return result;
    case Behavior::kContiguous:
      for (const Piece& piece : pieces) {
        if (!result.empty() && result.back().is_separator == piece.is_separator) {
          result.back().end = piece.end;
        } else {
          result.push_back(piece);
        }
      }
      return result;
    case Behavior::kMergedWithPrevious: {
      // Only the first of several separators in a row joins what stands before it.
      bool after_separator = false;
      for (const Piece& piece : pieces) {
        if (piece.is_separator && !after_separator && !result.empty()) {
          result.back().end = piece.end;
        } else {
          result.push_back(piece);
        }
        after_separator = piece.is_separator;
      }
      return result;
    }
    case Behavior::kMergedWithNext: {
      bool before_separator = false;
      for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
        if (piece->is_separator && !before_separator && !result.empty()) {
          result.back().begin = piece->begin;
        } else {
          result.push_back(*piece);
        }
        before_separator = piece->is_separator;
      }
      std::reverse(result.begin(), result.end());
      return result;
    }
  }
  return result;
}

}  // namespace whet::tokenizer
