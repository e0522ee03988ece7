// Which steps' weights are worth averaging: those that the frozen base finds nearly as likely as the best.
//
// Near the peak the measurements are flat and noisy, and the single highest is a lucky one as often as a good one. The average of
// the weights of several good steps does not need to know which of them was the best.
#pragma once

#include <cstdint>
#include <vector>

#include "analysis/watch.h"

namespace whet::analysis {

struct ContenderOptions {
  /// Steps to average, at most.
  int count = 5;
  /// A contender's value lies less than this (nats) below the best one. Half of what counts as a fall: where the values still rise
  /// steeply, more would average in what the policy has left behind.
  double margin = 0.02;
};

/// The best steps so far, online: a step that is among them at the end was among them from its measurement on, so that its
/// weights can be saved then and thrown away when it drops out.
class Contenders {
 public:
  /// UserError for a count below 1 or a margin that is not positive.
  explicit Contenders(const ContenderOptions& options = {});

  /// `value`: what the watch judges (larger is better). Steps must increase (std::logic_error). Feed it no step from the alarm on.
  void update(std::int64_t step, double value);

  /// Increasing. Of equal values the earlier steps stay.
  std::vector<std::int64_t> steps() const;
  bool contains(std::int64_t step) const;

 private:
  struct Contender {
    std::int64_t step;
    double value;
  };
  ContenderOptions options_;
  std::vector<Contender> best_;  ///< best first
  std::int64_t last_step_ = -1;
};

/// What there is to average when all is measured: the contenders without the base (step 0), whose weights are no result of the run;
/// empty where the base itself was best.
std::vector<std::int64_t> steps_to_average(const Contenders& contenders, std::int64_t peak_step);

/// Whether an average, measured, may stand for its best member: not when its log-probability and its agreement are both lower by as
/// much as makes a breach (where one of them is not known, the other decides), and not when it writes nothing. Weights from two
/// sides of an abrupt change can average to a model that is neither.
bool stands_for(const BaseView& average, const BaseView& best, const WatchOptions& options = {});

}  // namespace whet::analysis
