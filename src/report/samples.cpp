#include "report/samples.h"

#include <algorithm>
#include <cstdlib>

namespace whet::report {
namespace {

using base::Json;

std::optional<std::string> text_in(const Json& row, const char* key) {
  const auto found = row.find(key);
  if (found == row.end() || found->is_null()) return std::nullopt;
  return found->is_string() ? found->get<std::string>() : base::to_json_line(*found);
}

std::optional<double> number_in(const Json& row, const char* key) {
  const auto found = row.find(key);
  if (found == row.end()) return std::nullopt;
  if (found->is_boolean()) return found->get<bool>() ? 1 : 0;
  if (!found->is_number()) return std::nullopt;
  return found->get<double>();
}

/// Rows begin..end of a dump answer one prompt.
struct Group {
  std::size_t begin = 0, end = 0;
};

std::vector<Group> groups_of(const std::vector<Json>& rows) {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || text_in(rows[i], "input") != text_in(rows[i - 1], "input")) groups.push_back({i, i});
    groups.back().end = i + 1;
  }
  return groups;
}

Sample sample_of(const std::vector<Json>& rows, const Group& group) {
  const Json& row = rows[group.begin];
  Sample sample;
  sample.prompt = text_in(row, "input").value_or("");
  sample.output = text_in(row, "output").value_or("");
  sample.answer = text_in(row, "answer");
  sample.label = text_in(row, "gts");
  if (const auto score = number_in(row, "true_score")) sample.right = *score > 0.5;
  sample.score = number_in(row, "score");
  sample.truncated = number_in(row, "truncated").value_or(0) > 0;
  sample.group = static_cast<int>(group.end - group.begin);
  if (sample.answer) {
    for (std::size_t i = group.begin; i < group.end; ++i) {
      if (text_in(rows[i], "answer") == sample.answer) ++sample.agreeing;
    }
  }
  return sample;
}

/// For each of the `wanted` prompts the group that stands for it: the one with this prompt, or else the first of those
/// whose prompt is nearest in length. No group stands for two while there are others.
std::vector<std::size_t> like(const std::vector<std::string>& wanted, const std::vector<std::string>& prompts) {
  std::vector<std::size_t> chosen;
  for (const std::string& prompt : wanted) {
    std::optional<std::size_t> best;
    const auto distance = [&](std::size_t i) {
      if (prompts[i] == prompt) return -1LL;
      return std::llabs(static_cast<long long>(prompts[i].size()) - static_cast<long long>(prompt.size()));
    };
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      if (std::find(chosen.begin(), chosen.end(), i) != chosen.end()) continue;
      if (!best || distance(i) < distance(*best)) best = i;
    }
    if (best) chosen.push_back(*best);
  }
  return chosen;
}

/// `before`: the moment whose prompts set the kind; null for the first.
Moment moment_of(const store::StepPath& dump, std::string title, int count, const Moment* before) {
  const std::vector<Json> rows = store::load_rollouts(dump.path);
  Moment moment{.title = std::move(title), .step = dump.step, .rows = rows.size(), .right = {}, .samples = {}};
  std::size_t labelled = 0, right = 0;
  for (const Json& row : rows) {
    const auto score = number_in(row, "true_score");
    labelled += score.has_value();
    right += score && *score > 0.5;
  }
  if (labelled > 0) moment.right = static_cast<double>(right) / static_cast<double>(labelled);
  const std::vector<Group> groups = groups_of(rows);
  const std::size_t shown = std::min(groups.size(), static_cast<std::size_t>(std::max(count, 0)));
  if (!before) {
    for (std::size_t i = 0; i < shown; ++i)
      moment.samples.push_back(sample_of(rows, groups[i * groups.size() / shown]));
    return moment;
  }
  std::vector<std::string> wanted, prompts;
  for (const Sample& sample : before->samples) wanted.push_back(sample.prompt);
  for (const Group& group : groups) prompts.push_back(text_in(rows[group.begin], "input").value_or(""));
  for (const std::size_t i : like(wanted, prompts)) moment.samples.push_back(sample_of(rows, groups[i]));
  return moment;
}

}  // namespace

std::vector<Moment> moments_of(const store::Run& run, const RunFacts& facts, int count) {
  if (run.rollouts.empty()) return {};
  const std::int64_t first = run.rollouts.front().step, last = run.rollouts.back().step;
  const std::int64_t peak = facts.accuracy ? facts.accuracy->peak_step : first;
  std::vector<std::pair<std::string, std::int64_t>> wanted;
  wanted = {{"At the start", first}, {"At the peak", peak}};
  if (facts.collapse) wanted.emplace_back("At the collapse", *facts.collapse);
  wanted.emplace_back("At the end", last);
  std::vector<Moment> moments;
  for (const auto& [title, step] : wanted) {
    const store::StepPath* nearest = &run.rollouts.front();
    for (const store::StepPath& dump : run.rollouts) {
      if (std::llabs(dump.step - step) < std::llabs(nearest->step - step)) nearest = &dump;
    }
    if (!moments.empty() && moments.back().step >= nearest->step) continue;
    // A dump some steps off is said to be near, not at.
    const bool near = title.starts_with("At ") && nearest->step != step;
    const Moment* before = moments.empty() ? nullptr : &moments.front();
    Moment moment = moment_of(*nearest, near ? "Near" + title.substr(2) : title, count, before);
    moments.push_back(std::move(moment));
  }
  return moments;
}

}  // namespace whet::report
