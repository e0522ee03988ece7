// Options to a task with its problems.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "tasks/task.h"
#include "train/options.h"
#include "train/text_model.h"

namespace whet::train {

/// `model`: the folder whose chat template writes prompts that are chats; "" for a task that no model will be asked.
/// UserError for --chat-template all with a model that has none, or with problems that are not of files.
std::unique_ptr<tasks::Task> make_task(const ProblemOptions& options, const std::filesystem::path& model = {});

/// The task of a run: make_task, with --train-problems that many training problems of it, or with --transductive the
/// problems of --problems on both sides under the rules of the task that it names. UserError as make_task's, for
/// --transductive without --problems or with --held-out-problems, and for --train-problems beside it or beyond what there is.
std::unique_ptr<tasks::Task> make_training_task(const TrainOptions& options, const std::filesystem::path& model);

/// What writes chats, by --chat-template: nothing for none, and for a model without template.
std::optional<tasks::ChatWriter> chat_writer(const std::string& option, const std::filesystem::path& model);

/// Where the measured problems come from, for a person: a generator's name, or files.
std::string source_name(const ProblemOptions& options);

/// UserError "[place] ..." naming the first problem of a split that has no answer. A generator's problems are alike, so
/// that one is asked; those of files are asked one by one.
void require_labels(const tasks::Task& task, tasks::Split split, std::string_view place);

/// `count` problems of a split under a seed, from the `first` on. A split that is smaller begins again.
std::vector<tasks::Problem> take_problems(const tasks::Task& task, tasks::Split split, std::uint64_t seed,
                                          std::int64_t count, std::int64_t first = 0);

/// The first `count` held-out problems, or all where there are fewer. The same for every run of a task, so that runs can
/// be compared.
std::vector<tasks::Problem> held_out_problems(const tasks::Task& task, std::int64_t count);

/// `count` problems of a split, each once, so that intervals over them are not narrower than they should be: held-out ones as
/// held_out_problems(), those for training under `seed`. Fewer where there are not that many.
std::vector<tasks::Problem> distinct_problems(const tasks::Task& task, tasks::Split split, std::uint64_t seed,
                                              std::int64_t count);

/// A task's problems can be spelt and fit the model, as far as the run will meet them (of a generator's, which are alike,
/// those of one step): a run must not end at step 90 because of a line that was there at the start. UserError naming
/// the problem. `rephrased`: so can their rephrasings.
void require_usable(const tasks::Task& task, const TextModel& model, const TrainOptions& options,
                    bool rephrased = false);

/// Sampling options with the task's own length limit where none was given.
engine::SamplingOptions sampling_options(const SamplingFields& fields, const tasks::Task& task);

/// --learning-rate, or the rate for a model of that many parameters: the power law through 2.5e-4 at 150 thousand (where
/// the embedded models rise slowly enough to be watched and supervised training stays up) and 1e-6 at 1.7 billion (the
/// paper's).
double learning_rate_for(double given, std::int64_t parameters);

}  // namespace whet::train
