// Where a model's tensors are, and which form of the engine's operations works on them.
//
// In host memory the engine's own kernels do (kernels.h, kernels_product.h). On a device PyTorch's operations do
// (plain.h), the same that every test of the kernels can be held against, with the engine's CUDA kernels in place of the
// two that PyTorch has no good form of (cuda/kernels.h), where the build has them.
#pragma once

#include <string>

#include "engine/torch/torch.h"

namespace whet::engine {

/// "cpu", "cuda" (the first GPU) or "cuda:N". UserError for another name, for cuda where this PyTorch has none, and for a
/// GPU that is not there.
at::Device find_device(const std::string& name);

/// Whether the engine's kernels for host memory work on this tensor; PyTorch's operations otherwise.
bool by_kernels(const at::Tensor& tensor);

/// While one lives, PyTorch's operations are used in host memory too: what a device would compute can be had, and tested,
/// without one. Holds for the process; not for use by several threads at once.
class PlainOperations {
 public:
  PlainOperations();
  ~PlainOperations();
  PlainOperations(const PlainOperations&) = delete;
  PlainOperations& operator=(const PlainOperations&) = delete;
};

/// A copy in host memory, waiting for the device; the tensor itself where it is there already.
inline at::Tensor in_host_memory(const at::Tensor& tensor) { return tensor.cpu().contiguous(); }

/// Waits until the device has done what it was asked to, so that a span holds the work that was begun in it.
void wait_for(at::Device device);

/// Integers as a tensor on a device.
inline at::Tensor upload(const std::vector<std::int64_t>& values, at::Device device) {
  return at::tensor(values, at::TensorOptions().dtype(at::kLong)).to(device);
}

}  // namespace whet::engine
