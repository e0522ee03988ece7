// Byte-pair encoding of one word: single bytes are joined, the earliest learned pair first, until no pair is left.
// (Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL 2016.)
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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
  /// `model` is the file's "model". UserError naming `where` for anything malformed or not supported.
  Bpe(const nlohmann::json& model, const std::string& where);

  /// Appends the ids of one word (any bytes, not empty). UserError naming the byte when one has no token.
  void encode(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& out) const;

  /// The entries as the file spells them.
  const std::unordered_map<std::string, TokenId>& vocabulary() const { return vocabulary_; }

 private:
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFF;
  struct Merge {
    std::uint64_t pair = ~std::uint64_t{0};
    std::uint32_t rank = kNoRank;
    TokenId id = -1;
  };

  void read_vocabulary(const nlohmann::json& model, const std::string& where);
  void read_merges(const nlohmann::json& model, const std::string& where);
  void add_merge(std::string_view left, std::string_view right, std::uint32_t rank, const std::string& where);
  TokenId byte_token(std::uint8_t byte) const;
  const Merge* find_merge(TokenId left, TokenId right) const;
  std::uint32_t rank_of(TokenId left, TokenId right) const;
  void merge_short(std::vector<BpeScratch::Symbol>& symbols, std::vector<TokenId>& out) const;
  void merge_long(std::vector<BpeScratch::Symbol>& symbols, std::vector<TokenId>& out) const;

  std::unordered_map<std::string, TokenId> vocabulary_;
  std::unordered_map<std::string, TokenId> whole_words_;  ///< by their bytes; filled only for ignore_merges
  std::array<TokenId, 256> byte_tokens_{};                ///< -1: none
  std::vector<Merge> merges_;                             ///< open addressing, a power of two
  bool has_no_merges_ = false;                            ///< every word is its bytes
};

}  // namespace whet::tokenizer
