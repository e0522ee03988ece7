// whet rewards, whet tasks: what is registered.
#include <cstdio>

#include "app/command.h"
#include "rewards/reward.h"
#include "tasks/task.h"

namespace whet::app {
namespace {

int list_rewards() {
  for (const auto& [name, entry] : rewards::rewards()) {
    std::printf("%-20s %-10s %s\n%-31s %s%s\n", name.c_str(), entry.family.c_str(), entry.formula.c_str(), "",
                entry.source.c_str(), entry.needs.label ? "; needs labels" : "");
  }
  return 0;
}

int list_tasks() {
  for (const auto& [name, entry] : tasks::tasks()) std::printf("%-14s %s\n", name.c_str(), entry.summary.c_str());
  return 0;
}

const base::Registrar kRewards(commands(), "rewards",
                               Command{"list the rewards: formula, source and needs", "  whet rewards",
                                       [](CLI::App&) -> Run { return list_rewards; }});
const base::Registrar kTasks(commands(), "tasks",
                             Command{"list the tasks", "  whet tasks", [](CLI::App&) -> Run { return list_tasks; }});

}  // namespace
}  // namespace whet::app
