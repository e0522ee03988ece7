// Tokens back to text: the "decoder" of tokenizer.json.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/replacement.h"

namespace whet::tokenizer {

class Decoder {
 public:
  /// Known are ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace and a Sequence of them. UserError naming `where` and
  /// the type for another.
  Decoder(const nlohmann::json& node, const std::string& where);

  /// The bytes of one token, spelled as in the vocabulary, wherever it stands.
  std::string bytes_of(std::string_view token, MatchScratch& scratch) const;

  /// Whether a text is more than the bytes of its tokens one after the other: something is stripped at its begin or end.
  bool depends_on_place() const { return depends_on_place_; }

  /// The bytes of a sequence of tokens. They need not be UTF-8: where Hugging Face puts U+FFFD, the bytes stay.
  std::string run(std::vector<std::string> tokens) const;

 private:
  enum class Kind { kByteLevel, kReplace, kByteFallback, kFuse, kStrip, kMetaspace };
  struct Step {
    Kind kind;
    std::string content;                     ///< what kStrip strips, kMetaspace makes a space
    std::optional<Replacement> replacement;  ///< of kReplace
    std::size_t start = 0, stop = 0;         ///< of kStrip: at most so many
    bool drops_first = false;                ///< of kMetaspace: the first token's are dropped
  };

  void add(const nlohmann::json& node, const std::string& where);
  static void apply(const Step& step, std::vector<std::string>& tokens, MatchScratch& scratch);

  std::vector<Step> steps_;
  bool depends_on_place_ = false;
};

}  // namespace whet::tokenizer
