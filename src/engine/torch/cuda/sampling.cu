// Starts the kernel of sampling_kernel.h.
#include <cuda_runtime.h>

#include <math_constants.h>

#include "engine/torch/cuda/sampling_kernel.h"

namespace whet::engine::cuda {

const char* launch_sample_rows(const SampleArguments& arguments, void* stream) {
  if (arguments.rows == 0) return nullptr;
  sample_rows<<<static_cast<unsigned>(arguments.rows), kWarp * kWarps, 0, static_cast<cudaStream_t>(stream)>>>(
      arguments);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace whet::engine::cuda
