// How a run fails, and whether it does where no frozen base is there to ask: both from the label-free signals of its steps.
//
// All signals are judged as means over the last few steps, because each step has other problems.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/signals.h"
#include "analysis/watch.h"

namespace whet::analysis {

/// The signals of a training step. What is absent is not judged. Signals with labels are never read.
struct SignalPoint {
  std::int64_t step = 0;
  StepSignals signals;
  std::optional<double> kl = {};  ///< to the model that training began with, nats a token
};

enum class Failure {
  kNone,
  kConstantAnswer,  ///< one answer, whatever the problem
  kShortening,      ///< responses lose most of their length
  kRepetition,      ///< responses say the same again and again
  kNoAnswer,        ///< responses end without an answer
  kConfidentDrift,  ///< well-formed answers, far from what the model began with
};

/// "none", "constant answer", "shortening", "repetition", "no answer", "confident drift".
std::string to_string(Failure failure);

struct FailureOptions {
  int window = 5;                  ///< steps that a value is the mean of
  double information_share = 0.5;  ///< constant answer: this share of the most mutual information is lost
  double length_share = 0.4;       ///< shortening: this share of the greatest length is lost
  double repetition_rise = 0.15;   ///< above the least so far
  double answered_fall = 0.1;      ///< below the most so far
  double kl_rise = 0.1;            ///< drift: above the divergence where the majority ratio was highest, nats
  /// Drift: or this much altogether, nats, because a vote may go on sharpening while the policy leaves what it knew. Runs on
  /// labels and on a frozen verifier end at .05 to .13 on bases that are mostly right, at .23 to .33 on others.
  double kl_bound = 0.5;
};

/// A way of failing that the signals show, and what showed it.
struct FailureSign {
  Failure failure = Failure::kNone;
  double from = 0, to = 0;  ///< value at from_step (its best) and at the end
  std::int64_t from_step = 0;
  std::int64_t since = 0;  ///< first step of the last stretch beyond the threshold
  double severity = 0;     ///< share of what could be lost that is lost, 0 to 1; orders signs, drift stands last
  std::string evidence;    ///< one sentence for a person
};

struct FailureReport {
  Failure failure = Failure::kNone;  ///< of the gravest sign
  std::vector<FailureSign> signs;    ///< gravest first
};

/// What the end of a series shows. A constant answer is named only where most responses have one. None for a series
/// shorter than two windows. UserError when steps do not increase or a value is not finite.
FailureReport name_failure(std::span<const SignalPoint> series, const FailureOptions& options = {});

struct SignalWatchOptions {
  int window = 5;
  /// The alarm: the majority ratio this far below its best so far, and at least `errors` standard errors below. While
  /// training sharpens, the ratio only rises; when the policy leaves what it knows, votes split again.
  double majority_margin = 0.04;
  double errors = 4;
  double information_share = 0.1;  ///< or this share of the most mutual information lost
  double length_share = 0.4;
  double repetition_rise = 0.15;
  double answered_fall = 0.1;
};

/// The weaker judgement, for rollouts of which no frozen base says anything. Warns at half of a margin. It comes later
/// than CollapseWatch, and its peak step is where the signal was best, which is mostly after the accuracy was.
class SignalWatch {
 public:
  explicit SignalWatch(const SignalWatchOptions& options = {});

  /// Steps must increase. UserError when they do not or a value is not finite.
  const WatchState& update(const SignalPoint& point);
  const WatchState& state() const { return state_; }
  /// Steps before anything can be judged: two windows.
  std::int64_t least_points() const { return 2 * static_cast<std::int64_t>(options_.window); }

 private:
  struct Track {
    std::deque<double> recent;
    double best = std::numeric_limits<double>::quiet_NaN();
    std::int64_t best_step = 0;
    double squared_steps = 0;  ///< squares of the differences between neighbours, summed
    std::int64_t differences = 0;
    double last = 0;
    std::optional<double> value;
  };
  enum Signal { kMajority, kInformation, kLength, kRepetition, kAnswered, kSignals };

  void take(Signal signal, std::int64_t step, const std::optional<double>& value);
  /// How much of its margin the signal has lost: 1 raises the alarm.
  double lost(Signal signal) const;

  SignalWatchOptions options_;
  Track tracks_[kSignals];
  WatchState state_;
};

}  // namespace whet::analysis
