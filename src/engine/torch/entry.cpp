// What the shared library exports.
#include <malloc.h>

#include <cstdlib>

#include <fmt/format.h>
#include <torch/version.h>

#include "base/cores.h"
#include "base/error.h"
#include "engine/library.h"
#include "engine/torch/cuda/backend.h"
#include "engine/torch/device.h"
#include "engine/torch/kernels_product.h"
#include "engine/torch/machine.h"
#include "engine/torch/torch_model.h"

namespace whet::engine {
namespace {

void prepare_process(const EngineOptions& options) {
  static const bool once = [] {
    // Activations come and go every step. Keeping freed memory in the process saves faulting the same pages in again,
    // which otherwise costs more than the operations that fill them (docs/performance.md).
    ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
    ::mallopt(M_TRIM_THRESHOLD, -1);
    return true;
  }();
  (void)once;
  // PyTorch's own default counts the machine's cores, and would start dozens of threads in a container that may use two.
  if (options.threads > 0) {
    at::set_num_threads(options.threads);
  } else if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    at::set_num_threads(base::usable_cores());
  }
}

/// Weights under adapters are never trained.
std::shared_ptr<Decoder> new_decoder(const ModelConfig& config, const EngineOptions& options, bool has_adapters) {
  const at::ScalarType type = options.precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
  return std::make_shared<Decoder>(config, type, /*has_masters=*/!options.is_frozen && !has_adapters,
                                   find_device(options.device));
}

/// `lora`: rank 0 for none. `adapters`: the folder that has them, empty for new ones.
std::unique_ptr<Model> finish(std::shared_ptr<Decoder> decoder, const EngineOptions& options, const LoraOptions& lora,
                              const std::filesystem::path& weights, const std::filesystem::path& adapters) {
  const torch::NoGradGuard no_grad;
  decoder->set_checkpointing(options.checkpoint_activations);
  if (lora.rank > 0) decoder->add_adapters(lora);
  if (!adapters.empty()) decoder->load_adapters(adapters);
  return std::make_unique<TorchModel>(std::move(decoder), options, weights);
}

std::unique_ptr<Model> open(const std::filesystem::path& folder, const EngineOptions& options) {
  prepare_process(options);
  const auto adapter = read_adapter_config(folder);
  if (adapter && options.lora.rank > 0) {
    base::user_error("model", "{} is an adapter already, want the model itself to train adapters over",
                     folder.string());
  }
  const std::filesystem::path weights = adapter ? adapter->base : folder;
  auto decoder = new_decoder(read_model_config(weights), options, adapter.has_value() || options.lora.rank > 0);
  decoder->load(weights);
  return finish(std::move(decoder), options, adapter ? adapter->lora : options.lora, weights,
                adapter ? folder : std::filesystem::path());
}

std::unique_ptr<Model> create(const ModelConfig& config, std::uint64_t seed, const EngineOptions& options) {
  prepare_process(options);
  auto decoder = new_decoder(config, options, options.lora.rank > 0);
  decoder->initialize(seed);
  return finish(std::move(decoder), options, options.lora, {}, {});
}

std::string versions() {
  const std::string cuda = cuda::description();
  return fmt::format("PyTorch {}, {} threads, {}, products of bfloat16 in {}{}{}", TORCH_VERSION, at::get_num_threads(),
                     at::get_cpu_capability(), kernels::multiplies_bfloat16() ? "bfloat16" : "float32",
                     cuda.empty() ? "" : ", ", cuda);
}

const LibraryTable kTable = {WHET_ENGINE_INTERFACE,   open, create, versions, measure_gemm_seconds,
                             measure_memory_bandwidth};

}  // namespace
}  // namespace whet::engine

extern "C" const whet::engine::LibraryTable* whet_engine_table() { return &whet::engine::kTable; }
