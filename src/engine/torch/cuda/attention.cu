// Starts the kernel of attention_kernel.h.
#include <cuda_runtime.h>

#include <math_constants.h>

#include "engine/torch/cuda/attention_kernel.h"

namespace whet::engine::cuda {
namespace {

template <int kQueries, int kEach>
void launch(const DecodeArguments& a, cudaStream_t stream) {
  const int copies = a.query_heads / a.key_heads;
  const dim3 grid(static_cast<unsigned>(a.rows), static_cast<unsigned>(a.key_heads),
                  static_cast<unsigned>((copies + kQueries - 1) / kQueries));
  decode_attention<kQueries, kEach><<<grid, kWarp * kWarps, 0, stream>>>(a);
}

template <int kQueries>
void launch_width(const DecodeArguments& a, cudaStream_t stream) {
  if (a.width <= 32) {
    launch<kQueries, 1>(a, stream);
  } else if (a.width <= 64) {
    launch<kQueries, 2>(a, stream);
  } else if (a.width <= 128) {
    launch<kQueries, 4>(a, stream);
  } else {
    launch<kQueries, 8>(a, stream);
  }
}

}  // namespace

const char* launch_decode_attention(const DecodeArguments& arguments, void* stream) {
  if (arguments.rows == 0) return nullptr;
  const int copies = arguments.query_heads / arguments.key_heads;
  const auto on = static_cast<cudaStream_t>(stream);
  if (copies == 1) {
    launch_width<1>(arguments, on);
  } else if (copies == 2) {
    launch_width<2>(arguments, on);
  } else {
    launch_width<4>(arguments, on);
  }
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace whet::engine::cuda
