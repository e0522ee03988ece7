#include "tasks/task.h"

namespace whet::tasks {

Split split_of(std::string_view prompt) { return base::hash_text(prompt) % 10 == 0 ? Split::kHeldOut : Split::kTrain; }

base::Registry<TaskEntry>& tasks() {
  static base::Registry<TaskEntry> registry("task");
  return registry;
}

}  // namespace whet::tasks
