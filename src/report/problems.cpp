#include "report/problems.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "report/html.h"

namespace whet::report {
namespace {

using base::Json;
using theory::ProblemCounts;

/// What the base's voting rollouts answered to a problem (train/held_out.h).
ProblemCounts counts_of(const Json& entry) {
  return {.answers = entry.at("answers").get<std::vector<std::int64_t>>(),
          .absent = entry.at("absent").get<std::int64_t>(),
          .right = entry.at("right").get<std::vector<bool>>()};
}

bool is_right_first(const ProblemCounts& counts) {
  const auto vote = counts.majority();
  return vote && counts.is_right(*vote);
}

/// What sharpening predicts for each line.
void predict(const std::vector<Json>& lines, std::int64_t samples, ProblemPaths& paths) {
  std::vector<double> masses;
  for (const ProblemCounts& problem : paths.base) {
    if (problem.majority()) masses.push_back(problem.majority_share());
  }
  if (std::none_of(masses.begin(), masses.end(), [](double mass) { return mass > 0 && mass < 1; })) return;
  // None or all of so many rollouts is a shift without bound; half a rollout stands for it.
  const double half = 0.5 / static_cast<double>(samples * static_cast<std::int64_t>(masses.size()));
  for (const Json& line : lines) {
    const auto step = line.at("step").get<std::int64_t>();
    double sum = 0;
    for (const Json& mass : line.at("on_vote")) sum += mass.is_null() ? 0.0 : mass.get<double>();
    const double observed = sum / static_cast<double>(masses.size());
    const double shift = theory::effective_shift(masses, std::clamp(observed, half, 1 - half));
    paths.on_vote.push_back({step, observed});
    paths.shift.push_back({step, shift});
    paths.predicted.push_back({step, theory::predicted_accuracy(paths.base, shift)});
  }
}

}  // namespace

std::optional<ProblemPaths> paths_of(const store::Run& run) {
  const std::vector<Json>& lines = run.held_out;
  // A run that was begun by an earlier version and resumed has lines without their beginning.
  if (lines.empty() || !lines.front().contains("base") || !lines.front().contains("right")) return std::nullopt;
  const std::string file = (run.folder / store::kHeldOutFile).string();
  ProblemPaths paths;
  std::vector<ProblemCounts>& counts = paths.base;
  std::int64_t samples = 0, step = 0;
  try {
    samples = lines.front().at("samples").get<std::int64_t>();
    for (const Json& entry : lines.front().at("base")) counts.push_back(counts_of(entry));
    std::vector<ProblemPath> all(counts.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i].first_share = counts[i].majority_share();
    for (const Json& line : lines) {
      step = line.at("step").get<std::int64_t>();
      const auto right = line.at("right").get<std::vector<double>>();
      if (right.size() != all.size() || line.at("on_vote").size() != all.size()) {
        base::user_error(file, "step {}: {} problems, want the {} of the first line", step, right.size(), all.size());
      }
      paths.steps.push_back(step);
      for (std::size_t i = 0; i < all.size(); ++i) all[i].right.push_back(right[i]);
    }
    if (all.empty()) return std::nullopt;
    predict(lines, samples, paths);
    paths.limit = theory::limit_accuracy(counts);
    for (std::size_t i = 0; i < all.size(); ++i) {
      (is_right_first(counts[i]) ? paths.right_first : paths.wrong_first).push_back(std::move(all[i]));
    }
  } catch (const Json::exception& error) {
    base::user_error(file, "step {}: {}", step, error.what());
  }
  for (auto* problems : {&paths.right_first, &paths.wrong_first}) {
    std::stable_sort(problems->begin(), problems->end(),
                     [](const ProblemPath& a, const ProblemPath& b) { return a.first_share > b.first_share; });
  }
  return paths;
}

std::optional<double> mean_right(const std::vector<ProblemPath>& problems, std::size_t evaluation) {
  if (problems.empty()) return std::nullopt;
  double sum = 0;
  for (const ProblemPath& problem : problems) sum += problem.right.at(evaluation);
  return sum / static_cast<double>(problems.size());
}

std::string sentence_of(const ProblemPaths& paths, const Series& accuracy) {
  const std::size_t last = paths.steps.size() - 1;
  std::string text = fmt::format("The base\u2019s own vote is right on {} of {} held-out problems",
                                 paths.right_first.size(), paths.right_first.size() + paths.wrong_first.size());
  const auto went = [&](const std::vector<ProblemPath>& problems) {
    return fmt::format("from {} to {} right", percent(mean_right(problems, 0)), percent(mean_right(problems, last)));
  };
  if (!paths.right_first.empty()) text += fmt::format(": they went {}", went(paths.right_first));
  if (!paths.wrong_first.empty()) {
    text += fmt::format("{} {}", paths.right_first.empty() ? ": all went" : ", the others", went(paths.wrong_first));
  }
  text += ".";
  double worst = -1;
  std::int64_t at = 0;
  for (const analysis::Point& point : paths.predicted) {
    const auto measured = value_at(accuracy, point.step);
    if (measured && std::abs(*measured - point.value) > worst) {
      worst = std::abs(*measured - point.value);
      at = point.step;
    }
  }
  if (worst >= 0) {
    text += fmt::format(
        " Sharpening alone foretells a limit of {}; measured accuracy is at most {:.1f} points from what it"
        " predicts (step {}).",
        percent(paths.limit), 100 * worst, at);
  }
  return text;
}

}  // namespace whet::report
