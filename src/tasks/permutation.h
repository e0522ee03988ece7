// An order of a list that can be asked for at any place: no table, no state.
#pragma once

#include <bit>
#include <cstdint>

#include "base/random.h"

namespace whet::tasks {

/// Where `index` goes under a random permutation of [0, size) that belongs to `key`: a Feistel network over the next
/// even power of two, walked until it lands inside. No table, so that any index can be asked for at any time.
inline std::uint64_t permuted(std::uint64_t index, std::uint64_t size, std::uint64_t key) {
  const int half = (std::bit_width(size - 1) + 1) / 2;
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  do {
    std::uint64_t left = index >> half, right = index & mask;
    for (std::uint64_t round = 0; round < 4; ++round) {
      const std::uint64_t next = left ^ (base::combine({key, round, right}) & mask);
      left = right;
      right = next;
    }
    index = (left << half) | right;
  } while (index >= size);
  return index;
}

}  // namespace whet::tasks
