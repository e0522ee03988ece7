// whet theory: what sharpening must do, in closed form, in a small world, and foretold and checked on a model.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "analysis/evaluation.h"
#include "app/command.h"
#include "app/console.h"
#include "app/sampling.h"
#include "base/cores.h"
#include "report/problems.h"
#include "store/run.h"
#include "theory/forecast.h"
#include "theory/simulator.h"
#include "train/groups.h"
#include "train/problems.h"
#include "train/text_model.h"

namespace whet::app {
namespace {

using base::Json;
using theory::Fate;
using theory::ProblemCounts;

constexpr Fate kFates[] = {Fate::kRises, Fate::kFalls, Fate::kUndecided, Fate::kStays};

void print_json(const Json& object) { std::printf("%s\n", base::to_json_line(object).c_str()); }

// ---- path

struct PathOptions {
  double mass = 0.4;
  double beta = 10;
  std::int64_t steps = 50;
  bool json = false;
};

int path(const PathOptions& options) {
  if (options.mass <= 0 || options.mass >= 1) base::user_error("mass", "{}, want between 0 and 1", options.mass);
  if (options.steps < 1) base::user_error("steps", "{}, want >= 1", options.steps);
  Json rows = Json::array();
  const std::int64_t every = std::max<std::int64_t>(1, options.steps / 10);
  for (std::int64_t step = 0; step <= options.steps; step += every) {
    const double mass = theory::majority_mass(options.mass, options.beta, static_cast<double>(step));
    rows.push_back({{"step", step}, {"majority_mass", mass}, {"logit", theory::logit(mass)}});
  }
  if (options.json) {
    print_json({{"beta", options.beta}, {"path", rows}});
    return 0;
  }
  std::printf("majority reward, beta %g: logit p_k = logit p_0 + k / beta\n  step  majority mass    logit\n",
              options.beta);
  for (const Json& row : rows) {
    std::printf("%6lld %14.6f %8.3f\n", row["step"].get<long long>(), row["majority_mass"].get<double>(),
                row["logit"].get<double>());
  }
  return 0;
}

// ---- simulate

struct SimulateOptions {
  theory::SimulatorOptions world;
  std::string reward = "majority-vote";
  bool json = false;
};

theory::SimulatedReward simulated_reward(const std::string& name) {
  if (name == "majority-vote") return theory::SimulatedReward::kMajorityVote;
  if (name == "ground-truth") return theory::SimulatedReward::kGroundTruth;
  if (name == "semantic-entropy") return theory::SimulatedReward::kAnswerShare;
  if (name == "trajectory-entropy") return theory::SimulatedReward::kLogProbability;
  base::user_error("reward", "'{}', want majority-vote, semantic-entropy, trajectory-entropy or ground-truth", name);
}

int simulate(SimulateOptions options) {
  options.world.reward = simulated_reward(options.reward);
  const theory::Simulation run = theory::simulate(options.world);
  if (options.json) {
    Json steps = Json::array();
    for (const auto& step : run.steps) {
      steps.push_back({{"step", step.step},
                       {"accuracy", step.accuracy},
                       {"majority_right", step.majority_right},
                       {"majority_mass", step.majority_mass},
                       {"degenerate_mass", step.degenerate_mass},
                       {"sharpness", step.sharpness},
                       {"push_from_right", step.push_from_right},
                       {"push_from_wrong", step.push_from_wrong}});
    }
    print_json({{"reward", options.reward}, {"peak_step", run.peak().step}, {"steps", steps}});
    return 0;
  }
  std::printf("%lld problems of %d answers, %s\n", static_cast<long long>(options.world.problems),
              1 + options.world.own_wrong + options.world.degenerate, options.reward.c_str());
  std::printf("  step  accuracy  majority right  majority mass  degenerate mass  sharpness\n");
  const int every = std::max(1, options.world.steps / 15);
  for (const auto& step : run.steps) {
    if (step.step % every != 0 && step.step != options.world.steps) continue;
    std::printf("%6d %9.3f %15.3f %14.3f %16.3f %10.2f\n", step.step, step.accuracy, step.majority_right,
                step.majority_mass, step.degenerate_mass, step.sharpness);
  }
  double from_right = 0, from_wrong = 0;
  for (const auto& step : run.steps) {
    from_right += step.push_from_right;
    from_wrong += step.push_from_wrong;
  }
  std::printf("peak accuracy %.3f at step %d; at the end %.3f\n", run.peak().accuracy, run.peak().step,
              run.steps.back().accuracy);
  std::printf(
      "push on degenerate answers in all: %+.3f from problems whose majority was right, %+.3f from the others\n",
      from_right, from_wrong);
  return 0;
}

// ---- forecast

struct Source {
  std::string model;
  train::ProblemOptions problems;
  std::int64_t count = 100;
  std::int64_t samples = 16;
  std::int64_t seed = 0;
  train::SamplingFields sampling;
  std::int64_t threads = 0;
  bool json = false;
};

template <class Visitor>
void visit_fields(Source& o, Visitor&& visit) {
  using namespace base;
  visit(o.model, "model", "a Hugging Face folder, or the name of an embedded base model", anything());
  visit_fields(o.problems, visit);
  visit(o.count, "count", "held-out problems", count_from(1));
  visit(o.samples, "samples", "rollouts of each", count_from(2));
  visit(o.seed, "seed", "fixes the draws", at_least(0));
  visit_fields(o.sampling, visit);
  visit(o.threads, "threads", base::kThreadsHelp, count_from(0));
}

double mean_right(const std::vector<ProblemCounts>& problems) { return theory::predicted_accuracy(problems, 0); }

/// Problems by fate, and how a measured accuracy went with it (empty: nothing measured).
Json fates_json(const std::vector<ProblemCounts>& start, const std::vector<ProblemCounts>& end) {
  Json rows = Json::array();
  for (const Fate fate : kFates) {
    std::int64_t count = 0, as_foretold = 0;
    double before = 0, after = 0;
    for (std::size_t i = 0; i < start.size(); ++i) {
      if (theory::forecast(start[i]).fate != fate) continue;
      ++count;
      before += start[i].right_share();
      if (end.empty()) continue;
      const double change = end[i].right_share() - start[i].right_share();
      after += end[i].right_share();
      as_foretold += (fate == Fate::kRises && change > 0) || (fate == Fate::kFalls && change < 0) ? 1 : 0;
    }
    const double n = std::max<double>(1, static_cast<double>(count));
    Json row = {{"fate", theory::to_string(fate)}, {"problems", count}, {"accuracy", before / n}};
    if (!end.empty()) {
      row["accuracy_after"] = after / n;
      if (fate == Fate::kRises || fate == Fate::kFalls) row["as_foretold"] = as_foretold;
    }
    rows.push_back(row);
  }
  return rows;
}

int forecast(const Source& options) {
  const auto task = train::make_task(options.problems, train::resolve_model(options.model));
  train::require_labels(*task, tasks::Split::kHeldOut, "theory");
  train::TextModel model =
      train::open_text_model(train::resolve_model(options.model), static_cast<int>(options.threads));
  const auto counts = sample_counts(
      "sampling", model, *task, train::held_out_problems(*task, options.count), options.samples, options.sampling,
      base::combine({static_cast<std::uint64_t>(options.seed), base::hash_text("theory")}));
  const Json fates = fates_json(counts, {});
  Json curve = Json::array();
  for (const double shift : {0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0}) {
    curve.push_back({{"shift", shift}, {"accuracy", theory::predicted_accuracy(counts, shift)}});
  }
  const double limit = theory::limit_accuracy(counts);
  const auto interval = analysis::wilson(std::lround(limit * static_cast<double>(counts.size())),
                                         static_cast<std::int64_t>(counts.size()));
  if (options.json) {
    print_json({{"model", options.model},
                {"problems", counts.size()},
                {"samples", options.samples},
                {"accuracy", mean_right(counts)},
                {"limit", {{"value", limit}, {"low", interval.low}, {"high", interval.high}}},
                {"fates", fates},
                {"curve", curve}});
    return 0;
  }
  std::printf("%s on %s, %zu held-out problems x %lld rollouts\n", options.model.c_str(),
              train::source_name(options.problems).c_str(), counts.size(), static_cast<long long>(options.samples));
  std::printf("  fate       problems  accuracy now\n");
  for (const Json& row : fates) {
    std::printf("  %-10s %8lld %13.3f\n", row["fate"].get<std::string>().c_str(), row["problems"].get<long long>(),
                row["accuracy"].get<double>());
  }
  std::printf("  accuracy, as the logit of every majority is shifted (k / beta after k exact steps):\n");
  for (const Json& row : curve)
    std::printf("  %10.1f %8.3f\n", row["shift"].get<double>(), row["accuracy"].get<double>());
  std::printf("  limit of sharpening: %.3f  [%.3f, %.3f], the share of problems whose majority is right\n", limit,
              interval.low, interval.high);
  return 0;
}

// ---- compare

struct CompareOptions {
  std::string run;
  std::int64_t samples = 16;
  std::int64_t threads = 0;
  bool json = false;
};

int compare(const CompareOptions& options) {
  const store::Run run = store::load_run(options.run);
  train::TrainOptions trained;
  base::fields_from_json(trained, run.config, (run.folder / store::kConfigFile).string());
  const auto task = train::make_task(trained.source, train::resolve_model(trained.model));
  train::require_labels(*task, tasks::Split::kHeldOut, "theory");
  if (run.checkpoints.empty()) base::user_error("theory", "{} has no checkpoint yet, want at least one", options.run);
  // The base's answers, its vote's mass and the measured accuracy are all of the same held-out problems there.
  const auto paths = report::paths_of(run);
  if (!paths) {
    base::user_error("theory",
                     "{} has no {} with labels from its first step on (was the run made by an earlier version?)",
                     options.run, store::kHeldOutFile);
  }
  if (paths->shift.empty()) {
    base::user_error("theory",
                     "{}: the base is unanimous or without an answer on every held-out problem, want one that can be "
                     "sharpened",
                     options.run);
  }
  const auto& start = paths->base;
  const auto problems = train::held_out_problems(*task, static_cast<std::int64_t>(start.size()));
  const auto threads = static_cast<int>(options.threads);

  std::vector<report::ProblemPath> everyone = paths->right_first;
  everyone.insert(everyone.end(), paths->wrong_first.begin(), paths->wrong_first.end());
  // The only thing taken from training is how far it sharpened, and that is measured without labels.
  Json curve = Json::array();
  std::vector<theory::ShiftPoint> early;
  for (std::size_t i = 0; i < paths->shift.size(); ++i) {
    const auto [step, shift] = paths->shift[i];
    const double predicted = paths->predicted[i].value, measured = *report::mean_right(everyone, i);
    if (step > 0 && early.size() < 4) early.push_back({static_cast<double>(step), shift});
    curve.push_back({{"step", step},
                     {"base_vote_share", paths->on_vote[i].value},
                     {"shift", shift},
                     {"predicted", predicted},
                     {"measured", measured},
                     {"error", measured - predicted}});
  }
  std::optional<double> beta;
  if (!early.empty()) beta = theory::effective_beta(early);
  Json checkpoints = Json::array();
  for (const auto& checkpoint : run.checkpoints) {
    train::TextModel policy = train::open_text_model(checkpoint.path, threads);
    const auto end = sample_counts("sampling", policy, *task, problems, options.samples, trained.sampling,
                                   base::hash_text("theory policy"));
    checkpoints.push_back(
        {{"step", checkpoint.step}, {"accuracy", mean_right(end)}, {"fates", fates_json(start, end)}});
  }
  Json object = {{"run", options.run},
                 {"reward", trained.reward},
                 {"problems", problems.size()},
                 {"accuracy", mean_right(start)},
                 {"limit", theory::limit_accuracy(start)},
                 {"effective_beta", beta ? Json(*beta) : Json(nullptr)},
                 {"curve", curve},
                 {"checkpoints", checkpoints}};
  if (options.json) {
    print_json(object);
    return 0;
  }
  std::printf("%s: %s from %s, %zu held-out problems x %lld rollouts of the base\n", options.run.c_str(),
              trained.reward.c_str(), trained.model.c_str(), problems.size(),
              static_cast<long long>(start.front().rollouts()));
  std::printf("  limit of sharpening %.3f (now %.3f)", object["limit"].get<double>(), object["accuracy"].get<double>());
  if (beta) {
    std::printf("; effective beta %.1f from the first measurements\n", beta.value_or(0));
  } else {
    std::printf("; nothing sharpened in the first measurements\n");
  }
  std::printf("  step  mass on base's vote  logit shift  predicted  measured    error\n");
  for (const Json& row : curve) {
    std::printf("%6lld %20.3f %12.2f %10.3f %9.3f %+8.3f\n", row["step"].get<long long>(),
                row["base_vote_share"].get<double>(), row["shift"].get<double>(), row["predicted"].get<double>(),
                row["measured"].get<double>(), row["error"].get<double>());
  }
  for (const Json& checkpoint : checkpoints) {
    std::printf("  step %lld, problem by problem:\n", checkpoint["step"].get<long long>());
    std::printf("    foretold   problems  accuracy: base   then   went as foretold\n");
    for (const Json& row : checkpoint["fates"]) {
      const std::string told =
          row.contains("as_foretold") ? fmt::format("{}", row["as_foretold"].get<long long>()) : "-";
      std::printf("    %-10s %8lld %15.3f %6.3f   %s\n", row["fate"].get<std::string>().c_str(),
                  row["problems"].get<long long>(), row["accuracy"].get<double>(), row["accuracy_after"].get<double>(),
                  told.c_str());
    }
  }
  return 0;
}

const base::Registrar kRegistered(
    commands(), "theory",
    Command{
        "what sharpening does: in closed form, in a small world, foretold and checked on a model",
        "  whet theory path --mass 0.4 --beta 10 --steps 50\n"
        "  whet theory simulate --reward majority-vote --degenerate-mean 2\n"
        "  whet theory forecast --model sort-weak --task sort --samples 32\n"
        "  whet theory compare runs/vote\n"
        "'whet theory PART --help' shows a part's options.",
        [](CLI::App& app) -> Run {
          app.require_subcommand(1);
          auto path_options = std::make_shared<PathOptions>();
          auto simulate_options = std::make_shared<SimulateOptions>();
          auto source = std::make_shared<Source>();
          auto compare_options = std::make_shared<CompareOptions>();

          CLI::App* path_part = app.add_subcommand("path", "the majority's mass, step by step, for a beta");
          path_part->add_option("--mass", path_options->mass, "the majority's mass at the start")
              ->capture_default_str();
          path_part->add_option("--beta", path_options->beta, "weight of the divergence")->capture_default_str();
          path_part->add_option("--steps", path_options->steps, "exact steps")->capture_default_str();
          path_part->add_flag("--json", path_options->json, "one JSON object on standard output");

          CLI::App* simulate_part = app.add_subcommand(
              "simulate", "GRPO on problems that are distributions over a few answers: draws rise and fall");
          auto& world = simulate_options->world;
          const auto add = [&](const char* flag, auto& value, const char* help) {
            simulate_part->add_option(flag, value, help)->capture_default_str();
          };
          add("--reward", simulate_options->reward,
              "majority-vote, semantic-entropy, trajectory-entropy or ground-truth");
          add("--problems", world.problems, "problems of the world");
          add("--own-wrong", world.own_wrong, "wrong answers of a problem's own");
          add("--degenerate", world.degenerate, "answers that all problems share");
          add("--right-mean", world.right_mean, "mean logit of the right answer, against 0 of own wrong ones");
          add("--right-spread", world.right_spread, "its spread over problems");
          add("--wrong-spread", world.wrong_spread, "spread of own wrong answers' logits");
          add("--degenerate-mean", world.degenerate_mean, "mean logit of a degenerate answer");
          add("--degenerate-spread", world.degenerate_spread, "its spread over problems");
          add("--samples", world.samples, "rollouts of a problem in a step");
          add("--batch", world.batch, "problems in a step");
          add("--steps", world.steps, "steps");
          add("--rate", world.rate, "learning rate of logits");
          add("--generalisation", world.generalisation,
              "share of an update that goes to what all problems share, 0..1");
          add("--seed", world.seed, "fixes the draws");
          simulate_part->add_flag("--json", simulate_options->json, "one JSON object on standard output");

          CLI::App* forecast_part = app.add_subcommand(
              "forecast", "which problems will rise or fall, and where sharpening leads, from rollouts");
          add_fields(*forecast_part, *source);
          forecast_part->add_flag("--json", source->json, "one JSON object on standard output");

          CLI::App* compare_part =
              app.add_subcommand("compare", "forecast against measured training, in sum and by problem");
          compare_part->add_option("run", compare_options->run, "a run's folder")->required();
          compare_part
              ->add_option("--samples", compare_options->samples,
                           "rollouts of each held-out problem by every checkpoint")
              ->check(CLI::Range(2, 100000))
              ->capture_default_str();
          compare_part->add_option("--threads", compare_options->threads, base::kThreadsHelp)->capture_default_str();
          compare_part->add_flag("--json", compare_options->json, "one JSON object on standard output");

          return [=]() -> int {
            if (path_part->parsed()) return path(*path_options);
            if (simulate_part->parsed()) return simulate(*simulate_options);
            if (forecast_part->parsed()) return forecast(*source);
            return compare(*compare_options);
          };
        }});

}  // namespace
}  // namespace whet::app
