// F5: a small set of problems does not collapse where a large one does.
#include <fmt/format.h>

#include <array>

#include "findings/finding.h"
#include "findings/shape.h"
#include "report/facts.h"

namespace whet::findings {
namespace {

/// 0: new problems for ever.
constexpr std::array<int, 5> kSizes{32, 128, 512, 2048, 0};
constexpr int kLargestSafe = 128;

std::string name_of(int size, int seed) {
  return size > 0 ? fmt::format("set-{}-{}", size, seed) : fmt::format("set-endless-{}", seed);
}
std::string size_text(int size) { return size > 0 ? fmt::format("{}", size) : "endless"; }

std::vector<PlannedRun> plan(bool quick) {
  std::vector<PlannedRun> runs;
  for (int seed = 0; seed < (quick ? 1 : 3); ++seed) {
    for (const int size : kSizes) {
      if (quick && (size == 128 || size == 2048)) continue;
      Options options{{"reward", "majority-vote"},
                      {"learning-rate", "2.5e-4"},
                      {"steps", "400"},
                      {"seed", fmt::format("{}", seed)}};
      if (size > 0) {
        options.emplace_back("train-problems", fmt::format("{}", size));
        options.emplace_back("prompts", fmt::format("{}", std::min(size, 64)));
      }
      runs.push_back(sort_run(name_of(size, seed), size == 32 ? 30 : 50, options));
    }
  }
  return runs;
}

Judgement judge(const Runs& runs) {
  Judgement result;
  Table table{"Each run",
              {"problems", "seed", "base", "peak", "end", "first below half of the peak",
               "KL to the start at the end, nats a token"},
              {}};
  Figure figure{"Held-out accuracy, seed 0", "avg@4", {}};
  int small = 0, small_held = 0, large = 0, large_fell = 0, color = 0;
  double small_kl = 0, large_kl = 0;
  for (const int size : kSizes) {
    for (int seed = 0; runs.count(name_of(size, seed)) > 0; ++seed) {
      const store::Run& run = runs.at(name_of(size, seed));
      const auto shape = shape_of(run);
      const auto kl = report::series_of(run, "heldout_kl_to_start");
      if (!shape || kl.empty()) return too_short(run);
      const bool is_small = size > 0 && size <= kLargestSafe;
      (is_small ? small : large) += 1;
      (is_small ? small_kl : large_kl) += kl.back().value;
      small_held += is_small && !shape->collapsed() ? 1 : 0;
      large_fell += !is_small && shape->collapsed() ? 1 : 0;
      table.rows.push_back({size_text(size), fmt::format("{}", seed), share_text(shape->base), peak_text(*shape),
                            share_text(shape->end), step_text(shape->fall, shape->last_step),
                            share_text(kl.back().value)});
      if (seed == 0)
        figure.curves.push_back({size_text(size) + " problems", report::series_of(run, "heldout_accuracy"), color++});
    }
  }
  if (small == 0 || large == 0) return {.measured = "no runs"};
  const double ratio = small_kl / small / (large_kl / large);
  result.measured = fmt::format(
      "{} of {} runs on at most {} problems end above half of their peak, {} of {} on 512 and more below; "
      "KL to the start {:.2f} of theirs",
      small_held, small, kLargestSafe, large_fell, large, ratio);
  const bool held = small_held == small, fell = large_fell == large;
  result.verdict = held && fell ? Verdict::kReproduced : held || fell ? Verdict::kInPart : Verdict::kNotReproduced;
  result.tables.push_back(std::move(table));
  result.figures.push_back(std::move(figure));
  return result;
}

const base::Registrar kRegistered(
    findings(), "F5",
    Finding{
        .title = "Small sets are safe",
        .claim = "training on at most 128 problems does not collapse, on 512 and more it does; the divergence from the "
                 "start is "
                 "about half",
        .setting =
            "sort-strong, majority vote, 400 steps at 2.5e-4 on 32, 128, 512, 2,048 and ever new problems, 64 (of 32: "
            "32) a step; three seeds (quick: 32, 512 and new ones, one seed)",
        .criterion =
            "every run on at most 128 problems ends above half of its peak of held-out accuracy, and every run on 512 "
            "or more below. In part: one of the two. The divergence is reported",
        .chosen_on = "seed 10; at 3.5e-4 for 300 steps all sizes fell there, 32 problems last",
        .plan = plan,
        .judge = judge});

}  // namespace
}  // namespace whet::findings
