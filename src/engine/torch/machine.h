// Behind engine/machine.h: the measurements that need PyTorch.
#pragma once

#include "engine/engine.h"
#include "engine/work.h"

namespace whet::engine {

double measure_gemm_seconds(const Gemm& gemm, Precision precision);
double measure_memory_bandwidth();

}  // namespace whet::engine
