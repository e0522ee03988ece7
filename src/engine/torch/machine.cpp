#include "engine/torch/machine.h"

#include <algorithm>
#include <limits>

#include <ATen/core/dispatch/Dispatcher.h>

#include "base/clock.h"
#include "engine/torch/functions_common.h"
#include "engine/torch/torch.h"

namespace whet::engine {
namespace {

/// The fastest of repeated calls, for at least `seconds` and five calls.
template <class Body>
double fastest(double seconds, const Body& body) {
  double best = std::numeric_limits<double>::infinity(), spent = 0;
  for (int i = 0; i < 5 || spent < seconds; ++i) {
    base::Stopwatch watch;
    body();
    const double took = watch.seconds();
    best = std::min(best, took);
    spent += took;
  }
  return best;
}

double float32_seconds(const Gemm& gemm) {
  const at::Tensor a = at::randn({gemm.rows, gemm.inner}), b = at::randn({gemm.columns, gemm.inner});
  at::Tensor out = at::empty({gemm.rows, gemm.columns});
  double best = fastest(0.1, [&] { at::mm_out(out, a, b.t()); });
  // On AMD processors oneDNN's product is more than twice as fast as the default one.
  if (const auto linear = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""})) {
    best = std::min(best, fastest(0.1, [&] {
                      torch::jit::Stack stack = {
                          a, b, c10::IValue(), "none", c10::List<std::optional<at::Scalar>>(), c10::IValue()};
                      linear->callBoxed(stack);
                    }));
  }
  return std::min(best, fastest(0.1, [&] { times_transposed_into(out, a, b); }));
}

/// The library's has both operands and the result in bfloat16 (oneDNN, where it has instructions for that); the engine's rounds one
/// operand and lays out the other on the way.
double bfloat16_seconds(const Gemm& gemm) {
  const at::Tensor a = at::randn({gemm.rows, gemm.inner}), b = at::randn({gemm.columns, gemm.inner}).to(at::kBFloat16);
  const at::Tensor rounded = a.to(at::kBFloat16);
  at::Tensor out = at::empty({gemm.rows, gemm.columns}), rounded_out = out.to(at::kBFloat16);
  return std::min(fastest(0.1, [&] { at::mm_out(rounded_out, rounded, b.t()); }),
                  fastest(0.1, [&] { times_transposed_into(out, a, b); }));
}

}  // namespace

double measure_gemm_seconds(const Gemm& gemm, Precision precision) {
  const torch::NoGradGuard no_grad;
  if (precision == Precision::kFloat32) return float32_seconds(gemm);
  const double seconds = bfloat16_seconds(gemm);
  return kernels::multiplies_bfloat16() ? seconds : std::min(seconds, float32_seconds(gemm));
}

double measure_memory_bandwidth() {
  const torch::NoGradGuard no_grad;
  const at::Tensor from = at::ones({std::int64_t{64} << 20}, at::kFloat);
  at::Tensor to = at::zeros_like(from);
  return 2.0 * static_cast<double>(from.nbytes()) / fastest(0.5, [&] { to.copy_(from); });
}

}  // namespace whet::engine
