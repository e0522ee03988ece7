// avg@n, pass@k, maj@n: against enumeration of every subset, and the intervals against known values and their coverage.
#include "analysis/evaluation.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

TEST(PassAtK, EqualsTheShareOfSubsetsWithARightSample) {
  for (int n = 1; n <= 10; ++n) {
    for (int right = 0; right <= n; ++right) {
      for (int k = 1; k <= n; ++k) {
        int subsets = 0, hits = 0;
        for (unsigned mask = 0; mask < (1u << n); ++mask) {
          if (std::popcount(mask) != k) continue;
          ++subsets;
          hits += (mask & ((1u << right) - 1)) != 0 ? 1 : 0;
        }
        EXPECT_NEAR(pass_at_k(n, right, k), static_cast<double>(hits) / subsets, 1e-12)
            << n << " " << right << " " << k;
      }
    }
  }
}

TEST(PassAtK, IsExactAtTheEndsAndStableForManySamples) {
  EXPECT_EQ(pass_at_k(1000000, 0, 1000), 0);
  EXPECT_EQ(pass_at_k(1000000, 1, 1000000), 1);
  EXPECT_NEAR(pass_at_k(1000000, 1, 1000), 1e-3, 1e-12);
  EXPECT_NEAR(pass_at_k(4096, 10, 1), 10.0 / 4096, 1e-15);
}

TEST(PassAtK, RefusesAKBeyondTheSamples) {
  EXPECT_THROW(pass_at_k(4, 1, 5), base::UserError);
  EXPECT_THROW(pass_at_k(4, 1, 0), base::UserError);
  EXPECT_THROW(pass_at_k(4, 5, 1), base::UserError);
}

// The interval is the set of shares p that a two-sided z test does not reject: its bounds solve |s/n - p| = z sd(p).
TEST(Wilson, BoundsAreWhereTheTestStopsRejecting) {
  for (const int trials : {1, 7, 40, 1000}) {
    for (const int successes : {0, 1, trials / 4, trials - 1, trials}) {
      const Estimate estimate = wilson(successes, trials);
      const double share = static_cast<double>(successes) / trials;
      EXPECT_EQ(estimate.value, share);
      for (const double bound : {estimate.low, estimate.high}) {
        EXPECT_NEAR(std::abs(share - bound), 1.959964 * std::sqrt(bound * (1 - bound) / trials), 1e-6);
      }
      EXPECT_LE(estimate.low, share);
      EXPECT_GE(estimate.high, share);
      EXPECT_LT(estimate.low, estimate.high);
    }
  }
  EXPECT_EQ(wilson(0, 10).low, 0);
  EXPECT_EQ(wilson(10, 10).high, 1);
  EXPECT_NEAR(wilson(0, 10).high, 3.841459 / (10 + 3.841459), 1e-6);  // z^2 / (n + z^2)
  EXPECT_THROW(wilson(0, 0), base::UserError);
}

TEST(Bootstrap, IsAFunctionOfItsSeedAndShrinksToAPointForEqualValues) {
  const std::vector<double> values{0.03, 0.11, 0.29, 0.37, 0.53, 0.71, 0.83, 0.97};
  EXPECT_EQ(bootstrap_mean(values, 3).low, bootstrap_mean(values, 3).low);
  EXPECT_NE(bootstrap_mean(values, 3).low, bootstrap_mean(values, 4).low);
  const Estimate flat = bootstrap_mean({0.5, 0.5, 0.5}, 1);
  EXPECT_EQ(flat.low, 0.5);
  EXPECT_EQ(flat.high, 0.5);
}

TEST(Bootstrap, CoversTheTruthNearlyNineteenTimesInTwenty) {
  base::Random random{11};
  int covered = 0;
  constexpr int kTrials = 200;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values;
    for (int i = 0; i < 60; ++i) values.push_back(random.uniform());
    const Estimate estimate = bootstrap_mean(values, static_cast<std::uint64_t>(trial));
    EXPECT_LE(estimate.low, estimate.value);
    EXPECT_GE(estimate.high, estimate.value);
    covered += estimate.low <= 0.5 && 0.5 <= estimate.high ? 1 : 0;
  }
  // A percentile bootstrap of 60 values covers about 94 %; standard deviation of the share 1.7 points.
  EXPECT_GT(covered, kTrials * 0.88);
  EXPECT_LT(covered, kTrials * 0.99);
}

TEST(Evaluate, CountsWhatItIsGiven) {
  const std::vector<ProblemOutcome> problems{
      {{true, true, false, false}, true}, {{false, false, false, false}, false}, {{true, false, false, false}, false}};
  const Evaluation result = evaluate(problems, {1, 4, 4}, 0);
  EXPECT_EQ(result.problems, 3);
  EXPECT_EQ(result.samples, 12);
  EXPECT_EQ(result.least_samples, 4);
  EXPECT_NEAR(result.avg.value, 0.25, 1e-12);
  EXPECT_NEAR(result.pass.at(1).value, 0.25, 1e-12);  // pass@1 is avg@n
  EXPECT_NEAR(result.pass.at(4).value, 2.0 / 3, 1e-12);
  EXPECT_EQ(result.pass.size(), 2u);
  EXPECT_NEAR(result.maj->value, 1.0 / 3, 1e-12);
}

TEST(Evaluate, HasNoMajorityUnlessEveryProblemHasAVote) {
  EXPECT_FALSE(evaluate({{{true}, true}, {{true}, std::nullopt}}, {}, 0).maj);
}

TEST(Evaluate, RefusesEmptyInputByName) {
  EXPECT_THROW(evaluate({}, {1}, 0), base::UserError);
  EXPECT_THROW(evaluate({{{}, true}}, {1}, 0), base::UserError);
  EXPECT_THROW(evaluate({{{true, false}, true}}, {3}, 0), base::UserError);
}

}  // namespace
}  // namespace whet::analysis
