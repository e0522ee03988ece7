// whet bench: where the time of a step goes, and how near each phase comes to what the machine can do at best.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

#include "app/bench_work.h"
#include "app/command.h"
#include "app/console.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "engine/machine.h"
#include "store/run.h"
#include "tokenizer/tokenizer.h"
#include "train/text_model.h"

namespace whet::app {
namespace {

using base::Json;
using base::Phase;

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

struct Subject {
  std::string name;
  std::string folder;  ///< empty: random weights
  std::int64_t vocabulary = 0;
  std::unique_ptr<engine::Model> model;
};

Subject open_subject(const BenchOptions& options, base::Profile* profile) {
  Subject subject{options.config, {}, 0, nullptr};
  engine::EngineOptions engine{.threads = static_cast<int>(options.threads),
                               .device = options.device,
                               .precision = train::precision_of(options.precision),
                               .is_frozen = options.mode == "rollout",
                               .profile = profile};
  if (!options.config.empty()) {
    subject.model = engine::new_model(config_of(options.config), static_cast<std::uint64_t>(options.seed), engine);
    subject.vocabulary = subject.model->config().vocab_size;
    return subject;
  }
  subject.folder = train::resolve_model(options.model.empty() ? "sort-strong" : options.model).string();
  subject.name = options.model.empty() ? "sort-strong" : options.model;
  train::TextModel opened = train::open_text_model(subject.folder, engine);
  subject.vocabulary = opened.tokenizer.vocab_size();
  subject.model = std::move(opened.model);
  return subject;
}

/// Seconds, work and products of a phase in the median step.
struct PhaseFigures {
  base::Cost cost;
  double rows = 0;  ///< of its products; 0: it has none
};

/// The entry of a phase, or of several together, in the report. Without ceilings: on a GPU, whose own are not measured.
Json describe(const PhaseFigures& figures, const std::optional<engine::Ceilings>& ceilings, double step_seconds,
              double shape_peak) {
  const base::Cost& cost = figures.cost;
  Json entry = {{"seconds", cost.seconds}, {"share_of_step", cost.seconds / step_seconds}};
  if (cost.work.bytes <= 0) return entry;
  entry["flops"] = cost.work.flops;
  entry["bytes"] = cost.work.bytes;
  entry["flops_per_second"] = cost.work.flops / cost.seconds;
  entry["bytes_per_second"] = cost.work.bytes / cost.seconds;
  if (!ceilings) return entry;
  const engine::Share share = engine::share_of(cost, *ceilings);
  entry["bound"] = share.is_memory_bound ? "memory" : "compute";
  entry["share_of_ceiling"] = share.share;
  if (shape_peak > 0) {
    entry["product_rows"] = figures.rows;
    entry["shape_peak_flops"] = shape_peak;
    entry["share_of_shape_peak"] = cost.work.flops / cost.seconds / shape_peak;
  }
  return entry;
}

engine::Ceilings measure_ceilings(Json& report, engine::Precision precision) {
  const engine::Ceilings ceilings{engine::gemm_peak(precision), engine::memory_bandwidth()};
  report["gemm_peak_flops"] = ceilings.flops_per_second;
  report["memory_bytes_per_second"] = ceilings.bytes_per_second;
  return ceilings;
}

base::Cost sum_of(const base::Costs& costs, std::initializer_list<Phase> phases) {
  base::Cost sum;
  for (const Phase phase : phases) {
    sum.seconds += base::of(costs, phase).seconds;
    sum.work += base::of(costs, phase).work;
  }
  return sum;
}

Json measure_steps(const BenchOptions& options) {
  base::Profile profile;
  const Subject subject = open_subject(options, &profile);
  engine::Model& model = *subject.model;
  const BenchTask task(options, subject.folder, model.config(), subject.vocabulary);
  std::vector<double> seconds, rollout_seconds, update_seconds;
  std::vector<base::Costs> steps;
  std::vector<StepCount> counts;
  for (std::int64_t step = 0; step < options.warm_up + options.steps; ++step) {
    print_transient(fmt::format("step {} of {}", step + 1, options.warm_up + options.steps));
    const base::Stopwatch watch;
    const StepCount count = bench_step(model, task, options, static_cast<std::uint64_t>(step), profile);
    const double took = watch.seconds();
    const base::Costs costs = profile.take();
    if (step < options.warm_up) continue;
    seconds.push_back(took);
    steps.push_back(costs);
    counts.push_back(count);
    rollout_seconds.push_back(sum_of(costs, {Phase::kPrefill, Phase::kDecode, Phase::kSampling}).seconds);
    update_seconds.push_back(sum_of(costs, {Phase::kForward, Phase::kBackward, Phase::kOptimizer}).seconds);
  }
  const auto middle = [&](auto value_of) {
    std::vector<double> values;
    for (std::size_t i = 0; i < steps.size(); ++i) values.push_back(value_of(steps[i], counts[i]));
    return median(values);
  };
  base::Costs medians;
  for (std::size_t phase = 0; phase < medians.size(); ++phase) {
    const auto of = [&](auto field) {
      return middle([&](const base::Costs& c, const StepCount&) { return field(c[phase]); });
    };
    medians[phase] = {
        of([](const base::Cost& c) { return c.seconds; }),
        {of([](const base::Cost& c) { return c.work.flops; }), of([](const base::Cost& c) { return c.work.bytes; })},
        static_cast<std::int64_t>(of([](const base::Cost& c) { return static_cast<double>(c.spans); }))};
  }
  const auto token_median = [&](std::int64_t StepCount::* field) {
    return middle([&](const base::Costs&, const StepCount& count) { return static_cast<double>(count.*field); });
  };
  const double step_seconds = median(seconds);
  Json report = {{"program", "whetstone"},
                 {"versions", engine::engine_versions()},
                 {"mode", options.mode},
                 {"model", subject.name},
                 {"parameters", model.parameter_count()},
                 {"precision", options.precision},
                 {"steps", options.steps},
                 {"step_seconds", step_seconds},
                 {"fastest_step_seconds", *std::min_element(seconds.begin(), seconds.end())},
                 {"peak_memory_bytes", engine::peak_memory()}};
  for (std::size_t phase = 0; phase < medians.size(); ++phase) {
    if (medians[phase].spans > 0) report["phase_seconds"][base::kPhaseNames[phase]] = medians[phase].seconds;
  }
  // Ceilings, after the peak of memory was read: they allocate too.
  std::optional<engine::Ceilings> ceilings;
  report["device"] = options.device;
  if (options.device == "cpu") {
    print_transient("measuring the machine");
    ceilings = measure_ceilings(report, train::precision_of(options.precision));
  }
  const double prompted = token_median(&StepCount::prompted), sampled = token_median(&StepCount::sampled);
  const double packed = token_median(&StepCount::packed);
  const auto shape_peak = [&](double rows) {
    if (!(rows >= 1) || !ceilings) return 0.0;
    return engine::gemm_rate(engine::products(model.config(), subject.vocabulary, static_cast<std::int64_t>(rows)),
                             train::precision_of(options.precision));
  };
  for (std::size_t i = 0; i < medians.size(); ++i) {
    if (medians[i].spans == 0) continue;
    const auto phase = static_cast<Phase>(i);
    double tokens = 0;
    if (phase == Phase::kPrefill) tokens = prompted;
    if (phase == Phase::kDecode) tokens = sampled;
    if (phase == Phase::kForward || phase == Phase::kBackward) tokens = packed;
    const PhaseFigures figures{medians[i], tokens / static_cast<double>(medians[i].spans)};
    report["phases"][base::kPhaseNames[i]] = describe(figures, ceilings, step_seconds, shape_peak(figures.rows));
  }
  const auto together = [&](const char* name, std::initializer_list<Phase> phases, const std::vector<double>& spent) {
    base::Cost cost = sum_of(medians, phases);
    cost.seconds = median(spent);
    report[name] = describe({cost, 0}, ceilings, step_seconds, 0);
  };
  if (options.mode != "pretrain") {
    together("rollout", {Phase::kPrefill, Phase::kDecode, Phase::kSampling}, rollout_seconds);
    report["sampled_tokens"] = sampled;
    report["sampled_tokens_per_second"] = sampled / median(rollout_seconds);
    report["mean_response_tokens"] = sampled / static_cast<double>(options.problems * options.samples);
  }
  if (options.mode != "rollout") {
    together("update", {Phase::kForward, Phase::kBackward, Phase::kOptimizer}, update_seconds);
    report["trained_tokens"] = token_median(&StepCount::trained);
    report["packed_rows"] = packed;
    report["trained_tokens_per_second"] = token_median(&StepCount::trained) / median(update_seconds);
  }
  together("step",
           {Phase::kPrefill, Phase::kDecode, Phase::kSampling, Phase::kForward, Phase::kBackward, Phase::kOptimizer},
           seconds);
  return report;
}

/// The phases that a run has recorded, as its mean step.
Json measure_run(const BenchOptions& options) {
  const store::Run run = store::load_run(options.run);
  base::Costs totals;
  double seconds = 0, steps = 0;
  for (const Json& line : run.timings) {
    if (!line.contains("phases")) continue;
    for (std::size_t phase = 0; phase < totals.size(); ++phase) {
      const auto found = line.at("phases").find(base::kPhaseNames[phase]);
      if (found == line.at("phases").end()) continue;
      totals[phase].seconds += found->at("seconds").get<double>();
      totals[phase].work += {found->at("flops").get<double>(), found->at("bytes").get<double>()};
      ++totals[phase].spans;
    }
    seconds += line.at("seconds").get<double>();
    ++steps;
  }
  if (steps == 0) base::user_error("run", "{}: no line with phases in {}", options.run, store::kTimingsFile);
  Json report = {{"program", "whetstone"},
                 {"run", options.run},
                 {"lines", static_cast<std::int64_t>(steps)},
                 {"step_seconds", seconds / steps}};
  // The engine is loaded by opening a model; any small one will do.
  const auto loaded = train::open_text_model(train::resolve_model("sort-strong"), static_cast<int>(options.threads));
  report["versions"] = engine::engine_versions();
  report["precision"] = run.config.value("precision", std::string("float32"));
  const engine::Ceilings ceilings =
      measure_ceilings(report, train::precision_of(report["precision"].get<std::string>()));
  for (std::size_t phase = 0; phase < totals.size(); ++phase) {
    if (totals[phase].spans == 0) continue;
    base::Cost& cost = totals[phase];
    cost.seconds /= steps;
    cost.work.flops /= steps;
    cost.work.bytes /= steps;
    report["phases"][base::kPhaseNames[phase]] = describe({cost, 0}, ceilings, seconds / steps, 0);
  }
  return report;
}

void print_row(const std::string& name, const Json& entry) {
  std::string line = fmt::format("  {:10s} {:9.5f} {:6.1f} %", name, entry.at("seconds").get<double>(),
                                 100 * entry.at("share_of_step").get<double>());
  if (entry.contains("flops")) {
    line += fmt::format(" {:10.4g} {:9.1f} {:10.4g} {:8.1f}", entry.at("flops").get<double>() / 1e9,
                        entry.at("flops_per_second").get<double>() / 1e9, entry.at("bytes").get<double>() / 1e6,
                        entry.at("bytes_per_second").get<double>() / 1e9);
  }
  if (entry.contains("bound")) {
    line += fmt::format("  {:7s} {:5.1f} %", entry.at("bound").get<std::string>(),
                        100 * entry.at("share_of_ceiling").get<double>());
  }
  if (entry.contains("shape_peak_flops")) {
    line +=
        fmt::format("  {:5.1f} % of {:.0f} GFLOP/s ({:.0f} rows)", 100 * entry.at("share_of_shape_peak").get<double>(),
                    entry.at("shape_peak_flops").get<double>() / 1e9, entry.at("product_rows").get<double>());
  }
  fmt::print("{}\n", line);
}

void print_report(const Json& r) {
  if (r.contains("run")) {
    fmt::print("{}: mean of {} lines of timings.jsonl, {:.4f} s each; on this machine ({})\n",
               r["run"].get<std::string>(), r["lines"].get<std::int64_t>(), r["step_seconds"].get<double>(),
               r["versions"].get<std::string>());
  } else {
    fmt::print("{} step of {} ({} parameters in {}; {})\n", r["mode"].get<std::string>(), r["model"].get<std::string>(),
               r["parameters"].get<std::int64_t>(), r["precision"].get<std::string>(),
               r["versions"].get<std::string>());
    fmt::print("median {:.4f} s (fastest {:.4f}), peak memory {:.0f} MiB", r["step_seconds"].get<double>(),
               r["fastest_step_seconds"].get<double>(), r["peak_memory_bytes"].get<double>() / (1 << 20));
    for (const char* kind : {"sampled", "trained"}) {
      const std::string key = std::string(kind) + "_tokens";
      if (!r.contains(key)) continue;
      fmt::print(", {:.0f} tokens {} ({:.0f}/s)", r[key].get<double>(), kind, r[key + "_per_second"].get<double>());
    }
    fmt::print("\n");
  }
  if (r.contains("gemm_peak_flops")) {
    fmt::print("machine: product of 2048 x 2048 in {} {:.1f} GFLOP/s, copy {:.1f} GB/s\n",
               r["precision"].get<std::string>(), r["gemm_peak_flops"].get<double>() / 1e9,
               r["memory_bytes_per_second"].get<double>() / 1e9);
  } else {
    fmt::print("on {}, whose ceilings are not measured; the peak of memory is the host's\n",
               r["device"].get<std::string>());
  }
  fmt::print("  {:10s} {:>9s} {:>8s} {:>10s} {:>9s} {:>10s} {:>8s}  {:7s} {:>7s}  {}\n", "phase", "seconds", "of step",
             "GFLOP", "GFLOP/s", "MB", "GB/s", "bound", "ceiling",
             r.contains("run") ? "" : "of the products at its shapes");
  for (const auto& [phase, entry] : r["phases"].items()) print_row(phase, entry);
  for (const char* whole : {"rollout", "update", "step"}) {
    if (r.contains(whole)) print_row(whole, r[whole]);
  }
}

int run(const BenchOptions& options, bool json) {
  const int given = !options.model.empty() + !options.config.empty() + !options.run.empty();
  if (given > 1) base::user_error("bench", "want one of --model, --config and --run");
  const Json report = options.run.empty() ? measure_steps(options) : measure_run(options);
  if (json) {
    fmt::print("{}\n", base::to_json_line(report));
  } else {
    print_report(report);
  }
  return 0;
}

const base::Registrar kRegistered(
    commands(), "bench",
    Command{"time a step by phase, and say how near each comes to what the machine can do",
            "  whet bench\n"
            "  whet bench --model DIR --prompt-tokens 200 --max-new-tokens 256 --problems 16\n"
            "  whet bench --config bench/peers/configs/10m.json --steps 3 --threads 2 --json\n"
            "  whet bench --run runs/vote\n"
            "Every run records its phases in timings.jsonl; --run holds them against the ceilings of this machine.",
            fields_and_json(run)});

}  // namespace
}  // namespace whet::app
