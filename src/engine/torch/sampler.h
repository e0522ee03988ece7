// The rollout engine: prompts in, groups of sampled responses out.
//
// A prompt is computed once; its keys and values are read by all of its samples. Sequences live in slots: one that ends
// leaves the batch at once and its slot goes to the next sample, so that a step costs what the living sequences cost.
#pragma once

#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/torch/decoder.h"

namespace whet::engine {

/// Samples all prompts of a request. `vocabulary`: tokens in use. `profile` (may be null) is told of the phases, whose work
/// `work` counts. UserError for options out of range.
std::vector<std::vector<Rollout>> sample(Decoder& decoder, const RolloutRequest& request, std::int64_t vocabulary,
                                         const ModelWork& work, base::Profile* profile);

}  // namespace whet::engine
