// sample_token: its statistics against double precision, its draws against the distribution, its cuts against brute force.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/torch/simd_math.h"
#include "tests/engine/torch/fixtures.h"

namespace whet::engine::kernels {
namespace {

/// What a row of logits says, in double.
struct Exact {
  std::vector<double> probability;
  std::vector<double> logprob;
  double entropy = 0, self_certainty = 0, gap = 0;

  Exact(const std::vector<float>& logits, double temperature) {
    const double largest = *std::max_element(logits.begin(), logits.end()) / temperature;
    double sum = 0, mean = 0;
    for (const float logit : logits) sum += std::exp(logit / temperature - largest);
    for (const float logit : logits) {
      logprob.push_back(logit / temperature - largest - std::log(sum));
      probability.push_back(std::exp(logprob.back()));
      if (probability.back() > 0) entropy -= probability.back() * logprob.back();
      mean += logprob.back() / static_cast<double>(logits.size());
    }
    self_certainty = -mean - std::log(static_cast<double>(logits.size()));
    std::vector<double> sorted = probability;
    std::sort(sorted.rbegin(), sorted.rend());
    gap = sorted.size() > 1 ? sorted[0] - sorted[1] : sorted[0];
  }
};

SampledToken draw(const std::vector<float>& logits, const SamplingOptions& options, double uniform) {
  thread_local std::vector<float> scratch;
  scratch.resize(logits.size());
  return sample_token(logits.data(), scratch.data(), static_cast<std::int64_t>(logits.size()), options, uniform);
}

std::vector<float> random_logits(std::int64_t vocabulary, double spread, std::uint64_t seed) {
  base::Random random{seed, static_cast<std::uint64_t>(vocabulary)};
  std::vector<float> logits;
  for (std::int64_t v = 0; v < vocabulary; ++v) logits.push_back(static_cast<float>(spread * random.normal()));
  return logits;
}

TEST(FastExp, IsExpToAFewUnitsInTheLastPlace) {
  double worst = 0;
  for (float x = -86.9f; x < 0.01f; x += 1.3e-4f) {
    worst = std::max(worst, std::abs(static_cast<double>(fast_exp(x)) / std::exp(static_cast<double>(x)) - 1));
  }
  EXPECT_LT(worst, 3e-7);
  EXPECT_EQ(fast_exp(0.0f), 1.0f);
  EXPECT_EQ(fast_exp(-88.0f), 0.0f);
  EXPECT_EQ(fast_exp(-INFINITY), 0.0f);
}

class VocabularyTest : public testing::TestWithParam<std::int64_t> {};

TEST_P(VocabularyTest, StatisticsEqualDoublePrecision) {
  const std::int64_t vocabulary = GetParam();
  for (const double spread : {0.0, 1.0, 4.0, 30.0}) {
    for (const double temperature : {0.5, 0.7, 1.0, 2.0}) {
      const std::vector<float> logits = random_logits(vocabulary, spread, 1);
      const Exact exact(logits, temperature);
      for (const double uniform : {0.0, 0.3, 0.999999}) {
        const SampledToken token = draw(logits, {.temperature = temperature}, uniform);
        const std::string where = fmt::format("spread {}, temperature {}, token {}", spread, temperature, token.id);
        const double wanted = exact.logprob[static_cast<std::size_t>(token.id)];
        EXPECT_NEAR(token.statistics.logprob, wanted, 1e-6 * std::max(1.0, std::abs(wanted))) << where;
        EXPECT_LE(token.statistics.logprob, 0.0f) << where;
        EXPECT_NEAR(token.statistics.entropy, exact.entropy, 2e-6 * std::max(1.0, exact.entropy)) << where;
        EXPECT_NEAR(token.statistics.self_certainty, exact.self_certainty, 2e-6 * std::max(1.0, exact.self_certainty))
            << where;
        EXPECT_NEAR(token.statistics.gap, exact.gap, 1e-6) << where;
      }
    }
  }
}

TEST_P(VocabularyTest, EvenlySpacedUniformsVisitEachTokenAsOftenAsItsProbabilitySays) {
  const std::int64_t vocabulary = GetParam();
  const std::vector<float> logits = random_logits(vocabulary, 1.5, 2);
  const int draws = vocabulary > 1000 ? 3000 : 20000;
  const Exact exact(logits, 1.0);
  std::vector<int> seen(logits.size(), 0);
  std::int32_t last = 0;
  for (int i = 0; i < draws; ++i) {
    const std::int32_t id = draw(logits, {}, (i + 0.5) / draws).id;
    ASSERT_GE(id, last) << "the cumulative distribution runs over ids in order";
    last = id;
    ++seen[static_cast<std::size_t>(id)];
  }
  for (std::size_t v = 0; v < logits.size(); ++v)
    ASSERT_NEAR(seen[v], draws * exact.probability[v], 1.01) << "token " << v;
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, VocabularyTest, testing::Values(1, 2, 37, 4096, 151936));

TEST(SampleToken, FrequenciesOfKeyedDrawsPassAChiSquareTest) {
  constexpr int kDraws = 40000;
  for (const double temperature : {0.5, 1.0, 2.0}) {
    const std::vector<float> logits = random_logits(37, 0.7, 3);
    const Exact exact(logits, temperature);
    std::vector<int> seen(logits.size(), 0);
    for (int i = 0; i < kDraws; ++i) {
      const double uniform =
          base::token_uniform(99, static_cast<std::uint64_t>(i / 64), static_cast<std::uint32_t>(i % 8),
                              static_cast<std::uint32_t>(i / 8 % 8));
      ++seen[static_cast<std::size_t>(draw(logits, {.temperature = temperature}, uniform).id)];
    }
    double chi_square = 0;
    for (std::size_t v = 0; v < logits.size(); ++v) {
      const double expected = kDraws * exact.probability[v];
      ASSERT_GT(expected, 5) << "too rare to test";
      chi_square += (seen[v] - expected) * (seen[v] - expected) / expected;
    }
    EXPECT_LT(chi_square, 73.4) << "temperature " << temperature;  // 36 degrees of freedom: p = .0002
    EXPECT_GT(chi_square, 13) << "temperature " << temperature;    // too even to be random: p = .0002
  }
}

/// The tokens that top-k and then top-p leave, by sorting: ties go to the smaller id.
std::vector<std::size_t> allowed(const Exact& exact, const SamplingOptions& options) {
  std::vector<std::size_t> order(exact.probability.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return exact.probability[a] > exact.probability[b]; });
  if (options.top_k > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(options.top_k)));
  double total = 0, running = 0;
  for (const std::size_t v : order) total += exact.probability[v];
  std::size_t kept = 0;
  while (kept < order.size() && running < options.top_p * total) running += exact.probability[order[kept++]];
  order.resize(std::max<std::size_t>(kept, 1));
  std::sort(order.begin(), order.end());
  return order;
}

TEST(SampleToken, TopKAndTopPLeaveTheSetThatBruteForceLeaves) {
  constexpr int kDraws = 5000;
  for (const std::int64_t vocabulary : {std::int64_t{1}, std::int64_t{2}, std::int64_t{37}}) {
    for (const int top_k : {0, 1, 2, 5, 37, 100}) {
      for (const double top_p : {1.0, 0.95, 0.5, 0.1, 1e-9}) {
        for (const double temperature : {0.5, 1.0}) {
          const SamplingOptions options{.temperature = temperature, .top_p = top_p, .top_k = top_k};
          const std::vector<float> logits = random_logits(vocabulary, 1.0, 4);
          const Exact exact(logits, temperature);
          const std::vector<std::size_t> wanted = allowed(exact, options);
          double mass = 0;
          for (const std::size_t v : wanted) mass += exact.probability[v];
          std::vector<int> seen(logits.size(), 0);
          for (int i = 0; i < kDraws; ++i) {
            const SampledToken token = draw(logits, options, (i + 0.5) / kDraws);
            ++seen[static_cast<std::size_t>(token.id)];
            // Statistics belong to the distribution before the cut.
            const double logprob = exact.logprob[static_cast<std::size_t>(token.id)];
            ASSERT_NEAR(token.statistics.logprob, logprob, 1e-6 * std::max(1.0, -logprob));
          }
          for (std::size_t v = 0; v < logits.size(); ++v) {
            const bool kept = std::binary_search(wanted.begin(), wanted.end(), v);
            ASSERT_NEAR(seen[v], kept ? kDraws * exact.probability[v] / mass : 0, kept ? 1.01 : 0) << fmt::format(
                "token {} of {}, top-k {}, top-p {}, temperature {}", v, vocabulary, top_k, top_p, temperature);
          }
        }
      }
    }
  }
}

TEST(SampleToken, TiesGoToTheSmallerId) {
  const std::vector<float> logits = {1, 3, 3, 0, 3};
  EXPECT_EQ(draw(logits, {.greedy = true}, 0.9).id, 1);
  EXPECT_EQ(draw(logits, {.greedy = true}, 0.9).statistics.gap, 0.0f);
  for (const double uniform : {0.0, 0.4, 0.6, 0.99}) {
    EXPECT_EQ(draw(logits, {.top_k = 1}, uniform).id, 1);
    EXPECT_EQ(draw(logits, {.top_k = 2}, uniform).id, uniform < 0.5 ? 1 : 2);
    EXPECT_EQ(draw(logits, {.top_p = 0.1}, uniform).id, 1);
  }
  const std::vector<float> equal(37, -2.5f);
  EXPECT_EQ(draw(equal, {.greedy = true}, 0.5).id, 0);
  EXPECT_NEAR(draw(equal, {}, 0.5).statistics.entropy, std::log(37.0), 1e-6);
  EXPECT_NEAR(draw(equal, {}, 0.5).statistics.self_certainty, 0, 1e-6);
}

TEST(SampleToken, ExtremeLogitsGiveExactCertainty) {
  for (const std::int64_t vocabulary : {2, 37, 151936}) {
    std::vector<float> one_hot(static_cast<std::size_t>(vocabulary), -1e4f);
    one_hot[1] = 1e4f;
    for (const double uniform : {0.0, 0.5, 1 - 0x1p-53}) {
      for (const double temperature : {0.5, 1.0, 2.0}) {
        const SampledToken token = draw(one_hot, {.temperature = temperature, .top_p = 0.95, .top_k = 5}, uniform);
        EXPECT_EQ(token.id, 1);
        EXPECT_EQ(token.statistics.logprob, 0.0f);
        EXPECT_EQ(token.statistics.entropy, 0.0f);
        EXPECT_EQ(token.statistics.gap, 1.0f);
        const Exact exact(one_hot, temperature);
        EXPECT_NEAR(token.statistics.self_certainty, exact.self_certainty, 1e-6 * exact.self_certainty);
      }
    }
  }
}

TEST(SampleToken, AUniformJustBelowOneNeverGivesATokenWithoutProbability) {
  for (const std::int64_t vocabulary : {2, 37, 151936}) {
    std::vector<float> logits = random_logits(vocabulary, 1.0, 5);
    logits.back() = -1e4f;
    for (const SamplingOptions& options :
         {SamplingOptions{}, SamplingOptions{.top_p = 0.999}, SamplingOptions{.top_k = 2}}) {
      EXPECT_LT(draw(logits, options, 1 - 0x1p-53).id, vocabulary - 1);
    }
  }
}

TEST(SampleToken, WhatIsNotANumberStaysSo) {
  const std::vector<float> logits = {1.0f, std::numeric_limits<float>::quiet_NaN(), 0.5f};
  std::vector<float> scratch(3);
  const SampledToken token = sample_token(logits.data(), scratch.data(), 3, {}, 0.3);
  EXPECT_TRUE(std::isnan(token.statistics.logprob));
  EXPECT_TRUE(std::isnan(token.statistics.entropy));
  EXPECT_TRUE(std::isnan(token.statistics.self_certainty));
}

}  // namespace
}  // namespace whet::engine::kernels
