// How a few labels are asked whether the majority is right, each field listed once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"

namespace whet::train {

/// Fewer could not tell a base of which 60 % is wrong from a right one; more are seldom needed.
inline constexpr std::int64_t kFewestProbeProblems = 16, kMostProbeProblems = 64;

struct ProbeOptions {
  std::vector<std::string> files;
  std::int64_t problems = 0;
  std::int64_t samples = 16;
  double confidence = 0.95;
  bool only_warn = false;
  bool is_asked() const { return !files.empty() || problems > 0; }
};

template <class Visitor>
void visit_fields(ProbeOptions& o, Visitor&& visit) {
  using namespace base;
  visit(
      o.files, "probe",
      "files of 16 to 64 problems with answers: is the majority mostly right, before and during the run? The training "
      "reads no label of them",
      anything());
  visit(o.problems, "probe-problems",
        "instead of --probe: this many held-out problems, after those that are measured and watched; 0: none",
        within(0, static_cast<double>(kMostProbeProblems)));
  visit(o.samples, "probe-samples", "rollouts that vote on each of them", count_from(1));
  visit(o.confidence, "probe-confidence", "of the verdict: at most 1 - this is the chance of a false one",
        within(0.6, 0.9999));
  visit(o.only_warn, "probe-only-warn",
        "train although the majority is not shown to be mostly right, or has become worse", anything());
}

}  // namespace whet::train
