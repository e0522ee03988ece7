#include "findings/reward_runs.h"

#include <fmt/format.h>

namespace whet::findings {

std::string reward_run_name(const char* reward, int seed) { return fmt::format("paid-{}-{}", reward, seed); }

std::vector<PlannedRun> reward_runs(bool quick) {
  // Fewer guesses in its text than in that of sort-strong, where short confident guesses are what self-certainty finds
  // first.
  std::vector<PlannedRun> runs{base_run("base-m", 60, {{"mixture", "m"}, {"seed", "21"}})};
  for (int seed = 0; seed < (quick ? 1 : 3); ++seed) {
    for (const PaidRun& paid : kPaidRuns) {
      runs.push_back(sort_run(reward_run_name(paid.reward, seed), 45,
                              {{"model", checkpoint_of(runs.front(), 2000)},
                               {"reward", paid.reward},
                               {"learning-rate", paid.rate},
                               {"steps", paid.steps},
                               {"seed", fmt::format("{}", seed)}}));
      runs.back().after = {runs.front().name};
    }
  }
  return runs;
}

}  // namespace whet::findings
