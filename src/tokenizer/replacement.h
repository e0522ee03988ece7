// The Replace part of tokenizer.json, which a normalizer and a decoder may both have.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/pattern.h"

namespace whet::tokenizer {

/// Appends `text` to `out` with every `what` (not empty) replaced. Whether something at its begin was taken away.
bool replace_literal(std::string_view text, std::string_view what, std::string_view by, std::string& out);

class Replacement {
 public:
  /// UserError naming `where` and the field.
  Replacement(const nlohmann::json& node, const std::string& where);

  /// Appends `text` (valid UTF-8 where a pattern is looked for) to `out` with every place replaced. Whether something at its
  /// begin was taken away.
  bool apply(std::string_view text, MatchScratch& scratch, std::string& out) const;

  bool has_pattern() const { return pattern_.has_value(); }

 private:
  std::string content_;
  std::optional<Pattern> pattern_;
  std::string literal_;  ///< instead of a pattern
};

}  // namespace whet::tokenizer
