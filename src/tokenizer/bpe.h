// Byte-pair encoding of one word: single bytes or characters are joined, the earliest learned pair first, until no pair is
// left.
// (Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL 2016.)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/text_table.h"
#include "tokenizer/tokenizer_file.h"

namespace whet::tokenizer {

using TokenId = std::int32_t;

/// Results of whole words, which text repeats a lot. A fixed table: a word that meets another in its slot replaces it,
/// and when the stored bytes reach a limit all is forgotten. For one thread at a time.
class WordCache {
 public:
  static constexpr std::size_t kLongestWord = 48;

  WordCache();
  /// True, and the ids appended to `out`, when the word is known.
  bool find(std::string_view word, std::uint64_t hash, std::vector<TokenId>& out) const;
  void insert(std::string_view word, std::uint64_t hash, const TokenId* ids, std::size_t count);

 private:
  static constexpr std::size_t kSlots = 1 << 15;
  static constexpr std::size_t kMostBytes = 1 << 20;
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t text = 0;    ///< offset into text_
    std::uint32_t ids = 0;     ///< offset into ids_
    std::uint16_t length = 0;  ///< of the word; 0: empty slot
    std::uint16_t count = 0;
  };
  std::vector<Slot> slots_;
  std::string text_;
  std::vector<TokenId> ids_;
};

/// Room that one running encode needs; for one thread at a time.
struct BpeScratch {
  struct Symbol {
    TokenId id;
    std::uint32_t rank;  ///< of the pair of this symbol and the next
    std::uint32_t previous, next;
  };
  WordCache cache;
  std::vector<Symbol> symbols;
};

class Bpe {
 public:
  /// The file's "model". Words come as bytes when `is_byte_level` (and the vocabulary spells them, see byte_level.h), else as
  /// characters. UserError naming the file for anything malformed or not supported.
  Bpe(const TokenizerFile& file, bool is_byte_level);

  /// Appends the ids of one word (not empty; any bytes when byte-level, else valid UTF-8). UserError naming the byte or
  /// character when one has no token.
  void encode(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& out) const;

  /// The entries as the file spells them.
  const TextTable& vocabulary() const { return vocabulary_; }

 private:
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFF;
  struct Merge {
    std::uint64_t pair = ~std::uint64_t{0};
    std::uint32_t rank = kNoRank;
    TokenId id = -1;
  };

  void read_vocabulary(const TokenizerFile& file, const std::string& where);
  void read_merges(const TokenizerFile& file, const std::string& where);
  void read_units(const nlohmann::json& model, const std::string& where);
  void add_merge(std::uint64_t pair, std::uint32_t rank, TokenId id);
  const Merge* find_merge(TokenId left, TokenId right) const;
  std::uint32_t rank_of(TokenId left, TokenId right) const;

  void encode_whole(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& out) const;
  void split_bytes(std::string_view word, std::vector<BpeScratch::Symbol>& symbols) const;
  void split_characters(std::string_view word, std::vector<BpeScratch::Symbol>& symbols) const;
  TokenId character_token(std::uint32_t code) const;
  void merge_short(std::vector<BpeScratch::Symbol>& symbols, std::vector<TokenId>& out) const;
  void merge_long(std::vector<BpeScratch::Symbol>& symbols, std::vector<TokenId>& out) const;

  bool is_byte_level_;
  TextTable vocabulary_;
  TextTable whole_words_;                   ///< by their bytes; filled only for ignore_merges
  std::array<TokenId, 256> byte_tokens_{};  ///< of a byte-level vocabulary, or to fall back to; -1: none
  std::vector<TokenId> character_tokens_;   ///< by code point; -1: none. Empty when byte-level
  bool falls_back_to_bytes_ = false;
  std::optional<TokenId> unknown_;
  bool fuses_unknown_ = false;
  bool cuts_at_marks_ = false;  ///< no merge reaches over the begin of a word that is written with U+2581
  std::vector<Merge> merges_;   ///< open addressing, a power of two
  bool has_no_merges_ = false;  ///< every word is its bytes
};

}  // namespace whet::tokenizer
