// Options to a task with its problems.
#pragma once

#include <memory>
#include <vector>

#include "engine/engine.h"
#include "tasks/task.h"
#include "train/options.h"

namespace whet::train {

std::unique_ptr<tasks::Task> make_task(const ProblemOptions& options);

/// The first `count` problems of a split under a seed; fewer, each once, when the split is smaller.
std::vector<tasks::Problem> take_problems(const tasks::Task& task, tasks::Split split, std::uint64_t seed, std::int64_t count,
                                          std::int64_t first = 0);

/// Held-out problems are the same for every run of a task, so that runs can be compared.
std::vector<tasks::Problem> held_out_problems(const tasks::Task& task, std::int64_t count);

/// Sampling options with the task's own length limit where none was given.
engine::SamplingOptions sampling_options(const SamplingFields& fields, const tasks::Task& task);

/// --learning-rate, or the rate for a model of that many parameters: the power law through 2.5e-4 at 150 thousand (where
/// the embedded models rise slowly enough to be watched and supervised training stays up) and 1e-6 at 1.7 billion (the
/// paper's).
double learning_rate_for(double given, std::int64_t parameters);

}  // namespace whet::train
