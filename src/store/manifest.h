// manifest.json: what it takes to do a run again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace whet::store {

struct ManifestInputs {
  std::vector<std::string> command_line;  ///< the arguments as given, program name first
  std::uint64_t seed = 0;
  std::string engine;                       ///< engine::engine_versions(), empty when none was used
  std::vector<std::filesystem::path> data;  ///< files the run reads (problems, weights, tokenizer)
};

/// The manifest of a run: program and versions, git revision of the source, command line, seed, and the SHA-256 and
/// size of each data file. Nothing in it depends on the host or the time. UserError when a data file cannot be read.
base::Json make_manifest(const ManifestInputs& inputs);

}  // namespace whet::store
