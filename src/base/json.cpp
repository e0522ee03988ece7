#include "base/json.h"

#include <fstream>

#include "base/error.h"
#include "base/file.h"

namespace whet::base {

Json parse_json(std::string_view text, std::string_view where) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    user_error(where, "not JSON at byte {}", error.byte);
  } catch (const Json::out_of_range&) {
    user_error(where, "not JSON that can be read: a number is too large");
  }
}

Json read_json_file(const std::filesystem::path& path) { return parse_json(read_file(path), path.string()); }

std::string to_json_line(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

void for_each_json_line(std::istream& input, std::string_view where,
                        const std::function<void(Json&&, std::size_t)>& visit) {
  std::string line;
  std::size_t number = 0;
  while (std::getline(input, line)) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    visit(parse_json(line, fmt::format("{}:{}", where, number)), number);
  }
}

void for_each_json_line(const std::filesystem::path& path, const std::function<void(Json&&, std::size_t)>& visit) {
  std::ifstream input(path);
  if (!input || std::filesystem::is_directory(path)) user_error("file", "cannot read {}", path.string());
  for_each_json_line(input, path.string(), visit);
}

}  // namespace whet::base
