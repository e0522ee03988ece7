// F3: how a run fails depends on what it is paid for.
#include <fmt/format.h>

#include <array>

#include "findings/finding.h"
#include "findings/reward_runs.h"
#include "findings/shape.h"
#include "report/facts.h"

namespace whet::findings {
namespace {

struct Expected {
  const char* reward;
  analysis::Failure failure;
};
constexpr std::array<Expected, 5> kExpected{{{"majority-vote", analysis::Failure::kConfidentDrift},
                                             {"self-certainty", analysis::Failure::kConfidentDrift},
                                             {"probability", analysis::Failure::kShortening},
                                             {"token-entropy", analysis::Failure::kRepetition},
                                             {"trajectory-entropy", analysis::Failure::kRepetition}}};

std::vector<PlannedRun> plan(bool quick) {
  std::vector<PlannedRun> runs = reward_runs(quick);
  std::erase_if(runs, [](const PlannedRun& run) { return run.name.starts_with(fmt::format("paid-{}-", kSupervised)); });
  return runs;
}

Judgement judge(const Runs& runs) {
  Judgement result;
  Table table{
      "What the label-free signals show at the end", {"reward", "seed", "the paper", "named here", "evidence"}, {}};
  Figure length{"Length of a response, seed 0", "tokens", {}}, repetition{"Share of repeated 4-grams, seed 0", "", {}};
  std::size_t as_claimed = 0;
  std::string each;
  int color = 0;
  for (const Expected& expected : kExpected) {
    int count = 0, hits = 0;
    for (int seed = 0; runs.count(reward_run_name(expected.reward, seed)) > 0; ++seed) {
      const store::Run& run = runs.at(reward_run_name(expected.reward, seed));
      if (!shape_of(run)) return too_short(run);
      const analysis::FailureReport report = report::failure_of(run);
      ++count;
      hits += report.failure == expected.failure ? 1 : 0;
      std::string evidence;
      for (const analysis::FailureSign& sign : report.signs) evidence += (evidence.empty() ? "" : "; ") + sign.evidence;
      table.rows.push_back({expected.reward, fmt::format("{}", seed), analysis::to_string(expected.failure),
                            analysis::to_string(report.failure), evidence});
      if (seed == 0) {
        length.curves.push_back({expected.reward, report::series_of(run, "length"), color});
        repetition.curves.push_back({expected.reward, report::series_of(run, "repetition"), color++});
      }
    }
    as_claimed += 2 * hits > count ? 1 : 0;
    each += fmt::format("{}{} {}/{} {}", each.empty() ? "" : ", ", expected.reward, hits, count,
                        analysis::to_string(expected.failure));
  }
  result.verdict = as_claimed == kExpected.size() ? Verdict::kReproduced
                   : as_claimed > 0               ? Verdict::kInPart
                                                  : Verdict::kNotReproduced;
  result.measured = fmt::format("named as the paper has it: {}", each);
  result.tables.push_back(std::move(table));
  result.figures = {std::move(length), std::move(repetition)};
  return result;
}

const base::Registrar kRegistered(
    findings(), "F3",
    Finding{
        .title = "Ways to fail",
        .claim = "majority vote and self-certainty drift to a confident wrong answer, probability makes responses "
                 "shorter and "
                 "shorter, the entropies make them repeat themselves",
        .setting = "the runs of F1 without labels",
        .criterion =
            "for each of the five rewards, the gravest failure that the label-free signals name at the end of a run "
            "(src/analysis/failure.h) is the paper's in more than half of the seeds. In part: for some of the five",
        .chosen_on = "the names and thresholds were made on other runs (docs/watching.md)",
        .plan = plan,
        .judge = judge});

}  // namespace
}  // namespace whet::findings
