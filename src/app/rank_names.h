// What ranked models are called in a table and on disk.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace whet::app {

/// The models' names without the folders that all of them begin with, and without "checkpoints".
std::vector<std::string> short_names(const std::vector<std::string>& models);

/// "03-s12-step-000400": a folder for the model of that place, whatever its name holds.
std::string folder_name(std::size_t index, const std::string& name);

}  // namespace whet::app
