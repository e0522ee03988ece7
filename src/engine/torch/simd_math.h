// exp that a compiler can vectorise. The library's scalar exp keeps a loop over a vocabulary from using the vector unit.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

// Kernels are written once as inline bodies and compiled for several generations of processors; the loader picks.
#define WHET_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__)
#define WHET_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WHET_MULTIVERSION
#endif

namespace whet::engine {

/// e^x for x <= 0 (every use here subtracts a maximum first). Relative error below 3e-7; 0 below -87.
WHET_INLINE float fast_exp(float x) {
  // x = n log 2 + r with |r| <= log(2)/2; e^r by a polynomial of degree 6 (Taylor's coefficients: the remainder
  // r^7/5040 is below 1.2e-7 on that range), 2^n through the exponent bits.
  constexpr float kLog2e = 1.44269504088896341f;
  constexpr float kLog2High = 0.693359375f;
  constexpr float kLog2Low = -2.12194440e-4f;
  const float clamped = x < -87.0f ? -87.0f : x;
  const float n = std::nearbyint(clamped * kLog2e);
  const float r = (clamped - n * kLog2High) - n * kLog2Low;
  float p = 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const auto scale = std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
  return x < -87.0f ? 0.0f : p * scale;
}

WHET_INLINE double fast_exp(double x) { return std::exp(x); }

/// 1 / (1 + e^-x), from an exponential that cannot overflow.
template <class T>
WHET_INLINE T sigmoid(T x) {
  const T e = fast_exp(x < T(0) ? x : -x);
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

}  // namespace whet::engine
