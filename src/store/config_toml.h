// TOML and JSON, both ways: config files are TOML for people, and JSON inside the program.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/json.h"

namespace whet::store {

/// Parses TOML. Keys stay in the order of the file. UserError "[where:line] ..." for a syntax error, a date or a time
/// (no option of ours takes one).
base::Json parse_toml(std::string_view text, std::string_view where);

/// Reads and parses a file. UserError naming the file, and the line where there is one.
base::Json read_toml_file(const std::filesystem::path& path);

/// The TOML text of a JSON object, keys in their order, scalars before the tables of the same level. TOML has no null:
/// null members are left out. UserError naming the key for a null inside an array or an integer beyond 64 signed bits.
std::string to_toml(const base::Json& object);

}  // namespace whet::store
