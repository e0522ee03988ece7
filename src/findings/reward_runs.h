// The runs that F1 and F3 share: each kind of reward without labels, and labels, on one base.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "findings/finding.h"

namespace whet::findings {

struct PaidRun {
  const char* reward;
  const char* rate;
};

/// Token-entropy and self-certainty destroy a model within a few steps of the others' rate.
inline constexpr std::array<PaidRun, 6> kPaidRuns{{{"majority-vote", "3.5e-4"},
                                                   {"trajectory-entropy", "3.5e-4"},
                                                   {"probability", "3.5e-4"},
                                                   {"token-entropy", "5e-5"},
                                                   {"self-certainty", "2e-5"},
                                                   {"ground-truth", "3.5e-4"}}};
inline constexpr const char* kSupervised = "ground-truth";

inline std::string reward_run_name(const char* reward, int seed) { return fmt::format("strong-{}-{}", reward, seed); }

/// Three seeds of each, quick: one.
inline std::vector<PlannedRun> reward_runs(bool quick) {
  std::vector<PlannedRun> runs;
  for (int seed = 0; seed < (quick ? 1 : 3); ++seed) {
    for (const PaidRun& paid : kPaidRuns) {
      runs.push_back(sort_run(reward_run_name(paid.reward, seed), 35,
                              {{"reward", paid.reward}, {"learning-rate", paid.rate}, {"seed", fmt::format("{}", seed)}}));
    }
  }
  return runs;
}

}  // namespace whet::findings
