#include "app/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace whet::app {

bool on_terminal() {
  static const bool terminal = ::isatty(STDERR_FILENO) != 0;
  return terminal;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
}

std::string Eta::text(std::int64_t steps_left) const {
  if (count_ == 0) return "?";
  return duration_text(total_ / static_cast<double>(count_) * static_cast<double>(steps_left));
}

void print_line(const std::string& text) {
  std::fprintf(stderr, on_terminal() ? "\r\033[K%s\n" : "%s\n", text.c_str());
  std::fflush(stderr);
}

void print_transient(const std::string& text) {
  if (!on_terminal()) return;
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
}

}  // namespace whet::app
