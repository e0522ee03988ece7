// Loops over PyTorch's thread pool. How work is cut depends on the work alone, never on the number of threads.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace whet::engine {

/// body(index) for each index in [0, count).
template <class Body>
void parallel_tasks(std::int64_t count, const Body& body) {
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = begin; index < end; ++index) body(index);
  });
}

/// body(begin, end) for blocks of `block` items.
template <class Body>
void parallel_blocks(std::int64_t items, std::int64_t block, const Body& body) {
  parallel_tasks((items + block - 1) / block,
                 [&](std::int64_t index) { body(index * block, std::min(items, (index + 1) * block)); });
}

}  // namespace whet::engine
