// Short names of ranked models.
#include "app/rank_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "store/run.h"

namespace whet::app {

std::vector<std::string> short_names(const std::vector<std::string>& models) {
  std::vector<std::vector<std::string>> parts;
  for (const std::string& model : models) {
    parts.emplace_back();
    for (const auto& part : std::filesystem::path(model).lexically_normal()) {
      if (!part.empty()) parts.back().push_back(part.string());
    }
  }
  std::size_t shared = 0;
  const auto all_have = [&](std::size_t place) {
    return std::all_of(parts.begin(), parts.end(), [&](const auto& path) {
      return place + 1 < path.size() && path[place] == parts.front()[place];
    });
  };
  while (models.size() > 1 && all_have(shared)) ++shared;
  std::vector<std::string> names;
  for (const auto& path : parts) {
    std::string name;
    for (std::size_t i = shared; i < path.size(); ++i) {
      if (path[i] != store::kCheckpointsFolder) name += (name.empty() || name == "/" ? "" : "/") + path[i];
    }
    names.push_back(name);
  }
  return names;
}

std::string folder_name(std::size_t index, const std::string& name) {
  std::string safe;
  for (const char c : name) safe += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ? c : '-';
  return fmt::format("{:02}-{}", index + 1, safe);
}

}  // namespace whet::app
