#include "app/side_by_side.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "train/interrupt.h"

namespace whet::app {
namespace {

constexpr auto kLook = std::chrono::milliseconds(200);

/// In the child, after fork(): becomes `whet`. It is alone in its group, so that Ctrl-C reaches it once and through its
/// parent, and does not outlive that parent.
[[noreturn]] void become(const Job& job, const std::vector<char*>& arguments, int output) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int input = ::open("/dev/null", O_RDONLY);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (::chdir(job.folder.c_str()) == 0) ::execv("/proc/self/exe", arguments.data());
  ::dprintf(STDERR_FILENO, "cannot start in %s: %s\n", job.folder.c_str(), std::strerror(errno));
  ::_exit(1);
}

pid_t start(const Job& job) {
  const int output = ::open(job.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) base::run_error("log", "cannot write {}: {}", job.log.string(), std::strerror(errno));
  std::vector<std::string> words{"whet"};
  words.insert(words.end(), job.arguments.begin(), job.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) become(job, arguments, output);
  ::close(output);
  if (child < 0) base::run_error("process", "cannot start {}: {}", job.name, std::strerror(errno));
  ::setpgid(child, child);  // here as well: whichever of the two comes first
  return child;
}

/// The processes that go on; asks them to stop when an error leaves this function's caller.
struct Processes {
  std::map<pid_t, const Job*> jobs;
  void ask_to_stop() const {
    for (const auto& [process, job] : jobs) ::kill(process, SIGINT);
  }
  ~Processes() {
    ask_to_stop();
    for (const auto& [process, job] : jobs) ::waitpid(process, nullptr, 0);
  }
};

}  // namespace

bool run_side_by_side(const std::vector<Job>& jobs, int at_once, const JobEvents& events) {
  train::listen_for_interrupt();
  std::set<std::string> open;  // not ended yet
  for (const Job& job : jobs) open.insert(job.name);
  std::vector<const Job*> queue;
  for (const Job& job : jobs) queue.push_back(&job);
  Processes going_on;
  const Job* failed = nullptr;
  bool was_asked = false;
  while (!going_on.jobs.empty() || (!queue.empty() && failed == nullptr && !was_asked)) {
    if (train::interrupted() && !was_asked) {
      was_asked = true;
      going_on.ask_to_stop();
    }
    while (failed == nullptr && !was_asked && static_cast<int>(going_on.jobs.size()) < at_once) {
      const auto ready = std::find_if(queue.begin(), queue.end(), [&](const Job* job) {
        return std::none_of(job->after.begin(), job->after.end(),
                            [&](const std::string& name) { return open.count(name) > 0; });
      });
      if (ready == queue.end()) break;
      const Job* job = *ready;
      queue.erase(ready);
      going_on.jobs[start(*job)] = job;
      events.begun(*job);
    }
    std::vector<const Job*> names;
    for (const auto& [process, job] : going_on.jobs) names.push_back(job);
    if (names.empty()) {
      if (!queue.empty() && failed == nullptr && !was_asked)
        throw std::logic_error("run_side_by_side: jobs wait for each other");
      continue;
    }
    events.waiting(names);
    int status = 0;
    const pid_t process = ::waitpid(-1, &status, WNOHANG);
    const auto found = going_on.jobs.find(process);
    if (found == going_on.jobs.end()) {
      std::this_thread::sleep_for(kLook);
      continue;
    }
    const Job* job = found->second;
    going_on.jobs.erase(found);
    const bool is_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (is_done) {
      open.erase(job->name);
      events.ended(*job);
    } else if (!was_asked && failed == nullptr) {
      failed = job;
    }
  }
  if (failed != nullptr)
    base::run_error("run", "{} failed: {} ({})", failed->name, base::last_whole_line(failed->log),
                    failed->log.string());
  return !was_asked;
}

}  // namespace whet::app
