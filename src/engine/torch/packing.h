// Sequences side by side without padding. A group's prompt stands once, its responses after it; attention sees, for each
// run of queries, the prompt's keys and then its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/work.h"

namespace whet::engine {

/// A run of consecutive rows that attend to a shared prefix and causally to themselves.
struct Segment {
  std::int64_t begin = 0;          ///< first row
  std::int64_t length = 0;         ///< rows
  std::int64_t prefix_begin = 0;   ///< first row of the shared prefix
  std::int64_t prefix_length = 0;  ///< 0: none
};

/// Consecutive segments that read the same prefix; the unit that one thread works on, so that gradients of the prefix
/// are summed without a race and in a fixed order.
struct SegmentGroup {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct BatchTensors;

struct PackedBatch {
  std::vector<std::int64_t> ids;        ///< [N] input tokens
  std::vector<std::int64_t> positions;  ///< [N]
  std::vector<Segment> segments;
  std::vector<SegmentGroup> groups;
  std::vector<std::int64_t> head_rows;     ///< [H] rows whose next-token distribution is needed
  std::vector<std::int64_t> target_heads;  ///< [R] for each response token, in order: index into head_rows
  std::vector<std::int64_t> target_ids;    ///< [R] the token itself
  std::size_t first_response = 0;          ///< of the whole call, for micro-batches
  std::size_t response_count = 0;
  std::vector<std::size_t> response_lengths;
  /// The same as tensors where operations on a device want them so (plain.h), made at their first use.
  mutable std::shared_ptr<const BatchTensors> tensors;

  std::int64_t rows() const { return static_cast<std::int64_t>(ids.size()); }
};

/// Cuts groups into batches of at most `token_budget` rows (a prompt with one response may exceed it), and of about 2,048
/// where that cuts no group.
/// UserError for an empty prompt or response, or a token outside [0, vocabulary).
std::vector<PackedBatch> pack(std::span<const SharedPromptBatch> groups, std::int64_t token_budget,
                              std::int64_t vocabulary);

/// What a pass over the batch computes.
Pass pass_of(const PackedBatch& batch, const ModelWork& work);

/// A packed batch of prompts alone (prefill).
PackedBatch pack_prompts(std::span<const Prompt* const> prompts, std::int64_t vocabulary);

}  // namespace whet::engine
