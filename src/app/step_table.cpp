#include "app/step_table.h"

#include <fmt/format.h>

namespace whet::app {
namespace {

/// A number of the metrics in a column, or a dash.
std::string column(const base::Json& metrics, const char* key, int width, int digits) {
  const auto found = metrics.find(key);
  if (found == metrics.end() || !found->is_number()) return fmt::format("{:>{}}", "-", width);
  return fmt::format("{:>{}.{}f}", found->get<double>(), width, digits);
}

}  // namespace

void StepTable::print(const train::StepReport& report) {
  const bool measured = report.metrics.contains("base_logprob") || report.metrics.contains("heldout_accuracy");
  if (report.step > 0) eta_.step(report.seconds);
  if (lines_ % 25 == 0 && (measured || on_terminal())) {
    print_line("   step   reward  true  rew.acc  held-out  majority  entropy  length  base logp   tokens/s  ETA");
  }
  std::string speed = "-";
  if (const auto found = report.timings.find("rollout_tokens_per_second"); found != report.timings.end()) {
    speed = fmt::format("{:.0f}", found->get<double>());
  }
  const std::string line =
      fmt::format("{:>7}  {}  {}  {}  {}  {}  {}  {}  {}  {:>9}  {}", report.step,
                  column(report.metrics, "reward", 7, 3), column(report.metrics, "true_reward", 4, 2),
                  column(report.metrics, "reward_accuracy", 7, 3), column(report.metrics, "heldout_accuracy", 8, 3),
                  column(report.metrics, "majority_ratio", 8, 3), column(report.metrics, "token_entropy", 7, 3),
                  column(report.metrics, "length", 6, 1), column(report.metrics, "base_logprob", 9, 3), speed,
                  report.step == 0 ? "-" : eta_.text(report.steps - report.step));
  if (!measured && !on_terminal()) return;
  print_line(line);
  ++lines_;
}

}  // namespace whet::app
