#include "train/problems.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>

#include "base/error.h"
#include "tasks/listed.h"
#include "tasks/problem_file.h"
#include "tokenizer/chat_template.h"
#include "train/groups.h"

namespace whet::train {
namespace {

constexpr std::uint64_t kHeldOutSeed = 20260308;

}  // namespace

std::optional<tasks::ChatWriter> chat_writer(const std::string& option, const std::filesystem::path& model) {
  if (option == "none") return std::nullopt;
  const bool is_models = option == "model" || option == "all";
  std::optional<tokenizer::ChatTemplate> chat;
  if (is_models) {
    chat = tokenizer::ChatTemplate::load(model);
  } else {
    chat = tokenizer::ChatTemplate::from_file(option, model);
  }
  if (!chat && option == "all")
    base::user_error("chat-template", "all, but {} has no chat template, want --chat-template FILE", model.string());
  if (!chat) return std::nullopt;
  const auto shared = std::make_shared<tokenizer::ChatTemplate>(std::move(*chat));
  return tasks::ChatWriter{shared->name(), [shared](const base::Json& messages) { return shared->render(messages); },
                           option == "all"};
}

std::unique_ptr<tasks::Task> make_task(const ProblemOptions& options, const std::filesystem::path& model) {
  const bool from_file = !options.problems.empty() || !options.held_out_problems.empty();
  const std::string name = from_file && options.task == ProblemOptions{}.task ? "file" : options.task;
  if (from_file && name != "file") {
    base::user_error("task", "--problems with task '{}', want --task file (or neither)", name);
  }
  if (name != "file" && options.chat_template != ProblemOptions{}.chat_template && options.chat_template != "none") {
    base::user_error("chat-template", "{} with task '{}', whose prompts are no chats, want --problems",
                     options.chat_template, name);
  }
  tasks::TaskSource source{options.problems, options.held_out_problems};
  if (name == "file" && !model.empty()) source.chat = chat_writer(options.chat_template, model);
  return tasks::tasks().find(name).make(source);
}

std::unique_ptr<tasks::Task> make_training_task(const TrainOptions& options, const std::filesystem::path& model) {
  const ProblemOptions& source = options.source;
  if (options.transductive.empty()) {
    auto task = make_task(source, model);
    if (options.train_problems == 0) return task;
    const auto seed = static_cast<std::uint64_t>(options.seed);
    auto chosen = distinct_problems(*task, tasks::Split::kTrain, seed, options.train_problems);
    if (static_cast<std::int64_t>(chosen.size()) < options.train_problems) {
      base::user_error("train-problems", "{}, but {} has {}, want at most that", options.train_problems,
                       source.problems.empty() ? source.task : fmt::format("{}", fmt::join(source.problems, ", ")),
                       chosen.size());
    }
    return tasks::with_training_problems(std::move(task), std::move(chosen));
  }
  if (options.train_problems > 0) {
    base::user_error("train-problems", "{} beside --transductive, which trains on all of --problems, want one of them",
                     options.train_problems);
  }
  if (source.problems.empty())
    base::user_error("problems", "no file, want --problems FILE: what is trained and measured on");
  if (!source.held_out_problems.empty()) {
    base::user_error("held-out-problems", "{} beside --transductive, which measures on --problems, want one of them",
                     source.held_out_problems.front());
  }
  auto rules = tasks::tasks().find(options.transductive).make({.rules_only = true});
  const auto chat = model.empty() ? std::nullopt : chat_writer(source.chat_template, model);
  std::vector<tasks::Problem> problems;
  for (const std::string& file : source.problems) {
    for (tasks::Problem& problem :
         tasks::read_problems(file, chat, [&rules](std::string_view written) { return rules->label_from(written); })) {
      problems.push_back(std::move(problem));
    }
  }
  return tasks::with_problems(std::move(rules), std::move(problems));
}

std::string source_name(const ProblemOptions& options) {
  const auto& files = options.held_out_problems.empty() ? options.problems : options.held_out_problems;
  return files.empty() ? options.task : fmt::format("{}", fmt::join(files, ", "));
}

void require_labels(const tasks::Task& task, tasks::Split split, std::string_view place) {
  const std::uint64_t count = task.size(split).value_or(1);
  for (std::uint64_t i = 0; i < count; ++i) {
    const tasks::Problem problem = task.problem(split, kHeldOutSeed, i);
    if (task.has_label(problem)) continue;
    base::user_error(place, "problem {} has no answer, want labels: an \"answer\" in each problem", problem.id);
  }
}

std::vector<tasks::Problem> take_problems(const tasks::Task& task, tasks::Split split, std::uint64_t seed,
                                          std::int64_t count, std::int64_t first) {
  std::vector<tasks::Problem> problems;
  for (std::int64_t i = first; i < first + count; ++i) {
    problems.push_back(task.problem(split, seed, static_cast<std::uint64_t>(i)));
  }
  return problems;
}

void require_usable(const tasks::Task& task, const TextModel& model, const TrainOptions& options, bool rephrased) {
  const auto limit = sampling_options(options.sampling, task).max_new_tokens;
  const auto most = model.model->config().max_position_embeddings;
  const auto met = static_cast<std::uint64_t>(options.steps * options.prompts);
  const auto size = task.size(tasks::Split::kTrain);
  const auto count = size ? std::min(*size, met) : static_cast<std::uint64_t>(options.prompts);
  if (count == 0) (void)task.problem(tasks::Split::kTrain, 0, 0);  // says why there is none
  for (std::uint64_t i = 0; i < count; ++i) {
    const tasks::Problem problem = task.problem(tasks::Split::kTrain, static_cast<std::uint64_t>(options.seed), i);
    std::vector<tasks::Problem> asked{problem};
    for (const std::string& other : rephrased ? problem.rephrased : std::vector<std::string>()) {
      asked.push_back(problem);
      asked.back().prompt = other;
    }
    for (const tasks::Problem& one : asked) {
      std::int64_t length = 0;
      try {
        length = static_cast<std::int64_t>(prompt_tokens(model.tokenizer, one).size());
      } catch (const base::UserError& error) {
        base::user_error("problems", "{} for {}: {}", problem.id, model.folder.string(), error.what());
      }
      if (length > 0 && length + limit <= most) continue;
      if (length > 0 && length < most && limit >= most) {
        base::user_error("max-new-tokens",
                         "{}, but {} has {} positions and {} is a prompt of {} tokens; want at most {}", limit,
                         model.folder.string(), most, problem.id, length, most - length);
      }
      base::user_error("problems",
                       "{} for {}: a prompt of {} tokens, want 1..{}: --max-new-tokens {} and the model's {} "
                       "positions leave no more",
                       problem.id, model.folder.string(), length, most - limit, limit, most);
    }
  }
}

std::vector<tasks::Problem> held_out_problems(const tasks::Task& task, std::int64_t count) {
  if (const auto size = task.size(tasks::Split::kHeldOut)) count = std::min(count, static_cast<std::int64_t>(*size));
  return take_problems(task, tasks::Split::kHeldOut, kHeldOutSeed, count);
}

std::vector<tasks::Problem> distinct_problems(const tasks::Task& task, tasks::Split split, std::uint64_t seed,
                                              std::int64_t count) {
  if (split == tasks::Split::kHeldOut) return held_out_problems(task, count);
  if (const auto size = task.size(split))
    return take_problems(task, split, seed, std::min(count, static_cast<std::int64_t>(*size)));
  // A generator repeats itself now and then.
  constexpr std::int64_t kDrawsPerProblem = 20;
  std::vector<tasks::Problem> problems;
  std::unordered_set<std::string> prompts;
  for (std::int64_t i = 0; i < count * kDrawsPerProblem && static_cast<std::int64_t>(problems.size()) < count; ++i) {
    tasks::Problem problem = task.problem(split, seed, static_cast<std::uint64_t>(i));
    if (prompts.insert(problem.prompt).second) problems.push_back(std::move(problem));
  }
  return problems;
}

engine::SamplingOptions sampling_options(const SamplingFields& fields, const tasks::Task& task) {
  engine::SamplingOptions options;
  options.temperature = fields.temperature;
  options.top_p = fields.top_p;
  options.top_k = static_cast<int>(fields.top_k);
  options.max_new_tokens =
      static_cast<int>(fields.max_new_tokens > 0 ? fields.max_new_tokens : task.response_limit() + 1);  // the end token
  return options;
}

double learning_rate_for(double given, std::int64_t parameters) {
  if (given > 0) return given;
  constexpr double kSmallRate = 2.5e-4, kSmallSize = 1.5e5, kLargeRate = 1e-6, kLargeSize = 1.7e9;
  const double exponent = std::log(kLargeRate / kSmallRate) / std::log(kLargeSize / kSmallSize);
  const double rate = kSmallRate * std::pow(static_cast<double>(parameters) / kSmallSize, exponent);
  // Two digits, because a rate is a choice and not a measurement.
  return std::stod(fmt::format("{:.1e}", rate));
}

}  // namespace whet::train
