// The "normalizer" of tokenizer.json: how a text is changed before it is cut.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/replacement.h"

namespace whet::tokenizer {

class Normalizer {
 public:
  /// Known are NFC, NFD, Prepend, Replace, Strip and a Sequence of them. UserError naming `where` and the type for another.
  Normalizer(const nlohmann::json& node, const std::string& where);

  /// `text` (valid UTF-8) normalised; `room` holds the result when it differs. `loses_begin`, if given, becomes true when
  /// the text's first character is taken away.
  std::string_view run(std::string_view text, MatchScratch& scratch, std::string& room,
                       bool* loses_begin = nullptr) const;

 private:
  enum class Kind { kNfc, kNfd, kPrepend, kReplace, kStrip };
  struct Step {
    Kind kind;
    std::string content;                     ///< of kPrepend
    std::optional<Replacement> replacement;  ///< of kReplace
    bool left = false, right = false;        ///< of kStrip
  };

  void add(const nlohmann::json& node, const std::string& where);
  static void apply(const Step& step, std::string_view text, MatchScratch& scratch, std::string& out,
                    bool& loses_begin);

  std::vector<Step> steps_;
};

}  // namespace whet::tokenizer
