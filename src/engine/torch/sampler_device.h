// The rollout engine where tensors are on a device: the schedule of sampler.h, a step in PyTorch's operations.
#pragma once

#include "engine/torch/sampler.h"

namespace whet::engine {

/// As sample(). `request` has been checked.
std::vector<std::vector<Rollout>> sample_on_device(Decoder& decoder, const RolloutRequest& request,
                                                   std::int64_t vocabulary, const ModelWork& work,
                                                   base::Profile* profile);

}  // namespace whet::engine
