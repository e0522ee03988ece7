// Numbers by text: a hash table for a vocabulary, filled once and read often.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace whet::tokenizer {

/// Eight bytes at a time; only the quality of a table's spread depends on it.
inline std::uint64_t hash_word(std::string_view word) {
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

class TextTable {
 public:
  struct Entry {
    std::uint32_t offset, length;  ///< of the key in the table's own text
    std::int32_t value;
  };

  /// Room for that many entries of that many bytes together; more may come.
  void reserve(std::size_t entries, std::size_t bytes) {
    entries_.reserve(entries);
    text_.reserve(bytes);
    if (2 * entries > slots_.size()) spread(2 * entries);
  }

  /// False, and nothing done, when the key is there already.
  bool add(std::string_view key, std::int32_t value) {
    if (2 * (entries_.size() + 1) > slots_.size()) spread(4 * (entries_.size() + 1));
    const std::uint64_t hash = hash_word(key);
    Slot& slot = slots_[find_slot(key, hash)];
    if (slot.entry != kEmpty) return false;
    slot = {static_cast<std::uint32_t>(hash >> 32), static_cast<std::uint32_t>(entries_.size())};
    entries_.push_back({static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(key.size()), value});
    text_ += key;
    return true;
  }

  std::optional<std::int32_t> find(std::string_view key) const {
    if (slots_.empty()) return std::nullopt;
    const Slot& slot = slots_[find_slot(key, hash_word(key))];
    if (slot.entry == kEmpty) return std::nullopt;
    return entries_[slot.entry].value;
  }

  const std::vector<Entry>& entries() const { return entries_; }
  std::string_view key(const Entry& entry) const { return std::string_view(text_).substr(entry.offset, entry.length); }

 private:
  static constexpr std::uint32_t kEmpty = 0xFFFFFFFF;
  struct Slot {
    std::uint32_t hash = 0;  ///< its upper half
    std::uint32_t entry = kEmpty;
  };

  std::size_t find_slot(std::string_view wanted, std::uint64_t hash) const {
    const auto upper = static_cast<std::uint32_t>(hash >> 32);
    std::size_t i = hash & (slots_.size() - 1);
    while (slots_[i].entry != kEmpty && !(slots_[i].hash == upper && key(entries_[slots_[i].entry]) == wanted)) {
      i = (i + 1) & (slots_.size() - 1);
    }
    return i;
  }

  void spread(std::size_t least_slots) {
    std::size_t count = 16;
    while (count < least_slots) count *= 2;
    slots_.assign(count, {});
    for (std::uint32_t e = 0; e < entries_.size(); ++e) {
      const std::uint64_t hash = hash_word(key(entries_[e]));
      slots_[find_slot(key(entries_[e]), hash)] = {static_cast<std::uint32_t>(hash >> 32), e};
    }
  }

  std::string text_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
};

}  // namespace whet::tokenizer
