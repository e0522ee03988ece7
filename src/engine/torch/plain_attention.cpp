// Attention in PyTorch's operations: over packed segments for prefill and updates, over a cache in decoding.
//
// scaled_dot_product_attention wants rectangles: segments (cut into pieces where they are long) are gathered with others
// of about their length and padded to the longest, a chunk at a time. The query heads that share a key head stand one
// below the other as more queries, so that no key is copied for them.
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <limits>

#include "engine/torch/device.h"
#include "engine/torch/plain.h"

namespace whet::engine {
namespace {

/// Query-key pairs of a chunk, for one head: bounds the mask, and the scores where the library forms them.
constexpr std::int64_t kPairsAtOnce = std::int64_t{1} << 22;
/// Sees nothing, is seen by no query.
constexpr std::int64_t kBeyond = std::numeric_limits<std::int32_t>::max();

/// Queries [begin, begin + queries) of a segment and the keys that the last of them sees.
struct Piece {
  const Segment* segment = nullptr;
  std::int64_t begin = 0;
  std::int64_t queries = 0;

  std::int64_t keys() const { return segment->prefix_length + begin + queries; }
};

std::vector<Piece> cut(const std::vector<Segment>& segments) {
  std::vector<Piece> pieces;
  for (const Segment& segment : segments) {
    const std::int64_t whole = segment.prefix_length + segment.length;
    const std::int64_t most = std::clamp<std::int64_t>(kPairsAtOnce / whole, 1, segment.length);
    for (std::int64_t begin = 0; begin < segment.length; begin += most) {
      pieces.push_back({&segment, begin, std::min(most, segment.length - begin)});
    }
  }
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    return a.queries != b.queries ? a.queries > b.queries : a.keys() > b.keys();
  });
  return pieces;
}

void plan_attention(const PackedBatch& batch, at::Device device, BatchTensors& tensors) {
  const std::vector<Piece> pieces = cut(batch.segments);
  std::vector<std::int64_t> query_rows, key_rows, result_rows(static_cast<std::size_t>(batch.rows()), 0);
  for (std::size_t begin = 0, end = 0; begin < pieces.size(); begin = end) {
    // Pieces of half the longest one's queries or fewer would be mostly padding: they go to a chunk of their own kind.
    std::int64_t keys = 0;
    const std::int64_t queries = pieces[begin].queries;
    while (end < pieces.size() && 2 * pieces[end].queries > queries) {
      const std::int64_t more = std::max(keys, pieces[end].keys());
      if (end > begin && static_cast<std::int64_t>(end - begin + 1) * queries * more > kPairsAtOnce) break;
      keys = more;
      ++end;
    }
    std::vector<std::int64_t> query_places, key_places;
    for (std::size_t p = begin; p < end; ++p) {
      const Piece& piece = pieces[p];
      const Segment& segment = *piece.segment;
      for (std::int64_t i = 0; i < queries; ++i) {
        const bool is_real = i < piece.queries;
        const std::int64_t row = segment.begin + piece.begin + (is_real ? i : 0);
        if (is_real) result_rows[static_cast<std::size_t>(row)] = static_cast<std::int64_t>(query_rows.size());
        query_rows.push_back(row);
        query_places.push_back(is_real ? segment.prefix_length + piece.begin + i : 0);  // padding sees the first key
      }
      for (std::int64_t j = 0; j < keys; ++j) {
        const bool is_prefix = j < segment.prefix_length, is_real = j < piece.keys();
        key_rows.push_back(is_prefix ? segment.prefix_begin + j
                                     : segment.begin + (is_real ? j - segment.prefix_length : 0));
        key_places.push_back(is_real ? j : kBeyond);
      }
    }
    const auto count = static_cast<std::int64_t>(end - begin);
    tensors.chunks.push_back({count, queries, keys, upload(query_places, device).view({count, queries}),
                              upload(key_places, device).view({count, keys})});
  }
  tensors.query_rows = upload(query_rows, device);
  tensors.key_rows = upload(key_rows, device);
  tensors.result_rows = upload(result_rows, device);
}

/// Whether a query at a place sees a key at a place: [..., queries, keys].
at::Tensor sees(const at::Tensor& query_places, const at::Tensor& key_places, std::int64_t window) {
  const at::Tensor q = query_places.unsqueeze(-1), k = key_places.unsqueeze(-2);
  const at::Tensor causal = k <= q;
  return window > 0 ? at::logical_and(causal, k > q - window) : causal;
}

}  // namespace

const BatchTensors& tensors_of(const PackedBatch& batch, at::Device device) {
  if (!batch.tensors) {
    auto tensors = std::make_shared<BatchTensors>();
    tensors->ids = upload(batch.ids, device);
    tensors->positions = upload(batch.positions, device);
    tensors->head_rows = upload(batch.head_rows, device);
    tensors->first_target.assign(batch.head_rows.size() + 1, 0);
    for (const std::int64_t head : batch.target_heads) ++tensors->first_target[static_cast<std::size_t>(head) + 1];
    for (std::size_t h = 1; h < tensors->first_target.size(); ++h)
      tensors->first_target[h] += tensors->first_target[h - 1];
    std::vector<std::int64_t> next(tensors->first_target.begin(), tensors->first_target.end() - 1);
    std::vector<std::int64_t> heads(batch.target_heads.size()), ids(heads.size()), places(heads.size());
    for (std::size_t r = 0; r < heads.size(); ++r) {
      const std::int64_t place = next[static_cast<std::size_t>(batch.target_heads[r])]++;
      places[r] = place;
      heads[static_cast<std::size_t>(place)] = batch.target_heads[r];
      ids[static_cast<std::size_t>(place)] = batch.target_ids[r];
    }
    tensors->target_heads = upload(heads, device);
    tensors->target_ids = upload(ids, device);
    tensors->target_places = upload(places, device);
    plan_attention(batch, device, *tensors);
    batch.tensors = std::move(tensors);
  }
  return *batch.tensors;
}

namespace plain {

at::Tensor attention(const at::Tensor& prepared, const PackedBatch& batch, kernels::HeadShape shape,
                     std::int64_t window) {
  const BatchTensors& tensors = tensors_of(batch, prepared.device());
  const std::int64_t copies = shape.query_heads / shape.key_heads;
  // One gather for all chunks, so that the way back is one sum.
  const at::Tensor queries = prepared.narrow(1, 0, shape.query_width()).index_select(0, tensors.query_rows);
  const at::Tensor keys_values =
      prepared.narrow(1, shape.query_width(), 2 * shape.key_width()).index_select(0, tensors.key_rows);
  std::vector<std::int64_t> query_counts, key_counts;
  for (const AttentionChunk& chunk : tensors.chunks) {
    query_counts.push_back(chunk.pieces * chunk.queries);
    key_counts.push_back(chunk.pieces * chunk.keys);
  }
  const std::vector<at::Tensor> chunk_queries = queries.split_with_sizes(query_counts),
                                chunk_keys = keys_values.split_with_sizes(key_counts);
  std::vector<at::Tensor> results;
  for (std::size_t c = 0; c < tensors.chunks.size(); ++c) {
    const AttentionChunk& chunk = tensors.chunks[c];
    const std::int64_t n = chunk.pieces, stacked = copies * chunk.queries;
    const at::Tensor q =
        chunk_queries[c].view({n, chunk.queries, shape.key_heads, copies, shape.width}).permute({0, 2, 3, 1, 4});
    const at::Tensor kv = chunk_keys[c].view({n, chunk.keys, 2, shape.key_heads, shape.width}).permute({2, 0, 3, 1, 4});
    const at::Tensor mask = sees(chunk.query_places, chunk.key_places, window)
                                .view({n, 1, 1, chunk.queries, chunk.keys})
                                .expand({n, 1, copies, chunk.queries, chunk.keys});
    const at::Tensor out = at::scaled_dot_product_attention(q.reshape({n, shape.key_heads, stacked, shape.width}),
                                                            kv[0], kv[1], mask.reshape({n, 1, stacked, chunk.keys}));
    results.push_back(out.view({n, shape.key_heads, copies, chunk.queries, shape.width})
                          .permute({0, 3, 1, 2, 4})
                          .reshape({n * chunk.queries, shape.query_width()}));
  }
  return at::cat(results).index_select(0, tensors.result_rows);
}

at::Tensor decode_attention(const at::Tensor& prepared, const DeviceCache& cache, const DecodeRows& rows,
                            kernels::HeadShape shape, std::int64_t window) {
  const std::int64_t copies = shape.query_heads / shape.key_heads, prompt = rows.longest_prompt, own = rows.longest + 1;
  const std::int64_t length = prompt + own, count = prepared.size(0);
  for (const bool is_key : {true, false}) {
    at::Tensor to = is_key ? cache.keys : cache.values;
    const std::int64_t first = shape.query_width() + (is_key ? 0 : shape.key_width());
    to.index_put_({rows.slots, rows.lengths}, prepared.narrow(1, first, shape.key_width()));
  }
  // Keys stand in two ranges, the prompt's and the response's, each padded to the longest.
  const at::Tensor in_prompt = at::arange(prompt, rows.lengths.options()).unsqueeze(0);
  const at::Tensor in_response = at::arange(own, rows.lengths.options()).unsqueeze(0);
  const at::Tensor prompt_lengths = rows.prompt_lengths.unsqueeze(1);
  const at::Tensor key_places =
      at::cat({at::where(in_prompt < prompt_lengths, in_prompt, kBeyond), in_response + prompt_lengths}, 1);
  const at::Tensor visible =
      sees((rows.prompt_lengths + rows.lengths).unsqueeze(1), key_places, window);  // [rows, 1, keys]
  at::Tensor out = at::empty({count, shape.query_width()}, prepared.options());
  // Each row's keys and values are copied side by side: some rows at a time.
  const std::int64_t at_once = std::max<std::int64_t>(1, 8 * kPairsAtOnce / (length * shape.key_width()));
  for (std::int64_t begin = 0; begin < count; begin += at_once) {
    const std::int64_t n = std::min(at_once, count - begin);
    const at::Tensor slots = rows.slots.narrow(0, begin, n), places = rows.places.narrow(0, begin, n);
    const auto gather = [&](const at::Tensor& of_prompts, const at::Tensor& of_slots) {
      return at::cat({of_prompts.narrow(1, 0, prompt).index_select(0, places),
                      of_slots.narrow(1, 0, own).index_select(0, slots)},
                     1)
          .view({n, length, shape.key_heads, shape.width})
          .transpose(1, 2);
    };
    const at::Tensor q = prepared.narrow(0, begin, n)
                             .narrow(1, 0, shape.query_width())
                             .reshape({n, shape.key_heads, copies, shape.width});
    const at::Tensor mask = visible.narrow(0, begin, n).unsqueeze(1).expand({n, 1, copies, length});
    const at::Tensor result = at::scaled_dot_product_attention(q, gather(cache.prompt_keys, cache.keys),
                                                               gather(cache.prompt_values, cache.values), mask);
    out.narrow(0, begin, n).copy_(result.reshape({n, shape.query_width()}));
  }
  return out;
}

}  // namespace plain
}  // namespace whet::engine
