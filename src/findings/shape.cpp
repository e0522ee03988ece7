#include "findings/shape.h"

#include <fmt/format.h>

#include "analysis/ranking.h"
#include "report/facts.h"

namespace whet::findings {
namespace {

double mean(std::span<const analysis::Point> points) {
  double sum = 0;
  for (const analysis::Point& point : points) sum += point.value;
  return sum / static_cast<double>(points.size());
}

}  // namespace

Judgement too_short(const store::Run& run) {
  return {.measured = run.folder.filename().string() + " is too short to judge"};
}

double mean_of_last(std::span<const analysis::Point> series, std::size_t count) { return mean(series.last(count)); }

std::optional<Shape> shape_of(const store::Run& run) {
  const auto accuracy = report::series_of(run, "heldout_accuracy");
  const auto reward = report::series_of(run, "reward");
  if (accuracy.size() < kLastEvaluations + 1 || reward.size() < 2 * kRewardWindow) return std::nullopt;
  const auto peak = *analysis::summarise_peak(accuracy);
  Shape shape{.base = peak.first,
              .peak = peak.peak,
              .peak_step = peak.peak_step,
              .end = mean_of_last(accuracy, kLastEvaluations),
              .last_step = peak.final_step};
  for (const analysis::Point& point : accuracy) {
    if (point.step > shape.peak_step && point.value < kCollapsedShare * shape.peak) {
      shape.fall = point.step;
      break;
    }
  }
  shape.reward_first = mean(std::span(reward).first(kRewardWindow));
  shape.reward_last = mean_of_last(reward, kRewardWindow);
  return shape;
}

std::optional<std::int64_t> collapse_step(const store::Run& run) {
  const auto series = report::series_of(run, "reward_accuracy");
  return analysis::watch_marks(series).mark("half-peak").step;
}

std::string share_text(double share) { return fmt::format("{:.2f}", share); }

std::string peak_text(const Shape& shape) { return fmt::format("{:.2f} @ {}", shape.peak, shape.peak_step); }

std::string step_text(std::optional<std::int64_t> step, std::int64_t last_step) {
  return analysis::to_string(analysis::StepBound{step.value_or(last_step), step.has_value()});
}

}  // namespace whet::findings
