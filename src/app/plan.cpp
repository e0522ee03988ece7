// whet plan: the memory of a training run, before anything is opened or allocated, and what to change to fit.
#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>

#include "app/command.h"
#include "engine/memory.h"
#include "train/groups.h"
#include "train/problems.h"
#include "train/scoring.h"

namespace whet::app {
namespace {

using engine::MemoryPlan;
using engine::MemorySettings;
using engine::MemoryUse;

std::string size_text(std::int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  return bytes >= std::int64_t{1} << 30 ? fmt::format("{:.2f} GiB", size / (1 << 30))
                                        : fmt::format("{:.0f} MiB", size / (1 << 20));
}

/// Kilobytes after a name in a file of /proc, in bytes.
std::optional<std::int64_t> proc_bytes(const char* file, std::string_view name) {
  std::ifstream input(file);
  for (std::string line; std::getline(input, line);) {
    if (line.starts_with(name)) return std::stoll(line.substr(name.size())) * 1024;
  }
  return std::nullopt;
}

/// What this process may still take: the machine's available memory, or what a container's limit leaves of it.
std::int64_t free_memory() {
  const auto available = proc_bytes("/proc/meminfo", "MemAvailable:");
  if (!available) base::run_error("plan", "/proc/meminfo has no MemAvailable");
  std::int64_t limit = 0, used = 0;
  std::ifstream limit_file("/sys/fs/cgroup/memory.max"), used_file("/sys/fs/cgroup/memory.current");
  if (limit_file >> limit && used_file >> used)
    return std::min(*available, limit - used);  // "max": no limit, no number
  return *available;
}

struct Lengths {
  std::int64_t prompt = 0;
  std::int64_t response = 0;
  std::string how;
};

struct Sources {
  std::filesystem::path folder;  ///< of the model
  std::int64_t prompt_tokens = 0;
};

/// The mean prompt of the first step, by the model's own tokenizer, and the length limit that the run will have.
Lengths lengths(const train::TrainOptions& options, const Sources& sources) {
  Lengths result{sources.prompt_tokens, options.sampling.max_new_tokens, "as given"};
  if (result.prompt > 0 && result.response > 0) return result;
  const auto task = train::make_training_task(options, sources.folder);
  result.response = train::sampling_options(options.sampling, *task).max_new_tokens;
  if (result.prompt > 0) return result;
  if (!std::filesystem::exists(sources.folder / "tokenizer.json")) {
    base::user_error("plan", "{} has no tokenizer.json to count the prompts' tokens with, want --prompt-tokens",
                     sources.folder.string());
  }
  const auto tokenizer = tokenizer::Tokenizer::load(sources.folder);
  std::int64_t total = 0;
  for (const auto& problem :
       train::take_problems(*task, tasks::Split::kTrain, static_cast<std::uint64_t>(options.seed), options.prompts)) {
    total += static_cast<std::int64_t>(train::prompt_tokens(tokenizer, problem).size());
  }
  result.prompt = std::max<std::int64_t>(1, (total + options.prompts - 1) / options.prompts);
  result.how = fmt::format("mean of the first {} prompts", options.prompts);
  return result;
}

/// Counts the models that are kept beside the policy: the base, and those that vote, judge or propose.
void count_models(const train::TrainOptions& options, MemorySettings& settings) {
  for (const rewards::Term& term : train::Scoring(options).terms()) {
    const rewards::Needs& needs = rewards::rewards().find(term.name).needs;
    const rewards::Votes votes = needs.votes;
    if (needs.proposer) ++settings.other_policies;
    if (needs.proposer && options.loss.kl_coefficient > 0) ++settings.frozen_models;  // what it began as
    if (needs.verdicts && train::is_other_model(options.verifier)) ++settings.frozen_models;
    if (votes == rewards::Votes::kTeacher) ++settings.averaged_models;
    if (votes == rewards::Votes::kPolicies)
      settings.frozen_models += static_cast<std::int64_t>(options.evidence.voters.size());
  }
}

MemorySettings settings_of(const train::TrainOptions& options, const Lengths& length) {
  constexpr std::int64_t kBaseVotes = 16;  // train/held_out.cpp
  MemorySettings settings = {.prompts = options.prompts,
                             .samples = std::max(options.samples, options.evidence.votes),
                             .other_sequences = std::max(options.eval_problems, options.watch_problems) *
                                                std::max(options.eval_samples, kBaseVotes),
                             .prompt_tokens = length.prompt,
                             .response_tokens = length.response,
                             .token_budget = options.token_budget,
                             .checkpoint_activations = options.memory.checkpoint_activations,
                             .precision = train::precision_of(options.memory.precision),
                             .lora = train::lora_options(options.memory, options.seed)};
  count_models(options, settings);
  return settings;
}

/// One way to need less: flags, and what they make of the settings.
struct Remedy {
  std::string flags;
  std::function<void(MemorySettings&)> apply;
};

/// The cheapest first: what costs time before what changes the run.
std::vector<Remedy> remedies(const MemorySettings& now) {
  std::vector<Remedy> all;
  const std::int64_t smallest = now.prompt_tokens + now.response_tokens;
  if (smallest < now.token_budget) {
    all.push_back({fmt::format("--token-budget {}", smallest), [=](MemorySettings& s) { s.token_budget = smallest; }});
  }
  if (!now.checkpoint_activations) {
    all.push_back({"--checkpoint-activations", [](MemorySettings& s) { s.checkpoint_activations = true; }});
  }
  if (now.other_sequences > now.prompts * now.samples) {
    const std::int64_t problems = std::max<std::int64_t>(1, now.prompts * now.samples / 16);
    all.push_back({fmt::format("--eval-problems {} --eval-samples 4", problems),
                   [=](MemorySettings& s) { s.other_sequences = problems * 16; }});
  }
  if (now.prompts > 8) {
    const std::int64_t prompts = std::max<std::int64_t>(8, now.prompts / 4);
    all.push_back({fmt::format("--prompts {}", prompts), [=](MemorySettings& s) { s.prompts = prompts; }});
  }
  if (now.response_tokens > 256) {
    const std::int64_t tokens = std::max<std::int64_t>(256, now.response_tokens / 4);
    all.push_back({fmt::format("--max-new-tokens {}", tokens), [=](MemorySettings& s) { s.response_tokens = tokens; }});
  }
  if (now.lora.rank == 0) {
    all.push_back({"--lora-rank 16", [](MemorySettings& s) { s.lora = train::lora_options({.lora_rank = 16}, 0); }});
  }
  // Weights that are trained need masters as well, so that it saves where most are frozen.
  if (now.precision == engine::Precision::kFloat32) {
    all.push_back({"--precision bfloat16", [](MemorySettings& s) { s.precision = engine::Precision::kBFloat16; }});
  }
  return all;
}

void print(const std::vector<MemoryUse>& uses) {
  for (const MemoryUse& use : uses) fmt::print("  {:<30} {:>12}   {}\n", use.name, size_text(use.bytes), use.how);
}

base::Json json_of(const std::vector<MemoryUse>& uses) {
  base::Json object = base::Json::object();
  for (const MemoryUse& use : uses) object[use.name] = use.bytes;
  return object;
}

struct Advice {
  std::vector<std::pair<std::string, std::int64_t>> steps;  ///< flags, and the peak once they are added to those before
  bool fits = false;
};

Advice advise(const engine::ModelConfig& config, MemorySettings settings, std::int64_t free) {
  Advice advice;
  std::int64_t peak = engine::plan_memory(config, settings).peak();
  for (const Remedy& remedy : remedies(settings)) {
    if (peak <= free) break;
    MemorySettings changed = settings;
    remedy.apply(changed);
    const std::int64_t with = engine::plan_memory(config, changed).peak();
    if (with >= peak) continue;
    settings = changed;
    peak = with;
    advice.steps.emplace_back(remedy.flags, peak);
  }
  advice.fits = peak <= free;
  return advice;
}

int run(train::TrainOptions options, std::int64_t prompt_tokens, bool json) {
  // A config.json by itself will do: neither weights nor a tokenizer need be there.
  const bool is_file = std::filesystem::is_regular_file(options.model);
  const std::filesystem::path folder =
      is_file ? std::filesystem::path(options.model).parent_path() : train::resolve_model(options.model);
  if (is_file && std::filesystem::path(options.model).filename() != "config.json") {
    base::user_error("plan", "{}, want a model folder, a config.json, or an embedded model's name", options.model);
  }
  const engine::ModelConfig config = engine::read_model_config(folder);
  const Lengths length = lengths(options, {folder, prompt_tokens});
  const MemorySettings settings = settings_of(options, length);
  const MemoryPlan plan = engine::plan_memory(config, settings);
  const std::int64_t free = free_memory();
  const bool too_long = length.prompt + length.response > config.max_position_embeddings;
  const Advice advice = advise(config, settings, free);
  if (json) {
    base::Json steps = base::Json::array();
    for (const auto& [flags, peak] : advice.steps) steps.push_back({{"flags", flags}, {"peak_bytes", peak}});
    fmt::print("{}\n", base::to_json_line({{"architecture", config.architecture},
                                           {"parameters", plan.parameters},
                                           {"trained_parameters", plan.trained},
                                           {"prompt_tokens", length.prompt},
                                           {"response_tokens", length.response},
                                           {"micro_batch_rows", plan.micro_batch_rows},
                                           {"sequences_at_once", plan.sequences_at_once},
                                           {"always", json_of(plan.always)},
                                           {"rollout", json_of(plan.rollout)},
                                           {"update", json_of(plan.update)},
                                           {"peak_bytes", plan.peak()},
                                           {"free_bytes", free},
                                           {"fits", plan.peak() <= free},
                                           {"fits_context", !too_long},
                                           {"changes", steps},
                                           {"fits_with_changes", advice.fits}}));
    return 0;
  }
  fmt::print(
      "{}: {:.4g}M parameters ({})\n{} problems x {} rollouts; prompts of {} tokens ({}), responses of at most {}\n\nalways\n",
      folder.string(), static_cast<double>(plan.parameters) / 1e6, config.architecture, options.prompts,
      options.samples, length.prompt, length.how, length.response);
  print(plan.always);
  fmt::print("while sampling\n");
  print(plan.rollout);
  fmt::print("in the update (micro-batches of at most {} rows)\n", plan.micro_batch_rows);
  print(plan.update);
  fmt::print("\n  {:<30} {:>12}\n  {:<30} {:>12}\n", "peak", size_text(plan.peak()), "free on this machine",
             size_text(free));
  if (too_long) {
    fmt::print(
        "\nPrompt and response together are {} tokens, more than the model's context of {}: the run would be refused.\n",
        length.prompt + length.response, config.max_position_embeddings);
  }
  if (plan.peak() <= free) {
    fmt::print("\nIt fits.\n");
    return 0;
  }
  fmt::print("\nIt does not fit: {} too much.{}\n", size_text(plan.peak() - free),
             advice.steps.empty() ? " No setting changes that." : " What to change, one after another:");
  for (const auto& [flags, peak] : advice.steps) fmt::print("  {:<42} then {}\n", flags, size_text(peak));
  if (!advice.fits) fmt::print("Even so it does not fit: want a machine with more memory, or a smaller model.\n");
  return 0;
}

const base::Registrar kRegistered(
    commands(), "plan",
    Command{
        "the memory of a training run before it starts, and what to change to fit",
        "  whet plan sort-strong\n"
        "  whet plan Qwen3-0.6B/config.json --prompt-tokens 200 --max-new-tokens 2048 --samples 16\n"
        "  whet plan DIR --problems math.jsonl --task file --max-new-tokens 1024 --json\n"
        "Takes the options of 'whet train'. Reads config.json (and tokenizer.json, to count the prompts); opens no weights.",
        [](CLI::App& app) -> Run {
          auto options = std::make_shared<train::TrainOptions>();
          auto prompt_tokens = std::make_shared<std::int64_t>(0);
          auto json = std::make_shared<bool>(false);
          auto config = std::make_shared<std::string>();
          add_fields(app, *options);
          app.add_option("MODEL", options->model,
                         "a model folder, its config.json, or the name of an embedded model; as --model");
          app.add_option("--prompt-tokens", *prompt_tokens, "length of a prompt; 0: the mean of the first step's")
              ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 30))
              ->capture_default_str();
          app.add_flag("--json", *json, "one JSON object");
          add_config(app, *options, *config);
          // `config` is read while the command line is parsed, and must live until then.
          return [options, prompt_tokens, json, config] { return run(*options, *prompt_tokens, *json); };
        }});

}  // namespace
}  // namespace whet::app
