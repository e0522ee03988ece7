#include "engine/torch/packing.h"

#include <algorithm>

#include "base/error.h"

namespace whet::engine {
namespace {

/// Whole groups are put together up to this many rows: enough to fill the vector units, few enough that a layer's
/// activations are still in the cache when the next operation reads them (docs/performance.md).
constexpr std::int64_t kRowsTogether = 2048;

void check_tokens(std::span<const TokenId> tokens, std::int64_t vocabulary, const char* what) {
  if (tokens.empty()) base::user_error("engine", "an empty {}, want at least one token", what);
  for (const TokenId token : tokens) {
    if (token < 0 || token >= vocabulary) {
      base::user_error("engine", "token {} in a {}, want 0..{} (does the tokenizer fit the model?)", token, what,
                       vocabulary - 1);
    }
  }
}

/// Adds `tokens` as rows at positions first_position, first_position + 1, ...; returns the first row.
std::int64_t add_rows(PackedBatch& batch, std::span<const TokenId> tokens, std::int64_t first_position) {
  const std::int64_t begin = batch.rows();
  batch.ids.insert(batch.ids.end(), tokens.begin(), tokens.end());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    batch.positions.push_back(first_position + static_cast<std::int64_t>(i));
  }
  return begin;
}

/// Rows that a response adds: its last token is a target but never an input.
std::int64_t rows_of(const std::vector<TokenId>& response) { return static_cast<std::int64_t>(response.size()) - 1; }

void add_group(PackedBatch& batch, std::span<const TokenId> prompt, std::span<const std::vector<TokenId>> responses,
               std::int64_t vocabulary) {
  const auto prompt_length = static_cast<std::int64_t>(prompt.size());
  const std::size_t first_segment = batch.segments.size();
  const std::int64_t prompt_begin = add_rows(batch, prompt, 0);
  batch.segments.push_back({prompt_begin, prompt_length, 0, 0});
  // The distribution of a response's first token is the one after the prompt: one row serves the whole group.
  const auto prompt_head = static_cast<std::int64_t>(batch.head_rows.size());
  batch.head_rows.push_back(prompt_begin + prompt_length - 1);
  for (const auto& response : responses) {
    check_tokens(response, vocabulary, "response");
    batch.target_heads.push_back(prompt_head);
    batch.target_ids.push_back(response[0]);
    const std::span<const TokenId> inputs(response.data(), response.size() - 1);
    if (!inputs.empty()) {
      const std::int64_t begin = add_rows(batch, inputs, prompt_length);
      batch.segments.push_back({begin, rows_of(response), prompt_begin, prompt_length});
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        batch.target_heads.push_back(static_cast<std::int64_t>(batch.head_rows.size()));
        batch.head_rows.push_back(begin + static_cast<std::int64_t>(i));
        batch.target_ids.push_back(response[i + 1]);
      }
    }
    batch.response_lengths.push_back(response.size());
  }
  batch.response_count += responses.size();
  batch.groups.push_back({first_segment, batch.segments.size()});
}

}  // namespace

std::vector<PackedBatch> pack(std::span<const SharedPromptBatch> groups, std::int64_t token_budget,
                              std::int64_t vocabulary) {
  std::vector<PackedBatch> batches;
  std::size_t done = 0;  // responses, over all groups
  for (const SharedPromptBatch& group : groups) {
    check_tokens(group.prompt, vocabulary, "prompt");
    const auto prompt_rows = static_cast<std::int64_t>(group.prompt.size());
    // A group stays together when a batch can hold it; a larger one is cut, and its prompt computed once per piece.
    std::size_t begin = 0;
    while (begin < group.responses.size()) {
      std::size_t end = begin + 1;
      std::int64_t rows = prompt_rows + rows_of(group.responses[begin]);
      while (end < group.responses.size() && rows + rows_of(group.responses[end]) <= token_budget) {
        rows += rows_of(group.responses[end++]);
      }
      if (batches.empty() || batches.back().rows() + rows > std::min(token_budget, kRowsTogether)) {
        batches.emplace_back();
        batches.back().first_response = done;
      }
      const std::span<const std::vector<TokenId>> all(group.responses);
      add_group(batches.back(), group.prompt, all.subspan(begin, end - begin), vocabulary);
      done += end - begin;
      begin = end;
    }
  }
  return batches;
}

Pass pass_of(const PackedBatch& batch, const ModelWork& work) {
  Pass pass{static_cast<double>(batch.rows()), static_cast<double>(batch.head_rows.size()), 0};
  for (const Segment& segment : batch.segments) pass.keys += work.keys(segment.prefix_length, segment.length);
  return pass;
}

PackedBatch pack_prompts(std::span<const Prompt* const> prompts, std::int64_t vocabulary) {
  PackedBatch batch;
  for (const Prompt* prompt : prompts) {
    check_tokens(prompt->tokens, vocabulary, "prompt");
    const std::int64_t begin = add_rows(batch, prompt->tokens, 0);
    const auto length = static_cast<std::int64_t>(prompt->tokens.size());
    batch.groups.push_back({batch.segments.size(), batch.segments.size() + 1});
    batch.segments.push_back({begin, length, 0, 0});
    batch.head_rows.push_back(begin + length - 1);
  }
  return batch;
}

}  // namespace whet::engine
