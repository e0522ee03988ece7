// whet_bench: seconds, tokens and share of the machine's ceiling of RL and pre-training steps. docs/performance.md says what
// the figures mean; scripts/bench runs this beside the same work in plain PyTorch.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "bench/machine.h"
#include "bench/work.h"

namespace whet::bench {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// A config.json on its own, read as strictly as a model folder's.
engine::ModelConfig config_of(const std::string& file) {
  std::string name = (std::filesystem::temp_directory_path() / "whet-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) base::run_error("bench", "cannot create {}", name);
  const std::filesystem::path folder = name;
  struct Removed {
    const std::filesystem::path& path;
    ~Removed() { std::filesystem::remove_all(path); }
  } removed{folder};
  base::write_file(folder / "config.json", base::read_file(file));
  return engine::read_model_config(folder);
}

/// The products of one row-parallel pass: those of a layer, and the head.
std::vector<Gemm> products(const engine::ModelConfig& c, std::int64_t rows) {
  const std::int64_t q = c.num_attention_heads * c.head_dim, k = c.num_key_value_heads * c.head_dim;
  std::vector<Gemm> all;
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    all.insert(all.end(), {{rows, c.hidden_size, q + 2 * k}, {rows, q, c.hidden_size}, {rows, c.hidden_size, 2 * c.intermediate_size},
                           {rows, c.intermediate_size, c.hidden_size}});
  }
  all.push_back({rows, c.hidden_size, c.vocab_size});
  return all;
}

base::Json measure(const Options& options) {
  const engine::EngineOptions engine_options{.threads = options.threads};
  const auto model = options.model.empty() ? engine::new_model(config_of(options.config), options.seed, engine_options)
                                           : engine::open_model(options.model, engine_options);
  const SortTask task(options, model->config());
  std::vector<double> seconds, sampled, trained, packed, rollout_flops, update_flops, rollout_seconds, update_seconds;
  std::map<std::string, std::vector<double>> phases;
  for (int step = 0; step < options.warm_up + options.steps; ++step) {
    const engine::PhaseSeconds before = model->phase_seconds();
    const auto start = std::chrono::steady_clock::now();
    const StepCount count = run_step(*model, task, options, static_cast<std::uint64_t>(step));
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const engine::PhaseSeconds after = model->phase_seconds();
    if (step < options.warm_up) continue;
    const double rollout = after.prefill - before.prefill + after.decode - before.decode + after.sampling - before.sampling;
    const double update = after.forward - before.forward + after.backward - before.backward + after.optimizer - before.optimizer;
    if (options.mode != "pretrain") {
      phases["prefill"].push_back(after.prefill - before.prefill);
      phases["decode"].push_back(after.decode - before.decode);
      phases["sampling"].push_back(after.sampling - before.sampling);
    }
    if (options.mode != "rollout") {
      phases["forward"].push_back(after.forward - before.forward);
      phases["backward"].push_back(after.backward - before.backward);
      phases["optimizer"].push_back(after.optimizer - before.optimizer);
    }
    phases["other"].push_back(took - rollout - update);
    seconds.push_back(took);
    rollout_seconds.push_back(rollout);
    update_seconds.push_back(update);
    sampled.push_back(static_cast<double>(count.sampled));
    trained.push_back(static_cast<double>(count.trained));
    packed.push_back(static_cast<double>(count.packed));
    rollout_flops.push_back(count.rollout_flops);
    update_flops.push_back(count.update_flops);
  }
  base::Json report;
  report["program"] = "whetstone";
  report["versions"] = engine::engine_versions();
  report["mode"] = options.mode;
  report["model"] = options.model.empty() ? options.config : options.model;
  report["parameters"] = model->parameter_count();
  report["steps"] = options.steps;
  report["step_seconds"] = median(seconds);
  report["fastest_step_seconds"] = *std::min_element(seconds.begin(), seconds.end());
  for (const auto& [phase, values] : phases) report["phase_seconds"][phase] = median(values);
  report["peak_memory_bytes"] = peak_memory();
  // Ceilings, after the peak of memory was read: they allocate too.
  const double peak = gemm_peak();
  report["gemm_peak_flops"] = peak;
  report["memory_bytes_per_second"] = memory_bandwidth();
  const auto share = [&](const char* name, const std::vector<double>& flops, const std::vector<double>& times, double rows) {
    const double rate = median(flops) / median(times), shape_peak = gemm_rate(products(model->config(), static_cast<std::int64_t>(std::max(1.0, rows))));
    report[std::string(name) + "_flops"] = median(flops);
    report[std::string(name) + "_flops_per_second"] = rate;
    report[std::string(name) + "_share_of_peak"] = rate / peak;
    report[std::string(name) + "_shape_peak_flops"] = shape_peak;
    report[std::string(name) + "_share_of_shape_peak"] = rate / shape_peak;
  };
  if (options.mode != "pretrain") {
    report["sampled_tokens"] = median(sampled);
    report["sampled_tokens_per_second"] = median(sampled) / median(rollout_seconds);
    report["mean_response_tokens"] = median(sampled) / (options.problems * options.samples);
    share("rollout", rollout_flops, rollout_seconds, median(sampled) / options.max_new_tokens);
  }
  if (options.mode != "rollout") {
    report["trained_tokens"] = median(trained);
    report["packed_rows"] = median(packed);
    report["trained_tokens_per_second"] = median(trained) / median(update_seconds);
    share("update", update_flops, update_seconds, median(packed));
  }
  return report;
}

void print(const base::Json& r) {
  fmt::print("{} of {} ({} parameters; {})\n", r["mode"].get<std::string>(), r["model"].get<std::string>(), r["parameters"].get<std::int64_t>(),
             r["versions"].get<std::string>());
  fmt::print("  step {:.4f} s (fastest {:.4f}), peak memory {:.0f} MiB\n  ", r["step_seconds"].get<double>(),
             r["fastest_step_seconds"].get<double>(), r["peak_memory_bytes"].get<double>() / (1 << 20));
  for (const auto& [phase, value] : r["phase_seconds"].items()) fmt::print("{} {:.4f}  ", phase, value.get<double>());
  fmt::print("\n  machine: product of 2048 x 2048 {:.1f} GFLOP/s, copy {:.1f} GB/s\n", r["gemm_peak_flops"].get<double>() / 1e9,
             r["memory_bytes_per_second"].get<double>() / 1e9);
  const auto line = [&](const char* name, const char* tokens, const char* rate) {
    const std::string n = name;
    if (!r.contains(n + "_flops")) return;
    fmt::print("  {:8s} {:6.0f} tokens, {:8.0f} tokens/s, {:6.2f} GFLOP at {:6.1f} GFLOP/s: {:4.1f} % of that peak, {:4.1f} % of {:.1f} at its shapes\n",
               name, r[tokens].get<double>(), r[rate].get<double>(), r[n + "_flops"].get<double>() / 1e9,
               r[n + "_flops_per_second"].get<double>() / 1e9, 100 * r[n + "_share_of_peak"].get<double>(),
               100 * r[n + "_share_of_shape_peak"].get<double>(), r[n + "_shape_peak_flops"].get<double>() / 1e9);
  };
  line("rollout", "sampled_tokens", "sampled_tokens_per_second");
  line("update", "trained_tokens", "trained_tokens_per_second");
}

int run(int argc, char** argv) {
  Options options;
  bool json = false;
  CLI::App app("Times RL and pre-training steps on the sorting task, and the machine's ceilings. Without --config and --model: "
               "the models of bench/peers/configs, RL and pre-training, one process each.");
  auto* config = app.add_option("--config", options.config, "a config.json; weights are random");
  app.add_option("--model", options.model, "a model folder whose tokenizer has the task's characters")->excludes(config);
  app.add_option("--mode", options.mode, "")->check(CLI::IsMember({"rl", "rollout", "pretrain"}))->capture_default_str();
  app.add_option("--reward", options.reward, "random: a coin, so that weights of no skill have something to train on")
      ->check(CLI::IsMember({"random", "majority-vote"}))->capture_default_str();
  app.add_option("--steps", options.steps, "steps that are timed")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--warm-up", options.warm_up, "steps before them")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--problems", options.problems, "problems of an RL step")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--samples", options.samples, "rollouts of a problem")->check(CLI::Range(2, 1 << 20))->capture_default_str();
  app.add_option("--max-new-tokens", options.max_new_tokens, "")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--batch", options.batch, "documents of a pre-training step")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--token-budget", options.token_budget, "rows of a micro-batch")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--learning-rate", options.learning_rate, "")->capture_default_str();
  app.add_option("--threads", options.threads, "0: one per core")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--seed", options.seed, "")->capture_default_str();
  app.add_flag("--json", json, "print one JSON object instead of a table");
  CLI11_PARSE(app, argc, argv);
  if (!options.config.empty() || !options.model.empty()) {
    const base::Json report = measure(options);
    if (json) {
      fmt::print("{}\n", base::to_json_line(report));
    } else {
      print(report);
    }
    return 0;
  }
  // A process for each, so that one's peak of memory is not another's.
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  for (const char* name : {"recipe", "10m"}) {
    for (const char* mode : {"rl", "pretrain"}) {
      std::fflush(stdout);
      const std::string command = fmt::format("'{}' --config '{}/bench/peers/configs/{}.json' --mode {} --threads {} --steps {}{}",
                                              self.string(), WHET_SOURCE_DIR, name, mode, options.threads,
                                              options.steps, json ? " --json" : "");
      if (std::system(command.c_str()) != 0) return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace whet::bench

int main(int argc, char** argv) {
  try {
    return whet::bench::run(argc, argv);
  } catch (const whet::base::UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "[bench] {}\n", error.what());
    return 1;
  }
}
