// When a training run collapsed: with labels, and without.
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

std::vector<CollapseMark> default_marks() {
  return {parse_mark("1%"), parse_mark("10%"), parse_mark("half-peak")};
}

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

std::string to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kTooFewPoints: return "too few points";
    case Verdict::kHealthy: return "healthy";
    case Verdict::kFalling: return "falling";
    case Verdict::kCollapsed: return "collapsed";
  }
  throw std::logic_error("Verdict");
}

CollapseWatch::CollapseWatch(const WatchOptions& options) : options_(options) {
  if (!(options.logprob_margin > 0)) base::user_error("logprob-margin", "{}, want > 0", options.logprob_margin);
  if (!(options.agreement_margin > 0)) base::user_error("agreement-margin", "{}, want > 0", options.agreement_margin);
}

const WatchState& CollapseWatch::update(std::int64_t step, const BaseView& view) {
  if (state_.points == 0) by_logprob_ = view.logprob.has_value();
  const std::optional<double> value = by_logprob_ ? view.logprob : view.agreement;
  if (!value) {
    base::user_error("collapse watch", "no {} at step {}, want one at every step that is judged",
                     state_.points == 0 ? "view of the frozen base" : state_.signal, step);
  }
  check_point("collapse watch", step, *value, state_.points, state_.last_step);
  if (view.agreement) {
    check_point("collapse watch", step, *view.agreement, state_.points, state_.last_step);
    if (!state_.agreement_peak_step || *view.agreement > agreement_peak_) {
      state_.agreement_peak_step = step;
      agreement_peak_ = *view.agreement;
    }
  }
  state_.signal = by_logprob_ ? "base log-probability" : "agreement with the base";
  judge(step, *value);
  describe();
  return state_;
}

void CollapseWatch::judge(std::int64_t step, double value) {
  ++state_.points;
  state_.last_step = step;
  state_.current = value;
  // After the alarm the peak stays: a policy that has collapsed to one phrase can become likely to the base again.
  if (!state_.collapse_step) {
    if (!state_.peak_step || value > state_.peak) {
      state_.peak_step = step;
      state_.peak = value;
    }
    const double margin = by_logprob_ ? options_.logprob_margin : options_.agreement_margin;
    // "Margin below" includes the margin itself; the allowance is for decimals that binary cannot hold.
    if (state_.peak - value >= margin - 1e-12) state_.collapse_step = step;
  }
  state_.verdict = state_.collapse_step   ? Verdict::kCollapsed
                   : state_.points < 2    ? Verdict::kTooFewPoints
                   : value < state_.peak  ? Verdict::kFalling
                                          : Verdict::kHealthy;
}

void CollapseWatch::describe() {
  const double margin = by_logprob_ ? options_.logprob_margin : options_.agreement_margin;
  std::string witness;
  if (by_logprob_ && state_.agreement_peak_step) {
    witness = fmt::format("; agreement with the base peaked at {:.3f} at step {}", agreement_peak_,
                          *state_.agreement_peak_step);
  }
  switch (state_.verdict) {
    case Verdict::kTooFewPoints:
      state_.evidence = fmt::format("only {} point of the {}, want at least 2", state_.points, state_.signal);
      return;
    case Verdict::kHealthy:
      state_.evidence = fmt::format("{} is at its best so far, {:.3f}, first reached at step {}{}", state_.signal,
                                    state_.peak, *state_.peak_step, witness);
      return;
    case Verdict::kFalling:
      state_.evidence = fmt::format("{} {:.3f} is {:.3f} below its best, {:.3f} at step {}, within the margin {}{}",
                                    state_.signal, state_.current, state_.peak - state_.current, state_.peak,
                                    *state_.peak_step, margin, witness);
      return;
    case Verdict::kCollapsed:
      state_.evidence = fmt::format("{} peaked at {:.3f} at step {} and was first {} below it at step {}; {:.3f} now{}",
                                    state_.signal, state_.peak, *state_.peak_step, margin, *state_.collapse_step,
                                    state_.current, witness);
      return;
  }
}

WatchState watch_series(std::span<const ViewPoint> series, const WatchOptions& options) {
  CollapseWatch watch(options);
  for (const ViewPoint& point : series) watch.update(point.step, point.view);
  return watch.state();
}

}  // namespace whet::analysis
