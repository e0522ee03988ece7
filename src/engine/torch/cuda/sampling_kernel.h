// A token drawn from each row of logits and what its distribution says, in one walk over the row.
//
// A block takes a row, a warp a stretch of 1,024 tokens at a time: it holds them in registers, finds their largest, and
// leaves the stretch's sums relative to it in shared memory. One warp then joins the sums, finds the stretch in which the
// running sum passes the goal, and reads that stretch alone again to find the token. The formulas are row_sums.h's.
//
// The kernel stands here by itself so that a test can run its very text on the CPU (tests/engine/torch/cuda_on_cpu.h). Who
// includes it has brought what it needs of CUDA.
#pragma once

#include "engine/torch/cuda/launch.h"
#include "engine/torch/cuda/warp.h"

namespace whet::engine::cuda {
namespace {

constexpr int kEach = kStretch / kWarp;  // of a lane in a stretch

/// The largest value, its smallest index, and the second largest (equal to the largest on a tie).
struct Top {
  float largest;
  int best;
  float second;
};

__device__ Top join(const Top& a, const Top& b) {
  if (b.largest > a.largest || (b.largest == a.largest && b.best < a.best))
    return {b.largest, b.best, fmaxf(b.second, a.largest)};
  return {a.largest, a.best, fmaxf(a.second, b.largest)};
}

__device__ Top join_lanes(Top top) {
  WHET_UNROLL
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const Top other = {__shfl_xor_sync(kAll, top.largest, offset), __shfl_xor_sync(kAll, top.best, offset),
                       __shfl_xor_sync(kAll, top.second, offset)};
    top = join(top, other);
  }
  return top;
}

/// Sum of the values of this lane and those before it.
__device__ double running_sum(double value, int lane) {
  WHET_UNROLL
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const double other = __shfl_up_sync(kAll, value, offset);
    if (lane >= offset) value += other;
  }
  return value;
}

/// What a warp leaves of each stretch: sums of e^z, z e^z and z over z = (logit - largest of the stretch) / temperature.
struct Stretches {
  float largest[kMaxStretches];
  float second[kMaxStretches];
  int best[kMaxStretches];
  float exponentials[kMaxStretches];
  float weighted[kMaxStretches];
  float shifted[kMaxStretches];
};

__device__ void sum_stretch(const float* row, int begin, int vocabulary, float inverse_temperature, int lane,
                            int stretch, Stretches& out) {
  float values[kEach];
  Top top = {-CUDART_INF_F, vocabulary, -CUDART_INF_F};
  WHET_UNROLL
  for (int k = 0; k < kEach; ++k) {
    const int v = begin + k * kWarp + lane;
    values[k] = v < vocabulary ? row[v] : -CUDART_INF_F;
    if (v < vocabulary) top = join(top, {values[k], v, -CUDART_INF_F});
  }
  top = join_lanes(top);
  float exponentials = 0, weighted = 0, shifted = 0;
  WHET_UNROLL
  for (int k = 0; k < kEach; ++k) {
    if (begin + k * kWarp + lane < vocabulary) {
      const float z = (values[k] - top.largest) * inverse_temperature;
      const float e = expf(z);
      exponentials += e;
      weighted += z * e;
      shifted += z;
    }
  }
  exponentials = sum_lanes(exponentials);
  weighted = sum_lanes(weighted);
  shifted = sum_lanes(shifted);
  if (lane == 0) {
    out.largest[stretch] = top.largest;
    out.second[stretch] = top.second;
    out.best[stretch] = top.best;
    out.exponentials[stretch] = exponentials;
    out.weighted[stretch] = weighted;
    out.shifted[stretch] = shifted;
  }
}

/// The first index in [0, count) at which the running sum of mass(index) passes the goal, minus `before`; the last one of
/// any mass where rounding leaves a rest. `before` becomes the sum before that index. By one warp, together.
template <class Mass>
__device__ int find(int count, double goal, double& before, int lane, const Mass& mass) {
  double passed = before, before_last = before;
  int last = 0;
  for (int begin = 0; begin < count; begin += kWarp) {
    const double here = begin + lane < count ? mass(begin + lane) : 0.0;
    const double running = passed + running_sum(here, lane);
    const unsigned over = __ballot_sync(kAll, running > goal && here > 0);
    const unsigned positive = __ballot_sync(kAll, here > 0);
    const int chosen = over != 0 ? __ffs(over) - 1 : positive != 0 ? kWarp - 1 - __clz(positive) : -1;
    if (chosen >= 0) {
      last = begin + chosen;
      before_last = __shfl_sync(kAll, running - here, chosen);
    }
    if (over != 0) break;
    passed = __shfl_sync(kAll, running, kWarp - 1);
  }
  before = before_last;
  return last;
}

__device__ double at_least_zero(double value) { return value < 0 ? 0 : value; }

__global__ void __launch_bounds__(kWarp* kWarps) sample_rows(SampleArguments a) {
  __shared__ Stretches stretches;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int vocabulary = static_cast<int>(a.vocabulary), count = (vocabulary + kStretch - 1) / kStretch;
  const float* row = a.logits + blockIdx.x * a.vocabulary;
  const float inverse_temperature = static_cast<float>(1.0 / a.temperature);
  for (int s = warp; s < count; s += kWarps)
    sum_stretch(row, s * kStretch, vocabulary, inverse_temperature, lane, s, stretches);
  __syncthreads();
  if (warp != 0) return;

  Top top = {-CUDART_INF_F, vocabulary, -CUDART_INF_F};
  for (int s = lane; s < count; s += kWarp)
    top = join(top, {stretches.largest[s], stretches.best[s], stretches.second[s]});
  top = join_lanes(top);
  // From a stretch's largest to the row's: (l - row's) = (l - stretch's) + below.
  const auto below = [&](int s) {
    return static_cast<double>((stretches.largest[s] - top.largest) * inverse_temperature);
  };
  const auto mass = [&](int s) { return stretches.exponentials[s] * exp(below(s)); };
  double exponentials = 0, weighted = 0, shifted = 0;
  for (int s = lane; s < count; s += kWarp) {
    const double d = below(s), factor = exp(d);
    exponentials += stretches.exponentials[s] * factor;
    weighted += (stretches.weighted[s] + d * stretches.exponentials[s]) * factor;
    const int tokens = vocabulary - s * kStretch < kStretch ? vocabulary - s * kStretch : kStretch;
    shifted += stretches.shifted[s] + tokens * d;
  }
  exponentials = sum_lanes(exponentials);
  weighted = sum_lanes(weighted);
  shifted = sum_lanes(shifted);

  int id = top.best;
  if (!a.greedy) {
    const double goal = a.uniforms[blockIdx.x] * exponentials;
    double before = 0;
    const int begin = find(count, goal, before, lane, mass) * kStretch;
    const int tokens = vocabulary - begin < kStretch ? vocabulary - begin : kStretch;
    id = begin + find(tokens, goal, before, lane, [&](int i) {
           return static_cast<double>(expf((row[begin + i] - top.largest) * inverse_temperature));
         });
  }
  if (lane == 0) {
    if (id >= vocabulary) id = vocabulary - 1;  // no logit was a number
    const double log_sum = log(exponentials), tokens = vocabulary;
    const double chosen = (static_cast<double>(row[id]) - static_cast<double>(top.largest)) / a.temperature;
    const double second = (static_cast<double>(top.second) - static_cast<double>(top.largest)) / a.temperature;
    double* result = a.results + blockIdx.x * kSampleWidth;
    result[0] = id;
    result[1] = -at_least_zero(log_sum - chosen);
    result[2] = at_least_zero(log_sum - weighted / exponentials);
    result[3] = at_least_zero(log_sum - shifted / tokens - log(tokens));
    result[4] = (1.0 - exp(second)) / exponentials;
  }
}

}  // namespace
}  // namespace whet::engine::cuda
