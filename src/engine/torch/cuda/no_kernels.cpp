// A build without CUDA kernels.
#include "engine/torch/cuda/kernels.h"

namespace whet::engine::cuda {

std::string kernel_architectures() { return {}; }

bool can_sample_rows(const at::Tensor&, const SamplingOptions&) { return false; }
at::Tensor sample_rows(const at::Tensor&, const at::Tensor&, const SamplingOptions&) {
  throw std::logic_error("this build has no CUDA kernels");
}

bool can_decode_attention(const at::Tensor&, kernels::HeadShape) { return false; }
at::Tensor decode_attention(const at::Tensor&, const DeviceCache&, const DecodeRows&, kernels::HeadShape,
                            std::int64_t) {
  throw std::logic_error("this build has no CUDA kernels");
}

}  // namespace whet::engine::cuda
