#include "tokenizer/byte_level.h"

#include <array>

#include "tokenizer/utf8.h"

namespace whet::tokenizer {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Tables {
  std::array<std::string, 256> spelling;
  std::array<std::int16_t, 0x180> byte_of;  ///< by code point; -1: spells nothing
};

const Tables& tables() {
  static const Tables result = [] {
    Tables t;
    t.byte_of.fill(-1);
    std::uint32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const std::uint32_t code = stands_for_itself(byte) ? static_cast<std::uint32_t>(byte) : next++;
      append_utf8(t.spelling[static_cast<std::size_t>(byte)], code);
      t.byte_of[code] = static_cast<std::int16_t>(byte);
    }
    return t;
  }();
  return result;
}

}  // namespace

const std::string& spelling_of(std::uint8_t byte) { return tables().spelling[byte]; }

std::string spell(std::string_view bytes) {
  std::string result;
  for (const char byte : bytes) result += spelling_of(static_cast<std::uint8_t>(byte));
  return result;
}

std::optional<std::string> unspell(std::string_view token) {
  const Tables& t = tables();
  std::string result;
  while (!token.empty()) {
    const Utf8Char character = first_utf8(token);
    if (character.length == 0 || character.code >= t.byte_of.size() || t.byte_of[character.code] < 0)
      return std::nullopt;
    result += static_cast<char>(t.byte_of[character.code]);
    token.remove_prefix(character.length);
  }
  return result;
}

}  // namespace whet::tokenizer
