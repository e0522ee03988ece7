#include "store/run_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/error.h"
#include "store/config_toml.h"

namespace whet::store {
namespace {

namespace fs = std::filesystem;
using base::Json;

// The name marks what a kill leaves behind; no reader takes it for a checkpoint.
constexpr const char* kUnfinished = ".tmp-unfinished";

fs::path folder_of_step(const fs::path& run, std::int64_t step) {
  return run / kCheckpointsFolder / fmt::format("step-{:06}", step);
}

fs::path unfinished_folder(const fs::path& run, std::int64_t step) {
  return folder_of_step(run, step).string() + kUnfinished;
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) base::run_error("run", "cannot remove {}: {}", path.string(), error.message());
}

/// Syncs every file below a folder, and its folders.
void sync_tree(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) {
      base::sync_folder(entry.path());
      continue;
    }
    const int descriptor = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
    const std::string why = std::strerror(errno);
    if (descriptor >= 0) ::close(descriptor);
    if (!synced) base::run_error("run", "cannot sync {}: {}", entry.path().string(), why);
  }
  base::sync_folder(folder);
}

std::int64_t step_of(const Json& line, std::int64_t before) {
  const auto step = line.find("step");
  if (step == line.end() || !step->is_number_integer() || step->get<std::int64_t>() <= before) {
    throw std::logic_error(fmt::format("a line without a step after {}: {}", before, base::to_json_line(line)));
  }
  return step->get<std::int64_t>();
}

std::vector<Scalar> scalars_of(const Json& line, const std::string& prefix) {
  std::vector<Scalar> scalars;
  for (const auto& [key, value] : line.items()) {
    if (key == "step" || !value.is_number() || !std::isfinite(value.get<double>())) continue;
    scalars.push_back({prefix + key, value.get<float>()});
  }
  return scalars;
}

std::int64_t last_step(const StepLines& kept) {
  return kept.lines.empty() ? -1 : kept.lines.back().at("step").get<std::int64_t>();
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) base::run_error("run", "cannot create {}: {}", path.string(), error.message());
}

std::string pretty(const Json& value) { return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

/// Removes what write_file() and begin_checkpoint() leave behind when they are killed.
void remove_unfinished(const fs::path& folder) {
  if (!fs::is_directory(folder)) return;
  std::vector<fs::path> unfinished;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().find(".tmp-") != std::string::npos) unfinished.push_back(entry.path());
  }
  for (const fs::path& path : unfinished) remove_tree(path);
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) base::user_error("run", "cannot open {}: {}", folder.string(), std::strerror(errno));
  // Some network file systems cannot lock; a run there goes without.
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(descriptor_);
    base::user_error("run", "{} is being written by another process, want a run that has stopped", folder.string());
  }
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

RunWriter::RunWriter(fs::path folder, FolderLock lock, const StepLines& metrics, const StepLines& timings,
                     const StepLines& held_out, std::size_t event_bytes)
    : folder_(std::move(folder)),
      lock_(std::move(lock)),
      metrics_(folder_ / kMetricsFile, metrics.bytes),
      timings_(folder_ / kTimingsFile, timings.bytes),
      events_(folder_ / kEventsFile, event_bytes),
      last_metrics_(last_step(metrics)),
      last_timings_(last_step(timings)),
      last_held_out_(last_step(held_out)) {
  if (fs::exists(folder_ / kHeldOutFile)) held_out_.emplace(folder_ / kHeldOutFile, held_out.bytes);
}

RunWriter RunWriter::create(const fs::path& folder, const Json& config, const Json& manifest) {
  const std::string config_text = to_toml(config);
  base::create_new_folder(folder);
  FolderLock lock(folder);
  try {
    base::write_file(folder / kConfigFile, config_text);
    make_folder(folder / kRolloutsFolder);
    make_folder(folder / kCheckpointsFolder);
    RunWriter writer(folder, std::move(lock), {}, {}, {}, 0);
    base::write_file(folder / kManifestFile, pretty(manifest));
    base::sync_folder(folder);
    return writer;
  } catch (...) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) remove_tree(entry.path());
    throw;
  }
}

Resumed RunWriter::resume(const fs::path& folder) {
  check_is_run(folder);
  if (fs::exists(folder / kSummaryFile)) {
    base::user_error("resume", "{} is finished, want a run that was stopped before its end", folder.string());
  }
  FolderLock lock(folder);
  Json config = read_toml_file(folder / kConfigFile);
  Json manifest = base::read_json_file(folder / kManifestFile);
  const std::vector<StepPath> checkpoints = checkpoints_of(folder);
  const StepPath newest = checkpoints.empty() ? StepPath{-1, {}} : checkpoints.back();
  Json trainer = checkpoints.empty() ? Json() : base::read_json_file(newest.path / kTrainerFile);
  StepLines metrics = read_step_lines(folder / kMetricsFile, newest.step);
  const StepLines timings = read_step_lines(folder / kTimingsFile, newest.step);
  const StepLines held_out = read_step_lines(folder / kHeldOutFile, newest.step);
  const std::size_t event_bytes = event_bytes_through(folder / kEventsFile, newest.step);

  // Everything has been read and found good; from here on things are taken back.
  for (const fs::path& place : {folder, folder / kRolloutsFolder, folder / kCheckpointsFolder}) {
    remove_unfinished(place);
  }
  for (const StepPath& rollouts : rollouts_of(folder)) {
    if (rollouts.step > newest.step) remove_tree(rollouts.path);
  }
  RunWriter writer(folder, std::move(lock), metrics, timings, held_out, event_bytes);
  return {std::move(writer), std::move(config),  std::move(manifest),     newest.step,
          newest.path,       std::move(trainer), std::move(metrics.lines)};
}

void RunWriter::append_metrics(const Json& line) {
  const std::int64_t step = step_of(line, last_metrics_);
  metrics_.append(base::to_json_line(line) + "\n");
  last_metrics_ = step;
  events_.append(step, scalars_of(line, ""));
}

void RunWriter::append_timings(const Json& line) {
  const std::int64_t step = step_of(line, last_timings_);
  timings_.append(base::to_json_line(line) + "\n");
  last_timings_ = step;
  events_.append(step, scalars_of(line, "time/"));
}

void RunWriter::append_held_out(const Json& line) {
  const std::int64_t step = step_of(line, last_held_out_);
  if (!held_out_) held_out_.emplace(folder_ / kHeldOutFile, 0);
  held_out_->append(base::to_json_line(line) + "\n");
  last_held_out_ = step;
}

void RunWriter::write_rollouts(std::int64_t step, std::vector<RolloutRow> rows) {
  wait_for_rollouts();
  fs::path file = folder_ / kRolloutsFolder / fmt::format("{}.jsonl", step);
  rollouts_ = std::async(std::launch::async, [file = std::move(file), step, rows = std::move(rows)] {
    std::string text;
    for (const RolloutRow& row : rows) text += base::to_json_line(to_json(row, step)) + "\n";
    base::write_file(file, text);
  });
}

void RunWriter::wait_for_rollouts() {
  if (rollouts_.valid()) rollouts_.get();
}

fs::path RunWriter::begin_checkpoint(std::int64_t step) {
  const fs::path unfinished = unfinished_folder(folder_, step);
  remove_tree(unfinished);
  make_folder(unfinished);
  return unfinished;
}

fs::path RunWriter::commit_checkpoint(std::int64_t step, const Json& trainer) {
  const fs::path unfinished = unfinished_folder(folder_, step);
  const fs::path final = folder_of_step(folder_, step);
  if (!fs::is_directory(unfinished)) {
    throw std::logic_error(fmt::format("checkpoint {} was not begun", step));
  }
  if (fs::exists(final)) base::run_error("run", "{} already exists", final.string());
  wait_for_rollouts();
  base::write_file(unfinished / kTrainerFile, pretty(trainer));
  sync_tree(unfinished);
  metrics_.sync();
  timings_.sync();
  if (held_out_) held_out_->sync();
  events_.sync();
  base::sync_folder(folder_ / kRolloutsFolder);
  std::error_code error;
  fs::rename(unfinished, final, error);
  if (error) base::run_error("run", "cannot rename {} to {}: {}", unfinished.string(), final.string(), error.message());
  base::sync_folder(folder_ / kCheckpointsFolder);
  return final;
}

fs::path RunWriter::checkpoint_folder(std::int64_t step) const { return folder_of_step(folder_, step); }

void RunWriter::prune_checkpoints(int keep_last, std::span<const std::int64_t> protect) {
  if (keep_last < 1) throw std::logic_error(fmt::format("keep_last {}, want >= 1", keep_last));
  const std::vector<StepPath> checkpoints = checkpoints_of(folder_);
  if (checkpoints.size() <= static_cast<std::size_t>(keep_last)) return;
  for (std::size_t i = 0; i < checkpoints.size() - static_cast<std::size_t>(keep_last); ++i) {
    const StepPath& checkpoint = checkpoints[i];
    if (std::find(protect.begin(), protect.end(), checkpoint.step) != protect.end()) continue;
    // Renamed first: a kill within the removal must not leave half a checkpoint under a whole one's name.
    const fs::path removed = checkpoint.path.string() + kUnfinished;
    std::error_code error;
    fs::rename(checkpoint.path, removed, error);
    if (error) base::run_error("run", "cannot rename {}: {}", checkpoint.path.string(), error.message());
    remove_tree(removed);
  }
}

fs::path RunWriter::begin_kept() {
  const fs::path unfinished = (folder_ / kKeptFolder).string() + kUnfinished;
  remove_tree(unfinished);
  make_folder(unfinished);
  return unfinished;
}

fs::path RunWriter::commit_kept(const Json& about) {
  const fs::path final = folder_ / kKeptFolder, unfinished = final.string() + kUnfinished;
  if (!fs::is_directory(unfinished)) throw std::logic_error("the kept model was not begun");
  base::write_file(unfinished / kAverageFile, pretty(about));
  sync_tree(unfinished);
  remove_tree(final);
  std::error_code error;
  fs::rename(unfinished, final, error);
  if (error) base::run_error("run", "cannot rename {}: {}", unfinished.string(), error.message());
  base::sync_folder(folder_);
  return final;
}

void RunWriter::finish(const Json& summary) {
  wait_for_rollouts();
  metrics_.sync();
  timings_.sync();
  if (held_out_) held_out_->sync();
  events_.sync();
  base::write_file(folder_ / kSummaryFile, pretty(summary));
  base::sync_folder(folder_);
}

}  // namespace whet::store
