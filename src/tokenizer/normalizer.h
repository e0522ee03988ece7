// The "normalizer" of tokenizer.json: none, or Unicode's canonical composition.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace whet::tokenizer {

class Normalizer {
 public:
  /// UserError naming `where` and the type for one that is not supported.
  Normalizer(const nlohmann::json& node, const std::string& where);

  /// `text` (valid UTF-8) normalised; `room` holds the result when it differs.
  std::string_view run(std::string_view text, std::string& room) const;

 private:
  bool nfc_ = false;
};

}  // namespace whet::tokenizer
