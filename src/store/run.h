// A run on disk, as readers see it. A run is a folder:
//
//   config.toml            every option, resolved
//   manifest.json          versions, revision, data hashes, command line, seed; written last by RunWriter::create,
//                          so a folder that has one is a run
//   metrics.jsonl          one object a step; the same bytes for the same config and seed, resumed or not
//   timings.jsonl          one object a step: what a clock measured, and so differs from run to run
//   heldout.jsonl          one object an evaluation: what became of each held-out problem (train/held_out.h says which
//                          keys); the same bytes for the same config and seed, resumed or not
//   rollouts/{step}.jsonl  sampled responses of a step (store/rollout.h)
//   checkpoints/step-NNNNNN/   a Hugging Face model folder, optimizer.safetensors and trainer.json
//   kept/                  the model that the label-free watch keeps, where it is an average of checkpoints: a model folder and
//                          average.json (steps, and what was measured)
//   events.out.tfevents.whetstone   metrics, and timings under "time/", for TensorBoard
//   summary.json           written when the run has finished; a folder that has one is not resumed
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/json.h"

namespace whet::store {

inline constexpr const char* kConfigFile = "config.toml";
inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kMetricsFile = "metrics.jsonl";
inline constexpr const char* kTimingsFile = "timings.jsonl";
inline constexpr const char* kHeldOutFile = "heldout.jsonl";
inline constexpr const char* kRolloutsFolder = "rollouts";
inline constexpr const char* kCheckpointsFolder = "checkpoints";
inline constexpr const char* kKeptFolder = "kept";
inline constexpr const char* kAverageFile = "average.json";
inline constexpr const char* kTrainerFile = "trainer.json";
inline constexpr const char* kEventsFile = "events.out.tfevents.whetstone";
inline constexpr const char* kSummaryFile = "summary.json";

/// A file or folder of a run that belongs to one step.
struct StepPath {
  std::int64_t step = 0;
  std::filesystem::path path;
};

struct Run {
  std::filesystem::path folder;
  base::Json config;
  base::Json manifest;
  std::vector<base::Json> metrics;    ///< by step; a last line that a kill or a full disk cut is left out
  std::vector<base::Json> timings;    ///< likewise
  std::vector<base::Json> held_out;   ///< likewise; none in a run that was made before there was this file
  std::vector<StepPath> rollouts;     ///< by step
  std::vector<StepPath> checkpoints;  ///< whole ones, by step
  std::optional<base::Json> summary;  ///< when the run has finished
};

/// Reads a run that may still be going on. UserError when `folder` holds no run or a file of it is damaged (names file
/// and line).
Run load_run(const std::filesystem::path& folder);

/// Seconds that all steps of a run took together.
double seconds_of(const Run& run);

/// The rows of one rollouts/{step}.jsonl. UserError naming file and line.
std::vector<base::Json> load_rollouts(const std::filesystem::path& path);

/// The whole checkpoints of a run, by step. Folders that a kill left unfinished are not among them.
std::vector<StepPath> checkpoints_of(const std::filesystem::path& folder);
std::vector<StepPath> rollouts_of(const std::filesystem::path& folder);

/// UserError unless `folder` holds a run.
void check_is_run(const std::filesystem::path& folder);

/// What of a JSON Lines file of steps is whole: how far it goes, and the lines up to there.
struct StepLines {
  std::size_t bytes = 0;          ///< length of the kept lines
  std::vector<base::Json> lines;  ///< those with step <= the limit
};

/// Reads `path` (none is an empty one) up to the first line that is cut or later than `last_step`. UserError naming the
/// line when a damaged one stands before a good one that should be kept, or a line has no step.
StepLines read_step_lines(const std::filesystem::path& path, std::int64_t last_step);

}  // namespace whet::store
