// JSON and JSON Lines: one name for the library, and readers whose errors name file and line.
#pragma once

#include <filesystem>
#include <functional>
#include <istream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace whet::base {

/// Keys keep the order in which they were written: files that people read stay readable, and bytes reproducible.
using Json = nlohmann::ordered_json;

/// Parses a whole text. UserError naming `where` and the position when it is not JSON.
Json parse_json(std::string_view text, std::string_view where);

/// Reads and parses a file. UserError naming the file.
Json read_json_file(const std::filesystem::path& path);

/// One line of compact JSON. Text that is not valid UTF-8 is written with U+FFFD in place of the bad bytes, so a
/// sampled response can never make a run fail; callers that must not lose bytes store token ids beside the text.
std::string to_json_line(const Json& value);

/// Calls `visit(value, line_number)` for each non-empty line (numbers start at 1). UserError naming `where` and the line.
void for_each_json_line(std::istream& input, std::string_view where,
                        const std::function<void(Json&&, std::size_t)>& visit);
void for_each_json_line(const std::filesystem::path& path, const std::function<void(Json&&, std::size_t)>& visit);

}  // namespace whet::base
