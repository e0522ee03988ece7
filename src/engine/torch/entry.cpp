// What the shared library exports.
#include <malloc.h>

#include <fmt/format.h>
#include <torch/version.h>

#include "engine/library.h"
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
  if (options.threads > 0) at::set_num_threads(options.threads);
}

std::unique_ptr<Model> open(const std::filesystem::path& folder, const EngineOptions& options) {
  prepare_process(options);
  auto decoder = std::make_shared<Decoder>(read_model_config(folder), at::kFloat);
  decoder->load(folder);
  return std::make_unique<TorchModel>(std::move(decoder), options);
}

std::unique_ptr<Model> create(const ModelConfig& config, std::uint64_t seed, const EngineOptions& options) {
  prepare_process(options);
  auto decoder = std::make_shared<Decoder>(config, at::kFloat);
  decoder->initialize(seed);
  return std::make_unique<TorchModel>(std::move(decoder), options);
}

std::string versions() {
  return fmt::format("PyTorch {}, {} threads, {}", TORCH_VERSION, at::get_num_threads(), at::get_cpu_capability());
}

const LibraryTable kTable = {WHET_ENGINE_INTERFACE, open, create, versions};

}  // namespace
}  // namespace whet::engine

extern "C" const whet::engine::LibraryTable* whet_engine_table() { return &whet::engine::kTable; }
