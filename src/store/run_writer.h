// A run on disk, as the trainer writes it. The folder is described in store/run.h.
//
// What a kill leaves behind: whole files, whole checkpoints, perhaps a cut last line and an unfinished checkpoint.
// Resuming takes everything after the newest whole checkpoint back, so that the run goes on to the same metrics.jsonl,
// heldout.jsonl, rollouts and checkpoints, byte for byte, as if it had never stopped. Outside that guarantee, because they hold what a
// clock said: timings.jsonl, the "time/" scalars and the wall_time of TensorBoard events (their steps, tags and values
// are within it).
#pragma once

#include <cstdint>
#include <filesystem>
#include <future>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "store/rollout.h"
#include "store/run.h"
#include "store/tensorboard.h"

namespace whet::store {

struct Resumed;

/// Holds a folder for one process, so that resuming a run that is still going on is refused instead of mixing the two.
class FolderLock {
 public:
  /// UserError when the folder cannot be opened or another process holds it.
  explicit FolderLock(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  int descriptor_ = -1;
};

class RunWriter {
 public:
  /// Starts a run in a new (or empty) folder. UserError when something is already there; RunError when it cannot be
  /// written, and the folder is then left empty.
  static RunWriter create(const std::filesystem::path& folder, const base::Json& config, const base::Json& manifest);

  /// Opens a run at its newest whole checkpoint and takes back what came after. UserError when the folder holds no run,
  /// a finished one, or one that another process is writing.
  static Resumed resume(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }

  /// Adds the line of a step: an object with a whole number "step" that is larger than the last one's (std::logic_error
  /// else). Numbers go to TensorBoard too. A number that is not finite is written as null. Nothing that a clock
  /// measured belongs here. RunError when it cannot be written.
  void append_metrics(const base::Json& line);
  /// As append_metrics, for seconds, tokens per second and the like; under "time/" in TensorBoard.
  void append_timings(const base::Json& line);

  /// Adds what became of each held-out problem at a step, as append_metrics does; nothing of it goes to TensorBoard. The
  /// file begins with the first such line. Append it before the metrics of its step.
  void append_held_out(const base::Json& line);

  /// Writes rollouts/{step}.jsonl, whole, while the caller goes on. What goes wrong is thrown (RunError) by the next call, or by
  /// whichever comes first of wait_for_rollouts, commit_checkpoint and finish, which all wait for it.
  void write_rollouts(std::int64_t step, std::vector<RolloutRow> rows);
  void wait_for_rollouts();

  /// An empty folder to save a checkpoint of `step` into. Append the metrics of the step first: the checkpoint stands
  /// for everything up to it.
  std::filesystem::path begin_checkpoint(std::int64_t step);
  /// Makes the begun checkpoint appear: writes `trainer` as its trainer.json, syncs every file of it and the run's
  /// lines, and renames. Returns its folder. A checkpoint of that step must not exist (RunError).
  std::filesystem::path commit_checkpoint(std::int64_t step, const base::Json& trainer);

  /// Where the checkpoint of `step` is, or would be.
  std::filesystem::path checkpoint_folder(std::int64_t step) const;

  /// Removes all but the newest `keep_last` (>= 1) checkpoints and those of the `protect`ed steps (the best ones).
  void prune_checkpoints(int keep_last, std::span<const std::int64_t> protect = {});

  /// An empty folder to save the kept model into.
  std::filesystem::path begin_kept();
  /// Makes it appear with `about` as its average.json, in place of one that an earlier end of the run may have left. Returns its
  /// folder.
  std::filesystem::path commit_kept(const base::Json& about);

  /// Writes summary.json: the run is finished, and is not resumed.
  void finish(const base::Json& summary);

 private:
  RunWriter(std::filesystem::path folder, FolderLock lock, const StepLines& metrics, const StepLines& timings,
            const StepLines& held_out, std::size_t event_bytes);

  std::filesystem::path folder_;
  FolderLock lock_;
  base::AppendFile metrics_;
  base::AppendFile timings_;
  std::optional<base::AppendFile> held_out_;  ///< absent while there is no such file: a pre-training run has none
  EventFile events_;
  std::int64_t last_metrics_ = -1;  ///< step of the last line, -1 before the first
  std::int64_t last_timings_ = -1;
  std::int64_t last_held_out_ = -1;
  std::future<void> rollouts_;  ///< the dump that is being written; destroyed, and so waited for, before the lock
};

/// Where a run goes on.
struct Resumed {
  RunWriter writer;
  base::Json config;  ///< of config.toml
  base::Json manifest;
  std::int64_t step = -1;            ///< of the checkpoint; -1: there was none yet, begin from the start
  std::filesystem::path checkpoint;  ///< its folder; empty when there was none
  base::Json trainer;                ///< its trainer.json; null when there was none
  std::vector<base::Json> metrics;   ///< the lines that were kept
};

}  // namespace whet::store
