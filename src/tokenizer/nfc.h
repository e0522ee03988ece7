// Unicode's canonical composition, with the tables that Hugging Face tokenizers has.
#pragma once

#include <string>
#include <string_view>

namespace whet::tokenizer {

/// `text` (valid UTF-8) in normalisation form C, or D when `compose` is false; `room` holds the result when it differs.
std::string_view normalize_canonically(std::string_view text, bool compose, std::string& room);

}  // namespace whet::tokenizer
