#include "tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <queue>

#include "base/error.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/json_fields.h"
#include "tokenizer/utf8.h"

namespace whet::tokenizer {
namespace {

using base::user_error;
using nlohmann::json;

/// Above this many symbols the scan for the lowest rank, quadratic in a word's length, costs more than a heap. A text
/// without spaces is one long word, so the heap is also what keeps a hostile text from taking minutes.
constexpr std::size_t kShortWord = 64;
constexpr std::uint32_t kNone = 0xFFFFFFFF;

std::uint64_t hash_pair(std::uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15u;
  return pair ^ pair >> 32;
}

std::string describe_byte(std::uint8_t byte) {
  return byte > ' ' && byte < 0x7F ? fmt::format("0x{:02X} ('{}')", byte, static_cast<char>(byte))
                                   : fmt::format("0x{:02X}", byte);
}

/// How a vocabulary names a byte that it falls back to.
std::string fallback_name(int byte) { return fmt::format("<0x{:02X}>", byte); }

constexpr std::string_view kMark = "\u2581";

/// Whether a mark stands after something that is none.
bool has_mark_inside(std::string_view text) {
  for (std::size_t at = 1; (at = text.find(kMark, at)) != std::string_view::npos; at += kMark.size()) {
    if (!text.substr(0, at).ends_with(kMark)) return true;
  }
  return false;
}

}  // namespace

WordCache::WordCache() : slots_(kSlots) {}

bool WordCache::find(std::string_view word, std::uint64_t hash, std::vector<TokenId>& out) const {
  const Slot& slot = slots_[hash % kSlots];
  if (slot.hash != hash || slot.length != word.size()) return false;
  if (std::memcmp(text_.data() + slot.text, word.data(), word.size()) != 0) return false;
  out.insert(out.end(), ids_.begin() + slot.ids, ids_.begin() + slot.ids + slot.count);
  return true;
}

void WordCache::insert(std::string_view word, std::uint64_t hash, const TokenId* ids, std::size_t count) {
  if (text_.size() + word.size() > kMostBytes) {
    std::fill(slots_.begin(), slots_.end(), Slot{});
    text_.clear();
    ids_.clear();
  }
  slots_[hash % kSlots] = {hash, static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(ids_.size()),
                           static_cast<std::uint16_t>(word.size()), static_cast<std::uint16_t>(count)};
  text_.append(word);
  ids_.insert(ids_.end(), ids, ids + count);
}

Bpe::Bpe(const TokenizerFile& file, bool is_byte_level) : is_byte_level_(is_byte_level) {
  const std::string where = file.name + ": model";
  const json& model = require(file.parts, "model", file.name);
  const std::string type = type_of(model, where);
  if (type != "BPE") user_error(where, "type {} is not supported, want BPE", type);
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json* value = optional_field(model, name);
    if (value != nullptr && *value != "") user_error(where, "{} = {} is not supported, want null", name, value->dump());
  }
  const json* dropout = optional_field(model, "dropout");
  if (dropout != nullptr && *dropout != 0.0)
    user_error(where, "dropout = {} is not supported, want null", dropout->dump());
  read_vocabulary(file, where);
  read_units(model, where);
  const bool ignores_merges = flag(model, "ignore_merges", false, where);
  if (ignores_merges) {
    whole_words_.reserve(vocabulary_.entries().size(), 8 * vocabulary_.entries().size());
    for (const TextTable::Entry& entry : vocabulary_.entries()) {
      const std::string_view spelled = vocabulary_.key(entry);
      if (!is_byte_level_) {
        whole_words_.add(spelled, entry.value);
      } else if (const std::optional<std::string> bytes = unspell(spelled)) {
        whole_words_.add(*bytes, entry.value);
      }
    }
  }
  cuts_at_marks_ = !is_byte_level_ && !ignores_merges && vocabulary_.find(kMark).has_value();
  read_merges(file, where);
  has_no_merges_ = is_byte_level_ && !ignores_merges && file.merges.empty() && !unknown_;
}

void Bpe::read_vocabulary(const TokenizerFile& file, const std::string& where) {
  vocabulary_.reserve(file.vocabulary.size(), 8 * file.vocabulary.size());
  for (const auto& [token, id] : file.vocabulary) {
    if (!vocabulary_.add(token, id)) user_error(where, "vocab has '{}' twice", token);
  }
}

/// What a word consists of before anything is joined, and what becomes of a part without a token.
void Bpe::read_units(const json& model, const std::string& where) {
  bool has_all_bytes = true;
  for (int byte = 0; byte < 256; ++byte) {
    const auto found =
        vocabulary_.find(is_byte_level_ ? spelling_of(static_cast<std::uint8_t>(byte)) : fallback_name(byte));
    byte_tokens_[static_cast<std::size_t>(byte)] = found.value_or(-1);
    has_all_bytes = has_all_bytes && found;
  }
  falls_back_to_bytes_ = flag(model, "byte_fallback", false, where);
  // With a token for every byte nothing is ever unknown, and what to do then does not matter.
  if (is_byte_level_ && has_all_bytes) return;
  if (is_byte_level_ && falls_back_to_bytes_)
    user_error(where, "byte_fallback = true is not supported with pre_tokenizer ByteLevel and a byte without a token");
  if (const json* unknown = optional_field(model, "unk_token")) {
    if (!unknown->is_string()) user_error(where, "unk_token = {}, want a text", unknown->dump());
    unknown_ = vocabulary_.find(unknown->get_ref<const std::string&>());
    if (!unknown_) user_error(where, "unk_token = {}, which vocab lacks", unknown->dump());
  }
  fuses_unknown_ = flag(model, "fuse_unk", false, where);
  if (is_byte_level_) return;
  for (const TextTable::Entry& entry : vocabulary_.entries()) {
    const std::string_view token = vocabulary_.key(entry);
    const Utf8Char character = first_utf8(token);
    if (character.length == 0 || character.length != token.size()) continue;
    if (character.code >= character_tokens_.size()) character_tokens_.resize(character.code + 1, -1);
    character_tokens_[character.code] = entry.value;
  }
}

void Bpe::read_merges(const TokenizerFile& file, const std::string& where) {
  merges_.resize(std::bit_ceil(2 * file.merges.size() + 2));
  std::string joined;
  std::uint32_t rank = 0;
  for (const auto& [left, right] : file.merges) {
    const auto id_of = [&](std::string_view token) {
      const auto found = vocabulary_.find(token);
      if (!found) user_error(where, "merge {} needs the token '{}', which vocab lacks", rank, token);
      return *found;
    };
    const auto left_id = static_cast<std::uint64_t>(id_of(left));
    const auto right_id = static_cast<std::uint64_t>(id_of(right));
    joined.assign(left).append(right);
    add_merge(left_id << 32 | right_id, rank, id_of(joined));
    cuts_at_marks_ = cuts_at_marks_ && !has_mark_inside(joined);
    ++rank;
  }
}

void Bpe::add_merge(std::uint64_t pair, std::uint32_t rank, TokenId id) {
  std::size_t slot = hash_pair(pair) & (merges_.size() - 1);
  while (merges_[slot].rank != kNoRank && merges_[slot].pair != pair) slot = (slot + 1) & (merges_.size() - 1);
  merges_[slot] = {pair, rank, id};
}

const Bpe::Merge* Bpe::find_merge(TokenId left, TokenId right) const {
  const std::uint64_t pair = static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  std::size_t slot = hash_pair(pair) & (merges_.size() - 1);
  while (merges_[slot].rank != kNoRank) {
    if (merges_[slot].pair == pair) return &merges_[slot];
    slot = (slot + 1) & (merges_.size() - 1);
  }
  return nullptr;
}

std::uint32_t Bpe::rank_of(TokenId left, TokenId right) const {
  const Merge* merge = find_merge(left, right);
  return merge == nullptr ? kNoRank : merge->rank;
}

TokenId Bpe::character_token(std::uint32_t code) const {
  return code < character_tokens_.size() ? character_tokens_[code] : -1;
}

void Bpe::split_bytes(std::string_view word, std::vector<BpeScratch::Symbol>& symbols) const {
  bool after_unknown = false;
  for (const char c : word) {
    const auto byte = static_cast<std::uint8_t>(c);
    TokenId id = byte_tokens_[byte];
    const bool is_unknown = id < 0;
    if (is_unknown) {
      if (!unknown_) {
        user_error("tokenizer", "byte {} of the text has no token in the vocabulary of {}", describe_byte(byte),
                   vocabulary_.entries().size());
      }
      if (after_unknown && fuses_unknown_) continue;
      id = *unknown_;
    }
    symbols.push_back({id, kNoRank, kNone, kNone});
    after_unknown = is_unknown;
  }
}

void Bpe::split_characters(std::string_view word, std::vector<BpeScratch::Symbol>& symbols) const {
  // An unknown token waits for the next known character: bytes that others fall back to overtake it, in the format's own
  // library and so here.
  bool waits = false;
  const auto settle = [&] {
    if (waits) symbols.push_back({*unknown_, kNoRank, kNone, kNone});
    waits = false;
  };
  for (std::size_t i = 0; i < word.size();) {
    const Utf8Char c = decode_valid_utf8(word.data() + i);
    const std::string_view bytes = word.substr(i, c.length);
    i += c.length;
    const TokenId id = character_token(c.code);
    if (id >= 0) {
      settle();
      symbols.push_back({id, kNoRank, kNone, kNone});
      continue;
    }
    const auto has_token = [&](char byte) { return byte_tokens_[static_cast<std::uint8_t>(byte)] >= 0; };
    if (falls_back_to_bytes_ && std::all_of(bytes.begin(), bytes.end(), has_token)) {
      for (const char byte : bytes)
        symbols.push_back({byte_tokens_[static_cast<std::uint8_t>(byte)], kNoRank, kNone, kNone});
      continue;
    }
    if (!unknown_) {
      user_error("tokenizer", "character U+{:04X} of the text has no token in the vocabulary of {}", c.code,
                 vocabulary_.entries().size());
    }
    if (!fuses_unknown_) settle();
    waits = true;
  }
  settle();
}

void Bpe::encode(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& out) const {
  if (!cuts_at_marks_) return encode_whole(word, scratch, out);
  // Words of a text that was never cut: the same ids, but words are met again.
  std::size_t begin = 0;
  for (std::size_t at = 1; (at = word.find(kMark, at)) != std::string_view::npos; at += kMark.size()) {
    if (word.substr(begin, at - begin).ends_with(kMark)) continue;
    encode_whole(word.substr(begin, at - begin), scratch, out);
    begin = at;
  }
  encode_whole(word.substr(begin), scratch, out);
}

void Bpe::encode_whole(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& out) const {
  if (is_byte_level_ && word.size() == 1 && byte_tokens_[static_cast<std::uint8_t>(word[0])] >= 0)
    return out.push_back(byte_tokens_[static_cast<std::uint8_t>(word[0])]);
  const bool cacheable = word.size() <= WordCache::kLongestWord && !has_no_merges_;
  const std::uint64_t hash = cacheable ? hash_word(word) : 0;
  if (cacheable && scratch.cache.find(word, hash, out)) return;
  const std::size_t before = out.size();
  if (const auto whole = whole_words_.find(word)) {
    out.push_back(*whole);
  } else {
    scratch.symbols.clear();
    if (is_byte_level_) {
      split_bytes(word, scratch.symbols);
    } else {
      split_characters(word, scratch.symbols);
    }
    if (scratch.symbols.size() <= kShortWord) {
      merge_short(scratch.symbols, out);
    } else {
      merge_long(scratch.symbols, out);
    }
  }
  if (cacheable) scratch.cache.insert(word, hash, out.data() + before, out.size() - before);
}

void Bpe::merge_short(std::vector<BpeScratch::Symbol>& symbols, std::vector<TokenId>& out) const {
  std::size_t count = symbols.size();
  for (std::size_t i = 0; i + 1 < count; ++i) symbols[i].rank = rank_of(symbols[i].id, symbols[i + 1].id);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (symbols[i].rank < symbols[best].rank) best = i;
    }
    if (symbols[best].rank == kNoRank) break;
    symbols[best].id = find_merge(symbols[best].id, symbols[best + 1].id)->id;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    --count;
    symbols[best].rank = best + 1 < count ? rank_of(symbols[best].id, symbols[best + 1].id) : kNoRank;
    if (best > 0) symbols[best - 1].rank = rank_of(symbols[best - 1].id, symbols[best].id);
  }
  for (const BpeScratch::Symbol& symbol : symbols) out.push_back(symbol.id);
}

void Bpe::merge_long(std::vector<BpeScratch::Symbol>& symbols, std::vector<TokenId>& out) const {
  // Pairs wait in a heap by (rank, position). A pair that changed since is recognised by its rank and skipped.
  using Waiting = std::pair<std::uint32_t, std::uint32_t>;
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> heap;
  const auto update = [&](std::uint32_t i) {
    BpeScratch::Symbol& symbol = symbols[i];
    symbol.rank = symbol.next == kNone ? kNoRank : rank_of(symbol.id, symbols[symbol.next].id);
    if (symbol.rank != kNoRank) heap.emplace(symbol.rank, i);
  };
  const auto size = static_cast<std::uint32_t>(symbols.size());
  for (std::uint32_t i = 0; i < size; ++i) {
    symbols[i].previous = i == 0 ? kNone : i - 1;
    symbols[i].next = i + 1 == size ? kNone : i + 1;
  }
  for (std::uint32_t i = 0; i < size; ++i) update(i);
  while (!heap.empty()) {
    const auto [rank, i] = heap.top();
    heap.pop();
    BpeScratch::Symbol& left = symbols[i];
    if (left.rank != rank) continue;
    BpeScratch::Symbol& right = symbols[left.next];
    left.id = find_merge(left.id, right.id)->id;
    left.next = right.next;
    right.rank = kNoRank;
    if (left.next != kNone) symbols[left.next].previous = i;
    update(i);
    if (left.previous != kNone) update(left.previous);
  }
  for (std::uint32_t i = 0; i != kNone; i = symbols[i].next) out.push_back(symbols[i].id);
}

}  // namespace whet::tokenizer
