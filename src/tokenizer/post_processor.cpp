#include "tokenizer/post_processor.h"

#include "base/error.h"
#include "tokenizer/json_fields.h"

namespace whet::tokenizer {
namespace {

using nlohmann::json;

/// The ids that a template's special token stands for.
std::vector<std::int32_t> special_ids(const json& node, const std::string& name, std::int32_t vocab_size,
                                      const std::string& where) {
  const json& all = require(node, "special_tokens", where);
  if (!all.is_object() || !all.contains(name))
    base::user_error(where, "special_tokens lacks '{}', which the template uses", name);
  const json& ids = require(all[name], "ids", where);
  if (!ids.is_array()) base::user_error(where, "special_tokens: the ids of '{}' are not a list", name);
  std::vector<std::int32_t> result;
  for (const json& id : ids) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(vocab_size))
      base::user_error(where, "special_tokens: '{}' has id {}, want a token's", name, id.dump());
    result.push_back(id.get<std::int32_t>());
  }
  return result;
}

}  // namespace

PostProcessor::PostProcessor(const json& node, std::int32_t vocab_size, const std::string& where) {
  const std::string type = type_of(node, where);
  if (type == "null" || type == "ByteLevel") return;
  if (type == "Sequence") {
    const json& parts = require(node, "processors", where);
    if (!parts.is_array()) base::user_error(where, "processors is not a list");
    for (const json& part : parts) {
      // Each stands around what the one before it made.
      const PostProcessor inner(part, vocab_size, where);
      before.insert(before.begin(), inner.before.begin(), inner.before.end());
      after.insert(after.end(), inner.after.begin(), inner.after.end());
    }
    return;
  }
  if (type != "TemplateProcessing") {
    base::user_error(where, "type {} is not supported, want null, ByteLevel, TemplateProcessing or a Sequence of them",
                     type);
  }
  const json& pieces = require(node, "single", where);
  if (!pieces.is_array()) base::user_error(where, "single is not a list");
  int sequences = 0;
  for (const json& piece : pieces) {
    if (piece.is_object() && piece.contains("Sequence")) {
      if (require(piece["Sequence"], "id", where) != "A" || ++sequences > 1)
        base::user_error(where, "single has the piece {}, want the sequence A once", piece.dump());
    } else if (piece.is_object() && piece.contains("SpecialToken")) {
      const auto ids = special_ids(node, text_field(piece["SpecialToken"], "id", where), vocab_size, where);
      auto& side = sequences == 0 ? before : after;
      side.insert(side.end(), ids.begin(), ids.end());
    } else {
      base::user_error(where, "single has the piece {}, want a SpecialToken or the Sequence", piece.dump());
    }
  }
  if (sequences != 1) base::user_error(where, "single lacks the sequence A");
}

}  // namespace whet::tokenizer
