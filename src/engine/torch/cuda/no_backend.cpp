// The build's PyTorch has no CUDA.
#include <torch/version.h>

#include "base/error.h"
#include "engine/torch/cuda/backend.h"

namespace whet::engine::cuda {

int device_count(const std::string& device) {
  base::user_error("device",
                   "'{}', but this engine was built with PyTorch {}, which has no CUDA; want cpu, or a build with "
                   "another PyTorch (docs/installing.md)",
                   device, TORCH_VERSION);
}

std::string description() { return {}; }

}  // namespace whet::engine::cuda
