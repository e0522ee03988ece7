// A run on disk: what is written, what a kill leaves, and that a resumed run has the bytes of an uninterrupted one.
#include "store/run_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "store/config_toml.h"
#include "store/manifest.h"
#include "store/run.h"
#include "tests/store/temp_folder.h"

namespace whet::store {
namespace {

namespace fs = std::filesystem;
using base::Json;

template <class Error>
std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no such error";
}

const Json kConfig = {{"task", "sort-digits"}, {"steps", 10}, {"learning_rate", 5e-4}};
const Json kManifest = {{"program", "whetstone"}, {"seed", 3}};

/// What a trainer would write at a step; a function of the step alone, as a resumed trainer's values are.
void write_step(RunWriter& writer, std::int64_t step) {
  if (step % 2 == 0) writer.append_held_out(Json{{"step", step}, {"right", {0.5, static_cast<double>(step)}}});
  writer.append_metrics(Json{{"step", step},
                             {"reward", 1.0 / static_cast<double>(step + 3)},
                             {"task", "sort"},
                             {"kl", step == 4 ? std::numeric_limits<double>::quiet_NaN() : 0.5}});
  writer.append_timings(Json{{"step", step}, {"seconds", 0.25}});
  RolloutRow row;
  row.input = "123?";
  row.output = "#" + std::to_string(step);
  row.score = 1;
  row.tokens = {1, 2, static_cast<int>(step)};
  writer.write_rollouts(step, std::vector<RolloutRow>(2, row));
}

void write_checkpoint(RunWriter& writer, std::int64_t step) {
  const fs::path unfinished = writer.begin_checkpoint(step);
  base::write_file(unfinished / "model.safetensors", "weights of " + std::to_string(step));
  writer.commit_checkpoint(step, Json{{"step", step}, {"optimizer", "adamw"}});
}

void train(RunWriter& writer, std::int64_t from, std::int64_t to) {
  for (std::int64_t step = from; step <= to; ++step) {
    write_step(writer, step);
    if (step > 0 && step % 3 == 0) {
      write_checkpoint(writer, step);
      writer.prune_checkpoints(2);
    }
  }
}

/// Every file of a run by its relative path, less what holds a clock's values.
std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    if (entry.is_regular_file() && name != kEventsFile) files[name] = base::read_file(entry.path());
  }
  return files;
}

void append_raw(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::app | std::ios::binary) << bytes;
}

TEST(RunWriter, WritesARunThatLoadsBack) {
  const TempFolder temp;
  const fs::path folder = temp.path() / "run";
  {
    RunWriter writer = RunWriter::create(folder, kConfig, kManifest);
    train(writer, 0, 7);
    writer.finish(Json{{"peak_step", 3}});
  }
  const store::Run run = load_run(folder);
  EXPECT_EQ(run.config, kConfig);
  EXPECT_EQ(run.manifest, kManifest);
  ASSERT_EQ(run.metrics.size(), 8u);
  EXPECT_EQ(run.metrics[2]["reward"].get<double>(), 1.0 / 5);
  EXPECT_TRUE(run.metrics[4]["kl"].is_null());
  EXPECT_EQ(run.timings.size(), 8u);
  ASSERT_EQ(run.held_out.size(), 4u);
  EXPECT_EQ(run.held_out[3]["right"][1], 6.0);
  ASSERT_EQ(run.checkpoints.size(), 2u);
  EXPECT_EQ(run.checkpoints[1].step, 6);
  EXPECT_EQ(run.checkpoints[1].path.filename(), "step-000006");
  ASSERT_EQ(run.rollouts.size(), 8u);
  EXPECT_EQ(run.rollouts[7].path.filename(), "7.jsonl");
  EXPECT_EQ(run.summary->at("peak_step"), 3);
  const std::vector<Json> rows = load_rollouts(run.rollouts[7].path);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(base::to_json_line(rows[0]),
            R"({"input":"123?","output":"#7","gts":null,"score":1.0,"step":7,"answer":null,"true_score":null,)"
            R"("logprob":0.0,"entropy":0.0,"self_certainty":0.0,"gap":0.0,"truncated":false,"tokens":[1,2,7]})");
}

TEST(RunWriter, RefusesAFolderThatHoldsSomething) {
  const TempFolder temp;
  base::write_file(temp.path() / "precious", "x");
  EXPECT_THAT(message_of<base::UserError>([&] { RunWriter::create(temp.path(), kConfig, kManifest); }),
              testing::HasSubstr("already exists"));
  EXPECT_EQ(files_of(temp.path()).size(), 1u);
}

// The heart of it: a run killed at any step, with what a kill may leave, resumes to the bytes of one that was not.
TEST(RunWriter, ResumesToTheBytesOfAnUninterruptedRun) {
  const TempFolder temp;
  {
    RunWriter writer = RunWriter::create(temp.path() / "whole", kConfig, kManifest);
    train(writer, 0, 10);
    writer.finish(Json{{"steps", 10}});
  }
  const auto want = files_of(temp.path() / "whole");
  for (std::int64_t killed_after = -1; killed_after <= 10; ++killed_after) {
    SCOPED_TRACE(killed_after);
    const fs::path folder = temp.path() / ("killed-" + std::to_string(killed_after));
    {
      RunWriter writer = RunWriter::create(folder, kConfig, kManifest);
      train(writer, 0, killed_after);
      // Killed in the middle of a line, of a rollout file, of a checkpoint and of pruning.
      const fs::path unfinished = writer.begin_checkpoint(killed_after + 1);
      base::write_file(unfinished / "model.safetensors", "half");
    }
    append_raw(folder / kMetricsFile, R"({"step":99,"rew)");
    append_raw(folder / kTimingsFile, R"({"ste)");
    append_raw(folder / kHeldOutFile, R"({"step":98,"right":[)");
    append_raw(folder / kEventsFile, "\x20\x01");
    base::write_file(folder / kRolloutsFolder / "99.jsonl.tmp-123", "{");
    Resumed resumed = RunWriter::resume(folder);
    EXPECT_EQ(resumed.step, killed_after < 3 ? -1 : killed_after / 3 * 3);
    EXPECT_EQ(resumed.config, kConfig);
    EXPECT_EQ(resumed.metrics.size(), static_cast<std::size_t>(resumed.step + 1));
    if (resumed.step >= 0) {
      EXPECT_EQ(resumed.trainer.at("step"), resumed.step);
      EXPECT_EQ(base::read_file(resumed.checkpoint / "model.safetensors"),
                "weights of " + std::to_string(resumed.step));
    }
    train(resumed.writer, resumed.step + 1, 10);
    resumed.writer.finish(Json{{"steps", 10}});
    EXPECT_EQ(files_of(folder), want);
    // Events: the same records, though the clock differed.
    EXPECT_EQ(fs::file_size(folder / kEventsFile), fs::file_size(temp.path() / "whole" / kEventsFile));
    EXPECT_EQ(event_bytes_through(folder / kEventsFile, 10), fs::file_size(folder / kEventsFile));
  }
}

// The same with a real kill, at moments nobody chose: in the middle of a write, a rename, a sync or a removal.
TEST(RunWriter, ResumesAfterARealKill) {
  const TempFolder temp;
  constexpr std::int64_t kSteps = 20;
  {
    RunWriter writer = RunWriter::create(temp.path() / "whole", kConfig, kManifest);
    train(writer, 0, kSteps);
    writer.finish(Json{{"steps", kSteps}});
  }
  const auto want = files_of(temp.path() / "whole");
  int killed = 0;
  for (int attempt = 0; attempt < 6; ++attempt) {
    const fs::path folder = temp.path() / ("killed-" + std::to_string(attempt));
    SCOPED_TRACE(folder);
    {
      RunWriter writer = RunWriter::create(folder, kConfig, kManifest);
    }
    const pid_t child = ::fork();
    if (child == 0) {
      Resumed run = RunWriter::resume(folder);
      train(run.writer, 0, kSteps);
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(3000 + 17011 * attempt));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    killed += WIFSIGNALED(status);
    Resumed resumed = RunWriter::resume(folder);
    train(resumed.writer, resumed.step + 1, kSteps);
    resumed.writer.finish(Json{{"steps", kSteps}});
    EXPECT_EQ(files_of(folder), want);
    EXPECT_EQ(fs::file_size(folder / kEventsFile), fs::file_size(temp.path() / "whole" / kEventsFile));
  }
  EXPECT_GT(killed, 0) << "every child was done before it was killed: nothing was tested";
}

TEST(RunWriter, RefusesToResumeWhatIsNoRunOrIsFinishedOrIsBeingWritten) {
  const TempFolder temp;
  EXPECT_THAT(message_of<base::UserError>([&] { RunWriter::resume(temp.path() / "absent"); }),
              testing::HasSubstr("is not a folder"));
  EXPECT_THAT(message_of<base::UserError>([&] { RunWriter::resume(temp.path()); }),
              testing::HasSubstr("holds no manifest.json"));
  RunWriter writer = RunWriter::create(temp.path() / "run", kConfig, kManifest);
  EXPECT_THAT(message_of<base::UserError>([&] { RunWriter::resume(temp.path() / "run"); }),
              testing::HasSubstr("being written by another process"));
  writer.finish(Json::object());
  EXPECT_THAT(message_of<base::UserError>([&] { RunWriter::resume(temp.path() / "run"); }),
              testing::HasSubstr("is finished"));
}

TEST(RunWriter, RefusesToResumeAroundADamagedLineAndChangesNothing) {
  const TempFolder temp;
  const fs::path folder = temp.path() / "run";
  {
    RunWriter writer = RunWriter::create(folder, kConfig, kManifest);
    train(writer, 0, 4);
  }
  std::string lines = base::read_file(folder / kMetricsFile);
  lines[lines.find('\n') + 1] = '#';
  base::write_file(folder / kMetricsFile, lines);
  const auto before = files_of(folder);
  EXPECT_THAT(message_of<base::UserError>([&] { RunWriter::resume(folder); }),
              testing::HasSubstr(std::string(kMetricsFile) + ":2] not JSON"));
  EXPECT_EQ(files_of(folder), before);
}

TEST(RunWriter, PrunesAllButTheNewestAndTheProtected) {
  const TempFolder temp;
  RunWriter writer = RunWriter::create(temp.path() / "run", kConfig, kManifest);
  for (const int step : {5, 10, 15, 20, 25}) write_checkpoint(writer, step);
  writer.prune_checkpoints(2, std::vector<std::int64_t>{10});
  std::vector<std::int64_t> left;
  for (const StepPath& checkpoint : checkpoints_of(temp.path() / "run")) left.push_back(checkpoint.step);
  EXPECT_THAT(left, testing::ElementsAre(10, 20, 25));
  EXPECT_THROW(writer.prune_checkpoints(0), std::logic_error);
}

TEST(RunWriter, KeepsAModelWholeOrNotAtAllAndInPlaceOfAnEarlierOne) {
  const TempFolder temp;
  const fs::path run = temp.path() / "run";
  {
    RunWriter writer = RunWriter::create(run, kConfig, kManifest);
    train(writer, 0, 3);
    EXPECT_THROW(writer.commit_kept({{"steps", {1}}}), std::logic_error);
    base::write_file(writer.begin_kept() / "model.safetensors", "first");
    EXPECT_EQ(writer.commit_kept({{"steps", {1, 2}}}), run / kKeptFolder);
    EXPECT_EQ(base::read_file(run / kKeptFolder / "model.safetensors"), "first");
    base::write_file(writer.begin_kept() / "model.safetensors", "half of the second");
  }
  // What a kill left is gone, what was whole is there.
  RunWriter writer = RunWriter::resume(run).writer;
  EXPECT_EQ(base::read_file(run / kKeptFolder / "model.safetensors"), "first");
  EXPECT_EQ(std::distance(fs::directory_iterator(run / kKeptFolder), fs::directory_iterator()), 2);
  for (const fs::directory_entry& entry : fs::directory_iterator(run)) {
    EXPECT_THAT(entry.path().filename().string(), testing::Not(testing::HasSubstr(".tmp-")));
  }
  base::write_file(writer.begin_kept() / "model.safetensors", "second");
  writer.commit_kept({{"steps", {2, 3}}});
  EXPECT_EQ(base::read_file(run / kKeptFolder / "model.safetensors"), "second");
  EXPECT_EQ(base::read_json_file(run / kKeptFolder / kAverageFile), (Json{{"steps", {2, 3}}}));
}

TEST(RunWriter, RefusesStepsThatDoNotGoForward) {
  const TempFolder temp;
  RunWriter writer = RunWriter::create(temp.path() / "run", kConfig, kManifest);
  writer.append_metrics(Json{{"step", 3}});
  EXPECT_THROW(writer.append_metrics(Json{{"step", 3}}), std::logic_error);
  EXPECT_THROW(writer.append_metrics(Json{{"reward", 1}}), std::logic_error);
  EXPECT_EQ(load_run(temp.path() / "run").metrics.size(), 1u);
}

TEST(LoadRun, ReadsARunWhoseLastLineIsCut) {
  const TempFolder temp;
  const fs::path folder = temp.path() / "run";
  RunWriter writer = RunWriter::create(folder, kConfig, kManifest);
  train(writer, 0, 3);
  const std::string lines = base::read_file(folder / kMetricsFile);
  const std::size_t last_line = lines.rfind('\n', lines.size() - 2) + 1;
  for (std::size_t cut = last_line; cut < lines.size(); ++cut) {
    fs::resize_file(folder / kMetricsFile, cut);
    ASSERT_EQ(load_run(folder).metrics.size(), 3u) << cut;
    base::write_file(folder / kMetricsFile, lines);
  }
  EXPECT_EQ(load_run(folder).metrics.size(), 4u);
  EXPECT_FALSE(load_run(folder).summary.has_value());
}

/// Runs `body` in a child whose files may not grow beyond `bytes` (writes fail with EFBIG, as a full disk's with
/// ENOSPC). Returns its exit status: what body returned, or 99 when it threw something unexpected.
int with_file_limit(rlim_t bytes, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, bytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int status = 99;
    try {
      status = body();
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

template <class Error>
int fails_with(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error&) {
    return 0;
  }
  return 1;
}

TEST(FullDisk, LeavesNothingHalfWritten) {
  const TempFolder temp;
  const fs::path folder = temp.path() / "run";
  {
    RunWriter writer = RunWriter::create(folder, kConfig, kManifest);
    train(writer, 0, 4);
  }
  const auto before = files_of(folder);
  RolloutRow row;
  row.output = std::string(10000, 'x');
  // 4,000 bytes hold everything so far, but not this dump; nor a trainer state of the same size.
  EXPECT_EQ(with_file_limit(4000,
                            [&] {
                              Resumed resumed = RunWriter::resume(folder);
                              resumed.writer.write_rollouts(4, std::vector{row});
                              const int dump = fails_with<base::RunError>([&] { resumed.writer.wait_for_rollouts(); });
                              resumed.writer.begin_checkpoint(4);
                              const int checkpoint = fails_with<base::RunError>([&] {
                                resumed.writer.commit_checkpoint(4, Json{{"state", std::string(10000, 'x')}});
                              });
                              return dump + checkpoint;
                            }),
            0);
  const store::Run run = load_run(folder);
  EXPECT_EQ(run.checkpoints.size(), 1u);
  EXPECT_EQ(run.checkpoints[0].step, 3);
  for (const auto& [name, content] : files_of(folder)) {
    EXPECT_EQ(before.contains(name) ? before.at(name).substr(0, content.size()) : "nothing new", content) << name;
  }
}

TEST(FullDisk, IsNoticedAtTheLineThatDidNotFit) {
  const TempFolder temp;
  const fs::path folder = temp.path() / "run";
  EXPECT_EQ(with_file_limit(1000,
                            [&] {
                              RunWriter writer = RunWriter::create(folder, kConfig, kManifest);
                              writer.append_metrics(Json{{"step", 0}, {"text", std::string(600, 'x')}});
                              return fails_with<base::RunError>(
                                  [&] { writer.append_metrics(Json{{"step", 1}, {"text", std::string(600, 'x')}}); });
                            }),
            0);
  // The line that did not fit may be cut; readers and resume leave it out.
  EXPECT_EQ(load_run(folder).metrics.size(), 1u);
  EXPECT_EQ(RunWriter::resume(folder).step, -1);
}

TEST(FullDisk, StartsNoRun) {
  const TempFolder temp;
  const fs::path folder = temp.path() / "run";
  const Json manifest = {{"command_line", std::string(10000, 'x')}};
  EXPECT_EQ(
      with_file_limit(
          4000, [&] { return fails_with<base::RunError>([&] { RunWriter::create(folder, kConfig, manifest); }); }),
      0);
  EXPECT_TRUE(files_of(folder).empty());
}

TEST(FullDisk, IsNoticedByAppendFile) {
  base::AppendFile full("/dev/full");
  EXPECT_THAT(message_of<base::RunError>([&] { full.append("line\n"); }),
              testing::HasSubstr("No space left on device"));
}

TEST(Manifest, HashesDataAndDependsOnNothingElse) {
  const TempFolder temp;
  const fs::path data = temp.path() / "problems.jsonl";
  base::write_file(data, "abc");
  const ManifestInputs inputs{.command_line = {"whet", "train"}, .seed = 5, .engine = "PyTorch 2.13.0", .data = {data}};
  const Json manifest = make_manifest(inputs);
  EXPECT_EQ(manifest["data"][0]["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(manifest["data"][0]["bytes"], 3);
  EXPECT_EQ(manifest["seed"], 5);
  EXPECT_EQ(manifest.dump(), make_manifest(inputs).dump());
  EXPECT_THROW(make_manifest({.command_line = {}, .engine = {}, .data = {temp.path() / "absent"}}), base::UserError);
}

}  // namespace
}  // namespace whet::store
