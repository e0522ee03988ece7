// whet rank: which base model is worth training? A table by Model Collapse Step, with what the base's rollouts alone foretell,
// and, on request, with the gain of a supervised run to hold all of it against.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "analysis/base_profile.h"
#include "app/command.h"
#include "app/console.h"
#include "app/json_values.h"
#include "app/mcs_runs.h"
#include "app/rank_names.h"
#include "app/sampling.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "report/facts.h"
#include "store/run.h"
#include "train/groups.h"
#include "train/interrupt.h"
#include "train/problems.h"
#include "train/text_model.h"

namespace whet::app {
namespace {

using base::Json;

constexpr const char* kPlanFile = "rank.json";
constexpr const char* kProfileFile = "profile.json";
/// Held-out measurements at the end of a supervised run whose mean is its accuracy: a single one is noisy, and the best of
/// many is too high.
constexpr std::size_t kLast = 3;

struct RankOptions {
  train::TrainOptions train;
  std::int64_t base_problems = 200;
  std::int64_t base_samples = 16;
  std::int64_t pass_k = 8;
  std::string threshold = "half-peak";
  std::int64_t seeds = 3;
};

template <class Visitor>
void visit_fields(RankOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.base_problems, "base-problems", "held-out problems on which the bases are profiled", count_from(1));
  visit(o.base_samples, "base-samples", "rollouts of each", count_from(2));
  visit(o.pass_k, "pass-k", "the k of pass@k, at most --base-samples", count_from(1));
  visit(o.threshold, "threshold", "collapsed is: reward accuracy below this, such as 1% or 0.1, or half-peak",
        anything());
  visit(o.seeds, "seeds", "runs of each model for its Model Collapse Step", count_from(1));
  // The model is what is ranked.
  visit_fields(o.train, [&](auto& value, const char* name, const char* help, const Allowed& allowed) {
    if (std::string_view(name) != "model") visit(value, name, help, allowed);
  });
}

struct Arguments {
  RankOptions options;
  std::vector<std::string> models;
  std::string out;
  bool no_training = false;
  bool measure_gain = false;
  bool json = false;
};

struct Gain {
  double base = 0, end = 0;
  std::int64_t training_tokens = 0;
  double seconds = 0;
  double value() const { return end - base; }
};

struct Row {
  std::string name;  ///< as short as keeps the models apart
  std::string model;
  std::filesystem::path folder;
  analysis::BaseProfile profile;
  std::optional<McsOutcome> mcs;
  std::optional<Gain> gain;
};

// ---- what is done once and kept

Json profile_json(const analysis::BaseProfile& profile) {
  return {{"problems", profile.problems},
          {"rollouts", profile.rollouts},
          {"k", profile.k},
          {"avg", estimate_json(profile.avg)},
          {"pass", estimate_json(profile.pass)},
          {"majority_right", estimate_json(profile.majority_right)},
          {"sharpening_gain", estimate_json(profile.sharpening_gain)},
          {"supervised_gain", estimate_json(profile.supervised_gain)}};
}

/// Samples a base, or reads the counts of an earlier call: problems in the order of the task, answers by class.
std::vector<theory::ProblemCounts> base_counts(const RankOptions& options, const Row& row) {
  const auto kept = row.folder / kProfileFile;
  std::vector<theory::ProblemCounts> counts;
  if (!row.folder.empty() && std::filesystem::exists(kept)) {
    for (const Json& problem : base::read_json_file(kept)) {
      counts.push_back({.answers = problem.at("answers").get<std::vector<std::int64_t>>(),
                        .absent = problem.at("absent").get<std::int64_t>(),
                        .right = problem.at("right").get<std::vector<bool>>()});
    }
    return counts;
  }
  const auto folder = train::resolve_model(row.model);
  const auto task = train::make_task(options.train.source, folder);
  train::require_labels(*task, tasks::Split::kHeldOut, "rank");
  const auto problems = train::held_out_problems(*task, options.base_problems);
  train::TextModel model = train::open_text_model(
      folder,
      train::asking_options(options.train.threads, options.train.memory.precision, options.train.memory.device));
  counts = sample_counts(row.name, model, *task, problems, options.base_samples, options.train.sampling,
                         base::combine({static_cast<std::uint64_t>(options.train.seed), base::hash_text("rank")}));
  if (row.folder.empty()) return counts;
  Json lines = Json::array();
  for (const auto& problem : counts) {
    lines.push_back({{"answers", problem.answers}, {"absent", problem.absent}, {"right", problem.right}});
  }
  base::write_file(kept, base::to_json_line(lines) + "\n");
  return counts;
}

Gain read_gain(const std::filesystem::path& folder) {
  const SeedOutcome outcome = read_outcome(folder, analysis::parse_mark("half-peak"));
  if (!outcome.accuracy)
    base::user_error("rank", "{} has no held-out accuracy, want labelled problems", folder.string());
  std::vector<double> values;
  for (const auto& point : report::series_of(store::load_run(folder), "heldout_accuracy")) {
    if (point.step > 0) values.push_back(point.value);
  }
  const std::size_t count = std::min(kLast, values.size());
  if (count == 0)
    base::user_error("rank", "{} was never measured after step 0, want --eval-every at most --steps", folder.string());
  Gain gain{.base = outcome.accuracy->first, .training_tokens = outcome.training_tokens, .seconds = outcome.seconds};
  for (std::size_t i = values.size() - count; i < values.size(); ++i)
    gain.end += values[i] / static_cast<double>(count);
  return gain;
}

// ---- the folder

/// A folder is gone on with only for what it was begun with.
void check_plan(const Arguments& arguments, const std::vector<Row>& rows) {
  Json models = Json::array();
  for (const Row& row : rows)
    models.push_back(std::filesystem::absolute(train::resolve_model(row.model)).lexically_normal().string());
  RankOptions options = arguments.options;
  const Json plan = {{"models", models}, {"options", base::fields_to_json(options)}};
  const std::filesystem::path out = arguments.out;
  if (!std::filesystem::exists(out / kPlanFile)) {
    base::create_new_folder(out);
    base::write_file(out / kPlanFile, plan.dump(2) + "\n");
    return;
  }
  const Json begun = base::read_json_file(out / kPlanFile);
  if (!begun.is_object() || !begun.contains("models") || !begun.contains("options")) {
    base::user_error("rank", "{} is no plan of 'whet rank'", (out / kPlanFile).string());
  }
  if (begun.at("models") != plan.at("models")) {
    base::user_error("rank", "{} was begun with other models, want the same ones or a new folder", out.string());
  }
  for (const auto& [key, value] : plan.at("options").items()) {
    if (begun.at("options").value(key, Json()) != value) {
      base::user_error("rank", "{} was begun with --{} {}, not {}; want the same or a new folder", out.string(), key,
                       begun.at("options").value(key, Json()).dump(), value.dump());
    }
  }
}

// ---- all the work

/// Runs of one kind take about as long as each other; what is left is told from the ones that were made.
class Progress {
 public:
  explicit Progress(std::int64_t runs) : left_(runs), runs_(runs) {}

  void begin(const std::string& what) {
    print_line(fmt::format("rank: {} of {}: {}{}", runs_ - left_ + 1, runs_, what,
                           seen_ ? fmt::format("; about {} left", eta_.text(left_)) : std::string()));
    watch_ = {};
    stepped_ = false;
  }
  /// Steps of the current run; a run that was finished before has none, and says nothing of the others' time.
  void step(const train::StepReport& report) {
    stepped_ = true;
    print_transient(fmt::format("  step {} of {}", report.step, report.steps));
  }
  void end(std::int64_t runs = 1) {
    if (stepped_) {
      eta_.step(watch_.seconds());
      seen_ = true;
    }
    left_ -= runs;
  }

 private:
  Eta eta_;
  base::Stopwatch watch_;
  std::int64_t left_, runs_;
  bool seen_ = false, stepped_ = false;
};

/// False when interrupted.
bool train_rows(const Arguments& arguments, std::vector<Row>& rows) {
  const RankOptions& options = arguments.options;
  const auto mark = analysis::parse_mark(options.threshold);
  const auto models = static_cast<std::int64_t>(rows.size());
  Progress progress(models * (options.seeds + (arguments.measure_gain ? 1 : 0)));
  const train::Observer look = [&](const train::StepReport& report) {
    progress.step(report);
    return true;
  };
  for (Row& row : rows) {
    std::vector<SeedOutcome> finished;
    for (std::int64_t index = 0; index < options.seeds; ++index) {
      if (is_settled(finished, options.seeds, options.train.steps)) {
        progress.end(options.seeds - index);
        break;
      }
      train::TrainOptions trained = options.train;
      trained.model = row.model;
      trained.seed += index;
      progress.begin(fmt::format("{}, {}, seed {}", row.name, trained.reward, trained.seed));
      const auto outcome = measure_seed(trained, row.folder / fmt::format("seed-{}", trained.seed), mark, finished,
                                        options.seeds, {}, look);
      if (!outcome) return false;
      progress.end();
      finished.push_back(*outcome);
    }
    row.mcs = summarise_seeds(std::move(finished), options.seeds, options.train.steps);
    if (!arguments.measure_gain) continue;
    train::TrainOptions trained = options.train;
    trained.model = row.model;
    trained.reward = "ground-truth";
    progress.begin(fmt::format("{}, ground-truth", row.name));
    if (!complete_run(trained, row.folder / "labels", {}, look)) return false;
    progress.end();
    row.gain = read_gain(row.folder / "labels");
  }
  return true;
}

// ---- what comes out

/// A predictor of the gain, and its value for a row.
struct Predictor {
  const char* name;
  const char* key;
  double (*value)(const Row&);
};

constexpr Predictor kPredictors[] = {
    {"MCS", "mcs", [](const Row& row) { return row.mcs->order(); }},
    {"pass@k", "pass", [](const Row& row) { return row.profile.pass.value; }},
    {"majority right", "majority_right", [](const Row& row) { return row.profile.majority_right.value; }},
    {"sharpening gain foretold", "sharpening_gain", [](const Row& row) { return row.profile.sharpening_gain.value; }},
    {"supervised gain foretold", "supervised_gain", [](const Row& row) { return row.profile.supervised_gain.value; }},
    {"base avg", "avg", [](const Row& row) { return row.profile.avg.value; }},
};

using Value = std::function<double(const Row&)>;

std::vector<double> column(const std::vector<Row>& rows, const Value& value) {
  std::vector<double> values;
  for (const Row& row : rows) values.push_back(value(row));
  return values;
}

/// Rank correlations of everything with an outcome.
Json correlations_json(const std::vector<Row>& rows, const Value& outcome, std::uint64_t seed, bool without_mcs) {
  Json object = Json::object();
  const auto outcomes = column(rows, outcome);
  for (const Predictor& predictor : kPredictors) {
    if (without_mcs && std::string_view(predictor.key) == "mcs") continue;
    const auto found = analysis::rank_correlation(column(rows, predictor.value), outcomes, seed);
    object[predictor.key] =
        found ? Json{{"rho", found->value}, {"low", found->low}, {"high", found->high}, {"p", found->p_value}}
              : Json(nullptr);
  }
  return object;
}

void print_correlations(const char* title, const Json& object) {
  std::printf("%s (Spearman, 95 %% bootstrap over models, permutation p)\n", title);
  for (const Predictor& predictor : kPredictors) {
    const auto found = object.find(predictor.key);
    if (found == object.end()) continue;
    if (found->is_null()) {
      std::printf("  %-26s undefined: one side does not vary, or there are fewer than 3 models\n", predictor.name);
      continue;
    }
    std::printf("  %-26s %+.2f  [%+.2f, %+.2f]  p = %.3f\n", predictor.name, found->at("rho").get<double>(),
                found->at("low").get<double>(), found->at("high").get<double>(), found->at("p").get<double>());
  }
}

std::string spread(const analysis::Estimate& estimate) {
  return fmt::format("{:+.3f} [{:+.2f},{:+.2f}]", estimate.value, estimate.low, estimate.high);
}

Json row_json(const Row& row, std::int64_t budget) {
  Json object = {{"model", row.model}, {"name", row.name}, {"profile", profile_json(row.profile)}};
  if (row.mcs) {
    object["mcs"] = median_json(row.mcs->labelled);
    object["label_free"] = median_json(row.mcs->label_free);
    object["seeds"] = Json::array();
    for (const SeedOutcome& seed : row.mcs->seeds) object["seeds"].push_back(outcome_json(seed));
    Json cost = {
        {"tokens", row.mcs->tokens}, {"training_tokens", row.mcs->training_tokens}, {"seconds", row.mcs->seconds}};
    const auto supervised =
        row.gain ? std::optional<double>(static_cast<double>(row.gain->training_tokens)) : row.mcs->supervised_tokens;
    cost["supervised_steps"] = budget;
    cost["supervised_source"] = row.gain ? "measured" : "step 1 times the steps";
    cost["share_of_supervised"] = supervised && *supervised > 0
                                      ? Json(static_cast<double>(row.mcs->training_tokens) / *supervised)
                                      : Json(nullptr);
    object["cost"] = cost;
  }
  if (row.gain) {
    object["gain"] = {{"base", row.gain->base},
                      {"end", row.gain->end},
                      {"value", row.gain->value()},
                      {"training_tokens", row.gain->training_tokens},
                      {"seconds", row.gain->seconds}};
  }
  return object;
}

void print_rows(const std::vector<Row>& rows, const Arguments& arguments) {
  const RankOptions& options = arguments.options;
  std::size_t width = 5;
  for (const Row& row : rows) width = std::max(width, row.name.size());
  const auto most = [&](const char* text) { return fmt::format("{:<{}}", text, width); };
  std::printf("%s   avg  pass@%-2lld  maj right  sharpening foretold    labels foretold      ", most("model").c_str(),
              static_cast<long long>(options.pass_k));
  if (!arguments.no_training) std::printf("     MCS            range  label-free  cost");
  if (arguments.measure_gain) std::printf("  gain with labels");
  std::printf("\n");
  for (const Row& row : rows) {
    const auto& profile = row.profile;
    std::printf("%s %.3f    %.3f      %.3f  %s  %s", most(row.name.c_str()).c_str(), profile.avg.value,
                profile.pass.value, profile.majority_right.value, spread(profile.sharpening_gain).c_str(),
                spread(profile.supervised_gain).c_str());
    if (row.mcs) {
      const Json cost = row_json(row, options.train.steps)["cost"]["share_of_supervised"];
      std::printf("  %7s  %15s  %10s  %4s", median_text(row.mcs->labelled).c_str(),
                  range_text(row.mcs->labelled).c_str(), median_text(row.mcs->label_free).c_str(),
                  cost.is_null() ? "-" : fmt::format("{:.2f}", cost.get<double>()).c_str());
    }
    if (row.gain) std::printf("  %+.3f to %.3f", row.gain->value(), row.gain->end);
    std::printf("\n");
  }
}

int run(const Arguments& arguments) {
  const RankOptions& options = arguments.options;
  if (arguments.models.size() < 2) base::user_error("rank", "{} models, want at least two", arguments.models.size());
  if (arguments.no_training && arguments.measure_gain) {
    base::user_error("rank", "--measure-gain beside --no-training, want one of them: a gain is measured by training");
  }
  if (!arguments.no_training && arguments.out.empty()) {
    base::user_error("rank", "no --out, want the folder of the runs (or --no-training)");
  }
  if (options.pass_k > options.base_samples) {
    base::user_error("pass-k", "{}, want at most --base-samples {}", options.pass_k, options.base_samples);
  }
  analysis::parse_mark(options.threshold);
  refuse_guard(options.train, "rank");
  std::vector<Row> rows;
  const auto names = short_names(arguments.models);
  for (std::size_t i = 0; i < arguments.models.size(); ++i) {
    rows.push_back({.name = names[i], .model = arguments.models[i]});
    train::require_labels(*train::make_task(options.train.source, train::resolve_model(rows[i].model)),
                          arguments.no_training ? tasks::Split::kHeldOut : tasks::Split::kTrain, "rank");
  }
  if (!arguments.out.empty()) {
    check_plan(arguments, rows);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].folder = std::filesystem::path(arguments.out) / folder_name(i, rows[i].name);
      std::filesystem::create_directories(rows[i].folder);
    }
  }
  const auto seed = static_cast<std::uint64_t>(options.train.seed);
  train::listen_for_interrupt();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (train::interrupted()) break;
    print_line(fmt::format("rank: base {} of {}: {}", i + 1, rows.size(), rows[i].name));
    rows[i].profile = analysis::base_profile(base_counts(options, rows[i]), static_cast<int>(options.pass_k), seed);
  }
  if (train::interrupted() || (!arguments.no_training && !train_rows(arguments, rows))) {
    print_line(arguments.out.empty()
                   ? "interrupted"
                   : fmt::format("interrupted; saved. Go on with the same command: --out {}", arguments.out));
    return 130;
  }
  print_transient("");
  // Later collapse first; what did not collapse, and what cannot, is told apart by the share of right majorities.
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    const double first = a.mcs ? a.mcs->order() : 0, second = b.mcs ? b.mcs->order() : 0;
    return first != second ? first > second : a.profile.majority_right.value > b.profile.majority_right.value;
  });

  Json object = {{"task", train::source_name(options.train.source)},
                 {"threshold", options.threshold},
                 {"steps", options.train.steps}};
  object["models"] = Json::array();
  for (const Row& row : rows) object["models"].push_back(row_json(row, options.train.steps));
  const auto gain = [](const Row& row) { return row.gain->value(); };
  const auto closed = [](const Row& row) { return row.gain->base < 1 ? row.gain->value() / (1 - row.gain->base) : 0; };
  if (!arguments.no_training) {
    object["correlations"]["with_mcs"] =
        correlations_json(rows, [](const Row& row) { return row.mcs->order(); }, seed, true);
  }
  if (arguments.measure_gain) {
    object["correlations"]["with_gain"] = correlations_json(rows, gain, seed, false);
    object["correlations"]["with_share_of_missing"] = correlations_json(rows, closed, seed, false);
    const auto difference = analysis::correlation_difference(
        column(rows, kPredictors[0].value), column(rows, kPredictors[1].value), column(rows, gain), seed);
    object["correlations"]["mcs_minus_pass"] = estimate_json(difference);
  }
  if (!arguments.out.empty()) {
    base::write_file(std::filesystem::path(arguments.out) / "table.json", object.dump(2) + "\n");
  }
  if (arguments.json) {
    std::printf("%s\n", base::to_json_line(object).c_str());
    return 0;
  }
  print_rows(rows, arguments);
  if (arguments.no_training) {
    std::printf(
        "by right majorities, which foretell the order of Model Collapse Steps where bases differ much, and no step: whet mcs "
        "measures it\n");
  } else {
    print_correlations("order by MCS", object["correlations"]["with_mcs"]);
  }
  if (arguments.measure_gain) {
    print_correlations("gain with labels", object["correlations"]["with_gain"]);
    print_correlations("gain with labels, as a share of what the base lacked",
                       object["correlations"]["with_share_of_missing"]);
    if (const Json& difference = object["correlations"]["mcs_minus_pass"]; !difference.is_null()) {
      std::printf("MCS minus pass@%lld, correlation with the gain: %+.2f  [%+.2f, %+.2f]\n",
                  static_cast<long long>(options.pass_k), difference["value"].get<double>(),
                  difference["low"].get<double>(), difference["high"].get<double>());
    }
  }
  return 0;
}

const base::Registrar kRegistered(
    commands(), "rank",
    Command{"order base models by Model Collapse Step, beside what their rollouts alone foretell",
            "  whet rank sort-weak sort-medium sort-strong --task sort --no-training\n"
            "  whet rank sort-weak sort-medium sort-strong --task sort --out runs/rank\n"
            "  whet rank DIR1 DIR2 DIR3 --problems problems.jsonl --seeds 1 --measure-gain --out runs/rank --json\n"
            "The same command goes on with a folder that it has begun.",
            [](CLI::App& app) -> Run {
              auto arguments = std::make_shared<Arguments>();
              app.add_option("models", arguments->models, "Hugging Face folders, or names of embedded base models");
              arguments->options.train.average_kept = 1;  // nobody keeps the models of a measurement
              add_fields(app, arguments->options);
              app.add_option("--out", arguments->out, "folder of the runs; gone on with when this command began it");
              app.add_flag("--no-training", arguments->no_training, "only what the bases' rollouts foretell");
              app.add_flag("--measure-gain", arguments->measure_gain,
                           "also train each on labels, and correlate its gain with everything");
              app.add_flag("--json", arguments->json, "one JSON object on standard output");
              return [arguments] { return run(*arguments); };
            }});

}  // namespace
}  // namespace whet::app
