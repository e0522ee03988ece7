// Many problems, sampled a slice at a time so that there is progress to show; a slice's draws do not depend on the others.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tasks/task.h"
#include "theory/forecast.h"
#include "train/options.h"
#include "train/text_model.h"

namespace whet::app {

/// Calls `use` with each slice in order, and says how far it is before each: "WHAT: 64 of 200 problems".
void in_slices(const std::string& what, const std::vector<tasks::Problem>& problems,
               const std::function<void(const std::vector<tasks::Problem>&)>& use);

/// What a model answers to problems, `samples` times each.
std::vector<theory::ProblemCounts> sample_counts(const std::string& what, train::TextModel& model,
                                                 const tasks::Task& task, const std::vector<tasks::Problem>& problems,
                                                 std::int64_t samples, const train::SamplingFields& sampling,
                                                 std::uint64_t stream);

}  // namespace whet::app
