// Collapse, seen without labels.
#include "analysis/watch.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/error.h"

namespace whet::analysis {
namespace {

// A margin includes its edge; the allowance is for decimals that binary cannot hold.
constexpr double kRounding = 1e-12;

void require_finite(std::int64_t step, const std::optional<double>& value) {
  if (value && !std::isfinite(*value)) {
    base::user_error("collapse watch", "value at step {} is {}, want a finite number", step, *value);
  }
}

}  // namespace

std::string to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kTooFewPoints:
      return "too few points";
    case Verdict::kHealthy:
      return "healthy";
    case Verdict::kFalling:
      return "falling";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kCollapsed:
      return "collapsed";
  }
  throw std::logic_error("Verdict");
}

CollapseWatch::CollapseWatch(const WatchOptions& options) : options_(options) {
  if (!(options.logprob_margin > 0)) base::user_error("logprob-margin", "{}, want > 0", options.logprob_margin);
  if (!(options.agreement_margin > 0)) base::user_error("agreement-margin", "{}, want > 0", options.agreement_margin);
  if (!(options.rise_share >= 0)) base::user_error("rise-share", "{}, want >= 0", options.rise_share);
  if (options.confirmations < 1) base::user_error("confirmations", "{}, want >= 1", options.confirmations);
}

const WatchState& CollapseWatch::update(std::int64_t step, const BaseView& view) {
  if (state_.points == 0) {
    by_logprob_ = view.logprob.has_value();
    by_agreement_ = view.agreement.has_value();
    state_.signal = by_logprob_ ? "base log-probability" : "agreement with the base";
  }
  if (!(view.logprob || view.agreement) || (by_logprob_ && !view.logprob) || (by_agreement_ && !view.agreement)) {
    base::user_error("collapse watch", "no {} at step {}, want one at every step that is judged",
                     state_.points == 0             ? "view of the frozen base"
                     : by_logprob_ && !view.logprob ? "base log-probability"
                                                    : "agreement with the base",
                     step);
  }
  require_finite(step, view.logprob);
  require_finite(step, view.agreement);
  if (state_.points > 0 && step <= state_.last_step) {
    base::user_error("collapse watch", "step {} after step {}, want increasing steps", step, state_.last_step);
  }
  judge(step, by_logprob_ ? *view.logprob : *view.agreement, view.agreement);
  describe();
  return state_;
}

bool CollapseWatch::is_breach(double value, const std::optional<double>& agreement) const {
  const double fall = state_.peak - value;
  const double margin = std::max(options_.logprob_margin, options_.rise_share * (state_.peak - first_));
  const bool logprob_fell = fall >= margin - kRounding;
  const bool agreement_fell = agreement && agreement_peak_ - *agreement >= options_.agreement_margin - kRounding;
  if (by_logprob_ && by_agreement_) return logprob_fell && agreement_fell;
  return by_logprob_ ? logprob_fell : agreement_fell;
}

void CollapseWatch::judge(std::int64_t step, double value, const std::optional<double>& agreement) {
  if (state_.points == 0) first_ = value;
  ++state_.points;
  state_.last_step = step;
  state_.current = value;
  if (agreement) {
    agreement_ = *agreement;
    if (!state_.agreement_peak_step || *agreement > agreement_peak_) {
      state_.agreement_peak_step = step;
      agreement_peak_ = *agreement;
    }
  }
  // After the alarm the peak stays: a policy that has collapsed to one phrase can become likely to the base again.
  if (!state_.collapse_step) {
    if (!state_.peak_step || value > state_.peak) {
      state_.peak_step = step;
      state_.peak = value;
    }
    if (!is_breach(value, agreement)) {
      breaches_ = 0;
      state_.warning_step.reset();
    } else {
      if (++breaches_ == 1) state_.warning_step = step;
      if (breaches_ >= options_.confirmations) state_.collapse_step = step;
    }
  }
  state_.verdict = state_.collapse_step  ? Verdict::kCollapsed
                   : state_.points < 2   ? Verdict::kTooFewPoints
                   : breaches_ > 0       ? Verdict::kWarning
                   : value < state_.peak ? Verdict::kFalling
                                         : Verdict::kHealthy;
}

void CollapseWatch::describe() {
  const std::string fall =
      fmt::format("{} {:.3f} is {:.3f} below its best, {:.3f} at step {}", state_.signal, state_.current,
                  state_.peak - state_.current, state_.peak, state_.peak_step.value_or(0));
  const std::string witness = by_logprob_ && by_agreement_
                                  ? fmt::format("; agreement with the base {:.3f}, its best {:.3f} at step {}",
                                                agreement_, agreement_peak_, state_.agreement_peak_step.value_or(0))
                                  : "";
  switch (state_.verdict) {
    case Verdict::kTooFewPoints:
      state_.evidence = fmt::format("only {} point of the {}, want at least 2", state_.points, state_.signal);
      return;
    case Verdict::kHealthy:
      state_.evidence = fmt::format("{} is at its best so far, {:.3f}, first reached at step {}{}", state_.signal,
                                    state_.peak, *state_.peak_step, witness);
      return;
    case Verdict::kFalling:
      state_.evidence = fmt::format("{}, no alarm{}", fall, witness);
      return;
    case Verdict::kWarning:
      state_.evidence = fmt::format("warning since step {}: {}{}", *state_.warning_step, fall, witness);
      return;
    case Verdict::kCollapsed:
      state_.evidence = fmt::format(
          "{} peaked at {:.3f} at step {} and left it at step {} (alarm at step {}); {:.3f} now{}", state_.signal,
          state_.peak, *state_.peak_step, *state_.warning_step, *state_.collapse_step, state_.current, witness);
      return;
  }
}

WatchState watch_series(std::span<const ViewPoint> series, const WatchOptions& options) {
  CollapseWatch watch(options);
  for (const ViewPoint& point : series) watch.update(point.step, point.view);
  return watch.state();
}

}  // namespace whet::analysis
