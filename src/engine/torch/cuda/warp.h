// What the kernels share: the size of a block, and a sum over a warp.
#pragma once

#ifdef __CUDACC__
#define WHET_UNROLL _Pragma("unroll")
#else
#define WHET_UNROLL
#endif

namespace whet::engine::cuda {
namespace {

constexpr int kWarp = 32;  // threads that run in step
constexpr int kWarps = 8;  // of a block
constexpr unsigned kAll = 0xffffffffu;

template <class T>
__device__ T sum_lanes(T value) {
  WHET_UNROLL
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAll, value, offset);
  return value;
}

}  // namespace
}  // namespace whet::engine::cuda
