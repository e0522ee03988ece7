// The probe around models that write what they are told: right, wrong, or right at the start only.
#include "train/probe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "tests/train/fake_model.h"
#include "train/problems.h"

namespace whet::train {
namespace {

const std::string kAlphabet = "0123456789?#";

std::string sorted(std::string digits) {
  std::sort(digits.begin(), digits.end());
  return "#" + digits;
}

/// Sorts when the prompt's first digit is below `limit`, and writes nonsense else.
Writer sorts_below(char limit) {
  return [limit](const std::string& prompt, base::Random&) {
    return prompt[0] < limit ? sorted(prompt.substr(0, prompt.size() - 1)) : std::string("#77");
  };
}

class ProbeTest : public testing::Test {
 protected:
  Probe make(Writer base_writer, std::int64_t looks = 10) {
    options.probe.problems = 40;
    task = make_task({});
    policy.emplace(fake_text_model(kAlphabet, base_writer));
    base = policy->model->clone();
    return Probe(*policy, *base, *task, probe_problems(options, *task, 100), options.probe, sampling_options({}, *task),
                 0, looks);
  }

  TrainOptions options;
  std::unique_ptr<tasks::Task> task;
  std::optional<TextModel> policy;
  std::unique_ptr<engine::Model> base;
};

TEST_F(ProbeTest, TellsABaseThatIsMostlyWrongFromOneThatIsMostlyRight) {
  const Probe right = make(sorts_below('9')), wrong = make(sorts_below('1'));
  EXPECT_EQ(right.of_base().verdict(), analysis::ProbeVerdict::kAligned);
  EXPECT_NO_THROW(right.require_trainable());
  EXPECT_EQ(wrong.of_base().verdict(), analysis::ProbeVerdict::kMisaligned);
  EXPECT_THROW(wrong.require_trainable(), base::RunError);
  options.probe.only_warn = true;
  const Probe warned = make(sorts_below('1'));
  EXPECT_EQ(warned.of_base().verdict(), analysis::ProbeVerdict::kMisaligned);
  EXPECT_NO_THROW(warned.require_trainable());
}

TEST_F(ProbeTest, LetsNoBaseThroughOfWhichItCannotTell) {
  const Probe unclear = make(sorts_below('5'));
  ASSERT_EQ(unclear.of_base().verdict(), analysis::ProbeVerdict::kCannotTell);
  EXPECT_THROW(unclear.require_trainable(), base::RunError);
  options.probe.only_warn = true;
  EXPECT_NO_THROW(make(sorts_below('5')).require_trainable());
}

TEST_F(ProbeTest, SeesAMajorityFallAndNotOneThatStaysOrRises) {
  Probe probe = make(sorts_below('6'));
  const Probe::Result start = probe.measure(0);
  EXPECT_EQ(start.tokens, 0);
  EXPECT_FALSE(start.fell);
  const Probe::Result same = probe.measure(5);
  EXPECT_GT(same.tokens, 0);
  EXPECT_EQ(same.change.lost + same.change.won, 0);
  fake_of(*policy).set_writer(sorts_below(':'));
  const Probe::Result risen = probe.measure(10);
  EXPECT_FALSE(risen.fell);
  EXPECT_EQ(risen.metrics.at("probe_majority_accuracy"), 1.0);
  EXPECT_EQ(risen.metrics.at("probe_won"), 40 - start.change.right_now);
  fake_of(*policy).set_writer(sorts_below('0'));
  const Probe::Result fallen = probe.measure(15);
  EXPECT_TRUE(fallen.fell);
  EXPECT_EQ(fallen.metrics.at("probe_lost"), start.change.right_now);
  EXPECT_EQ(fallen.metrics.at("probe_majority_accuracy"), 0.0);
}

TEST_F(ProbeTest, TheMoreOftenItLooksTheMoreMustBeLost) {
  // Five lost of 40, none won: a chance of 1 in 32.
  const auto fell = [this](std::int64_t looks) {
    Probe probe = make(sorts_below(':'), looks);
    int right = 0;
    fake_of(*policy).set_writer([right](const std::string& prompt, base::Random&) mutable {
      // A problem's 16 rollouts follow each other.
      return right++ < 5 * 16 ? std::string("#77") : sorted(prompt.substr(0, prompt.size() - 1));
    });
    const Probe::Result result = probe.measure(5);
    EXPECT_EQ(result.change.lost, 5);
    return result.fell;
  };
  EXPECT_TRUE(fell(1));
  EXPECT_FALSE(fell(2));
}

TEST_F(ProbeTest, ProblemsAreHeldOutOnesThatNothingElseMeasures) {
  options.probe.problems = 40;
  task = make_task({});
  const auto measured = held_out_problems(*task, 100);
  for (const tasks::Problem& problem : probe_problems(options, *task, 100)) {
    EXPECT_EQ(tasks::split_of(problem.prompt), tasks::Split::kHeldOut);
    EXPECT_TRUE(
        std::none_of(measured.begin(), measured.end(), [&](const auto& other) { return other.id == problem.id; }));
  }
}

TEST_F(ProbeTest, AFilesLabelsAreReadAsTheTaskWritesThem) {
  const store::TempFolder folder;
  const std::string path = (folder.path() / "probe.jsonl").string();
  const auto write = [&path](int count, bool last_is_labelled) {
    std::ofstream out(path);
    for (int i = 0; i < count; ++i) {
      out << fmt::format("{{\"prompt\": \"{}00?\"", i + 10);
      if (i < count - 1 || last_is_labelled)
        out << fmt::format(", \"answer\": \"00{}\"", sorted(std::to_string(i + 10)).substr(1));
      out << "}\n";
    }
  };
  task = make_task({});
  options.probe.files = {path};
  write(16, true);
  const auto problems = probe_problems(options, *task, 0);
  ASSERT_EQ(problems.size(), 16u);
  EXPECT_EQ(problems[2].answer, "0012");  // not 12: sort counts its zeros
  write(15, true);
  EXPECT_THROW(probe_problems(options, *task, 0), base::UserError);
  write(65, true);
  EXPECT_THROW(probe_problems(options, *task, 0), base::UserError);
  write(20, false);
  EXPECT_THROW(probe_problems(options, *task, 0), base::UserError);
  write(20, true);
  options.probe.problems = 20;
  EXPECT_THROW(probe_problems(options, *task, 0), base::UserError);
}

}  // namespace
}  // namespace whet::train
