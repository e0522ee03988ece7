// Rollout dumps, a step at a time: groups, their answers and classes, and the signals of all that.
#include "app/dump_signals.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <unordered_map>

#include "analysis/signals.h"
#include "base/error.h"
#include "rewards/vote.h"
#include "tasks/task.h"
#include "text/clusters.h"

namespace whet::app {
namespace {

constexpr const char* kPlace = "watch";

/// The rollouts of one step, as they come; gives their signals.
class StepRows {
 public:
  explicit StepRows(const tasks::Task& task) : task_(task) {}

  void add(const store::DumpRow& row) {
    Group& group = groups_[std::string(row.input)];
    group.problem.prompt = row.input;
    const bool unread = row.truncated && !task_.answers_when_truncated();
    group.answers.push_back(unread ? std::nullopt : task_.answer_in(group.problem, row.output));
    group.words.push_back(words_of(row.output));
    group.truncated.push_back(row.truncated);
    const auto values = [&](store::Role role) -> std::vector<float> {
      const store::TokenColumn& column = row.tokens[static_cast<std::size_t>(role)];
      return column.is_mean || !column.fault.empty() ? std::vector<float>{} : column.values;
    };
    group.entropy.push_back(values(store::Role::kEntropy));
    group.logprob.push_back(values(store::Role::kLogprob));
    any_truncated_ = any_truncated_ || row.truncated;
    lengths_known_ = lengths_known_ && row.length;
    length_sum_ += static_cast<double>(row.length.value_or(0));
    ++rows_;
  }

  std::int64_t rows() const { return rows_; }

  /// `small`: counts the groups that were left out because they have fewer rollouts than the largest.
  analysis::SignalPoint finish(std::int64_t step, std::int64_t& small) const {
    std::size_t largest = 0;
    for (const auto& [input, group] : groups_) largest = std::max(largest, group.answers.size());
    std::vector<analysis::GroupView> views;
    for (const auto& [input, group] : groups_) {
      if (group.answers.size() < largest) {
        ++small;
        continue;
      }
      views.push_back(view_of(group));
    }
    analysis::SignalPoint point{.step = step, .signals = analysis::step_signals(views, false)};
    analysis::StepSignals& s = point.signals;
    // One rollout always agrees with itself, and one problem always has its own answers.
    if (largest < 2) s.majority_ratio = s.answer_entropy = s.mutual_information = std::nullopt;
    if (views.size() < 2) {
      s.mutual_information.reset();
    } else if (s.mutual_information) {
      // Steps may have different numbers of problems: the share of the most that there could be.
      *s.mutual_information /= std::log(static_cast<double>(views.size()));
    }
    if (lengths_known_) s.length = length_sum_ / static_cast<double>(rows_);
    // Most dumps do not tell what was cut; a zero would say that nothing was.
    if (!any_truncated_) s.truncated.reset();
    s.reward_mean = s.reward_std = s.zero_advantage_groups = std::nullopt;
    return point;
  }

 private:
  struct Group {
    tasks::Problem problem;
    std::vector<std::optional<std::string>> answers;
    std::vector<std::vector<std::int32_t>> words;
    std::vector<std::vector<float>> entropy, logprob;
    std::vector<bool> truncated;
  };

  /// Words stand for tokens, which dumps seldom have.
  std::vector<std::int32_t> words_of(std::string_view text) {
    std::vector<std::int32_t> result;
    for (std::size_t begin = 0; begin < text.size();) {
      begin = text.find_first_not_of(" \t\r\n", begin);
      if (begin == std::string_view::npos) break;
      const std::size_t end = std::min(text.find_first_of(" \t\r\n", begin), text.size());
      const auto id = static_cast<std::int32_t>(ids_.size());
      result.push_back(ids_.emplace(text.substr(begin, end - begin), id).first->second);
      begin = end;
    }
    return result;
  }

  analysis::GroupView view_of(const Group& group) const {
    const auto same = [&](std::string_view a, std::string_view b) { return task_.equivalent(group.problem, a, b); };
    const std::vector<int> classes = text::clusters(group.answers, same);
    // A tie goes to the likelier answer, where the dump says how likely every rollout was.
    const bool has_logprobs =
        std::none_of(group.logprob.begin(), group.logprob.end(), [](const std::vector<float>& values) {
          return values.empty() ||
                 !std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
        });
    rewards::Ballot ballot;
    analysis::GroupView view;
    for (std::size_t i = 0; i < classes.size(); ++i) {
      const std::vector<float>& logprob = group.logprob[i];
      analysis::RolloutView rollout;
      rollout.answer_class = classes[i];
      if (group.answers[i]) rollout.answer = *group.answers[i];
      rollout.tokens = group.words[i];
      rollout.entropy = group.entropy[i];
      // Counted in words here; a list of another length would stand for the length.
      if (logprob.size() <= group.words[i].size()) rollout.logprob = logprob;
      rollout.truncated = group.truncated[i];
      view.rollouts.push_back(rollout);
      ballot.votes.push_back({.answer_class = classes[i],
                              .answer = group.answers[i].value_or(""),
                              .logprob = has_logprobs ? std::accumulate(logprob.begin(), logprob.end(), 0.0) : 0.0});
    }
    view.majority_class = rewards::winning_class(ballot);
    return view;
  }

  const tasks::Task& task_;
  std::map<std::string, Group> groups_;
  std::unordered_map<std::string, std::int32_t> ids_;
  bool any_truncated_ = false, lengths_known_ = true;
  double length_sum_ = 0;
  std::int64_t rows_ = 0;
};

}  // namespace

struct DumpFollower::State {
  State(const std::string& path, const store::DumpOptions& options) : reader({path}, options) {}

  store::DumpReader reader;
  std::vector<analysis::SignalPoint> points;  ///< of the steps that another one follows
  std::unique_ptr<StepRows> rows;             ///< the last step's
  std::optional<std::int64_t> step;
  std::int64_t files = 0, small = 0, before = 0;
};

DumpFollower::DumpFollower(std::string path, const std::string& task, std::optional<store::DumpFormat> format)
    : path_(std::move(path)), task_(tasks::tasks().find(task).make({.rules_only = true})) {
  options_.format = format;
}

DumpFollower::~DumpFollower() = default;

void DumpFollower::read_new_rows() {
  State& s = *state_;
  while (const store::DumpRow* row = s.reader.next()) {
    s.files += row->starts_file ? 1 : 0;
    const std::int64_t now = row->step.value_or(s.files);
    if (s.step != now) {
      if (s.step && now < *s.step) {
        base::user_error(kPlace, "{}: step {} after step {}, want the rows of a step together and steps that increase",
                         s.reader.text(s.reader.place()), now, *s.step);
      }
      if (s.rows) {
        s.before = s.rows->rows();
        s.points.push_back(s.rows->finish(*s.step, s.small));
      }
      s.rows = std::make_unique<StepRows>(*task_);
      s.step = now;
    }
    s.rows->add(*row);
  }
}

DumpSignals DumpFollower::look() {
  if (!state_ || !state_->reader.more()) state_ = std::make_unique<State>(path_, options_);
  read_new_rows();
  const State& s = *state_;
  DumpSignals series{.points = s.points};
  std::int64_t small = s.small;
  // The step that is being written would look unlike the others.
  if (s.rows && s.rows->rows() < s.before) {
    series.notes.push_back(fmt::format("step {} has {} rows and the one before {}: taken as not finished, left out",
                                       *s.step, s.rows->rows(), s.before));
  } else if (s.rows) {
    series.points.push_back(s.rows->finish(*s.step, small));
  }
  for (const std::string& place : s.reader.counts().cut) {
    series.notes.push_back(fmt::format("{}: the last line is cut, left out", place));
  }
  if (small > 0) {
    series.notes.push_back(fmt::format("{} group{} with fewer rollouts than the largest of the step, left out", small,
                                       small == 1 ? "" : "s"));
  }
  if (s.reader.counts().rows > 0) series.format = store::format_name(s.reader.format());
  return series;
}

}  // namespace whet::app
