// whet tasks: what is registered.
#include <cstdio>

#include "app/command.h"
#include "tasks/task.h"

namespace whet::app {
namespace {

int list_tasks() {
  for (const auto& [name, entry] : tasks::tasks()) std::printf("%-14s %s\n", name.c_str(), entry.summary.c_str());
  return 0;
}

const base::Registrar kTasks(commands(), "tasks",
                             Command{"list the tasks", "  whet tasks", [](CLI::App&) -> Run { return list_tasks; }});

}  // namespace
}  // namespace whet::app
