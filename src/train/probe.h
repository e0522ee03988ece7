// A few problems with labels, asked before and during a run whether the majority is right. The reward does not see them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/probe.h"
#include "base/json.h"
#include "train/groups.h"
#include "train/options.h"
#include "train/text_model.h"

namespace whet::train {

/// The problems of --probe under the rules of `task` (--chat-template writes chats), or --probe-problems held-out ones
/// after the first `used`. UserError for both at once, fewer than 16, more than 64 or one without a label.
std::vector<tasks::Problem> probe_problems(const TrainOptions& options, const tasks::Task& task, std::int64_t used);

class Probe {
 public:
  /// Asks the frozen base for its votes. `looks`: how often `measure` will be called in the whole run; the chance of a
  /// false word in any of them is at most 1 - confidence, shared equally between them.
  Probe(TextModel& policy, engine::Model& base, const tasks::Task& task, std::vector<tasks::Problem> problems,
        const ProbeOptions& options, const engine::SamplingOptions& sampling, std::uint64_t seed, std::int64_t looks);

  /// What is known of the base: its verdict, and how many problems it took.
  const analysis::SequentialProbe& of_base() const { return of_base_; }
  /// RunError unless the base's majority is shown to be mostly right, or the word is only a warning. A base of which one
  /// cannot tell is no exception: most bases that are wrong on a little more than half are among those, so letting them
  /// through would let through what the probe is for.
  void require_trainable() const;
  std::string describe_base() const;

  struct Result {
    base::Json metrics;               ///< the probe's keys of a metrics line
    analysis::MajorityChange change;  ///< since the base
    bool fell = false;                ///< significantly below the base
    std::int64_t tokens = 0;          ///< sampled
  };
  /// The policy's votes. Step 0 is the base itself, and samples nothing.
  Result measure(std::int64_t step);

 private:
  TextModel& policy_;
  const tasks::Task& task_;
  std::vector<tasks::Problem> problems_;
  ProbeOptions options_;
  engine::SamplingOptions sampling_;
  std::uint64_t seed_;
  double false_chance_;  ///< of one look
  std::vector<bool> base_right_;
  analysis::SequentialProbe of_base_;
};

}  // namespace whet::train
