// Rewards and sums of them to advantages and signals.
#include "train/scoring.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "tests/train/fake_model.h"
#include "train/advantage.h"
#include "train/problems.h"

namespace whet::train {
namespace {

using Values = std::vector<std::vector<double>>;

class ScoringTest : public testing::Test {
 protected:
  /// Six problems with five rollouts each: one to three digits, or nothing that could be an answer.
  void SetUp() override {
    task_ = make_task({});
    TextModel model = fake_text_model(task_->alphabet(), [](const std::string& prompt, base::Random& random) {
      if (random.uniform() < 0.2) return std::string("T");
      if (random.uniform() < 0.4) {
        std::string digits = prompt.substr(0, prompt.size() - 1);
        std::sort(digits.begin(), digits.end());
        return "#" + digits;
      }
      return "#" + std::string(1 + random.below(3), '3');
    });
    groups_ = sample_groups(*model.model, model.tokenizer, *task_, take_problems(*task_, tasks::Split::kTrain, 0, 6), 5,
                            {}, 99);
  }

  ScoredBatch score(const std::string& reward, const std::string& combine = "advantages",
                    const std::string& advantage = "grpo") const {
    TrainOptions options;
    options.reward = reward;
    options.combine = combine;
    options.advantage = advantage;
    return Scoring(options).score(groups_, *task_, 0, 1);
  }

  static void expect_near(const Values& a, const Values& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t g = 0; g < a.size(); ++g) {
      ASSERT_EQ(a[g].size(), b[g].size());
      for (std::size_t i = 0; i < a[g].size(); ++i) EXPECT_NEAR(a[g][i], b[g][i], 1e-9) << g << " " << i;
    }
  }

  static Values weighted(double a, const Values& x, double b, const Values& y) {
    Values sum = x;
    for (std::size_t g = 0; g < x.size(); ++g) {
      for (std::size_t i = 0; i < x[g].size(); ++i) sum[g][i] = a * x[g][i] + b * y[g][i];
    }
    return sum;
  }

  std::unique_ptr<tasks::Task> task_;
  std::vector<Group> groups_;
};

TEST_F(ScoringTest, ASumAddsAdvantagesThatWereNormalisedOneByOne) {
  for (const std::string& kind : advantage_names()) {
    const ScoredBatch vote = score("majority-vote", "advantages", kind), format = score("format", "advantages", kind);
    const ScoredBatch sum = score("majority-vote + 0.5*format", "advantages", kind);
    expect_near(sum.advantages, weighted(1, vote.advantages, 0.5, format.advantages));
    expect_near(sum.rewards, weighted(1, vote.rewards, 0.5, format.rewards));
  }
}

TEST_F(ScoringTest, ASumOfPlainRewardsIsNormalisedAfterwards) {
  const ScoredBatch sum = score("majority-vote + 0.5*trajectory-entropy", "rewards");
  const Values plain = weighted(1, score("majority-vote").rewards, 0.5, score("trajectory-entropy").rewards);
  expect_near(sum.rewards, plain);
  expect_near(sum.advantages, batch_advantages(plain, AdvantageKind::kGroup));
  const ScoredBatch other = score("majority-vote + 0.5*trajectory-entropy");
  double difference = 0;
  for (std::size_t g = 0; g < plain.size(); ++g) difference += std::abs(other.advantages[g][0] - sum.advantages[g][0]);
  EXPECT_GT(difference, 0.1) << "the two ways to combine are not the same";
}

TEST_F(ScoringTest, ASumSaysWhatEachTermPaysAndASingleRewardDoesNot) {
  const ScoredBatch sum = score("majority-vote - 2*format");
  EXPECT_NEAR(sum.metrics.at("reward.majority-vote").get<double>(), *score("majority-vote").signals.reward_mean, 1e-12);
  EXPECT_NEAR(sum.metrics.at("reward.format").get<double>(), *score("format").signals.reward_mean, 1e-12);
  EXPECT_NEAR(*sum.signals.reward_mean,
              sum.metrics.at("reward.majority-vote").get<double>() - 2 * sum.metrics.at("reward.format").get<double>(),
              1e-12);
  EXPECT_TRUE(score("majority-vote").metrics.empty());
}

TEST_F(ScoringTest, RewardAccuracyOfASumIsThatOfTheRolloutThatItsAdvantagesPayBest) {
  // The plain sum follows the term with the large scale, the advantages do not.
  const std::string text = "ground-truth + 0.01*trajectory-entropy";
  const ScoredBatch sum = score(text);
  double best_is_right = 0, groups = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const auto& advantages = sum.advantages[g];
    const auto best =
        static_cast<std::size_t>(std::max_element(advantages.begin(), advantages.end()) - advantages.begin());
    best_is_right += *groups_[g].correct[best] ? 1 : 0;
    ++groups;
  }
  EXPECT_NEAR(*sum.signals.reward_accuracy, best_is_right / groups, 1e-12);
  EXPECT_EQ(*score("ground-truth").signals.reward_accuracy, 1.0);
  // 2*ground-truth pays 2 where the truth is 1: read as a real-valued reward, not as one that is always wrong.
  EXPECT_NEAR(*score("2*ground-truth").signals.reward_accuracy, *score("ground-truth").signals.pass_at_n, 1e-12);
}

TEST_F(ScoringTest, UnknownRewardsAndMalformedSumsAreUserErrors) {
  for (const char* text : {"", "majority-vot", "majority-vote +", "0*format", "format + format", "2 format"}) {
    EXPECT_THROW(score(text), base::UserError) << text;
  }
}

TEST(ScoringOptions, NothingToCombineIsRefused) {
  TrainOptions options;
  options.combine = "rewards";
  EXPECT_THROW((void)Scoring(options), base::UserError);
  options.reward = "majority-vote + 0.5*format";
  EXPECT_NO_THROW((void)Scoring(options));
}

}  // namespace
}  // namespace whet::train
