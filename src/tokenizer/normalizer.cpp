#include "tokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "tokenizer/json_fields.h"

namespace whet::tokenizer {

Normalizer::Normalizer(const nlohmann::json& node, const std::string& where) {
  const std::string type = type_of(node, where);
  if (type == "null") return;
  if (type == "NFC") {
    nfc_ = true;
    return;
  }
  if (type == "Sequence") {
    const nlohmann::json& parts = require(node, "normalizers", where);
    if (!parts.is_array()) base::user_error(where, "normalizers is not a list");
    for (const nlohmann::json& part : parts) nfc_ = Normalizer(part, where).nfc_ || nfc_;
    return;
  }
  base::user_error(where, "type {} is not supported, want null or NFC", type);
}

std::string_view Normalizer::run(std::string_view text, std::string& room) const {
  // All characters below U+0300 are composed already, and their UTF-8 begins with a byte below 0xCC.
  const bool is_composed =
      std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0xCC; });
  if (!nfc_ || is_composed) return text;
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &composed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
  if (size < 0) base::run_error("tokenizer", "cannot normalise a text: {}", utf8proc_errmsg(size));
  room.assign(reinterpret_cast<const char*>(composed), static_cast<std::size_t>(size));
  return room;
}

}  // namespace whet::tokenizer
