// Verdicts as evidence: who is asked, and what reaches groups and metrics.
#include "train/verdicts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/train/fake_model.h"
#include "train/scoring.h"

namespace whet::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kAlphabet = "0123456789,:=+-*/()#;vTF";

/// Solves 1,2,3:6= rightly, wrongly or without an answer, and as a verifier always says `verdict`.
Writer writer(std::string verdict) {
  return [verdict](const std::string& prompt, base::Random& random) -> std::string {
    if (prompt.ends_with('v')) return verdict;
    return std::vector<std::string>{"#1+2+3", "#3-2+1", "1+2"}[random.below(3)];
  };
}

class VerdictsTest : public testing::Test {
 protected:
  VerdictsTest() : policy_(fake_text_model(kAlphabet, writer("T"))), base_(kAlphabet, writer("F")) {}

  Gathering gathered() {
    Gathering step;
    step.step = 3;
    tasks::Problem problem;
    problem.id = "one";
    problem.prompt = "1,2,3:6=";
    step.groups = sample_groups(*policy_.model, policy_.tokenizer, *task_, {problem}, 12, {}, 0);
    make_verdicts({policy_, *task_, options_, {}, &base_})->gather(step);
    return step;
  }

  std::unique_ptr<tasks::Task> task_ = tasks::tasks().find("countdown").make({});
  TextModel policy_;
  FakeModel base_;
  TrainOptions options_;
};

TEST_F(VerdictsTest, ThePolicyAsItIsJudgesUnlessTheBaseShall) {
  options_.verifier.verifier_readings = 2;
  const Gathering live = gathered();
  ASSERT_EQ(live.groups[0].verdicts.size(), 12u);
  int asked = 0;
  for (std::size_t i = 0; i < 12; ++i) {
    const auto& readings = live.groups[0].verdicts[i];
    const bool has_answer = live.groups[0].answers[i].has_value();
    asked += has_answer ? 1 : 0;
    const std::optional<bool> want = has_answer ? std::optional(true) : std::nullopt;
    EXPECT_THAT(readings, ElementsAre(want, want));
  }
  EXPECT_TRUE(asked > 0 && asked < 12);
  EXPECT_EQ(live.tokens, 2 * 2 * asked) << "T and the end token, twice a solution";
  EXPECT_EQ(live.metrics.at("verifier_true"), 1.0);
  EXPECT_EQ(live.metrics.at("verifier_recall"), 1.0);
  EXPECT_EQ(live.metrics.at("verifier_no_answer"), (12 - asked) / 12.0);

  options_.verifier.verifier = "base";
  const Gathering frozen = gathered();
  for (std::size_t i = 0; i < 12; ++i) {
    const std::optional<bool> want = frozen.groups[0].answers[i] ? std::optional(false) : std::nullopt;
    EXPECT_THAT(frozen.groups[0].verdicts[i], ElementsAre(want, want));
  }
  EXPECT_EQ(frozen.metrics.at("verifier_true"), 0.0);
  EXPECT_FALSE(frozen.metrics.contains("verifier_precision")) << "nothing was called True";

  fake_of(policy_).set_writer(writer("F"));
  options_.verifier.verifier = "live";
  EXPECT_EQ(gathered().metrics.at("verifier_true"), 0.0) << "the policy has changed its mind";
}

TEST_F(VerdictsTest, TheSameStepDrawsTheSame) {
  const auto moody = [](const std::string& prompt, base::Random& random) -> std::string {
    if (prompt.ends_with('v')) return random.uniform() < 0.5 ? "T" : "F";
    return "#1+2+3";
  };
  fake_of(policy_).set_writer(moody);
  options_.verifier.verifier_readings = 30;
  const Gathering once = gathered(), again = gathered();
  EXPECT_EQ(once.groups[0].verdicts, again.groups[0].verdicts);
  EXPECT_NE(once.groups[0].verdicts[0], once.groups[0].verdicts[1]) << "equal solutions have readings of their own";
}

TEST_F(VerdictsTest, WhoCannotBeAskedIsRefusedBeforeTheRun) {
  options_.verifier.verifier = "no-such-model";
  EXPECT_THROW(gathered(), base::UserError);
  options_.verifier.verifier = "live";
  const auto arithmetic = tasks::tasks().find("arithmetic").make({});
  try {
    make_verdicts({policy_, *arithmetic, options_, {}, &base_});
    FAIL() << "the model has no letters to be asked in";
  } catch (const base::UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--verifier-template"));
  }
}

TEST_F(VerdictsTest, AnEvidenceStageAsksAVerifierWhereARewardReadsVerdictsAndRefusesOneThatNobodyReads) {
  options_.verifier.verifier_readings = 2;
  for (const char* reward : {"self-verification", "majority-vote + 0.5*self-verification"}) {
    options_.reward = reward;
    Evidence evidence({policy_, *task_, options_, {}, &base_}, rewards::parse_terms(reward));
    Gathering step;
    step.groups = {Group{}};
    evidence.gather(step);
    EXPECT_FALSE(evidence.is_empty()) << reward;
  }
  options_.reward = "majority-vote";
  try {
    Evidence({policy_, *task_, options_, {}, &base_}, rewards::parse_terms(options_.reward));
    FAIL() << "nobody reads the verdicts";
  } catch (const base::UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("verifier-readings"));
    EXPECT_THAT(error.what(), HasSubstr("self-verification"));
  }
}

TEST_F(VerdictsTest, AVerdictPaysAndSeveralPayTheirShare) {
  for (const int readings : {1, 2}) {
    options_.reward = "self-verification";
    options_.verifier.verifier_readings = readings;
    const Gathering step = gathered();
    const ScoredBatch batch = Scoring(options_).score(step.groups, *task_, 0, 1);
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(batch.rewards[0][i], step.groups[0].answers[i] ? 1.0 : 0.0);
    int equal = 0;
    for (std::size_t i = 0; i < 12; ++i)
      equal += batch.rewards[0][i] == (*step.groups[0].correct[i] ? 1.0 : 0.0) ? 1 : 0;
    ASSERT_TRUE(equal > 0 && equal < 12) << "wrong solutions are called right";
    // Only one verdict can be equal to the true reward; of several the rollout that is paid best is looked at.
    EXPECT_EQ(*batch.signals.reward_accuracy == equal / 12.0, readings == 1);
  }
}

}  // namespace
}  // namespace whet::train
