// The CUDA kernels as operations on tensors (WHET_CUDA_KERNELS: what they were compiled for).
#include "engine/torch/cuda/kernels.h"

#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "engine/torch/cuda/launch.h"

namespace whet::engine::cuda {
namespace {

bool are_wanted() {
  static const bool wanted = [] {
    const char* wish = std::getenv("WHET_CUDA_KERNELS");
    return wish == nullptr || std::string_view(wish) != "0";
  }();
  return wanted;
}

void check(const char* error, const char* what) {
  if (error != nullptr)
    base::run_error("cuda", "{} could not be started: {} (WHET_CUDA_KERNELS=0 goes without own kernels)", what, error);
}

void* stream_of(const at::Tensor& tensor) { return c10::cuda::getCurrentCUDAStream(tensor.get_device()).stream(); }

}  // namespace

std::string kernel_architectures() { return WHET_CUDA_KERNELS; }

bool can_sample_rows(const at::Tensor& logits, const SamplingOptions& options) {
  return are_wanted() && logits.is_cuda() && logits.scalar_type() == at::kFloat && options.top_k == 0 &&
         options.top_p >= 1 && logits.size(1) <= std::int64_t{kMaxStretches} * kStretch;
}

at::Tensor sample_rows(const at::Tensor& logits, const at::Tensor& uniforms, const SamplingOptions& options) {
  const c10::DeviceGuard guard(logits.device());
  const at::Tensor rows = logits.contiguous(), numbers = uniforms.contiguous();
  at::Tensor results = at::empty({rows.size(0), kSampleWidth}, numbers.options());
  check(launch_sample_rows({rows.const_data_ptr<float>(), numbers.const_data_ptr<double>(), results.data_ptr<double>(),
                            rows.size(0), rows.size(1), options.temperature, options.greedy},
                           stream_of(rows)),
        "sampling");
  return results;
}

bool can_decode_attention(const at::Tensor& prepared, kernels::HeadShape shape) {
  return are_wanted() && prepared.is_cuda() && prepared.scalar_type() == at::kFloat && shape.width <= kMaxHeadWidth;
}

at::Tensor decode_attention(const at::Tensor& prepared, const DeviceCache& cache, const DecodeRows& rows,
                            kernels::HeadShape shape, std::int64_t window) {
  for (const at::Tensor* tensor : {&prepared, &cache.keys, &cache.values, &cache.prompt_keys, &cache.prompt_values,
                                   &rows.slots, &rows.places, &rows.prompt_lengths, &rows.lengths}) {
    TORCH_INTERNAL_ASSERT(tensor->is_contiguous());
  }
  const c10::DeviceGuard guard(prepared.device());
  at::Tensor out = at::empty({prepared.size(0), shape.query_width()}, prepared.options());
  check(launch_decode_attention(
            {prepared.const_data_ptr<float>(), out.data_ptr<float>(), cache.keys.data_ptr<float>(),
             cache.values.data_ptr<float>(), cache.keys.stride(0), cache.prompt_keys.const_data_ptr<float>(),
             cache.prompt_values.const_data_ptr<float>(), cache.prompt_keys.stride(0),
             rows.slots.const_data_ptr<std::int64_t>(), rows.places.const_data_ptr<std::int64_t>(),
             rows.prompt_lengths.const_data_ptr<std::int64_t>(), rows.lengths.const_data_ptr<std::int64_t>(),
             prepared.size(0), static_cast<int>(shape.query_heads), static_cast<int>(shape.key_heads),
             static_cast<int>(shape.width), window},
            stream_of(prepared)),
        "attention");
  return out;
}

}  // namespace whet::engine::cuda
