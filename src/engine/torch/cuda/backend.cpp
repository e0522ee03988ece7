// The build's PyTorch has CUDA (WHET_TORCH_CUDA is its version).
#include <ATen/Context.h>
#include <fmt/format.h>

#include "base/error.h"
#include "engine/torch/cuda/backend.h"
#include "engine/torch/cuda/kernels.h"

namespace whet::engine::cuda {

int device_count(const std::string& device) {
  const int count = at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0;
  if (count == 0) {
    base::user_error("device", "'{}', but PyTorch (built for CUDA {}) sees no GPU here, want cpu", device,
                     WHET_TORCH_CUDA);
  }
  return count;
}

std::string description() {
  const std::string kernels = kernel_architectures();
  return fmt::format("CUDA {}, {}", WHET_TORCH_CUDA,
                     kernels.empty() ? "without own kernels" : "own kernels for " + kernels);
}

}  // namespace whet::engine::cuda
