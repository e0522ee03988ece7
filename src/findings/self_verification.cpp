// F7: a model that checks itself stays where the vote collapses.
#include <fmt/format.h>

#include <array>

#include "findings/finding.h"
#include "findings/shape.h"
#include "report/facts.h"

namespace whet::findings {
namespace {

constexpr const char* kFrozen = "self-verification, frozen verifier";
constexpr double kNear = 0.05;

struct Kind {
  const char* name;
  const char* reward;
  const char* verifier;  ///< nullptr: none
  const char* title;
};
constexpr std::array<Kind, 4> kKinds{{{"verify-frozen", "self-verification", "base", kFrozen},
                                      {"verify-live", "self-verification", "live", "self-verification, live verifier"},
                                      {"verify-vote", "majority-vote", nullptr, "majority-vote"},
                                      {"verify-labels", "ground-truth", nullptr, "ground-truth"}}};

std::string name_of(const Kind& kind, int seed) { return fmt::format("{}-{}", kind.name, seed); }

std::vector<PlannedRun> plan(bool quick) {
  std::vector<PlannedRun> runs{base_run("base-verify", 60, {{"mixture", "verify"}, {"seed", "12"}})};
  for (int seed = 0; seed < (quick ? 1 : 3); ++seed) {
    for (const Kind& kind : kKinds) {
      Options options{{"model", checkpoint_of(runs.front(), 2500)},
                      {"reward", kind.reward},
                      {"steps", "200"},
                      {"seed", fmt::format("{}", seed)}};
      if (kind.verifier != nullptr) options.emplace_back("verifier", kind.verifier);
      runs.push_back(sort_run(name_of(kind, seed), kind.verifier != nullptr ? 35 : 25, options));
      runs.back().after = {runs.front().name};
    }
  }
  return runs;
}

Judgement judge(const Runs& runs) {
  Judgement result;
  Table table{"Each run", {"reward", "seed", "base", "peak", "end"}, {}};
  Figure figure{"Held-out accuracy, seed 0", "avg@4", {}};
  std::string each;
  int count = 0, stays = 0, near = 0, vote_falls = 0, color = 0;
  for (int seed = 0; runs.count(name_of(kKinds[0], seed)) > 0; ++seed) {
    std::array<Shape, kKinds.size()> shapes{};
    for (std::size_t i = 0; i < kKinds.size(); ++i) {
      const store::Run& run = runs.at(name_of(kKinds[i], seed));
      const auto shape = shape_of(run);
      if (!shape) return too_short(run);
      shapes[i] = *shape;
      table.rows.push_back({kKinds[i].title, fmt::format("{}", seed), share_text(shape->base), peak_text(*shape),
                            share_text(shape->end)});
      if (seed == 0) figure.curves.push_back({kKinds[i].title, report::series_of(run, "heldout_accuracy"), color++});
    }
    const Shape &frozen = shapes[0], &live = shapes[1], &vote = shapes[2], &labels = shapes[3];
    ++count;
    stays += frozen.rose() && frozen.peak - frozen.end <= kNear ? 1 : 0;
    near += frozen.end >= labels.end - kNear ? 1 : 0;
    vote_falls += vote.collapsed() ? 1 : 0;
    each += fmt::format("{}seed {}: frozen {:.2f}, vote {:.2f}, labels {:.2f}, live {:.2f}", each.empty() ? "" : "; ",
                        seed, frozen.end, vote.end, labels.end, live.end);
  }
  if (count == 0) return {.measured = "no runs"};
  result.measured = "at the end: " + each;
  const bool lasts = stays == count, reaches = near == count, falls = vote_falls == count;
  result.verdict = lasts && reaches && falls ? Verdict::kReproduced
                   : lasts || reaches        ? Verdict::kInPart
                                             : Verdict::kNotReproduced;
  result.tables.push_back(std::move(table));
  result.figures.push_back(std::move(figure));
  return result;
}

const base::Registrar kRegistered(
    findings(), "F7",
    Finding{
        .title = "Self-verification escapes",
        .claim = "on Countdown, self-verification keeps rising where intrinsic rewards collapse, and nears the oracle",
        .setting =
            "sorting in place of Countdown: a base pre-trained on text that also checks proposed answers, then 200 "
            "steps at "
            "3.5e-4 on its own frozen verdicts, on live ones, on the vote and on labels; three seeds (quick: one)",
        .criterion = "in every seed: with the frozen verifier the peak is .10 above the base, the end within .05 of "
                     "the peak and within "
                     ".05 of the run on labels, while the vote ends below half of its peak. In part: without the "
                     "vote's fall or without "
                     "the closeness to labels. The live verifier is reported",
        .chosen_on = "a base of pre-training seed 11 (the rate is that of F1)",
        .plan = plan,
        .judge = judge});

}  // namespace
}  // namespace whet::findings
