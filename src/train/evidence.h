// What rewards ask for beyond the rollouts that are trained on: more votes, a rephrasing's, a teacher's or other
// policies' rollouts, a checker's word. It is gathered between sampling and scoring, by one gatherer a need.
//
// A step:   plan (what is sampled)  ->  rollouts  ->  gather  ->  reward  ->  ...  ->  after_update
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "rewards/reward.h"
#include "train/groups.h"
#include "train/options.h"
#include "train/text_model.h"

namespace whet::train {

/// One step on its way from problems to groups that can be scored. Gatherers change it in the order of their list.
struct Gathering {
  std::uint64_t seed = 0;
  std::int64_t step = 0;

  // What is sampled; gatherers' plan() may add to it.
  std::vector<tasks::Problem> problems;
  int rollouts = 0;  ///< of each problem
  /// For each problem the index of the one that asks the same in other words; its own where there is none. Empty: no
  /// rephrasings in this step.
  std::vector<std::size_t> partners;

  // What was sampled (a group for each problem), and what gather() adds.
  std::vector<Group> groups;
  std::int64_t tokens = 0;  ///< sampled as evidence only, over those of the groups that are trained on
  base::Json metrics = base::Json::object();  ///< keys for the step's line of metrics.jsonl

  /// Key of the step's draws for one purpose: nothing else may draw under the same name.
  std::uint64_t stream(std::string_view purpose) const;
};

/// Gathers what one need asks for. Draws are keyed by Gathering::stream and the problem, so that a resumed run draws
/// the same.
class Gatherer {
 public:
  virtual ~Gatherer() = default;
  /// Before sampling: problems and rollouts to add.
  virtual void plan(Gathering& step) { (void)step; }
  /// After sampling: adds evidence to the groups, counts its tokens, may say something in the metrics.
  virtual void gather(Gathering& step) = 0;
  /// The policy has been updated for the `step`-th time.
  virtual void after_update(std::int64_t step) { (void)step; }
  /// Writes what a resumed run needs into a checkpoint's folder.
  virtual void save(const std::filesystem::path& checkpoint) const { (void)checkpoint; }
};

/// What gatherers are made from. All of it outlives them.
struct EvidenceContext {
  TextModel& policy;
  const tasks::Task& task;
  const TrainOptions& options;
  std::filesystem::path checkpoint;   ///< that the run goes on from; empty for a new run
  engine::Model* base = nullptr;      ///< the frozen model that the run began with, where there is one
  engine::EngineOptions models = {};  ///< of other models that are opened
};

/// Everything that the rewards of a run need.
class Evidence {
 public:
  /// UserError for a reward that needs what this run does not have, and for an option that no reward of the run reads.
  Evidence(const EvidenceContext& context, std::span<const rewards::Term> terms);

  void plan(Gathering& step);
  void gather(Gathering& step);
  void after_update(std::int64_t step);
  void save(const std::filesystem::path& checkpoint) const;

  bool is_empty() const { return voters_.empty() && witnesses_.empty() && !chooses_; }

 private:
  EvidenceContext context_;
  std::vector<std::unique_ptr<Gatherer>> voters_;     ///< add ballots
  std::vector<std::unique_ptr<Gatherer>> witnesses_;  ///< add what is known of each rollout that is trained on
  bool chooses_ = false;                              ///< more rollouts vote than are trained on
};

}  // namespace whet::train
