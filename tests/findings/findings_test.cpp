// The declared experiments: plans that fit together, and judgements of runs whose shape is known.
#include "findings/finding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <set>

#include "findings/chart.h"
#include "findings/page.h"
#include "findings/shape.h"

namespace whet::findings {
namespace {

using testing::HasSubstr;

/// A run whose lines have these values at steps 0, 1, 2, ...
store::Run run_of(const std::vector<std::pair<std::string, std::vector<double>>>& series,
                  const std::string& name = "run") {
  store::Run run;
  run.folder = name;
  for (const auto& [key, values] : series) {
    for (std::size_t step = 0; step < values.size(); ++step) {
      if (run.metrics.size() <= step) run.metrics.push_back({{"step", step}});
      run.metrics[step][key] = values[step];
    }
  }
  return run;
}

std::vector<double> line(std::size_t count, double first, double middle, double last) {
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) {
    const double t = 2.0 * static_cast<double>(i) / static_cast<double>(count - 1);
    values.push_back(t <= 1 ? first + (middle - first) * t : middle + (last - middle) * (t - 1));
  }
  return values;
}

store::Run shaped(const std::string& name, double base, double peak, double end, double reward_first = 0.5,
                  double reward_last = 0.9) {
  return run_of({{"heldout_accuracy", line(21, base, peak, end)},
                 {"reward", line(21, reward_first, (reward_first + reward_last) / 2, reward_last)},
                 {"reward_accuracy", line(21, base, peak, end)},
                 {"heldout_kl_to_start", line(21, 0, 1, 2)},
                 {"length", line(21, 8, 8, 8)}},
                name);
}

/// Judges every run of a finding's plan as `make` draws it.
template <class Make>
Judgement judged(const std::string& id, bool quick, Make make) {
  const Finding& finding = findings().find(id);
  Runs runs;
  for (const PlannedRun& planned : finding.plan(quick)) runs.emplace(planned.name, make(planned));
  return finding.judge(runs);
}

TEST(Findings, AreAllSevenAndSayWhatTheyClaimAndAskFor) {
  EXPECT_EQ(findings().names(), (std::vector<std::string>{"F1", "F2", "F3", "F4", "F5", "F6", "F7"}));
  for (const auto& [id, finding] : findings()) {
    for (const std::string& text :
         {finding.title, finding.claim, finding.setting, finding.criterion, finding.chosen_on})
      EXPECT_FALSE(text.empty()) << id;
  }
}

TEST(Findings, PlansNameEachRunOnceReadOnlyRunsOfTheirOwnAndAgreeOnSharedOnes) {
  for (const bool quick : {false, true}) {
    std::map<std::string, std::vector<std::string>> all;
    for (const auto& [id, finding] : findings()) {
      std::set<std::string> names;
      const auto plan = finding.plan(quick);
      EXPECT_FALSE(plan.empty()) << id;
      for (const PlannedRun& run : plan) {
        EXPECT_TRUE(names.insert(run.name).second) << id << " " << run.name;
        EXPECT_GT(run.seconds, 0) << run.name;
        EXPECT_EQ(option_of(run, "threads"), "1") << run.name;
        EXPECT_GT(std::stoi(option_of(run, "steps")), 0) << run.name;
        const auto [found, is_new] = all.emplace(run.name, run.arguments);
        EXPECT_EQ(found->second, run.arguments) << run.name;
      }
      for (const PlannedRun& run : plan) {
        for (const std::string& read : run.after)
          EXPECT_TRUE(names.count(read)) << id << ": " << run.name << " reads " << read;
      }
    }
  }
}

TEST(Findings, AreDeclaredToFitTheirTime) {
  for (const auto& [quick, minutes] : {std::pair{true, 10.0}, std::pair{false, 60.0}}) {
    std::map<std::string, double> seconds;
    for (const auto& [id, finding] : findings()) {
      for (const PlannedRun& run : finding.plan(quick)) seconds[run.name] = run.seconds;
    }
    double sum = 0;
    for (const auto& [name, one] : seconds) sum += one;
    EXPECT_LT(sum / 60 / 2, minutes) << "two cores";
  }
}

TEST(Findings, ARunThatIsTooShortIsNeverJudged) {
  for (const auto& [id, finding] : findings()) {
    Runs runs;
    for (const PlannedRun& planned : finding.plan(true))
      runs.emplace(planned.name, run_of({{"heldout_accuracy", {0.5, 0.6}}}, planned.name));
    const Judgement judgement = finding.judge(runs);
    EXPECT_EQ(judgement.verdict, Verdict::kCannotTell) << id;
    EXPECT_FALSE(judgement.measured.empty()) << id;
  }
}

TEST(Findings, RiseThenFallIsReproducedInPartOrNotByHowManyRewardsDoIt) {
  const auto of = [](std::set<std::string> that_fall) {
    return judged("F1", true,
                  [&](const PlannedRun& run) {
                    const std::string reward =
                        run.after.empty() ? "" : option_of(run, "reward");  // the base's own run is read by nobody
                    return that_fall.count(reward) > 0 ? shaped(run.name, 0.5, 0.9, 0.1)
                                                       : shaped(run.name, 0.5, 0.9, 0.9);
                  })
        .verdict;
  };
  EXPECT_EQ(of({"majority-vote", "trajectory-entropy", "probability", "token-entropy", "self-certainty"}),
            Verdict::kReproduced);
  EXPECT_EQ(of({"majority-vote", "trajectory-entropy", "probability"}), Verdict::kInPart);
  EXPECT_EQ(of({"ground-truth", "majority-vote"}), Verdict::kNotReproduced);
  // What is paid must rise meanwhile.
  const Judgement paid_less =
      judged("F1", true, [](const PlannedRun& run) { return shaped(run.name, 0.5, 0.9, 0.1, 0.9, 0.5); });
  EXPECT_EQ(paid_less.verdict, Verdict::kNotReproduced);
}

TEST(Findings, SettingsAreJudgedByCollapseAndOrder) {
  const auto of = [](double cold_end) {
    return judged("F2", true, [&](const PlannedRun& run) {
      // The step of the collapse: 10 where the paper has it sooner, 15 elsewhere.
      const bool sooner = run.name.find("0.6") != std::string::npos || run.name.find("16") != std::string::npos;
      auto made = shaped(run.name, 0.5, 0.9, sooner ? cold_end : 0.0);
      if (sooner) {
        for (std::size_t i = 6; i < made.metrics.size(); ++i) made.metrics[i]["reward_accuracy"] = cold_end;
      }
      return made;
    });
  };
  EXPECT_EQ(of(0.0).verdict, Verdict::kReproduced);
  EXPECT_THAT(of(0.0).measured, HasSubstr("low temperature sooner"));
  EXPECT_EQ(of(0.9).verdict, Verdict::kNotReproduced);  // they never collapse
}

TEST(Findings, TheFateOfProblemsIsReadFromTheFirstVote) {
  const auto of = [](double right_end, double wrong_end) {
    int index = 0;
    return judged("F4", true, [&](const PlannedRun& run) {
      const bool right = index++ % 2 == 0;
      return run_of({{"true_reward", line(20, 0.3, 0.5, right ? right_end : wrong_end)},
                     {"label_accuracy", std::vector<double>(20, right ? 1 : 0)},
                     {"majority_ratio", line(20, 0.3, 0.5, 0.9)}},
                    run.name);
    });
  };
  EXPECT_EQ(of(1.0, -0.3).verdict, Verdict::kReproduced);
  EXPECT_EQ(of(1.0, 0.5).verdict, Verdict::kInPart);
  EXPECT_EQ(of(0.1, 0.5).verdict, Verdict::kNotReproduced);
  EXPECT_THAT(of(1.0, 0.5).measured, HasSubstr("right: 6 of 6"));
}

TEST(Findings, SmallSetsAreSafeOnlyWhereLargeOnesFall) {
  const auto of = [](double small_end, double large_end) {
    return judged("F5", false,
                  [&](const PlannedRun& run) {
                    const bool small = run.name.find("set-32-") == 0 || run.name.find("set-128-") == 0;
                    return shaped(run.name, 0.5, 0.9, small ? small_end : large_end);
                  })
        .verdict;
  };
  EXPECT_EQ(of(0.8, 0.1), Verdict::kReproduced);
  EXPECT_EQ(of(0.1, 0.1), Verdict::kInPart);
  EXPECT_EQ(of(0.1, 0.8), Verdict::kNotReproduced);
}

TEST(Findings, McsMustRankAsTheGainDoesBetterThanPassAndCheaply) {
  // `order` of seven bases: how their pass@8 is ordered; `steps`: after how many the weakest collapses, the next later.
  const auto of = [](std::vector<double> pass, std::size_t steps) {
    return judged("F6", true, [&](const PlannedRun& run) {
      if (run.after.empty()) return run_of({}, run.name);
      const std::vector<std::string> checkpoints{"-250-", "-500-", "-750-", "-1000-", "-1500-", "-2000-", "-2500-"};
      std::size_t base = 0;
      while (run.name.find(checkpoints[base]) == std::string::npos) ++base;
      std::vector<double> reward_accuracy(61, 0.9);
      std::fill(reward_accuracy.begin() + static_cast<std::ptrdiff_t>(steps + 2 * base), reward_accuracy.end(), 0.1);
      const double start = 0.1, end = 0.2 + 0.1 * static_cast<double>(base);
      return run_of({{"heldout_accuracy", line(61, start, (start + end) / 2, end)},
                     {"heldout_pass_at_k", std::vector<double>(61, pass[base])},
                     {"reward", line(61, 0, 1, 2)},
                     {"length", std::vector<double>(61, 8)},
                     {"reward_accuracy", reward_accuracy}},
                    run.name);
    });
  };
  const std::vector<double> mixed{.9, .1, .8, .2, .7, .3, .6}, same_order{.1, .2, .3, .4, .5, .6, .7};
  EXPECT_EQ(of(mixed, 5).verdict, Verdict::kReproduced);
  EXPECT_THAT(of(mixed, 5).measured, HasSubstr("MCS +1.00"));
  EXPECT_EQ(of(same_order, 5).verdict, Verdict::kInPart);  // pass@8 ranks as well
  EXPECT_EQ(of(mixed, 40).verdict, Verdict::kInPart);      // and this costs most of a run on labels
}

TEST(Findings, SelfVerificationMustLastReachLabelsAndOutliveTheVote) {
  const auto of = [](double frozen_end, double vote_end) {
    return judged("F7", true,
                  [&](const PlannedRun& run) {
                    if (run.name.find("frozen") != std::string::npos) return shaped(run.name, 0.5, 0.95, frozen_end);
                    return shaped(run.name, 0.5, 0.95, run.name.find("vote") != std::string::npos ? vote_end : 0.95);
                  })
        .verdict;
  };
  EXPECT_EQ(of(0.95, 0.1), Verdict::kReproduced);
  EXPECT_EQ(of(0.95, 0.95), Verdict::kInPart);
  EXPECT_EQ(of(0.2, 0.1), Verdict::kNotReproduced);
}

TEST(Shape, IsBasePeakEndAndFall) {
  const auto shape = *shape_of(
      run_of({{"heldout_accuracy", {0.5, 0.7, 0.9, 0.8, 0.4, 0.2, 0.1, 0, 0, 0}}, {"reward", line(10, 0, 1, 2)}}));
  EXPECT_DOUBLE_EQ(shape.base, 0.5);
  EXPECT_DOUBLE_EQ(shape.peak, 0.9);
  EXPECT_EQ(shape.peak_step, 2);
  EXPECT_DOUBLE_EQ(shape.end, 0);
  EXPECT_EQ(shape.fall, 4);
  EXPECT_TRUE(shape.rose() && shape.collapsed() && shape.reward_rose());
  EXPECT_EQ(shape_of(run_of({{"heldout_accuracy", {0.5, 0.7, 0.9}}, {"reward", line(10, 0, 1, 2)}})), std::nullopt);
}

TEST(Chart, DrawsEveryCurveWithinItsFrameAndEscapesNames) {
  const Figure figure{
      "a < b", "share", {{"one & two", {{0, 0.0}, {100, 1.0}}, 0}, {"", {{0, 0.5}, {50, -1.0}}, 1, true}}};
  const std::string svg = svg_of(figure);
  EXPECT_THAT(svg, HasSubstr("a &lt; b"));
  EXPECT_THAT(svg, HasSubstr("one &amp; two"));
  EXPECT_THAT(svg, HasSubstr("M56.0 204.0L704.0 34.0"));  // from (0, 0) to (100, 1) of -1 .. 1
  EXPECT_THAT(svg, HasSubstr("stroke-dasharray"));
  EXPECT_EQ(svg, svg_of(figure));
  EXPECT_THAT(svg_of({"none", "", {}}), HasSubstr("no values"));
}

TEST(Pages, HoldEveryFindingItsVerdictAndItsCommands) {
  const std::vector<Judged> all{{"F4",
                                 {{"run-<1>", {"train", "--steps", "3"}, 1}},
                                 {Verdict::kInPart, "a|b <c>", {{"T", {"x"}, {{"1|2"}}}}, {{"fig", "", {}}}}}};
  const PageFacts facts{.quick = true, .seconds = 90, .programs = {"whetstone 1"}};
  const std::string page = markdown_of(all[0], "figures");
  EXPECT_THAT(page, HasSubstr("**reproduced in part.** a|b <c>"));
  EXPECT_THAT(page, HasSubstr("| 1\\|2 |"));
  EXPECT_THAT(page, HasSubstr("figures/F4-1.svg"));
  EXPECT_THAT(page, HasSubstr("whet train --steps 3 --out run-<1>"));
  EXPECT_THAT(summary_markdown(all, facts), HasSubstr("[F4](F4.md)"));
  const std::string html = html_of(all, facts);
  EXPECT_THAT(html, HasSubstr("a|b &lt;c&gt;"));
  EXPECT_THAT(html, HasSubstr("run-&lt;1&gt;"));
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, testing::Not(HasSubstr("<script")));
}

}  // namespace
}  // namespace whet::findings
