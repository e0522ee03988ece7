#include "findings/shape.h"

#include <fmt/format.h>

#include "report/facts.h"

namespace whet::findings {
namespace {

double mean(const report::Series& series, std::size_t first, std::size_t count) {
  double sum = 0;
  for (std::size_t i = first; i < first + count; ++i) sum += series[i].value;
  return sum / static_cast<double>(count);
}

}  // namespace

std::optional<Shape> shape_of(const store::Run& run) {
  const auto accuracy = report::series_of(run, "heldout_accuracy");
  const auto reward = report::series_of(run, "reward");
  if (accuracy.size() < kLastEvaluations + 1 || reward.size() < 2 * kRewardWindow) return std::nullopt;
  const auto peak = *analysis::summarise_peak(accuracy);
  Shape shape{.base = peak.first,
              .peak = peak.peak,
              .peak_step = peak.peak_step,
              .end = mean(accuracy, accuracy.size() - kLastEvaluations, kLastEvaluations),
              .last_step = peak.final_step};
  for (const analysis::Point& point : accuracy) {
    if (point.step > shape.peak_step && point.value < kCollapsedShare * shape.peak) {
      shape.fall = point.step;
      break;
    }
  }
  shape.reward_first = mean(reward, 0, kRewardWindow);
  shape.reward_last = mean(reward, reward.size() - kRewardWindow, kRewardWindow);
  return shape;
}

std::optional<std::int64_t> collapse_step(const store::Run& run) {
  const auto series = report::series_of(run, "reward_accuracy");
  return analysis::watch_marks(series).mark("half-peak").step;
}

std::string share_text(double share) { return fmt::format("{:.2f}", share); }

std::string peak_text(const Shape& shape) { return fmt::format("{:.2f} @ {}", shape.peak, shape.peak_step); }

std::string step_text(std::optional<std::int64_t> step, std::int64_t last_step) {
  return step ? fmt::format("{}", *step) : fmt::format("> {}", last_step);
}

}  // namespace whet::findings
