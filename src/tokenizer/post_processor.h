// What the "post_processor" of tokenizer.json puts around the tokens of a text.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace whet::tokenizer {

struct PostProcessor {
  std::vector<std::int32_t> before, after;

  PostProcessor() = default;
  /// Known are null, ByteLevel (which only moves offsets), TemplateProcessing and a Sequence of them. UserError naming `where`
  /// and the type for another. `vocab_size`: ids must be below.
  PostProcessor(const nlohmann::json& node, std::int32_t vocab_size, const std::string& where);
};

}  // namespace whet::tokenizer
