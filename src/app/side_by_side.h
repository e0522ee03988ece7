// Several runs of this program at once, each a process of its own: for commands that make many short runs.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace whet::app {

struct Job {
  std::string name;
  std::vector<std::string> arguments;  ///< of `whet`
  std::filesystem::path folder;        ///< where it is started
  std::filesystem::path log;           ///< what it prints, appended
  std::vector<std::string> after;  ///< names of jobs that must have ended before; a name that is not among the jobs has
};

struct JobEvents {
  std::function<void(const Job&)> begun, ended;
  std::function<void(const std::vector<const Job*>& going_on)> waiting;  ///< a few times a second
};

/// Runs all jobs, at most `at_once` side by side, in the order given as far as `after` allows. False when interrupted:
/// every process has then been asked to stop, has saved, and has ended. When one fails, no other is started, those that
/// go on are waited for, and RunError names it with the last line it printed.
bool run_side_by_side(const std::vector<Job>& jobs, int at_once, const JobEvents& events);

}  // namespace whet::app
