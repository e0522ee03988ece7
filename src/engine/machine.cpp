#include "engine/machine.h"

#include <fstream>
#include <map>
#include <string>

#include "base/error.h"

namespace whet::engine {

double gemm_peak(Precision precision) {
  const Gemm square{2048, 2048, 2048};
  return square.flops() / gemm_seconds(square, precision);
}

double gemm_rate(std::span<const Gemm> gemms, Precision precision) {
  std::map<Gemm, double> measured;
  double flops = 0, seconds = 0;
  for (const Gemm& gemm : gemms) {
    const auto [entry, is_new] = measured.try_emplace(gemm, 0.0);
    if (is_new) entry->second = gemm_seconds(gemm, precision);
    flops += gemm.flops();
    seconds += entry->second;
  }
  return flops / seconds;
}

Share share_of(const base::Cost& cost, const Ceilings& ceilings) {
  const double compute = cost.work.flops / ceilings.flops_per_second,
               memory = cost.work.bytes / ceilings.bytes_per_second;
  const bool is_memory_bound = memory > compute && memory <= cost.seconds;
  return {(is_memory_bound ? memory : compute) / cost.seconds, is_memory_bound};
}

std::int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  base::run_error("machine", "/proc/self/status has no VmHWM");
}

}  // namespace whet::engine
