#include "store/manifest.h"

#include "base/file.h"

// Written by cmake/revision.cmake; a source archive without git has an empty revision, a build without CMake has none.
#if __has_include("revision.h")
#include "revision.h"
#else
#define WHET_REVISION ""
#endif

namespace whet::store {

base::Json make_manifest(const ManifestInputs& inputs) {
  using base::Json;
  Json manifest = Json::object();
  manifest["program"] = "whetstone";
  manifest["version"] = WHET_VERSION;
  const std::string revision = WHET_REVISION;
  manifest["revision"] = revision.empty() ? Json() : Json(revision);
  manifest["compiler"] = __VERSION__;
  manifest["engine"] = inputs.engine.empty() ? Json() : Json(inputs.engine);
  manifest["command_line"] = inputs.command_line;
  manifest["seed"] = inputs.seed;
  manifest["data"] = Json::array();
  for (const std::filesystem::path& path : inputs.data) {
    const std::string hash = base::sha256_of_file(path);
    const auto bytes = std::filesystem::file_size(path);
    manifest["data"].push_back({{"file", path.string()}, {"sha256", hash}, {"bytes", bytes}});
  }
  return manifest;
}

}  // namespace whet::store
