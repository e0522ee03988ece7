// When a training run collapsed, measured with labels.
#include "analysis/collapse.h"

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "base/error.h"

namespace whet::analysis {
namespace {

/// Checks what every series must keep to. `points` is the number of points before this one.
void check_point(std::string_view place, std::int64_t step, double value, std::int64_t points, std::int64_t last_step) {
  if (!std::isfinite(value)) base::user_error(place, "value at step {} is {}, want a finite number", step, value);
  if (points > 0 && step <= last_step) {
    base::user_error(place, "step {} after step {}, want increasing steps", step, last_step);
  }
}

}  // namespace

std::optional<PeakSummary> summarise_peak(std::span<const Point> series) {
  if (series.empty()) return std::nullopt;
  PeakSummary summary;
  std::int64_t points = 0, last_step = 0;
  for (const Point& point : series) {
    check_point("peak", point.step, point.value, points, last_step);
    if (points == 0) {
      summary.first_step = point.step;
      summary.first = point.value;
    }
    if (points == 0 || point.value > summary.peak) {
      summary.peak_step = point.step;
      summary.peak = point.value;
    }
    ++points;
    last_step = point.step;
  }
  summary.final_step = last_step;
  summary.final = series.back().value;
  return summary;
}

CollapseMark parse_mark(const std::string& text) {
  if (text == "half-peak") return {.name = text, .level = 0.5, .of_peak = true};
  const bool percent = !text.empty() && text.back() == '%';
  const std::string digits = percent ? text.substr(0, text.size() - 1) : text;
  char* end = nullptr;
  const double number = std::strtod(digits.c_str(), &end);
  const double level = percent ? number / 100 : number;
  const bool is_number = !digits.empty() && end == digits.c_str() + digits.size();
  if (!is_number || !(level > 0 && level < 1)) {
    base::user_error("threshold", "'{}', want a reward accuracy between 0 and 1 (0.01 or 1%), or half-peak", text);
  }
  return {.name = text, .level = level};
}

std::vector<CollapseMark> default_marks() { return {parse_mark("1%"), parse_mark("10%"), parse_mark("half-peak")}; }

MarkWatch::MarkWatch(std::vector<CollapseMark> marks, int window) : window_(window) {
  if (window < 1) base::user_error("collapse marks", "window of {} steps, want at least 1", window);
  for (CollapseMark& mark : marks) results_.push_back({.mark = std::move(mark), .step = std::nullopt});
}

void MarkWatch::update(std::int64_t step, double reward_accuracy) {
  check_point("collapse marks", step, reward_accuracy, points_, last_step_);
  ++points_;
  last_step_ = step;
  recent_.push_back(reward_accuracy);
  if (recent_.size() > static_cast<std::size_t>(window_)) recent_.pop_front();
  if (!enough()) return;

  smoothed_ = std::accumulate(recent_.begin(), recent_.end(), 0.0) / window_;
  if (!peak_ || *smoothed_ > peak_->value) peak_ = Point{step, *smoothed_};
  for (MarkResult& result : results_) {
    const double bound = result.mark.of_peak ? result.mark.level * peak_->value : result.mark.level;
    if (!result.step && *smoothed_ < bound) result.step = step;
  }
}

const MarkResult& MarkWatch::mark(const std::string& name) const {
  std::vector<std::string> names;
  for (const MarkResult& result : results_) {
    if (result.mark.name == name) return result;
    names.push_back(result.mark.name);
  }
  base::user_error("collapse marks", "'{}', want one of: {}", name, fmt::join(names, ", "));
}

std::string MarkWatch::describe(const MarkResult& result) const {
  if (result.step) return fmt::format("{}: step {}", result.mark.name, *result.step);
  if (!enough()) return fmt::format("{}: too few points ({}, want {})", result.mark.name, points_, window_);
  return fmt::format("{}: not reached in {} steps", result.mark.name, last_step_);
}

MarkWatch watch_marks(std::span<const Point> reward_accuracy, std::vector<CollapseMark> marks, int window) {
  MarkWatch watch(std::move(marks), window);
  for (const Point& point : reward_accuracy) watch.update(point.step, point.value);
  return watch;
}

}  // namespace whet::analysis
