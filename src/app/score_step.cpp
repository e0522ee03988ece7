#include "app/score_step.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "rewards/vote.h"
#include "text/clusters.h"

namespace whet::app {
namespace {

constexpr std::string_view kPlace = "score";
/// Longer responses are seldom the same, and remembering them would cost more than reading them.
constexpr std::size_t kLongestRemembered = 256;

/// The per-token column that a certainty reward reads: its unified form says which.
std::optional<store::Role> stat_of(const rewards::RewardEntry& entry) {
  if (!entry.needs.token_stats || !entry.form) return std::nullopt;
  switch (entry.form->anchor) {
    case rewards::Anchor::kUniform:
      return store::Role::kSelfCertainty;
    case rewards::Anchor::kPolicy:
      return store::Role::kEntropy;
    case rewards::Anchor::kSampledToken:
      return store::Role::kLogprob;
    case rewards::Anchor::kTopTwo:
      return store::Role::kGap;
    case rewards::Anchor::kSampledAnswer:
      break;
  }
  return std::nullopt;
}

/// Refuses what this dump cannot have: what a model says, or votes of others in columns that were not named.
void require_evidence(const std::string& name, const rewards::Needs& needs, const std::vector<store::Role>& named) {
  if (needs.verdicts) {
    base::user_error(
        kPlace,
        "{} needs a verifier's verdicts, and score runs no model: want 'whet train --reward {}', or another "
        "reward",
        name, name);
  }
  const auto require = [&](rewards::Votes votes, store::Role role, std::string_view what, std::string_view column) {
    if (needs.votes != votes || std::find(named.begin(), named.end(), role) != named.end()) return;
    base::user_error(kPlace,
                     "{} needs {}, and score runs no model: want --column {}=NAME, {}, or 'whet train --reward {}'",
                     name, what, store::role_name(role), column, name);
  };
  require(rewards::Votes::kRephrased, store::Role::kPair, "rollouts on a rephrasing of each problem",
          "the column that a problem and its rephrasing share");
  require(rewards::Votes::kTeacher, store::Role::kVoter, "a teacher's rollouts",
          "the column that is true for the teacher's");
  require(rewards::Votes::kPolicies, store::Role::kPolicy, "rollouts of several policies",
          "the column that names a row's policy");
}

std::size_t line_end(std::string_view line) { return line.rfind('}'); }

}  // namespace

std::vector<std::string> StepScorer::added_columns(const ScoreOptions& options) {
  std::vector<std::string> names{"reward", "class", "label"};
  const auto terms = rewards::parse_terms(options.reward);
  const auto& form = rewards::rewards().find(terms[0].name).form;
  // The values of which underflow for long responses.
  if (terms.size() == 1 && form && form->index_set == rewards::IndexSet::kTokensSummed) names.push_back("rescaled");
  return names;
}

StepScorer::StepScorer(const ScoreOptions& options, const std::vector<store::Role>& named)
    : seed_(static_cast<std::uint64_t>(options.seed)) {
  for (const rewards::Term& term : rewards::parse_terms(options.reward)) {
    const rewards::RewardEntry& entry = rewards::rewards().find(term.name);
    require_evidence(term.name, entry.needs, named);
    terms_.push_back({term.weight, term.name, &entry, entry.make(options.rewards), stat_of(entry)});
    needs_label_ = needs_label_ || entry.needs.label;
    needs_length_ = needs_length_ || entry.needs.length;
    needs_checker_ = needs_checker_ || entry.needs.checker;
  }
  binary_ = terms_.size() == 1 && terms_[0].weight == 1 && terms_[0].entry->binary;
  task_ = tasks::tasks().find(options.task).make({.rules_only = true});
}

int StepScorer::group_of(const store::DumpRow& row) {
  // Rows of a group mostly stand together.
  if (!rows_.empty()) {
    const int last = rows_.back().group;
    const HeldGroup& group = groups_[static_cast<std::size_t>(last)];
    if (group.step == row.step && group.input == row.input) return last;
  }
  const std::size_t hash =
      std::hash<std::string_view>{}(row.input) ^ base::mix(static_cast<std::uint64_t>(row.step.value_or(-1)));
  const auto [begin, end] = group_index_.equal_range(hash);
  for (auto entry = begin; entry != end; ++entry) {
    const HeldGroup& group = groups_[static_cast<std::size_t>(entry->second)];
    if (group.step == row.step && group.input == row.input) return entry->second;
  }
  const int index = static_cast<int>(groups_.size());
  HeldGroup group{.input = std::string(row.input), .step = row.step, .hash = hash};
  group.problem.prompt = group.input;
  group.pair = row.pair;
  if (!group.pair.empty()) partners_.emplace(group.pair, index);
  groups_.push_back(std::move(group));
  group_index_.emplace(hash, index);
  return index;
}

int StepScorer::intern(std::string answer) {
  const auto found = answer_index_.find(answer);
  if (found != answer_index_.end()) return found->second;
  const int index = static_cast<int>(answers_.size());
  answers_.push_back(std::move(answer));
  answer_index_.emplace(answers_.back(), index);
  return index;
}

int StepScorer::answer_of(const store::DumpRow& row, const HeldGroup& group, int group_index) {
  // What stands at the end of a cut response need not be what it would have ended with.
  if (row.truncated && !task_->answers_when_truncated()) return -1;
  const bool is_short = row.output.size() <= kLongestRemembered;
  std::string key;
  if (is_short) {
    key = row.output;
    const auto found = remembered_.find(key);
    if (found != remembered_.end() && found->second.group == group_index) return found->second.answer;
  }
  auto answer = task_->answer_in(group.problem, row.output);
  const int index = answer ? intern(std::move(*answer)) : -1;
  if (is_short) remembered_.insert_or_assign(std::move(key), Remembered{group_index, index});
  return index;
}

void StepScorer::hold_tokens(const store::DumpRow& row, const store::DumpReader& reader, Held& held) {
  for (std::size_t r = 0; r < store::kTokenRoles; ++r) {
    const auto role = static_cast<store::Role>(r);
    const store::TokenColumn& tokens = row.tokens[r];
    const auto term = std::find_if(terms_.begin(), terms_.end(), [role](const Term& one) { return one.stat == role; });
    const bool is_needed = term != terms_.end();
    held.tokens[r] = {values_[r].size(), 0};
    const bool is_empty = row.length == 0 && (tokens.is_mean || !tokens.fault.empty());
    if (is_empty) continue;
    if (is_needed && tokens.column.empty()) {
      base::user_error(kPlace, "{}: {} needs '{}' of each token, want one of the columns {} (or --column {}=NAME)",
                       reader.text(held.place), term->name, store::role_name(role),
                       fmt::join(store::column_names(role, reader.format()), ", "), store::role_name(role));
    }
    if (is_needed && !tokens.fault.empty()) {
      base::user_error(kPlace, "{}: {} needs '{}' of each token, but column '{}' {}", reader.text(held.place),
                       term->name, store::role_name(role), tokens.column, tokens.fault);
    }
    if (is_needed && tokens.is_mean && !row.length) {
      base::user_error(kPlace, "{}: '{}' is a mean and nothing tells over how many tokens, want one of the columns {}",
                       reader.text(held.place), tokens.column,
                       fmt::join(store::column_names(store::Role::kLength, reader.format()), ", "));
    }
    if (tokens.column.empty() || !tokens.fault.empty() || (tokens.is_mean && !row.length)) continue;
    // A mean stands for as many tokens that all have it: means and sums over them are the same.
    if (tokens.is_mean) {
      values_[r].insert(values_[r].end(), static_cast<std::size_t>(*row.length), tokens.values[0]);
    } else {
      values_[r].insert(values_[r].end(), tokens.values.begin(), tokens.values.end());
    }
    held.tokens[r].second = values_[r].size() - held.tokens[r].first;
  }
}

void StepScorer::take_label(const store::DumpRow& row, const store::DumpReader& reader, HeldGroup& group) {
  totals_.odd_labels += row.has_odd_label ? 1 : 0;
  if (needs_label_ && !row.label) {
    if (row.has_odd_label) {
      base::user_error(kPlace, "{}: the label is neither text nor a number, want one of these",
                       reader.text(reader.place()));
    }
    base::user_error(kPlace, "{}: no label, want a column {} (or --column label=NAME)", reader.text(reader.place()),
                     fmt::join(store::column_names(store::Role::kLabel, reader.format()), " or "));
  }
  if (!row.label || group.label == row.label) return;
  if (group.label) {
    group.mixed_labels = true;
    return;
  }
  group.label = std::string(*row.label);
  group.problem.answer = task_->label_from(*row.label);
}

void StepScorer::add(const store::DumpRow& row, const store::DumpReader& reader) {
  reader_ = &reader;
  const int index = group_of(row);
  HeldGroup& group = groups_[static_cast<std::size_t>(index)];
  Held held{};
  held.place = reader.place();
  held.group = index;
  held.truncated = row.truncated;
  held.voter = row.voter;
  held.policy = row.policy.empty() ? -1 : intern(std::string(row.policy));
  held.length = row.length;
  if (needs_length_ && !row.length) {
    base::user_error(
        kPlace, "{}: nothing tells how long the response is, want one of the columns {} (or --column length=NAME)",
        reader.text(held.place), fmt::join(store::column_names(store::Role::kLength, reader.format()), ", "));
  }
  take_label(row, reader, group);
  held.answer = answer_of(row, group, index);
  hold_tokens(row, reader, held);
  held.begin = lines_.size();
  held.size = row.line.size();
  lines_ += row.line;
  group.rows.push_back(rows_.size());
  rows_.push_back(held);
}

/// The rows that vote on a group, a list for each ballot; none where the samples vote themselves.
std::vector<std::vector<std::size_t>> StepScorer::voters(const Term& term, const HeldGroup& held) const {
  std::vector<std::vector<std::size_t>> ballots;
  const rewards::Votes votes = term.entry->needs.votes;
  const auto place = [&] { return reader_->text(rows_[held.rows.front()].place); };
  if (votes == rewards::Votes::kRephrased) {
    ballots.emplace_back();
    const auto [begin, end] = partners_.equal_range(held.pair);
    for (auto entry = begin; entry != end; ++entry) {
      const HeldGroup& other = groups_[static_cast<std::size_t>(entry->second)];
      if (&other == &held || other.step != held.step) continue;
      ballots[0].insert(ballots[0].end(), other.rows.begin(), other.rows.end());
    }
    if (ballots[0].empty()) {
      base::user_error(
          kPlace, "{}: no rows of the step have another input and the pair '{}', want the rollouts on a rephrasing",
          place(), held.pair);
    }
  } else if (votes == rewards::Votes::kTeacher) {
    ballots.emplace_back();
    for (const std::size_t r : held.rows) {
      if (rows_[r].voter) ballots[0].push_back(r);
    }
    if (ballots[0].empty())
      base::user_error(kPlace, "{}: no row of the group is a voter's, want the teacher's rollouts", place());
  } else if (votes == rewards::Votes::kPolicies) {
    std::map<std::string_view, std::vector<std::size_t>> by_policy;
    for (const std::size_t r : held.rows) {
      if (rows_[r].policy < 0)
        base::user_error(kPlace, "{}: no policy is named, want one for each row", reader_->text(rows_[r].place));
      by_policy[answers_[static_cast<std::size_t>(rows_[r].policy)]].push_back(r);
    }
    for (auto& [name, rows] : by_policy) ballots.push_back(std::move(rows));
  }
  return ballots;
}

void StepScorer::score(HeldGroup& held, std::string_view prefix, std::vector<std::string>& added) {
  // Classes of distinct answers: most rollouts of a group say one of a few things.
  std::unordered_map<int, std::size_t> place_of;
  std::vector<std::optional<std::string>> distinct;
  const auto take = [&](std::size_t r) {
    const int answer = rows_[r].answer;
    if (answer >= 0 && place_of.emplace(answer, distinct.size()).second)
      distinct.emplace_back(answers_[static_cast<std::size_t>(answer)]);
  };
  std::for_each(held.rows.begin(), held.rows.end(), take);
  const std::size_t own = distinct.size();
  std::vector<std::vector<std::vector<std::size_t>>> ballots;  // of each term
  for (const Term& term : terms_) {
    ballots.push_back(voters(term, held));
    for (const auto& ballot : ballots.back()) std::for_each(ballot.begin(), ballot.end(), take);
  }
  const auto same = [&](std::string_view a, std::string_view b) { return task_->equivalent(held.problem, a, b); };
  const std::vector<int> classes = text::clusters(distinct, same);
  const bool has_label = task_->has_label(held.problem);
  std::vector<std::optional<bool>> right(distinct.size());
  for (std::size_t i = 0; has_label && i < own; ++i) right[i] = task_->correct(held.problem, *distinct[i]);

  // A tie is broken by log-probabilities where every rollout has one; a few would decide it for the others.
  constexpr auto kLogprob = static_cast<std::size_t>(store::Role::kLogprob);
  const auto has_logprob = [&](std::size_t r) { return rows_[r].tokens[kLogprob].second > 0 || rows_[r].length == 0; };
  const bool has_logprobs = std::all_of(held.rows.begin(), held.rows.end(), has_logprob);
  rewards::Group group;
  group.equivalent = same;
  const auto sample_of = [&](std::size_t r, bool with_logprob) {
    const Held& row = rows_[r];
    const auto stat = [&](store::Role role) {
      const auto [begin, size] = row.tokens[static_cast<std::size_t>(role)];
      return std::span<const float>(values_[static_cast<std::size_t>(role)]).subspan(begin, size);
    };
    rewards::Sample sample;
    if (row.answer >= 0) {
      const std::size_t at = place_of.at(row.answer);
      sample.answer_class = classes[at];
      sample.answer = *distinct[at];
      sample.correct = right[at];
      if (needs_checker_) sample.checked = task_->check(held.problem, *distinct[at]);
    } else {
      if (has_label) sample.correct = false;
      if (needs_checker_) sample.checked = false;
    }
    if (with_logprob) sample.logprob = stat(store::Role::kLogprob);
    sample.entropy = stat(store::Role::kEntropy);
    sample.self_certainty = stat(store::Role::kSelfCertainty);
    sample.gap = stat(store::Role::kGap);
    sample.truncated = row.truncated;
    sample.length = row.length;
    return sample;
  };
  for (const std::size_t r : held.rows) group.samples.push_back(sample_of(r, has_logprobs));

  const int majority = rewards::majority_class(group, kPlace);
  int label_class = majority;
  std::vector<double> reward(held.rows.size());
  std::vector<double> rescaled;
  for (std::size_t t = 0; t < terms_.size(); ++t) {
    const Term& term = terms_[t];
    group.ballots.clear();
    for (const auto& ballot : ballots[t]) {
      const bool with_logprob = std::all_of(ballot.begin(), ballot.end(), has_logprob);
      std::vector<rewards::Sample> samples;
      for (const std::size_t r : ballot) samples.push_back(sample_of(r, with_logprob));
      group.ballots.push_back(rewards::ballot_of(samples, term.name));
    }
    base::Random random{seed_, base::hash_text(kPlace), static_cast<std::uint64_t>(held.step.value_or(-1)),
                        base::hash_text(held.input)};
    const rewards::Scored scored = term.reward->score(group, random);
    for (std::size_t i = 0; i < reward.size(); ++i) reward[i] += term.weight * scored.reward[i];
    if (term.entry->needs.votes != rewards::Votes::kNone) label_class = scored.label_class;
    if (terms_.size() == 1) rescaled = scored.rescaled;
  }

  const std::string* smallest = nullptr;
  for (std::size_t i = 0; i < distinct.size(); ++i) {
    if (label_class >= 0 && classes[i] == label_class && (!smallest || *distinct[i] < *smallest))
      smallest = &*distinct[i];
  }
  const std::string label = smallest ? base::to_json_line(*smallest) : "null";
  std::size_t largest = 0;
  bool majority_right = false;
  for (std::size_t i = 0; i < held.rows.size(); ++i) {
    const rewards::Sample& sample = group.samples[i];
    const std::string cls = sample.answer_class < 0 ? "null" : fmt::format("{}", sample.answer_class);
    std::string& columns = added[held.rows[i]];
    columns =
        fmt::format(R"(, "{}reward": {}, "{}class": {}, "{}label": {})", prefix, reward[i], prefix, cls, prefix, label);
    if (!rescaled.empty()) columns += fmt::format(R"(, "{}rescaled": {})", prefix, rescaled[i]);
    totals_.reward += reward[i];
    totals_.answered += sample.answer_class >= 0 ? 1 : 0;
    if (majority >= 0 && sample.answer_class == majority) {
      ++largest;
      majority_right = sample.correct.value_or(false);
    }
    if (!sample.correct) continue;
    ++totals_.labelled_rows;
    totals_.right_rows += *sample.correct ? 1 : 0;
    totals_.agreeing_rows += reward[i] == (*sample.correct ? 1.0 : 0.0) ? 1 : 0;
  }
  const auto n = static_cast<std::int64_t>(held.rows.size());
  totals_.smallest_group = totals_.groups == 0 ? n : std::min(totals_.smallest_group, n);
  totals_.largest_group = std::max(totals_.largest_group, n);
  totals_.groups_of_one += n == 1 ? 1 : 0;
  totals_.majority_ratio += static_cast<double>(largest) / static_cast<double>(n);
  totals_.groups_without_answer += majority < 0 ? 1 : 0;
  totals_.labelled_groups += has_label ? 1 : 0;
  totals_.right_groups += has_label && majority_right ? 1 : 0;
  totals_.mixed_labels += held.mixed_labels ? 1 : 0;
  ++totals_.groups;
}

void StepScorer::finish(std::string_view prefix, std::string* output) {
  if (rows_.empty()) return;
  std::vector<std::string> added(rows_.size());
  for (HeldGroup& group : groups_) {
    try {
      score(group, prefix, added);
    } catch (const base::UserError& error) {
      base::user_error(kPlace, "group of {}: {}", reader_->text(rows_[group.rows.front()].place), error.what());
    } catch (const base::RunError& error) {
      base::run_error(kPlace, "group of {}: {}", reader_->text(rows_[group.rows.front()].place), error.what());
    }
  }
  for (std::size_t r = 0; output && r < rows_.size(); ++r) {
    const std::string_view line = std::string_view(lines_).substr(rows_[r].begin, rows_[r].size);
    const std::size_t end = line_end(line);
    *output += line.substr(0, end);
    *output += added[r];
    *output += line.substr(end);
    *output += '\n';
  }
  totals_.rows += static_cast<std::int64_t>(rows_.size());
  std::set<std::optional<std::int64_t>> steps;
  for (const HeldGroup& group : groups_) steps.insert(group.step);
  totals_.steps += static_cast<std::int64_t>(steps.size());
  lines_.clear();
  rows_.clear();
  groups_.clear();
  group_index_.clear();
  partners_.clear();
  answers_.clear();
  answer_index_.clear();
  remembered_.clear();
  for (auto& values : values_) values.clear();
}

}  // namespace whet::app
