#include "tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <queue>
#include <unordered_set>

#include "base/error.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/json_fields.h"

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

/// Eight bytes at a time; only the quality of the table's spread depends on it.
std::uint64_t hash_word(std::string_view word) {
  std::uint64_t hash = word.size() * 0x9E3779B97F4A7C15u;
  while (word.size() >= 8) {
    std::uint64_t chunk;
    std::memcpy(&chunk, word.data(), 8);
    hash = (hash ^ chunk) * 0xFF51AFD7ED558CCDu;
    hash ^= hash >> 32;
    word.remove_prefix(8);
  }
  std::uint64_t rest = 0;
  std::memcpy(&rest, word.data(), word.size());
  hash = (hash ^ rest) * 0xFF51AFD7ED558CCDu;
  return hash ^ hash >> 29;
}

std::string describe_byte(std::uint8_t byte) {
  return byte > ' ' && byte < 0x7F ? fmt::format("0x{:02X} ('{}')", byte, static_cast<char>(byte))
                                   : fmt::format("0x{:02X}", byte);
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

Bpe::Bpe(const json& model, const std::string& where) {
  const std::string type = type_of(model, where);
  if (type != "BPE") user_error(where, "type {} is not supported, want BPE", type);
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json* value = optional_field(model, name);
    if (value != nullptr && *value != "") user_error(where, "{} = {} is not supported, want null", name, value->dump());
  }
  const json* dropout = optional_field(model, "dropout");
  if (dropout != nullptr && *dropout != 0.0)
    user_error(where, "dropout = {} is not supported, want null", dropout->dump());

  read_vocabulary(model, where);
  read_merges(model, where);

  byte_tokens_.fill(-1);
  bool all_bytes = true;
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = vocabulary_.find(spelling_of(static_cast<std::uint8_t>(byte)));
    if (found == vocabulary_.end()) {
      all_bytes = false;
    } else {
      byte_tokens_[static_cast<std::size_t>(byte)] = found->second;
    }
  }
  // With a token for every byte nothing is ever unknown, and what to do then does not matter.
  if (!all_bytes && flag(model, "byte_fallback", false, where))
    user_error(where, "byte_fallback = true is not supported");
  const json* unknown = optional_field(model, "unk_token");
  if (!all_bytes && unknown != nullptr) user_error(where, "unk_token = {} is not supported", unknown->dump());
  if (flag(model, "ignore_merges", false, where)) {
    for (const auto& [token, id] : vocabulary_) {
      if (std::optional<std::string> bytes = unspell(token)) whole_words_.emplace(std::move(*bytes), id);
    }
  }
  has_no_merges_ = whole_words_.empty() && require(model, "merges", where).empty();
}

void Bpe::read_vocabulary(const json& model, const std::string& where) {
  const json& vocabulary = require(model, "vocab", where);
  if (!vocabulary.is_object() || vocabulary.empty()) user_error(where, "vocab is empty or not an object");
  vocabulary_.reserve(vocabulary.size());
  std::unordered_set<TokenId> seen;
  for (const auto& [token, id] : vocabulary.items()) {
    // 2^24 is a hundred times the largest vocabulary in use.
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= (1u << 24)) {
      user_error(where, "vocab '{}' has id {}, want a whole number below 2^24", token, id.dump());
    }
    const auto value = static_cast<TokenId>(id.get<std::uint64_t>());
    if (!seen.insert(value).second) user_error(where, "vocab gives id {} twice, once to '{}'", value, token);
    vocabulary_.emplace(token, value);
  }
}

void Bpe::read_merges(const json& model, const std::string& where) {
  const json& merges = require(model, "merges", where);
  if (!merges.is_array()) user_error(where, "merges is not a list");
  merges_.resize(std::bit_ceil(2 * merges.size() + 2));
  std::uint32_t rank = 0;
  for (const json& merge : merges) {
    if (merge.is_string()) {
      const std::string& text = merge.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        user_error(where, "merge {} is '{}', want two tokens and a space between", rank, text);
      }
      add_merge(std::string_view(text).substr(0, space), std::string_view(text).substr(space + 1), rank, where);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      add_merge(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(), rank, where);
    } else {
      user_error(where, "merge {} is {}, want two tokens", rank, merge.dump());
    }
    ++rank;
  }
}

void Bpe::add_merge(std::string_view left, std::string_view right, std::uint32_t rank, const std::string& where) {
  const auto id_of = [&](const std::string& token) {
    const auto found = vocabulary_.find(token);
    if (found == vocabulary_.end()) user_error(where, "merge {} needs the token '{}', which vocab lacks", rank, token);
    return found->second;
  };
  const auto left_id = static_cast<std::uint64_t>(id_of(std::string(left)));
  const auto right_id = static_cast<std::uint64_t>(id_of(std::string(right)));
  const std::uint64_t pair = left_id << 32 | right_id;
  std::size_t slot = hash_pair(pair) & (merges_.size() - 1);
  while (merges_[slot].rank != kNoRank && merges_[slot].pair != pair) slot = (slot + 1) & (merges_.size() - 1);
  merges_[slot] = {pair, rank, id_of(std::string(left) + std::string(right))};
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

TokenId Bpe::byte_token(std::uint8_t byte) const {
  const TokenId id = byte_tokens_[byte];
  if (id < 0) {
    user_error("tokenizer", "byte {} of the text has no token in the vocabulary of {}", describe_byte(byte),
               vocabulary_.size());
  }
  return id;
}

void Bpe::encode(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& out) const {
  if (word.size() == 1) return out.push_back(byte_token(static_cast<std::uint8_t>(word[0])));
  if (has_no_merges_) {
    for (const char c : word) out.push_back(byte_token(static_cast<std::uint8_t>(c)));
    return;
  }
  const bool cacheable = word.size() <= WordCache::kLongestWord;
  const std::uint64_t hash = cacheable ? hash_word(word) : 0;
  if (cacheable && scratch.cache.find(word, hash, out)) return;
  const std::size_t before = out.size();
  const auto whole = whole_words_.empty() ? whole_words_.end() : whole_words_.find(std::string(word));
  if (whole != whole_words_.end()) {
    out.push_back(whole->second);
  } else {
    scratch.symbols.clear();
    for (const char c : word) {
      scratch.symbols.push_back({byte_token(static_cast<std::uint8_t>(c)), kNoRank, kNone, kNone});
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
