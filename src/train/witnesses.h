// Gatherers of what is known of a single rollout that is trained on.
#pragma once

#include <memory>

#include "train/evidence.h"

namespace whet::train {

/// The task's checker reads each answer (`program`); a rollout without an answer does not pass. UserError when the task
/// has no checker.
std::unique_ptr<Gatherer> make_checks(const EvidenceContext& context);

/// Finds the answer's tokens in each response: those that hold a byte of the text that the task reads as the answer
/// (Task::answer_place). A token may reach beyond it ("=42" as one token), and then counts.
std::unique_ptr<Gatherer> make_answer_spans(const EvidenceContext& context);

/// The tokens, [begin, end), that hold a byte of `place`, a part of the text that `tokens` decode to (without special
/// tokens, which have no bytes in it).
std::pair<std::size_t, std::size_t> tokens_of(std::span<const engine::TokenId> tokens, std::string_view text,
                                              std::string_view place, const tokenizer::Tokenizer& tokenizer);

}  // namespace whet::train
