// F4: trained on one problem, the model ends where its first vote stood.
#include <fmt/format.h>

#include "findings/finding.h"
#include "findings/shape.h"
#include "report/facts.h"

namespace whet::findings {
namespace {

constexpr double kUp = 0.5, kDown = 0.1, kShare = 0.9;

std::string name_of(int seed) { return fmt::format("one-problem-{}", seed); }

std::vector<PlannedRun> plan(bool quick) {
  std::vector<PlannedRun> runs;
  for (int seed = 0; seed < (quick ? 12 : 25); ++seed) {
    runs.push_back(sort_run(name_of(seed), 2,
                            {{"model", "sort-weak"},
                             {"reward", "majority-vote"},
                             {"train-problems", "1"},
                             {"prompts", "1"},
                             {"samples", "64"},
                             {"learning-rate", "1e-4"},
                             {"steps", "100"},
                             {"eval-every", "100"},
                             {"eval-problems", "20"},
                             {"watch-problems", "0"},
                             {"checkpoint-every", "100"},
                             {"rollouts-every", "100"},
                             {"seed", fmt::format("{}", seed)}}));
  }
  return runs;
}

Judgement judge(const Runs& runs) {
  Judgement result;
  Table table{"Each problem",
              {"seed", "first vote", "its share of 64", "share right at the start", "share right at the end"},
              {}};
  Figure figure{"Share of right rollouts, one line a problem", "", {}};
  int right = 0, wrong = 0, rose = 0, fell = 0;
  for (int seed = 0; runs.count(name_of(seed)) > 0; ++seed) {
    const store::Run& run = runs.at(name_of(seed));
    const auto share = report::series_of(run, "true_reward");
    const auto vote_right = report::series_of(run, "label_accuracy"),
               majority = report::series_of(run, "majority_ratio");
    if (share.size() < 2 * kRewardWindow || vote_right.empty()) return too_short(run);
    const double end = mean_of_last(share, kRewardWindow);
    const bool is_right = vote_right.front().value > 0.5;
    (is_right ? right : wrong) += 1;
    rose += is_right && end > kUp ? 1 : 0;
    fell += !is_right && end < kDown ? 1 : 0;
    table.rows.push_back({fmt::format("{}", seed), is_right ? "right" : "wrong", share_text(majority.front().value),
                          share_text(share.front().value), share_text(end)});
    figure.curves.push_back({is_right ? "first vote right" : "first vote wrong", share, is_right ? 0 : 1});
  }
  // One entry of the legend says it for all.
  std::stable_sort(figure.curves.begin(), figure.curves.end(),
                   [](const Curve& a, const Curve& b) { return a.color < b.color; });
  for (std::size_t i = figure.curves.size(); i-- > 1;) {
    if (figure.curves[i].color == figure.curves[i - 1].color) figure.curves[i].name.clear();
  }
  result.measured = fmt::format("first vote right: {} of {} end above {}; wrong: {} of {} end below {}", rose, right,
                                kUp, fell, wrong, kDown);
  if (right == 0 || wrong == 0) {
    result.verdict = Verdict::kCannotTell;
  } else {
    const bool up = rose >= kShare * right, down = fell >= kShare * wrong;
    result.verdict = up && down ? Verdict::kReproduced : up || down ? Verdict::kInPart : Verdict::kNotReproduced;
  }
  result.figures.push_back(std::move(figure));
  result.tables.push_back(std::move(table));
  return result;
}

const base::Registrar kRegistered(
    findings(), "F4",
    Finding{.title = "The fate of a problem",
            .claim = "per problem, initial confidence on the right answer goes to 1, on a wrong one accuracy goes to 0 "
                     "(25 problems, "
                     "one run each)",
            .setting = "sort-weak, majority vote, one problem a run, 64 rollouts a step, 100 steps at 1e-4; 25 "
                       "problems (quick: 12)",
            .criterion =
                "of the problems whose first vote is right at least 90 % end above .5, of the others at least 90 % end "
                "below .1 (mean of the last five steps). In part: one of the two",
            .chosen_on = "seeds 100 to 124; at 2.5e-4 six of fourteen right votes were lost there",
            .plan = plan,
            .judge = judge});

}  // namespace
}  // namespace whet::findings
