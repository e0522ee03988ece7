#include "tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizer/json_fields.h"

namespace whet::tokenizer {
namespace {

using nlohmann::json;

/// The pattern of the first byte-level tokenizer (GPT-2, 2019), which ByteLevel applies unless told not to.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// \w+|[^\w\s]+ with the \w of another library than other patterns have.
Regex words_and_symbols() {
  Regex regex;
  regex.add_set(plain_word_set());
  regex.add_syntax("+|");
  regex.add_set(plain_word_set().with(space_set()).complement());
  regex.add_syntax("+");
  return regex;
}

}  // namespace

PreTokenizer::PreTokenizer(const json& node, const std::string& where) { add(node, where); }

PreTokenizer::Behavior PreTokenizer::read_behavior(const json& node, const std::string& where, const char* type) {
  static const std::vector<std::pair<std::string, Behavior>> kBehaviors = {
      {"Isolated", Behavior::kIsolated},
      {"Removed", Behavior::kRemoved},
      {"Contiguous", Behavior::kContiguous},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext},
  };
  const json& name = require(node, "behavior", where);
  for (const auto& [known, behavior] : kBehaviors) {
    if (name == known) return behavior;
  }
  base::user_error(where, "{} has behavior {}, which is not supported", type, name.dump());
}

void PreTokenizer::add(const json& node, const std::string& where) {
  const std::string type = type_of(node, where);
  if (type == "null") return;
  if (type == "Sequence") {
    const json& parts = require(node, "pretokenizers", where);
    if (!parts.is_array()) base::user_error(where, "pretokenizers is not a list");
    for (const json& part : parts) add(part, where);
    return;
  }
  // What follows ByteLevel would see the bytes' spellings instead of the text.
  if (has_byte_level_) base::user_error(where, "{} after ByteLevel is not supported", type);
  Rule rule;
  if (type == "ByteLevel") {
    has_byte_level_ = true;
    if (flag(node, "add_prefix_space", true, where)) {
      rule.prefix_where = Prefix::kAlways;
      rule.prefix = " ";
    }
    if (flag(node, "use_regex", true, where)) rule.pattern.emplace(kByteLevelPattern, where);
    if (!rule.pattern && rule.prefix_where == Prefix::kNever) return;
  } else if (type == "Digits") {
    rule.pattern.emplace(set_regex(numeric_set()), "Digits", where);
    rule.behavior = flag(node, "individual_digits", false, where) ? Behavior::kIsolated : Behavior::kContiguous;
  } else if (type == "Punctuation") {
    rule.pattern.emplace(set_regex(punctuation_set()), "Punctuation", where);
    if (node.contains("behavior")) rule.behavior = read_behavior(node, where, "Punctuation");
  } else if (type == "Whitespace") {
    rule.pattern.emplace(words_and_symbols(), "Whitespace", where);
    rule.behavior = Behavior::kRemoved;
    rule.invert = true;
  } else if (type == "WhitespaceSplit") {
    rule.pattern.emplace(set_regex(space_set()), "WhitespaceSplit", where);
    rule.behavior = Behavior::kRemoved;
  } else if (type == "Split") {
    const TextPattern pattern = read_pattern(node, where);
    rule.behavior = read_behavior(node, where, "Split");
    rule.invert = flag(node, "invert", false, where);
    if (pattern.is_regex) {
      rule.pattern.emplace(pattern.text, where);
    } else {
      rule.pattern.emplace(literal_regex(pattern.text), pattern.text, where);
    }
  } else if (type == "Metaspace") {
    return add_metaspace(node, where);
  } else {
    base::user_error(where,
                     "type {} is not supported, want ByteLevel, Split, Digits, Punctuation, Metaspace, Whitespace, "
                     "WhitespaceSplit or a Sequence of them",
                     type);
  }
  rules_.push_back(std::move(rule));
}

void PreTokenizer::add_metaspace(const json& node, const std::string& where) {
  Rule rule;
  rule.replacement = character_field(node, "replacement", where);
  rule.prefix = rule.replacement;
  const json* scheme = optional_field(node, "prepend_scheme");
  rule.prefix_where = scheme == nullptr || *scheme == "always" ? Prefix::kAlways
                      : *scheme == "first"                     ? Prefix::kFirst
                                                               : Prefix::kNever;
  if (scheme != nullptr && *scheme != "always" && *scheme != "first" && *scheme != "never")
    base::user_error(where, "prepend_scheme = {}, want \"first\", \"always\" or \"never\"", scheme->dump());
  // An older way of writing prepend_scheme.
  if (!flag(node, "add_prefix_space", true, where)) {
    if (rule.prefix_where != Prefix::kNever && scheme != nullptr)
      base::user_error(where, "add_prefix_space = false with prepend_scheme = {}, want \"never\"", scheme->dump());
    rule.prefix_where = Prefix::kNever;
  }
  if (flag(node, "split", true, where)) {
    rule.pattern.emplace(literal_regex(rule.replacement), rule.replacement, where);
    rule.behavior = Behavior::kMergedWithNext;
  }
  rules_.push_back(std::move(rule));
}

void PreTokenizer::run(std::string_view text, bool at_begin, MatchScratch& scratch, Words& words) const {
  words.text = text;
  words.ranges.clear();
  if (!text.empty()) words.ranges.push_back({0, text.size()});
  for (const Rule& rule : rules_) {
    if (words.ranges.empty()) return;
    const std::size_t first = words.ranges.front().begin;
    if (rule.prefix_where != Prefix::kNever || !rule.replacement.empty()) change_text(rule, at_begin, words);
    const std::size_t first_changed = words.ranges.front().begin;
    if (rule.pattern) cut(rule, scratch, words);
    // A first piece that was removed takes the begin with it.
    at_begin = at_begin && first == 0 && !words.ranges.empty() && words.ranges.front().begin == first_changed;
  }
}

void PreTokenizer::change_text(const Rule& rule, bool at_begin, Words& words) {
  std::string& changed = words.next_room;
  changed.clear();
  for (std::size_t i = 0; i < words.ranges.size(); ++i) {
    Match& range = words.ranges[i];
    const std::string_view word = words.word(range);
    range.begin = changed.size();
    const bool wants_prefix =
        rule.prefix_where == Prefix::kAlways || (rule.prefix_where == Prefix::kFirst && at_begin && i == 0);
    const bool has_prefix = word.starts_with(rule.prefix) || (!rule.replacement.empty() && word.starts_with(' '));
    if (wants_prefix && !has_prefix) changed += rule.prefix;
    if (rule.replacement.empty()) {
      changed += word;
    } else {
      for (const char c : word) {
        if (c == ' ') {
          changed += rule.replacement;
        } else {
          changed += c;
        }
      }
    }
    range.end = changed.size();
  }
  std::swap(words.room, words.next_room);
  words.text = words.room;
}

void PreTokenizer::cut(const Rule& rule, MatchScratch& scratch, Words& words) {
  words.next_ranges.clear();
  std::vector<Piece> pieces;
  for (const Match& range : words.ranges) {
    const std::string_view word = words.word(range);
    words.matches.clear();
    rule.pattern->find_all(word, scratch, words.matches);
    std::size_t done = 0;
    if (rule.behavior == Behavior::kIsolated) {
      // The common case without a list: each match and each gap is a piece, whichever of them the rule calls separators.
      for (const Match& match : words.matches) {
        if (match.begin > done) words.next_ranges.push_back({range.begin + done, range.begin + match.begin});
        if (match.end > match.begin) words.next_ranges.push_back({range.begin + match.begin, range.begin + match.end});
        done = match.end;
      }
      if (done < word.size()) words.next_ranges.push_back({range.begin + done, range.end});
      continue;
    }
    pieces.clear();
    for (const Match& match : words.matches) {
      if (match.begin > done) pieces.push_back({done, match.begin, rule.invert});
      pieces.push_back({match.begin, match.end, !rule.invert});
      done = match.end;
    }
    if (done < word.size()) pieces.push_back({done, word.size(), rule.invert});
    keep(rule, pieces, range.begin, words.next_ranges);
  }
  std::swap(words.ranges, words.next_ranges);
}

void PreTokenizer::keep(const Rule& rule, const std::vector<Piece>& pieces, std::size_t shift,
                        std::vector<Match>& out) {
  std::vector<Match> kept;
  bool joins = false;  // whether the piece before was a separator
  switch (rule.behavior) {
    case Behavior::kIsolated:
    case Behavior::kRemoved:
      for (const Piece& piece : pieces) {
        if (!piece.is_separator || rule.behavior == Behavior::kIsolated) kept.push_back({piece.begin, piece.end});
      }
      break;
    case Behavior::kContiguous:
      for (const Piece& piece : pieces) {
        if (!kept.empty() && joins == piece.is_separator) {
          kept.back().end = piece.end;
        } else {
          kept.push_back({piece.begin, piece.end});
        }
        joins = piece.is_separator;
      }
      break;
    case Behavior::kMergedWithPrevious:
      // Only the first of several separators in a row joins what stands before it.
      for (const Piece& piece : pieces) {
        if (piece.is_separator && !joins && !kept.empty()) {
          kept.back().end = piece.end;
        } else {
          kept.push_back({piece.begin, piece.end});
        }
        joins = piece.is_separator;
      }
      break;
    case Behavior::kMergedWithNext:
      for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
        if (piece->is_separator && !joins && !kept.empty()) {
          kept.back().begin = piece->begin;
        } else {
          kept.push_back({piece->begin, piece->end});
        }
        joins = piece->is_separator;
      }
      std::reverse(kept.begin(), kept.end());
      break;
  }
  for (const Match& piece : kept) {
    if (piece.end > piece.begin) out.push_back({shift + piece.begin, shift + piece.end});
  }
}

}  // namespace whet::tokenizer
