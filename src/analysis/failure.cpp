// How a run fails, from label-free signals.
#include "analysis/failure.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>

#include "base/error.h"

namespace whet::analysis {
namespace {

constexpr std::string_view kPlace = "signals";

void check_finite(std::int64_t step, const std::optional<double>& value, std::string_view name) {
  if (value && !std::isfinite(*value)) {
    base::user_error(kPlace, "{} at step {} is {}, want a finite number", name, step, *value);
  }
}

using Get = std::function<std::optional<double>(const SignalPoint&)>;

/// The means over windows of a signal; steps without a value are passed over.
std::vector<std::pair<std::int64_t, double>> smoothed(std::span<const SignalPoint> series, int window, const Get& get,
                                                      std::string_view name) {
  std::vector<std::pair<std::int64_t, double>> result;
  std::deque<double> recent;
  for (const SignalPoint& point : series) {
    const std::optional<double> value = get(point);
    check_finite(point.step, value, name);
    if (!value) continue;
    recent.push_back(*value);
    if (recent.size() > static_cast<std::size_t>(window)) recent.pop_front();
    if (recent.size() < static_cast<std::size_t>(window)) continue;
    result.emplace_back(point.step, std::accumulate(recent.begin(), recent.end(), 0.0) / window);
  }
  return result;
}

/// The sign of a signal that has moved `loss` (of best and value) by `threshold`; best is the highest, or the lowest.
std::optional<FailureSign> sign_of(std::span<const std::pair<std::int64_t, double>> values, Failure failure, bool rises,
                                   double threshold, const std::function<double(double, double)>& loss) {
  if (values.empty()) return std::nullopt;
  FailureSign sign;
  bool is_beyond = false;
  double best = values.front().second;
  std::int64_t best_step = values.front().first;
  for (const auto& [step, value] : values) {
    if (rises ? value < best : value > best) {
      best = value;
      best_step = step;
    }
    if (loss(best, value) >= threshold) {
      if (!is_beyond) sign.since = step;
      is_beyond = true;
    } else {
      is_beyond = false;
    }
  }
  if (!is_beyond) return std::nullopt;
  sign.failure = failure;
  sign.from = best;
  sign.from_step = best_step;
  sign.to = values.back().second;
  return sign;
}

void describe(FailureSign& sign, std::string_view what, std::int64_t last_step) {
  sign.evidence = fmt::format("{}: {} from {:.3g} (step {}) to {:.3g} (step {}), beyond the bound since step {}",
                              to_string(sign.failure), what, sign.from, sign.from_step, sign.to, last_step, sign.since);
}

/// The divergence may rise while training goes well; what counts is its rise since the vote was most united.
std::optional<FailureSign> drift_of(std::span<const SignalPoint> series, const FailureOptions& options) {
  const auto kl = smoothed(series, options.window, [](const SignalPoint& p) { return p.kl; }, "kl");
  const auto majority =
      smoothed(series, options.window, [](const SignalPoint& p) { return p.signals.majority_ratio; }, "majority ratio");
  if (kl.empty() || majority.empty()) return std::nullopt;
  FailureSign sign{.failure = Failure::kConfidentDrift};
  bool is_beyond = false;
  double best = -1;
  auto at = majority.begin();
  for (const auto& [step, value] : kl) {
    for (; at != majority.end() && at->first <= step; ++at) {
      if (at->second <= best) continue;
      best = at->second;
      sign.from = value;
      sign.from_step = step;
    }
    if (value - sign.from >= options.kl_rise || value >= options.kl_bound) {
      if (!is_beyond) sign.since = step;
      is_beyond = true;
    } else {
      is_beyond = false;
    }
    sign.to = value;
  }
  if (!is_beyond) return std::nullopt;
  // Beyond the bound alone: all of it is the drift, from the first mean on.
  if (sign.to - sign.from < options.kl_rise) {
    sign.from_step = kl.front().first;
    sign.from = kl.front().second;
  }
  return sign;
}

}  // namespace

std::string to_string(Failure failure) {
  switch (failure) {
    case Failure::kNone:
      return "none";
    case Failure::kConstantAnswer:
      return "constant answer";
    case Failure::kShortening:
      return "shortening";
    case Failure::kRepetition:
      return "repetition";
    case Failure::kNoAnswer:
      return "no answer";
    case Failure::kConfidentDrift:
      return "confident drift";
  }
  throw std::logic_error("Failure");
}

FailureReport name_failure(std::span<const SignalPoint> series, const FailureOptions& options) {
  if (options.window < 1) base::user_error(kPlace, "window of {} steps, want at least 1", options.window);
  for (std::size_t i = 1; i < series.size(); ++i) {
    if (series[i].step <= series[i - 1].step) {
      base::user_error(kPlace, "step {} after step {}, want increasing steps", series[i].step, series[i - 1].step);
    }
  }
  FailureReport report;
  if (series.size() < 2 * static_cast<std::size_t>(options.window)) return report;
  const std::int64_t last = series.back().step;
  const auto values = [&](std::optional<double> StepSignals::* signal, std::string_view name) {
    return smoothed(series, options.window, [signal](const SignalPoint& p) { return p.signals.*signal; }, name);
  };
  const auto share = [](double best, double value) { return best > 0 ? 1 - value / best : 0; };
  const auto fall = [](double best, double value) { return best - value; };
  const auto rise = [](double best, double value) { return value - best; };
  const auto add = [&](std::optional<FailureSign> sign, double severity, std::string_view what) {
    if (!sign) return;
    sign->severity = std::clamp(severity, 0.0, 1.0);
    describe(*sign, what, last);
    report.signs.push_back(std::move(*sign));
  };

  const auto answered = values(&StepSignals::answered, "answered");
  const bool most_answer = answered.empty() || answered.back().second >= 0.5;
  if (most_answer) {
    const auto sign = sign_of(values(&StepSignals::mutual_information, "mutual information"), Failure::kConstantAnswer,
                              false, options.information_share, share);
    add(sign, sign ? share(sign->from, sign->to) : 0, "mutual information of problem and answer");
  }
  auto sign = sign_of(values(&StepSignals::length, "length"), Failure::kShortening, false, options.length_share, share);
  add(sign, sign ? share(sign->from, sign->to) : 0, "length of a response");
  sign = sign_of(values(&StepSignals::repetition, "repetition"), Failure::kRepetition, true, options.repetition_rise,
                 rise);
  add(sign, sign ? (sign->to - sign->from) / std::max(1 - sign->from, 1e-9) : 0, "share of repeated 4-grams");
  sign = sign_of(answered, Failure::kNoAnswer, false, options.answered_fall, fall);
  add(sign, sign ? share(sign->from, sign->to) : 0, "share with an answer");
  std::stable_sort(report.signs.begin(), report.signs.end(),
                   [](const FailureSign& a, const FailureSign& b) { return a.severity > b.severity; });
  add(drift_of(series, options), 0, "divergence from the start, nats a token,");
  if (!report.signs.empty()) report.failure = report.signs.front().failure;
  return report;
}

SignalWatch::SignalWatch(const SignalWatchOptions& options) : options_(options) {
  if (options.window < 2) base::user_error(kPlace, "window of {} steps, want at least 2", options.window);
}

void SignalWatch::take(Signal signal, std::int64_t step, const std::optional<double>& value) {
  Track& track = tracks_[signal];
  if (!value) return;
  if (!track.recent.empty()) {
    track.squared_steps += (*value - track.last) * (*value - track.last);
    ++track.differences;
  }
  track.last = *value;
  track.recent.push_back(*value);
  if (track.recent.size() > static_cast<std::size_t>(options_.window)) track.recent.pop_front();
  if (track.recent.size() < static_cast<std::size_t>(options_.window)) return;
  track.value = std::accumulate(track.recent.begin(), track.recent.end(), 0.0) / options_.window;
  const bool is_best =
      std::isnan(track.best) || (signal == kRepetition ? *track.value < track.best : *track.value > track.best);
  // After the alarm what was best stays.
  if (is_best && !state_.collapse_step) {
    track.best = *track.value;
    track.best_step = step;
  }
}

double SignalWatch::lost(Signal signal) const {
  const Track& track = tracks_[signal];
  if (!track.value) return 0;
  const double fall = track.best - *track.value;
  const double share = track.best > 0 ? fall / track.best : 0;
  switch (signal) {
    case kMajority: {
      // Neighbouring steps have other problems: half the mean square of their differences is a step's variance.
      const double variance =
          track.differences > 0 ? track.squared_steps / (2.0 * static_cast<double>(track.differences)) : 0;
      const double error = std::sqrt(2 * variance / options_.window);  // of the difference of two window means
      return fall / std::max(options_.majority_margin, options_.errors * error);
    }
    case kInformation:
      return share / options_.information_share;
    case kLength:
      return share / options_.length_share;
    case kRepetition:
      return -fall / options_.repetition_rise;
    case kAnswered:
      return fall / options_.answered_fall;
    case kSignals:
      break;
  }
  throw std::logic_error("Signal");
}

const WatchState& SignalWatch::update(const SignalPoint& point) {
  static constexpr const char* kNames[kSignals] = {"majority ratio", "mutual information", "length", "repetition",
                                                   "share with an answer"};
  if (state_.points > 0 && point.step <= state_.last_step) {
    base::user_error(kPlace, "step {} after step {}, want increasing steps", point.step, state_.last_step);
  }
  const StepSignals& s = point.signals;
  const std::optional<double> given[kSignals] = {s.majority_ratio, s.mutual_information, s.length, s.repetition,
                                                 s.answered};
  for (int i = 0; i < kSignals; ++i) {
    check_finite(point.step, given[i], kNames[i]);
    take(static_cast<Signal>(i), point.step, given[i]);
  }
  ++state_.points;
  state_.last_step = point.step;
  if (state_.collapse_step || state_.points < least_points()) return state_;

  Signal worst = kMajority;
  for (int i = 0; i < kSignals; ++i) {
    if (lost(static_cast<Signal>(i)) > lost(worst)) worst = static_cast<Signal>(i);
  }
  if (!tracks_[worst].value) return state_;
  const Track& track = tracks_[worst];
  const double margins = lost(worst);
  state_.signal = kNames[worst];
  state_.peak = track.best;
  state_.current = *track.value;
  // Where nothing falls there is no turn: the latest step is the one to keep.
  state_.peak_step = margins < 0.5 ? point.step : track.best_step;
  if (margins >= 1) {
    state_.verdict = Verdict::kCollapsed;
    state_.collapse_step = point.step;
    if (!state_.warning_step) state_.warning_step = point.step;
  } else if (margins >= 0.5) {
    if (!state_.warning_step) state_.warning_step = point.step;
    state_.verdict = Verdict::kWarning;
  } else {
    state_.warning_step.reset();
    state_.verdict = margins > 0 ? Verdict::kFalling : Verdict::kHealthy;
  }
  state_.evidence =
      fmt::format("mean {} of {} steps: {:.3g} at step {}, {:.3g} at step {}, {:.0f} % of the way to the alarm",
                  kNames[worst], options_.window, track.best, track.best_step, *track.value, point.step, 100 * margins);
  return state_;
}

}  // namespace whet::analysis
