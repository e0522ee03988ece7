// What a person sees while a run goes on: a line a step on a terminal, fewer and plainer ones elsewhere.
#pragma once

#include <cstdint>
#include <string>

namespace whet::app {

/// Whether standard error is a terminal.
bool on_terminal();

/// "2m05s", "43s", "1h02m".
std::string duration_text(double seconds);

/// Time left, from the steps that were seen: the mean of all, so that a slow first step soon counts little.
class Eta {
 public:
  void step(double seconds) {
    total_ += seconds;
    ++count_;
  }
  std::string text(std::int64_t steps_left) const;

 private:
  double total_ = 0;
  std::int64_t count_ = 0;
};

/// Prints a line on standard error. On a terminal, replaces the last transient line.
void print_line(const std::string& text);
/// A line that the next one replaces; not printed at all unless on a terminal.
void print_transient(const std::string& text);

}  // namespace whet::app
