// Seconds, for timings and progress. What a clock says never goes into a file that a resumed run must repeat.
#pragma once

#include <chrono>

namespace whet::base {

/// Runs from its construction, or from the last lap.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

  /// The seconds so far; begins again.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double passed = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return passed;
  }
  /// The same, added to a total.
  void lap(double& total) { total += lap(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Adds the seconds of a scope to a total.
class ScopeTimer {
 public:
  explicit ScopeTimer(double& total) : total_(total) {}
  ~ScopeTimer() { watch_.lap(total_); }
  ScopeTimer(const ScopeTimer&) = delete;
  ScopeTimer& operator=(const ScopeTimer&) = delete;

 private:
  double& total_;
  Stopwatch watch_;
};

}  // namespace whet::base
