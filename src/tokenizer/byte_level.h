// The spelling of bytes in a byte-level vocabulary: each of the 256 bytes is one printable character, so that a token
// of any bytes is a text that JSON can hold. Printable Latin-1 bytes stand for themselves; the rest are U+0100 upwards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace whet::tokenizer {

/// The spelling of one byte, in UTF-8 (one or two bytes long).
const std::string& spelling_of(std::uint8_t byte);

/// The spelling of each byte of `bytes`.
std::string spell(std::string_view bytes);

/// The bytes that a vocabulary entry spells; nothing if some character of it spells no byte.
std::optional<std::string> unspell(std::string_view token);

}  // namespace whet::tokenizer
