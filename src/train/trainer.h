// The loop: sample, score, compare, update, measure, store. One step of it can be read from top to bottom in step().
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/collapse.h"
#include "analysis/contenders.h"
#include "analysis/watch.h"
#include "base/profile.h"
#include "store/run_writer.h"
#include "train/evidence.h"
#include "train/held_out.h"
#include "train/options.h"
#include "train/probe.h"
#include "train/problems.h"
#include "train/scoring.h"

namespace whet::train {

/// What an observer sees after each step (step 0: the base, measured).
struct StepReport {
  std::int64_t step = 0;
  std::int64_t steps = 0;  ///< of the whole run
  base::Json metrics;      ///< the line of metrics.jsonl
  base::Json timings;      ///< the line of timings.jsonl
  double seconds = 0;      ///< of this step
  const analysis::MarkWatch* marks = nullptr;
  const analysis::WatchState* watch = nullptr;  ///< label-free; null before the first held-out measurement
};

/// Returns false to end the run after this step.
using Observer = std::function<bool(const StepReport&)>;

struct TrainSummary {
  std::int64_t steps = 0;  ///< done
  bool was_interrupted = false;
  bool was_guarded = false;                       ///< ended by --guard
  bool probe_fell = false;                        ///< ended because the majority had become worse on the probe
  std::optional<analysis::MajorityChange> probe;  ///< at the last measurement of this call
  std::filesystem::path kept;                     ///< the model that the watch judges best; empty: not watched
  std::vector<std::int64_t> kept_steps;           ///< whose weights it has: one step's, or the average of several
  base::Json kept_metrics;  ///< of an average: its held-out keys, as in metrics.jsonl; null for one step's
  std::optional<analysis::PeakSummary> accuracy;  ///< held-out
  std::optional<analysis::WatchState> watch;
  std::vector<analysis::MarkResult> marks;
  double seconds = 0;
  std::int64_t tokens = 0;  ///< sampled in training and measuring
};

class Trainer {
 public:
  /// A new run in `out`. UserError for options that do not fit each other, before anything is written. `trace`: a file for the
  /// run's spans (base/profile.h); empty: none.
  Trainer(const TrainOptions& options, const std::filesystem::path& out, const std::vector<std::string>& command_line,
          const std::filesystem::path& trace = {});
  /// Goes on with the run in `folder` from its newest checkpoint.
  explicit Trainer(const std::filesystem::path& folder, const std::filesystem::path& trace = {});
  ~Trainer();

  const TrainOptions& options() const { return options_; }
  const std::filesystem::path& folder() const { return writer_->folder(); }
  std::int64_t parameters() const { return policy_->model->parameter_count(); }
  std::int64_t first_step() const { return done_ + 1; }
  /// What a person should know about the problems before the run, a line each.
  std::vector<std::string> notes() const;

  /// Runs to the end, an interrupt, or an observer's word. RunError when a loss or a gradient is not finite; the run can
  /// then still be resumed from its last checkpoint.
  TrainSummary run(const Observer& observer);

 private:
  /// From a checkpoint of the run, or from the base when that is empty.
  void open(const std::filesystem::path& checkpoint);
  base::Json step(std::int64_t number, base::Json& timings);
  void append_metrics(const base::Json& metrics);
  void dump_rollouts(std::int64_t number, const std::vector<Group>& groups,
                     const std::vector<std::vector<double>>& rewards);
  /// On the held-out problems, and in the eyes of the base on those that are watched. `number` keys the draws.
  HeldOut::Result measure_problems(std::int64_t number);
  void measure_held_out(std::int64_t number, base::Json& metrics);
  /// The watch and who may be averaged, from a step's measurement.
  void judge(std::int64_t number, const analysis::BaseView& view);
  /// Finds the kept model; at the end of a run it is an average, if that is worth it.
  void keep(TrainSummary& summary, bool is_end);
  /// Moves the policy to the average of the checkpoints of these steps.
  void average(const std::vector<std::int64_t>& steps);
  void checkpoint(std::int64_t number);
  bool is_guarded() const { return options_.guard && watched_ && watch_.state().collapse_step.has_value(); }
  bool probe_fell() const { return probed_ && probed_->fell && !options_.probe.only_warn; }
  bool must_stop() const { return is_guarded() || probe_fell(); }
  void replay(const std::vector<base::Json>& metrics);
  base::Json summary_json(const TrainSummary& summary) const;

  TrainOptions options_;
  base::Profile profile_;  ///< before the models, which tell it of their work
  double rate_ = 0;
  std::unique_ptr<tasks::Task> task_;
  std::optional<Scoring> scoring_;
  std::optional<TextModel> policy_;
  std::unique_ptr<engine::Model> base_;
  std::optional<Evidence> evidence_;
  std::optional<HeldOut> held_out_;
  std::optional<HeldOut> watched_problems_;  ///< other problems for the label-free signals, when they are asked for
  std::optional<Probe> probe_;
  std::optional<Probe::Result> probed_;  ///< the newest
  std::optional<store::RunWriter> writer_;
  analysis::MarkWatch marks_;
  analysis::CollapseWatch watch_;
  analysis::Contenders contenders_;
  analysis::BaseView best_view_;  ///< at the watch's peak
  bool watched_ = false;
  std::vector<analysis::Point> accuracy_;
  std::int64_t done_ = 0;  ///< steps
  bool base_measured_ = false;
  std::int64_t last_checkpoint_ = -1;
  std::int64_t tokens_ = 0;
};

}  // namespace whet::train
