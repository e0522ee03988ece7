// The seam between `whet` and the engine's shared library: one exported function that returns this table.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"
#include "engine/work.h"

namespace whet::engine {

struct LibraryTable {
  const char* interface;  ///< WHET_ENGINE_INTERFACE when the library was built; stays first, whatever else changes
  std::unique_ptr<Model> (*open)(const std::filesystem::path& folder, const EngineOptions& options);
  std::unique_ptr<Model> (*create)(const ModelConfig& config, std::uint64_t seed, const EngineOptions& options);
  std::string (*versions)();
  double (*gemm_seconds)(const Gemm& gemm, Precision precision);
  double (*memory_bandwidth)();
};

/// The name of the exported function, `extern "C" const LibraryTable* whet_engine_table()`.
inline constexpr const char* kLibraryEntry = "whet_engine_table";

}  // namespace whet::engine
