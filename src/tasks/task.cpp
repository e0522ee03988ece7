#include "tasks/task.h"

namespace whet::tasks {

Split split_of(std::string_view prompt) { return base::hash_text(prompt) % 10 == 0 ? Split::kHeldOut : Split::kTrain; }

VerifierFormat Task::verifier_format() const {
  return {.prompt =
              "Problem:\n{problem}\n\nProposed solution:\n{solution}\n\nIs the final answer of the proposed solution "
              "correct? Check it step by step, then end with \\boxed{True} if it is correct or \\boxed{False} if it "
              "is not.\n\nCheck:\n"};
}

base::Registry<TaskEntry>& tasks() {
  static base::Registry<TaskEntry> registry("task");
  return registry;
}

}  // namespace whet::tasks
