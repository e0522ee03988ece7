#include "store/run.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "store/config_toml.h"

namespace whet::store {
namespace {

namespace fs = std::filesystem;
using base::Json;

/// The entries of `folder` that are named prefix + digits + suffix, by the number. A missing folder has none.
std::vector<StepPath> numbered(const fs::path& folder, std::string_view prefix, std::string_view suffix) {
  std::vector<StepPath> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() <= prefix.size() + suffix.size() || !name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    const char* begin = name.data() + prefix.size();
    const char* end = name.data() + name.size() - suffix.size();
    std::int64_t step = 0;
    const auto [stopped, status] = std::from_chars(begin, end, step);
    if (status != std::errc() || stopped != end || step < 0) continue;
    found.push_back({step, entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const StepPath& a, const StepPath& b) { return a.step < b.step; });
  return found;
}

}  // namespace

void check_is_run(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    base::user_error("run", "{} is not a folder, want the folder of a run", folder.string());
  }
  if (!fs::exists(folder / kManifestFile)) {
    base::user_error("run", "{} holds no {}, want the folder of a run", folder.string(), kManifestFile);
  }
}

std::vector<StepPath> checkpoints_of(const fs::path& folder) {
  std::vector<StepPath> found = numbered(folder / kCheckpointsFolder, "step-", "");
  std::erase_if(found, [](const StepPath& checkpoint) { return !fs::exists(checkpoint.path / kTrainerFile); });
  return found;
}

std::vector<StepPath> rollouts_of(const fs::path& folder) { return numbered(folder / kRolloutsFolder, "", ".jsonl"); }

StepLines read_step_lines(const fs::path& path, std::int64_t last_step) {
  StepLines kept;
  if (!fs::exists(path)) return kept;
  const std::string content = base::read_file(path);
  std::size_t number = 0, damaged = 0;
  for (std::size_t begin = 0; begin < content.size();) {
    ++number;
    const std::size_t newline = content.find('\n', begin);
    // Lines are written with their newline in one go: without it, this one is the cut end.
    if (newline == std::string::npos) break;
    Json line = Json::parse(content.begin() + static_cast<std::ptrdiff_t>(begin),
                            content.begin() + static_cast<std::ptrdiff_t>(newline), nullptr, false);
    begin = newline + 1;
    if (line.is_discarded()) {
      if (damaged == 0) damaged = number;
      continue;
    }
    const auto step = line.find("step");
    if (!line.is_object() || step == line.end() || !step->is_number_integer()) {
      base::user_error(fmt::format("{}:{}", path.string(), number), "no whole number 'step', want one in each line");
    }
    if (step->get<std::int64_t>() > last_step) break;
    if (damaged != 0) {
      base::user_error(fmt::format("{}:{}", path.string(), damaged), "not JSON, though good lines follow it");
    }
    kept.lines.push_back(std::move(line));
    kept.bytes = begin;
  }
  return kept;
}

Run load_run(const fs::path& folder) {
  check_is_run(folder);
  constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();
  Run run;
  run.folder = folder;
  run.config = read_toml_file(folder / kConfigFile);
  run.manifest = base::read_json_file(folder / kManifestFile);
  run.metrics = read_step_lines(folder / kMetricsFile, kAll).lines;
  run.timings = read_step_lines(folder / kTimingsFile, kAll).lines;
  run.held_out = read_step_lines(folder / kHeldOutFile, kAll).lines;
  run.rollouts = rollouts_of(folder);
  run.checkpoints = checkpoints_of(folder);
  if (fs::exists(folder / kSummaryFile)) run.summary = base::read_json_file(folder / kSummaryFile);
  return run;
}

double seconds_of(const Run& run) {
  double seconds = 0;
  for (const base::Json& line : run.timings) seconds += line.value("seconds", 0.0);
  return seconds;
}

std::vector<Json> load_rollouts(const fs::path& path) {
  std::vector<Json> rows;
  base::for_each_json_line(path, [&](Json&& row, std::size_t) { rows.push_back(std::move(row)); });
  return rows;
}

}  // namespace whet::store
