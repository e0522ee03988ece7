#include "tokenizer/replacement.h"

#include <vector>

#include "tokenizer/json_fields.h"

namespace whet::tokenizer {

bool replace_literal(std::string_view text, std::string_view what, std::string_view by, std::string& out) {
  const bool loses_begin = by.empty() && text.starts_with(what);
  std::size_t done = 0;
  for (std::size_t at; (at = text.find(what, done)) != std::string_view::npos; done = at + what.size()) {
    out.append(text.substr(done, at - done)).append(by);
  }
  out.append(text.substr(done));
  return loses_begin;
}

Replacement::Replacement(const nlohmann::json& node, const std::string& where)
    : content_(text_field(node, "content", where)) {
  const TextPattern pattern = read_pattern(node, where);
  if (pattern.is_regex) {
    pattern_.emplace(pattern.text, where);
  } else {
    literal_ = pattern.text;
  }
}

bool Replacement::apply(std::string_view text, MatchScratch& scratch, std::string& out) const {
  if (!pattern_) return replace_literal(text, literal_, content_, out);
  std::vector<Match> matches;
  if (!text.empty()) pattern_->find_all(text, scratch, matches);
  const bool loses_begin =
      content_.empty() && !matches.empty() && matches.front().begin == 0 && matches.front().end > 0;
  std::size_t done = 0;
  for (const Match& match : matches) {
    out.append(text.substr(done, match.begin - done)).append(content_);
    done = match.end;
  }
  out.append(text.substr(done));
  return loses_begin;
}

}  // namespace whet::tokenizer
