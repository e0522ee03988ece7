// Held-out problems in a report: sorted by the base's own vote, and the accuracy that sharpening foretells.
#include "report/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "report/report.h"

namespace whet::report {
namespace {

using base::Json;
using testing::HasSubstr;
using testing::Not;

/// Three problems of 8 base rollouts: a right vote of 4, a right vote of 6, and a wrong vote of 4 with 2 right.
std::vector<Json> lines() {
  const Json base = {{{"answers", {4, 2}}, {"absent", 2}, {"right", {true, false}}},
                     {{"answers", {6, 2}}, {"absent", 0}, {"right", {true, false}}},
                     {{"answers", {4, 2}}, {"absent", 2}, {"right", {false, true}}}};
  return {{{"step", 0},
           {"right", {.5, .75, .25}},
           {"on_vote", {.5, .75, .5}},
           {"same", {true, true, true}},
           {"samples", 4},
           {"base", base}},
          {{"step", 5}, {"right", {1, 1, 0}}, {"on_vote", {.75, 1, .75}}, {"same", {true, true, true}}}};
}

store::Run run_with(std::vector<Json> held_out) {
  store::Run run;
  run.folder = "runs/a";
  run.config = {{"reward", "majority-vote"}};
  run.manifest = Json::object();
  run.metrics = {{{"step", 0}, {"heldout_accuracy", .5}}, {{"step", 5}, {"heldout_accuracy", .75}}};
  run.held_out = std::move(held_out);
  return run;
}

TEST(Problems, AreSortedByTheBasesVote) {
  const auto paths = paths_of(run_with(lines()));
  ASSERT_TRUE(paths);
  EXPECT_THAT(paths->steps, testing::ElementsAre(0, 5));
  ASSERT_EQ(paths->right_first.size(), 2u);
  EXPECT_THAT(paths->right_first[0].right, testing::ElementsAre(.75, 1));  // the surest first
  EXPECT_THAT(paths->right_first[1].right, testing::ElementsAre(.5, 1));
  ASSERT_EQ(paths->wrong_first.size(), 1u);
  EXPECT_THAT(paths->wrong_first[0].right, testing::ElementsAre(.25, 0));
  EXPECT_EQ(mean_right(paths->right_first, 0), .625);
  EXPECT_EQ(mean_right({}, 0), std::nullopt);
}

TEST(Problems, AForecastIsWhatTheShiftOfTheVotesGives) {
  const auto paths = paths_of(run_with(lines()));
  ASSERT_EQ(paths->predicted.size(), 2u);
  // Nothing has moved at step 0: the base's own accuracy, (4 + 6 + 2) / 24.
  EXPECT_NEAR(paths->predicted[0].value, .5, 1e-9);
  // The masses .5, .75 and .5 become s, 3s / (1 + 2s) and s for s = sigmoid(shift), of mean 2.5 / 3,
  // so 2s + 3s / (1 + 2s) = 2.5, that is 4 s^2 = 2.5. Right: s, 3s / (1 + 2s) and .25 (1 - s) / .5.
  const double s = std::sqrt(2.5) / 2;
  EXPECT_NEAR(paths->predicted[1].value, (s + 3 * s / (1 + 2 * s) + (1 - s) / 2) / 3, 1e-9);
  EXPECT_NEAR(paths->limit, 2.0 / 3, 1e-12);
}

TEST(Problems, ATieBelongsToTheClassThatStandsFirst) {
  auto tied = lines();
  tied[0]["base"][2] = {{"answers", {3, 3}}, {"absent", 2}, {"right", {true, false}}};
  EXPECT_EQ(paths_of(run_with(tied))->right_first.size(), 3u);
  tied[0]["base"][2]["right"] = {false, true};
  EXPECT_EQ(paths_of(run_with(tied))->right_first.size(), 2u);
}

TEST(Problems, AreAbsentWithoutLabelsOrABeginning) {
  EXPECT_FALSE(paths_of(run_with({})));
  EXPECT_FALSE(paths_of(run_with({lines()[1]})));
  auto unlabelled = lines();
  unlabelled[0].erase("right");
  EXPECT_FALSE(paths_of(run_with(unlabelled)));
  EXPECT_THAT(render({run_with({})}), Not(HasSubstr("own vote is right on")));
}

TEST(Problems, NoVoteLeavesNothingToForetell) {
  auto silent = lines();
  for (Json& entry : silent[0]["base"]) entry = {{"answers", Json::array()}, {"absent", 8}, {"right", Json::array()}};
  for (Json& line : silent) line["on_vote"] = {nullptr, nullptr, nullptr};
  const auto paths = paths_of(run_with(silent));
  EXPECT_TRUE(paths->predicted.empty());
  EXPECT_EQ(paths->wrong_first.size(), 3u);
  EXPECT_EQ(paths->limit, 0);
}

TEST(Problems, ALineThatDoesNotFitIsNamed) {
  const auto message = [](std::vector<Json> held_out) -> std::string {
    try {
      paths_of(run_with(std::move(held_out)));
    } catch (const base::UserError& error) {
      return error.what();
    }
    return "no error";
  };
  auto shorter = lines();
  shorter[1]["right"] = {1, 1};
  EXPECT_THAT(message(shorter), HasSubstr("runs/a/heldout.jsonl] step 5: 2 problems, want the 3 of the first line"));
  auto text = lines();
  text[1]["right"] = "all";
  EXPECT_THAT(message(text), HasSubstr("runs/a/heldout.jsonl] step 5: "));
}

TEST(Problems, AreToldInWordsAndInThePage) {
  const std::string page = render({run_with(lines())});
  EXPECT_THAT(
      page,
      HasSubstr("own vote is right on 2 of 3 held-out problems: they went from 62.5\u00a0% to 100.0\u00a0% right, "
                "the others from 25.0\u00a0% to 0.0\u00a0% right."));
  EXPECT_THAT(page, HasSubstr("foretells a limit of 66.7\u00a0%"));
  EXPECT_THAT(page, HasSubstr(R"("right":[[0.75,1],[0.5,1]])"));
}

}  // namespace
}  // namespace whet::report
