// Somebody's rollouts, a step at a time: rows put into groups, their answers found, classed and paid.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rewards/reward.h"
#include "store/dumps.h"
#include "tasks/task.h"

namespace whet::app {

struct ScoreOptions {
  std::string reward = "majority-vote";
  std::string task = "file";
  rewards::RewardOptions rewards;
  std::int64_t seed = 0;
};

template <class Visitor>
void visit_fields(ScoreOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.reward, "reward", "what a rollout is paid for ('whet rewards' lists them), or a weighted sum of raw values",
        anything());
  visit(o.task, "task", "whose rules find and compare answers; file: mathematics in general", anything());
  visit_fields(o.rewards, visit);
  visit(o.seed, "seed", "fixes the coins of `random`", at_least(0));
}

/// What the summary is made of.
struct ScoreTotals {
  std::int64_t rows = 0, groups = 0, steps = 0;
  std::int64_t smallest_group = 0, largest_group = 0, groups_of_one = 0;
  double reward = 0;          ///< summed over rows
  double majority_ratio = 0;  ///< summed over groups: largest class / n
  std::int64_t answered = 0;  ///< rows
  std::int64_t groups_without_answer = 0;
  std::int64_t labelled_groups = 0, right_groups = 0;                 ///< right: the majority answer is
  std::int64_t labelled_rows = 0, right_rows = 0, agreeing_rows = 0;  ///< agreeing: the reward is the true reward
  std::int64_t odd_labels = 0;                                        ///< rows whose label is neither text nor number
  std::int64_t mixed_labels = 0;                                      ///< groups whose rows have different labels
};

class StepScorer {
 public:
  /// The columns that finish() adds, without a prefix.
  static std::vector<std::string> added_columns(const ScoreOptions& options);

  /// `named`: the columns that the caller named. UserError for a reward that needs more than the dump has (says what to
  /// do), or an unknown task or reward.
  StepScorer(const ScoreOptions& options, const std::vector<store::Role>& named);

  /// Whether true rewards and `reward` can be compared row by row.
  bool binary() const { return binary_; }

  /// Takes a row of the step. UserError naming file and line when it lacks what the reward needs.
  void add(const store::DumpRow& row, const store::DumpReader& reader);

  /// Scores the rows since the last call and appends their lines to `output`, in the order of their coming, each with
  /// the added columns at its end. UserError and RunError as Reward::score, with file and line.
  void finish(std::string_view prefix, std::string* output);

  bool empty() const { return rows_.empty(); }
  const ScoreTotals& totals() const { return totals_; }

 private:
  struct Term {
    double weight;
    std::string name;
    const rewards::RewardEntry* entry;
    std::unique_ptr<rewards::Reward> reward;
    std::optional<store::Role> stat;  // the per-token column that it reads
  };
  struct Held {
    std::size_t begin, size;  // the line, in lines_
    int group;
    int answer;  // in answers_, or -1
    bool truncated, voter;
    int policy;  // in answers_, or -1
    std::optional<std::int64_t> length;
    std::array<std::pair<std::size_t, std::size_t>, store::kTokenRoles> tokens;  // begin and size in values_
    store::DumpPlace place;
  };
  struct HeldGroup {
    std::string input;
    std::optional<std::int64_t> step;
    std::size_t hash;
    tasks::Problem problem;
    std::optional<std::string> label;  // as the dump has it
    std::string pair;
    bool mixed_labels = false;
    std::vector<std::size_t> rows;
  };
  struct Remembered {
    int group, answer;
  };

  int group_of(const store::DumpRow& row);
  int answer_of(const store::DumpRow& row, const HeldGroup& group, int group_index);
  int intern(std::string answer);
  void hold_tokens(const store::DumpRow& row, const store::DumpReader& reader, Held& held);
  void take_label(const store::DumpRow& row, const store::DumpReader& reader, HeldGroup& group);
  std::vector<std::vector<std::size_t>> voters(const Term& term, const HeldGroup& group) const;
  void score(HeldGroup& group, std::string_view prefix, std::vector<std::string>& added);

  std::vector<Term> terms_;
  std::unique_ptr<tasks::Task> task_;
  bool binary_ = false, needs_label_ = false, needs_length_ = false, needs_checker_ = false;
  std::uint64_t seed_ = 0;
  ScoreTotals totals_;
  const store::DumpReader* reader_ = nullptr;

  // The step.
  std::string lines_;
  std::vector<Held> rows_;
  std::vector<HeldGroup> groups_;
  std::unordered_multimap<std::size_t, int> group_index_;  // by hash of step and input
  std::unordered_multimap<std::string, int> partners_;     // by pair
  std::deque<std::string> answers_;
  std::unordered_map<std::string_view, int> answer_index_;
  std::unordered_map<std::string, Remembered> remembered_;  // short responses that were read already
  std::array<std::vector<float>, store::kTokenRoles> values_;
};

}  // namespace whet::app
