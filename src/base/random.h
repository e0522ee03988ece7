// Random numbers keyed by meaning. A draw depends only on what it is for (seed, step, problem, rollout, position),
// never on how many draws came before it, so that batch size, order and the number of ranks cannot change it.
//
// The generator is Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace whet::base {

/// Ten rounds of Philox4x32: a bijection of the 128-bit counter for each 64-bit key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::uint64_t key);

/// Mixes 64 bits (the finaliser of SplitMix64).
std::uint64_t mix(std::uint64_t value);

/// A 64-bit hash of a text (FNV-1a, mixed). Stable across machines; used for keys and splits, not for security.
std::uint64_t hash_text(std::string_view text);

/// Combines the parts of a meaning into one 64-bit key; the order of the parts matters.
std::uint64_t combine(std::initializer_list<std::uint64_t> parts);

/// The uniform number in [0, 1) that belongs to one token of one rollout. 24 bits of resolution would let a
/// token of probability 1e-8 never appear, so it has 53.
double token_uniform(std::uint64_t stream_key, std::uint64_t problem, std::uint32_t rollout, std::uint32_t position);

/// A sequence of draws under one key.
class Random {
 public:
  explicit Random(std::uint64_t key) : key_(key) {}
  Random(std::initializer_list<std::uint64_t> parts) : key_(combine(parts)) {}

  std::uint64_t next();
  /// In [0, 1).
  double uniform();
  /// In [0, n), without bias; n must be positive.
  std::uint64_t below(std::uint64_t n);
  /// In [low, high], both included.
  std::int64_t between(std::int64_t low, std::int64_t high);
  /// Standard normal (Box-Muller).
  double normal();

  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }
  template <class T>
  const T& pick(const std::vector<T>& items) {
    return items[below(items.size())];
  }

 private:
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

}  // namespace whet::base
