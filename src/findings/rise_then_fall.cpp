// F1: rewards without labels first raise accuracy and later destroy it, while what they pay keeps rising.
#include <fmt/format.h>

#include "findings/finding.h"
#include "findings/reward_runs.h"
#include "findings/shape.h"
#include "report/facts.h"

namespace whet::findings {
namespace {

/// A run on labels may end this far below its best and still not have fallen.
constexpr double kHeld = 0.05;

Judgement judge(const Runs& runs) {
  Judgement result;
  Table table{"Each run", {"reward", "seed", "base", "peak", "end", "pseudo-reward, first → last", "as claimed"}, {}};
  Figure accuracy{"Held-out accuracy, seed 0", "avg@4", {}};
  std::vector<std::string> whole, failed;
  std::size_t rewards = 0, held = 0;
  for (const PaidRun& paid : kPaidRuns) {
    const bool is_supervised = std::string_view(paid.reward) == kSupervised;
    std::size_t count = 0, as_claimed = 0;
    for (int seed = 0; runs.count(reward_run_name(paid.reward, seed)) > 0; ++seed) {
      const store::Run& run = runs.at(reward_run_name(paid.reward, seed));
      const auto shape = shape_of(run);
      if (!shape) return too_short(run);
      const bool holds = is_supervised ? shape->peak - shape->end <= kHeld
                                       : shape->rose() && shape->collapsed() && shape->reward_rose();
      ++count;
      as_claimed += holds ? 1 : 0;
      table.rows.push_back(
          {paid.reward, fmt::format("{}", seed), share_text(shape->base), peak_text(*shape), share_text(shape->end),
           fmt::format("{:.2f} → {:.2f}", shape->reward_first, shape->reward_last), holds ? "yes" : "no"});
      if (seed == 0) {
        accuracy.curves.push_back({paid.reward, report::series_of(run, "heldout_accuracy"), static_cast<int>(rewards)});
      }
    }
    ++rewards;
    held += as_claimed == count ? 1 : 0;
    (as_claimed == count ? whole : failed).push_back(fmt::format("{} ({}/{})", paid.reward, as_claimed, count));
  }
  result.verdict = held == rewards      ? Verdict::kReproduced
                   : held * 2 > rewards ? Verdict::kInPart
                                        : Verdict::kNotReproduced;
  result.measured = fmt::format("as claimed in all runs: {}", fmt::join(whole, ", "));
  if (!failed.empty()) result.measured += fmt::format("; not in all: {}", fmt::join(failed, ", "));
  result.tables.push_back(std::move(table));
  result.figures.push_back(std::move(accuracy));
  return result;
}

const base::Registrar kRegistered(
    findings(), "F1",
    Finding{
        .title = "Rise, then fall",
        .claim =
            "every intrinsic reward first raises and later destroys accuracy while the pseudo-reward keeps rising; the "
            "supervised run does not fall",
        .setting = "a base pre-trained for 2,000 steps on the mixture m; 64 problems x 8 rollouts a step: 300 steps of "
                   "AdamW at "
                   "3.5e-4, for token-entropy 400 at 3.5e-5, for self-certainty 400 at 2e-5; three seeds (quick: one)",
        .criterion =
            "each reward without labels, in every run: peak at least .10 above the base, the end below half of the "
            "peak, mean pseudo-reward of the last five steps above that of the first five; ground-truth: the end "
            "within .05 of its peak. In part: more than half of the six rewards",
        .chosen_on =
            "a base of pre-training seed 11, seeds 10 and 11. On sort-strong, whose text holds more short guesses, "
            "self-certainty rises by .07 at most before it falls; at 3.5e-5 on the base of this plan, by .05",
        .plan = reward_runs,
        .judge = judge});

}  // namespace
}  // namespace whet::findings
