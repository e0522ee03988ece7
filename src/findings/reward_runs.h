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
  const char* steps;
};

/// Token-entropy and self-certainty destroy a model within a few steps of the others' rate.
inline constexpr std::array<PaidRun, 6> kPaidRuns{{{"majority-vote", "3.5e-4", "300"},
                                                   {"trajectory-entropy", "3.5e-4", "300"},
                                                   {"probability", "3.5e-4", "300"},
                                                   {"token-entropy", "3.5e-5", "400"},
                                                   {"self-certainty", "2e-5", "400"},
                                                   {"ground-truth", "3.5e-4", "300"}}};
inline constexpr const char* kSupervised = "ground-truth";

std::string reward_run_name(const char* reward, int seed);

/// The base, and three seeds of each, quick: one.
std::vector<PlannedRun> reward_runs(bool quick);

}  // namespace whet::findings
