// What this machine can do at best, measured: the ceilings that a phase's time is held against. Products and copies run on the
// threads that the engine has been given by the model opened last.
#pragma once

#include <cstdint>
#include <span>

#include "engine/engine.h"
#include "engine/work.h"

namespace whet::engine {

/// Seconds of one such product in this precision by the fastest way there is: PyTorch's default library, oneDNN where PyTorch has
/// it, or the engine's own. The fastest of many calls. bfloat16 where the processor does not multiply it: in float32 too.
double gemm_seconds(const Gemm& gemm, Precision precision);

/// FLOP/s of a product of two 2048 x 2048 matrices.
double gemm_peak(Precision precision);

/// FLOP/s of these products one after another; each distinct shape is measured once.
double gemm_rate(std::span<const Gemm> gemms, Precision precision);

/// Bytes/s, read and written, of copying 256 MiB: more than any cache holds.
double memory_bandwidth();

/// The largest resident set of this process so far, in bytes (VmHWM).
std::int64_t peak_memory();

struct Ceilings {
  double flops_per_second = 0;
  double bytes_per_second = 0;
};

/// How near a phase came to what bounds it.
struct Share {
  double share = 0;  ///< least seconds that the ceilings allow, over those that it took
  bool is_memory_bound = false;
};

/// A phase that moved its bytes faster than the memory can was served by caches: the memory did not bound it, and the
/// arithmetic is what is left to judge it by.
Share share_of(const base::Cost& cost, const Ceilings& ceilings);

}  // namespace whet::engine
