// The report's words, samples and page: what it says of a run, and that nothing a model writes can break it.
#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "report/assets.h"
#include "report/facts.h"
#include "report/html.h"
#include "report/samples.h"
#include "store/run_writer.h"
#include "tests/store/temp_folder.h"

namespace whet::report {
namespace {

using base::Json;
using testing::HasSubstr;
using testing::Not;

const Json kConfig = {{"reward", "majority-vote"}, {"model", "models/s/"}, {"seed", 3}};

store::Run run_with(std::vector<Json> metrics, Json config = kConfig) {
  store::Run run;
  run.folder = "runs/a";
  run.config = std::move(config);
  run.manifest = Json::object();
  run.metrics = std::move(metrics);
  return run;
}

/// A line of an evaluated step.
Json line(int step, double heldout, double reward, double reward_accuracy, double base_logprob) {
  return {{"step", step},
          {"heldout_accuracy", heldout},
          {"reward", reward},
          {"reward_accuracy", reward_accuracy},
          {"base_logprob", base_logprob}};
}

store::Run collapsed() {
  return run_with({line(0, .5, .5, .5, -.4), line(1, .8, .6, .8, -.2), line(2, .9, .8, .9, -.1),
                   line(3, .6, .9, .6, -.13), line(4, .2, .95, .2, -.3), line(5, .1, .96, .05, -.5),
                   line(6, .05, .97, .02, -.6)});
}

TEST(Facts, NameTheWayARunFails) {
  std::vector<Json> metrics;
  for (int step = 1; step <= 40; ++step) metrics.push_back({{"step", step}, {"length", step < 20 ? 20.0 : 4.0}});
  EXPECT_EQ(failure_of(run_with(metrics)).failure, analysis::Failure::kShortening);
  EXPECT_THAT(render({run_with(metrics)}, {}), HasSubstr("How it fails: shortening: length of a response from 20"));
  metrics.resize(19);
  EXPECT_EQ(failure_of(run_with(metrics)).failure, analysis::Failure::kNone);
}

TEST(Facts, TellRiseFallAndCollapse) {
  const RunFacts facts = facts_of({collapsed()})[0];
  EXPECT_EQ(facts.name, "majority-vote");
  EXPECT_EQ(facts.accuracy->peak_step, 2);
  // Three-step means: .7333 .7667 .5667 .2833 .09 at steps 2 to 6; half of the peak is .3833.
  EXPECT_EQ(facts.collapse, 5);
  EXPECT_EQ(facts.below_tenth, 6);
  EXPECT_EQ(facts.below_hundredth, std::nullopt);
  EXPECT_EQ(facts.kept, 2);
  EXPECT_EQ(facts.kept_accuracy, .9);
  EXPECT_EQ(facts.alarm, 5);
  const std::string text = sentence_of(facts);
  EXPECT_THAT(text, HasSubstr("rose from 50.0\u00a0% to 90.0\u00a0% at step 2, then fell to 5.0\u00a0% at step 6"));
  EXPECT_THAT(text, HasSubstr("94.4\u00a0% of the peak is gone"));
  EXPECT_THAT(text, HasSubstr("By its own measure all was well: the pseudo-reward went from 0.5 to 0.97."));
  EXPECT_THAT(text, HasSubstr("collapsed at step 5"));
  EXPECT_THAT(text, HasSubstr("(below 10\u00a0% at step 6, below 1\u00a0% never)"));
  EXPECT_THAT(text, HasSubstr("alarm at step 5 and kept step 2, where held-out accuracy was 90.0\u00a0%"));
}

TEST(Facts, DoNotSayCollapseWhereThereWasNone) {
  const store::Run run = run_with(
      {line(0, .5, .5, 1, -.4), line(5, .9, .9, 1, -.2), line(10, .97, .97, 1, -.1), line(15, .96, .96, 1, -.11)});
  const std::string text = sentence_of(facts_of({run})[0]);
  EXPECT_THAT(text, HasSubstr("and stayed there: 96.0\u00a0% at step 15"));
  EXPECT_THAT(text, HasSubstr("did not fall below half of its peak in 15 steps"));
  EXPECT_THAT(text, HasSubstr("raised no alarm; its best checkpoint is step 10"));
  EXPECT_THAT(text, Not(HasSubstr("collapsed")));
  EXPECT_THAT(text, Not(HasSubstr("all was well")));
}

TEST(Facts, SayThatAFallFromTheBaseIsNoRise) {
  const std::string text = sentence_of(facts_of({run_with({line(0, .5, .5, .5, -.4), line(5, .2, .9, .2, -.5)})})[0]);
  EXPECT_THAT(text, HasSubstr("never rose above the base\u2019s 50.0\u00a0%; it was 20.0\u00a0% at step 5"));
}

TEST(Facts, BearMissingAndNullValues) {
  const store::Run run =
      run_with({{{"step", 0}}, {{"step", 1}, {"heldout_accuracy", nullptr}, {"reward", "x"}}}, Json::object());
  const RunFacts facts = facts_of({run})[0];
  EXPECT_EQ(facts.name, "a");
  EXPECT_FALSE(facts.accuracy);
  EXPECT_THAT(sentence_of(facts), HasSubstr("No held-out accuracy was measured."));
  EXPECT_EQ(facts_of({run_with({})})[0].last_step, 0);
}

TEST(Names, SayWhatDiffers) {
  const auto run = [](const char* reward, const char* model, int seed, const char* folder = "runs/a") {
    store::Run made = run_with({}, {{"task", "sort"}, {"reward", reward}, {"model", model}, {"seed", seed}});
    made.folder = folder;
    return made;
  };
  const auto names = [](const std::vector<store::Run>& runs) {
    std::vector<std::string> all;
    for (const RunFacts& facts : facts_of(runs)) all.push_back(facts.name);
    return all;
  };
  const std::vector<store::Run> rewards = {run("majority-vote", "models/s/", 1), run("ground-truth", "models/s/", 1)};
  EXPECT_THAT(names(rewards), testing::ElementsAre("majority-vote", "ground-truth"));
  EXPECT_EQ(shared_by(rewards), "s \u00b7 seed 1");
  EXPECT_THAT(names({run("a", "models/s", 1), run("a", "models/t", 2)}),
              testing::ElementsAre("s \u00b7 seed 1", "t \u00b7 seed 2"));
  EXPECT_THAT(names({run("a", "s", 1), run("b", "s", 1), run("a", "s", 1, "runs/b")}),
              testing::ElementsAre("a (a)", "b", "a (b)"));
  EXPECT_THAT(names({run("a", "s", 1), run("a", "s", 1, "runs/b")}), testing::ElementsAre("a", "b"));
}

TEST(Names, SayTheRateThatTheTrainerChose) {
  const auto run = [](double rate) {
    return run_with({{{"step", 0}}, {{"step", 1}, {"learning_rate", rate}}}, {{"reward", "a"}, {"learning-rate", 0.0}});
  };
  EXPECT_EQ(facts_of({run(5e-4), run(2.5e-4)})[1].name, "learning rate 0.00025");
}

TEST(Colors, AreOneARunUpToSixAndOneARewardBeyond) {
  const auto painted = [](int seeds) {
    std::vector<store::Run> runs;
    for (const char* reward : {"a", "b"}) {
      for (int seed = 0; seed < seeds; ++seed) runs.push_back(run_with({}, {{"reward", reward}, {"seed", seed}}));
    }
    std::vector<std::pair<int, int>> all;
    for (const RunFacts& facts : facts_of(runs)) all.emplace_back(facts.color, facts.dash);
    return all;
  };
  using testing::Pair;
  EXPECT_THAT(painted(3), testing::ElementsAre(Pair(0, 0), Pair(1, 0), Pair(2, 0), Pair(3, 0), Pair(4, 0), Pair(5, 0)));
  EXPECT_THAT(painted(4), testing::ElementsAre(Pair(0, 0), Pair(0, 1), Pair(0, 2), Pair(0, 3), Pair(1, 0), Pair(1, 1),
                                               Pair(1, 2), Pair(1, 3)));
}

TEST(Options, AreFoundInTablesToo) {
  const store::Run run = run_with({}, {{"train", {{"reward", "probability"}, {"learning_rate", 5e-4}}}, {"seed", 1}});
  EXPECT_EQ(option_of(run, "reward"), "probability");
  EXPECT_EQ(option_of(run, "learning_rate"), "0.0005");
  EXPECT_EQ(option_of(run, "train"), "");
  EXPECT_EQ(option_of(run_with({}, {{"learning-rate", 0.25}}), "learning_rate"), "0.25");
}

TEST(HtmlEscape, LeavesNothingThatHtmlWouldRead) {
  EXPECT_EQ(html_escape("<b a=\"1\" c='2'>&amp;"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
  EXPECT_EQ(html_escape(std::string_view("a\0b\x1b\x7f\n\t", 7)), "a\u2400b\u241b\u2421\n\t");
  EXPECT_EQ(html_escape("bad \xff byte"), "bad \ufffd byte");
  EXPECT_EQ(html_escape("cut \xe4\xb8"), "cut \ufffd");
}

TEST(ScriptJson, CannotEndTheScriptAndMeansTheSame) {
  const Json value = {{"text", "</script><!-- <script>"}, {"number", 1.5}};
  const std::string text = script_json(value);
  EXPECT_THAT(text, Not(HasSubstr("<")));
  EXPECT_EQ(Json::parse(text), value);
}

TEST(Numbers, AreReadable) {
  EXPECT_EQ(percent(.90125), "90.1\u00a0%");
  EXPECT_EQ(percent(std::nullopt), "\u2013");
  EXPECT_EQ(number(-0.02), "\u22120.02");
  EXPECT_EQ(number(std::numeric_limits<double>::quiet_NaN()), "\u2013");
}

class Rollouts : public testing::Test {
 protected:
  /// A run that dumps four prompts of three responses each at the given steps.
  store::Run run_with_dumps(const std::vector<int>& steps) {
    const auto folder = folder_.path() / "run";
    store::RunWriter writer = store::RunWriter::create(folder, {{"reward", "majority-vote"}}, Json::object());
    for (const int step : steps) {
      std::vector<store::RolloutRow> rows;
      for (int i = 0; i < 12; ++i) {
        store::RolloutRow row;
        row.input = "prompt " + std::to_string(i / 3);
        row.output = "<i>" + std::to_string(step) + "</i>";
        if (i % 3 != 2) row.answer = "7";
        row.gts = "7";
        row.true_score = i % 3 != 2;
        rows.push_back(row);
      }
      writer.write_rollouts(step, rows);
    }
    writer.wait_for_rollouts();
    store::Run run = store::load_run(folder);
    run.metrics = collapsed().metrics;
    return run;
  }
  store::TempFolder folder_;
};

TEST_F(Rollouts, AreShownAtTheStartThePeakTheCollapseAndTheEnd) {
  const store::Run run = run_with_dumps({0, 2, 4, 6});
  const std::vector<Moment> moments = moments_of(run, facts_of({run})[0], 2);
  ASSERT_EQ(moments.size(), 4u);
  EXPECT_EQ(moments[0].title, "At the start");
  EXPECT_EQ(moments[1].title, "At the peak");
  EXPECT_EQ(moments[1].step, 2);
  EXPECT_EQ(moments[2].title, "Near the collapse");
  EXPECT_EQ(moments[2].step, 4);  // the collapse is at 5; of 4 and 6, equally near, the earlier
  EXPECT_EQ(moments[3].title, "At the end");
  EXPECT_EQ(moments[3].step, 6);
  EXPECT_NEAR(*moments[0].right, 2.0 / 3, 1e-12);
  ASSERT_EQ(moments[0].samples.size(), 2u);
  EXPECT_EQ(moments[0].samples[0].prompt, "prompt 0");
  EXPECT_EQ(moments[0].samples[1].prompt, "prompt 2");
  EXPECT_EQ(moments[0].samples[0].agreeing, 2);
  EXPECT_EQ(moments[0].samples[0].group, 3);
  EXPECT_TRUE(*moments[0].samples[0].right);
}

TEST_F(Rollouts, LaterOnesAnswerTheSamePromptsOrThoseNearestInLength) {
  const auto folder = folder_.path() / "kinds";
  store::RunWriter writer = store::RunWriter::create(folder, {{"reward", "majority-vote"}}, Json::object());
  const auto dump = [&](int step, const std::vector<std::string>& prompts) {
    std::vector<store::RolloutRow> rows;
    for (const std::string& prompt : prompts) {
      store::RolloutRow row;
      row.input = prompt;
      rows.push_back(row);
    }
    writer.write_rollouts(step, rows);
  };
  dump(0, {"1", "4444", "666666"});
  dump(6, {"7777777", "22", "4444", "55555"});
  writer.wait_for_rollouts();
  store::Run run = store::load_run(folder);
  run.metrics = collapsed().metrics;
  const std::vector<Moment> moments = moments_of(run, facts_of({run})[0], 3);
  ASSERT_EQ(moments.size(), 2u);
  std::vector<std::string> prompts;
  for (const Sample& sample : moments[1].samples) prompts.push_back(sample.prompt);
  EXPECT_THAT(prompts, testing::ElementsAre("22", "4444", "7777777"));
}

TEST_F(Rollouts, OfOneDumpAreShownOnce) {
  const store::Run run = run_with_dumps({3});
  EXPECT_EQ(moments_of(run, facts_of({run})[0], 5).size(), 1u);
}

TEST_F(Rollouts, AreEscapedInThePage) {
  const std::string page = render({run_with_dumps({0, 6})});
  EXPECT_THAT(page, HasSubstr("&lt;i&gt;6&lt;/i&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<i>6</i>")));
}

TEST(Render, IsOnePageThatLoadsNothing) {
  const std::string page = render({collapsed()});
  EXPECT_EQ(page, render({collapsed()}));
  for (const char* loads : {"src=\"http", "href=\"http", "@import", "url(http", "{{"}) {
    EXPECT_THAT(page, Not(HasSubstr(loads)));
  }
  EXPECT_THAT(page, HasSubstr("Permission is hereby granted"));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  // Scripts end where they should: the data's, the library's and the page's own.
  std::size_t ends = 0;
  for (std::size_t at = page.find("</script"); at != std::string::npos; at = page.find("</script", at + 1)) ++ends;
  EXPECT_EQ(ends, 3u);
}

TEST(Render, RefusesNoRuns) { EXPECT_THROW(render({}), base::UserError); }

TEST(WriteReport, NamesAFolderThatHoldsNoRun) {
  const store::TempFolder temp;
  const std::vector<std::filesystem::path> runs = {temp.path()};
  EXPECT_THROW(write_report(runs, temp.path() / "report.html"), base::UserError);
  EXPECT_FALSE(std::filesystem::exists(temp.path() / "report.html"));
}

TEST_F(Rollouts, WriteReportReplacesOnlyAReport) {
  run_with_dumps({0});
  const std::vector<std::filesystem::path> runs = {folder_.path() / "run"};
  const auto output = folder_.path() / "report.html";
  write_report(runs, output);
  const std::string page = base::read_file(output);
  write_report(runs, output);
  EXPECT_EQ(base::read_file(output), page);
  base::write_file(output, "precious");
  EXPECT_THROW(write_report(runs, output), base::UserError);
  EXPECT_EQ(base::read_file(output), "precious");
}

TEST(Asset, UnknownNamesAreAnError) { EXPECT_THROW(asset("absent"), std::logic_error); }

}  // namespace
}  // namespace whet::report
