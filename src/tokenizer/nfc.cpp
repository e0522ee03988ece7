#include "tokenizer/nfc.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tokenizer/code_points.h"
#include "tokenizer/unicode_data.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer {
namespace {

// Hangul syllables are composed by arithmetic (The Unicode Standard, section 3.12).
constexpr std::uint32_t kSyllable = 0xAC00, kSyllables = 11172, kLead = 0x1100, kLeads = 19, kVowel = 0x1161,
                        kVowels = 21;
constexpr std::uint32_t kTail = 0x11A7, kTails = 28;

bool is_syllable(std::uint32_t c) { return c >= kSyllable && c < kSyllable + kSyllables; }

struct Character {
  std::uint32_t code;
  std::uint8_t combining;  ///< canonical combining class; 0 for a starter
};

struct Tables {
  std::unordered_map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> parts;  ///< second 0: of a single one
  std::unordered_map<std::uint64_t, std::uint32_t> whole;                            ///< by first << 32 | second
  CodePointTable combining;
  CodePointTable decomposes;
  CodePointTable joins_previous;  ///< may change places with what stands before it, or become one with it

  Tables() {
    using namespace unicode_data;
    std::vector<std::uint8_t> classes(kLastCodePoint + 1), splits(kLastCodePoint + 1), joins(kLastCodePoint + 1);
    for (std::size_t i = 0; i < kCombiningRunsCount; ++i) {
      const std::uint32_t end = i + 1 < kCombiningRunsCount ? kCombiningRuns[i + 1] >> 8 : kLastCodePoint + 1;
      std::fill(classes.begin() + (kCombiningRuns[i] >> 8), classes.begin() + end,
                static_cast<std::uint8_t>(kCombiningRuns[i] & 0xFF));
    }
    for (std::size_t c = 0; c < classes.size(); ++c) joins[c] = classes[c] != 0;
    for (std::size_t i = 0; i < kDecompositionsCount; i += 3) {
      const std::uint32_t code = kDecompositions[i] >> 1, first = kDecompositions[i + 1],
                          second = kDecompositions[i + 2];
      parts.emplace(code, std::pair(first, second));
      splits[code] = 1;
      if ((kDecompositions[i] & 1) == 0) continue;
      whole.emplace(std::uint64_t{first} << 32 | second, code);
      joins[second] = 1;
    }
    std::fill_n(splits.begin() + kSyllable, kSyllables, std::uint8_t{1});
    std::fill_n(joins.begin() + kVowel, kVowels, std::uint8_t{1});
    std::fill_n(joins.begin() + kTail + 1, kTails - 1, std::uint8_t{1});
    combining = CodePointTable(classes);
    decomposes = CodePointTable(splits);
    joins_previous = CodePointTable(joins);
  }
};

const Tables& tables() {
  static const Tables result;
  return result;
}

void decompose(std::uint32_t code, std::vector<Character>& out) {
  const Tables& t = tables();
  if (is_syllable(code)) {
    const std::uint32_t index = code - kSyllable;
    out.push_back({kLead + index / (kVowels * kTails), 0});
    out.push_back({kVowel + index % (kVowels * kTails) / kTails, 0});
    if (index % kTails != 0) out.push_back({kTail + index % kTails, 0});
    return;
  }
  if (t.decomposes[code] == 0) {
    out.push_back({code, t.combining[code]});
    return;
  }
  const auto [first, second] = t.parts.at(code);
  decompose(first, out);
  if (second != 0) decompose(second, out);
}

/// The composition of two characters, or 0.
std::uint32_t join(std::uint32_t first, std::uint32_t second) {
  if (first - kLead < kLeads && second - kVowel < kVowels)
    return kSyllable + ((first - kLead) * kVowels + (second - kVowel)) * kTails;
  if (is_syllable(first) && (first - kSyllable) % kTails == 0 && second - kTail - 1 < kTails - 1)
    return first + (second - kTail);
  const auto found = tables().whole.find(std::uint64_t{first} << 32 | second);
  return found == tables().whole.end() ? 0 : found->second;
}

void order_marks(std::vector<Character>& characters) {
  for (auto begin = characters.begin(); begin != characters.end();) {
    if (begin->combining == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, characters.end(), [](const Character& c) { return c.combining == 0; });
    std::stable_sort(begin, end, [](const Character& a, const Character& b) { return a.combining < b.combining; });
    begin = end;
  }
}

void compose_in_place(std::vector<Character>& characters) {
  std::size_t kept = 0;
  std::optional<std::size_t> starter;
  int last_class = -1;  // of the mark kept last since the starter; -1: none
  for (const Character c : characters) {
    // A mark is blocked from the starter by one of its own class or a higher, and a starter by any.
    if (starter && last_class < static_cast<int>(c.combining)) {
      if (const std::uint32_t whole = join(characters[*starter].code, c.code)) {
        characters[*starter].code = whole;
        continue;
      }
    }
    if (c.combining == 0) {
      starter = kept;
      last_class = -1;
    } else {
      last_class = c.combining;
    }
    characters[kept++] = c;
  }
  characters.resize(kept);
}

}  // namespace

std::string_view normalize_canonically(std::string_view text, bool compose, std::string& room) {
  // Characters below U+00C0 are never changed, nor below U+0300 when composing; their UTF-8 begins with a lower byte.
  const unsigned char safe = compose ? 0xCC : 0xC3;
  std::size_t i = 0;
  const auto skip_safe = [&] {
    while (i < text.size() && static_cast<unsigned char>(text[i]) < safe) ++i;
  };
  skip_safe();
  if (i == text.size()) return text;
  const Tables& t = tables();
  const auto is_touched = [&](std::uint32_t c) {
    if (t.joins_previous[c] != 0) return true;
    // A syllable composes to itself again.
    return t.decomposes[c] != 0 && !(compose && is_syllable(c));
  };

  room.clear();
  std::size_t copied = 0, last = 0;  // what `room` holds already; the last character begun
  std::vector<Character> characters;
  for (i = 0; i < text.size();) {
    Utf8Char c = decode_valid_utf8(text.data() + i);
    if (!is_touched(c.code)) {
      last = i;
      i += c.length;
      continue;
    }
    // From the character that it may join to the next that joins nothing.
    const std::size_t begin = std::max(last, copied);
    characters.clear();
    for (std::size_t at = begin; at < i;) {
      const Utf8Char before = decode_valid_utf8(text.data() + at);
      decompose(before.code, characters);
      at += before.length;
    }
    do {
      decompose(c.code, characters);
      i += c.length;
      if (i == text.size()) break;
      c = decode_valid_utf8(text.data() + i);
    } while (is_touched(c.code));
    order_marks(characters);
    if (compose) compose_in_place(characters);
    room.append(text.substr(copied, begin - copied));
    for (const Character& character : characters) append_utf8(room, character.code);
    copied = last = i;
  }
  room.append(text.substr(copied));
  return room;
}

}  // namespace whet::tokenizer
