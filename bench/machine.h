// What this machine can do at best, measured: the ceilings that a step's time is held against.
#pragma once

#include <compare>
#include <cstdint>
#include <span>

namespace whet::bench {

/// One product [rows, inner] x [inner, columns] in float32.
struct Gemm {
  std::int64_t rows = 0;
  std::int64_t inner = 0;
  std::int64_t columns = 0;

  auto operator<=>(const Gemm&) const = default;
  double flops() const { return 2.0 * static_cast<double>(rows) * static_cast<double>(inner) * static_cast<double>(columns); }
};

/// Seconds of one such product by the faster of PyTorch's two libraries (the default and oneDNN), the fastest of many calls.
double gemm_seconds(const Gemm& gemm);

/// FLOP/s of a product of two 2048 x 2048 matrices.
double gemm_peak();

/// FLOP/s of these products one after another; each distinct shape is measured once.
double gemm_rate(std::span<const Gemm> gemms);

/// Bytes/s, read and written, of copying 256 MiB.
double memory_bandwidth();

/// The largest resident set of this process so far, in bytes (VmHWM).
std::int64_t peak_memory();

}  // namespace whet::bench
