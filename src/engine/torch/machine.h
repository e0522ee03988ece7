// Behind engine/machine.h: the measurements that need PyTorch.
#pragma once

#include "engine/work.h"

namespace whet::engine {

double measure_gemm_seconds(const Gemm& gemm);
double measure_memory_bandwidth();

}  // namespace whet::engine
