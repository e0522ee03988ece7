#include "bench/machine.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <map>
#include <string>

#include <ATen/core/dispatch/Dispatcher.h>

#include "engine/torch/torch.h"

namespace whet::bench {
namespace {

/// The fastest of repeated calls, for at least `seconds` and five calls.
template <class Body>
double fastest(double seconds, const Body& body) {
  double best = std::numeric_limits<double>::infinity(), spent = 0;
  for (int i = 0; i < 5 || spent < seconds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    body();
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::min(best, took);
    spent += took;
  }
  return best;
}

}  // namespace

double gemm_seconds(const Gemm& gemm) {
  const torch::NoGradGuard no_grad;
  const at::Tensor a = at::randn({gemm.rows, gemm.inner}), b = at::randn({gemm.columns, gemm.inner});
  at::Tensor out = at::empty({gemm.rows, gemm.columns});
  double best = fastest(0.1, [&] { at::mm_out(out, a, b.t()); });
  // oneDNN's product, where PyTorch was built with it: on AMD processors more than twice as fast as the default one.
  if (const auto linear = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""})) {
    best = std::min(best, fastest(0.1, [&] {
      torch::jit::Stack stack = {a, b, c10::IValue(), "none", c10::List<std::optional<at::Scalar>>(), c10::IValue()};
      linear->callBoxed(stack);
    }));
  }
  return best;
}

double gemm_peak() {
  const Gemm square{2048, 2048, 2048};
  return square.flops() / gemm_seconds(square);
}

double gemm_rate(std::span<const Gemm> gemms) {
  std::map<Gemm, double> measured;
  double flops = 0, seconds = 0;
  for (const Gemm& gemm : gemms) {
    const auto [entry, is_new] = measured.try_emplace(gemm, 0.0);
    if (is_new) entry->second = gemm_seconds(gemm);
    flops += gemm.flops();
    seconds += entry->second;
  }
  return flops / seconds;
}

double memory_bandwidth() {
  const torch::NoGradGuard no_grad;
  const at::Tensor from = at::ones({std::int64_t{64} << 20}, at::kFloat);
  at::Tensor to = at::zeros_like(from);
  return 2.0 * static_cast<double>(from.nbytes()) / fastest(0.5, [&] { to.copy_(from); });
}

std::int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

}  // namespace whet::bench
