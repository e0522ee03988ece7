#include "engine/library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "engine/machine.h"

namespace whet::engine {
namespace {

/// Loads the engine at its first use. It is never unloaded: PyTorch's threads and registries outlive any one model.
const LibraryTable& library() {
  static const LibraryTable* const table = [] {
    const char* chosen = std::getenv("WHET_ENGINE");
    const std::filesystem::path path =
        chosen != nullptr ? chosen
                          : std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libwhet_engine.so";
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      base::user_error("engine", "cannot load {}: {} (this command runs a model; 'make build' builds the engine)",
                       path.string(), ::dlerror());
    }
    const auto entry = reinterpret_cast<const LibraryTable* (*)()>(::dlsym(handle, kLibraryEntry));
    if (entry == nullptr)
      base::user_error("engine", "{} has no {}, want whetstone's engine", path.string(), kLibraryEntry);
    const LibraryTable* loaded = entry();
    if (std::strcmp(loaded->interface, WHET_ENGINE_INTERFACE) != 0) {
      base::user_error("engine",
                       "{} belongs to another build of whetstone, want one made with this program ('make build')",
                       path.string());
    }
    return loaded;
  }();
  return *table;
}

}  // namespace

std::unique_ptr<Model> open_model(const std::filesystem::path& folder, const EngineOptions& options) {
  return library().open(folder, options);
}

std::unique_ptr<Model> new_model(const ModelConfig& config, std::uint64_t seed, const EngineOptions& options) {
  return library().create(config, seed, options);
}

std::string engine_versions() { return library().versions(); }

double gemm_seconds(const Gemm& gemm, Precision precision) { return library().gemm_seconds(gemm, precision); }

double memory_bandwidth() { return library().memory_bandwidth(); }

}  // namespace whet::engine
