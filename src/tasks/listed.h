// A given list of problems under the rules of a task: trained and measured on alike, as test-time training does, or trained
// on alone, as a small data set is.
#pragma once

#include <memory>
#include <vector>

#include "tasks/task.h"

namespace whet::tasks {

/// A task whose training and held-out problems are both `problems`, in another order at each pass of training and as they
/// are where they are held out; how answers are found and compared is up to `rules`. A prompt that stands there more than
/// once is used once, and noted. UserError for no problem.
std::unique_ptr<Task> with_problems(std::unique_ptr<Task> rules, std::vector<Problem> problems);

/// The same, except that the held-out problems are those that `task` has. UserError for no problem.
std::unique_ptr<Task> with_training_problems(std::unique_ptr<Task> task, std::vector<Problem> problems);

}  // namespace whet::tasks
