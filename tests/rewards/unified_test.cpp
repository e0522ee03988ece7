// Every intrinsic reward a second time, from its unified form and whole distributions alone. A reward that is
// registered as intrinsic and has no form, or that is not covered here, fails.
#include "rewards/unified.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <map>

#include "tests/rewards/evidence.h"

namespace whet::rewards {
namespace {

/// Responses with their whole distributions, and the few numbers a token that the engine would keep of them.
struct World {
  std::vector<FormResponse> responses;
  std::deque<std::vector<float>> arrays;
  Group group;
};

std::string answer_text(int answer) { return std::string(1, static_cast<char>('p' - answer)); }

FormResponse random_response(base::Random& random, std::size_t vocabulary) {
  FormResponse response;
  const auto length = static_cast<std::size_t>(random.between(1, 6));
  for (std::size_t t = 0; t < length; ++t) {
    std::vector<double> logits;
    for (std::size_t v = 0; v < vocabulary; ++v) logits.push_back(2 * random.normal());
    response.policy.push_back(softmax(logits));
    response.sampled.push_back(random.below(vocabulary));
  }
  const std::size_t begin = random.below(length);
  response.answer_tokens = {begin, begin + 1 + random.below(length - begin)};
  if (random.below(5) > 0) response.answer = random.below(4);
  return response;
}

/// The engine's statistics by the textbook sums, not by way of cross-entropies.
void add_sample(World& world, const FormResponse& response) {
  std::vector<float> logprob, entropy, certainty, gap;
  for (std::size_t t = 0; t < response.policy.size(); ++t) {
    Distribution p = response.policy[t];
    double h = 0, kl = 0;
    for (const double value : p) {
      h += value * std::log(1 / value);
      kl += std::log(1 / (value * static_cast<double>(p.size()))) / static_cast<double>(p.size());
    }
    logprob.push_back(static_cast<float>(std::log(p[response.sampled[t]])));
    entropy.push_back(static_cast<float>(h));
    certainty.push_back(static_cast<float>(kl));
    std::sort(p.begin(), p.end(), std::greater<>());
    gap.push_back(static_cast<float>(p[0] - p[1]));
  }
  const auto keep = [&](std::vector<float> values) {
    world.arrays.push_back(std::move(values));
    return std::span<const float>(world.arrays.back());
  };
  Sample sample;
  sample.answer_class = response.answer ? static_cast<int>(*response.answer) : -1;
  if (response.answer) sample.answer = answer_text(sample.answer_class);
  sample.logprob = keep(logprob);
  sample.entropy = keep(entropy);
  sample.self_certainty = keep(certainty);
  sample.gap = keep(gap);
  if (response.answer) sample.answer_span = response.answer_tokens;
  world.group.samples.push_back(sample);
  world.responses.push_back(response);
}

World random_world(base::Random& random) {
  World world;
  const std::size_t vocabulary = 3 + random.below(6);
  for (int i = 0; i < 6; ++i) add_sample(world, random_response(random, vocabulary));
  return world;
}

/// Answers 0..3 with their probability among the voters, listed as ties between them are broken.
struct Answers {
  Distribution pi;
  std::vector<std::size_t> place;  ///< of answer a in pi
};

/// pi = sum over policies of w_p * (share of a in p), w_p proportional to the policy's largest share if `weighted`.
Answers distribution_of(const std::vector<Ballot>& ballots, bool weighted) {
  std::vector<double> mass(4, 0.0), logprob(4, 0.0);
  double total = 0;
  for (const Ballot& ballot : ballots) {
    std::vector<double> share(4, 0.0);
    for (const Vote& vote : ballot.votes) {
      if (vote.answer_class < 0) continue;
      share[static_cast<std::size_t>(vote.answer_class)] += 1 / static_cast<double>(ballot.votes.size());
      logprob[static_cast<std::size_t>(vote.answer_class)] += vote.logprob;
    }
    const double weight = weighted ? *std::max_element(share.begin(), share.end()) : 1;
    total += weight;
    for (std::size_t a = 0; a < 4; ++a) mass[a] += weight * share[a];
  }
  std::vector<std::size_t> order{0, 1, 2, 3};
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (std::abs(logprob[a] - logprob[b]) > 1e-9) return logprob[a] > logprob[b];
    return answer_text(static_cast<int>(a)) < answer_text(static_cast<int>(b));
  });
  Answers answers{.pi = {}, .place = std::vector<std::size_t>(4)};
  for (std::size_t i = 0; i < 4; ++i) {
    answers.place[order[i]] = i;
    // Equal masses must be equal numbers for the first of them to win.
    answers.pi.push_back(total > 0 ? std::round(mass[order[i]] / total * 1e12) / 1e12 : 0);
  }
  return answers;
}

std::vector<Ballot> random_ballots(base::Random& random, std::size_t count) {
  std::vector<Ballot> ballots(count);
  for (Ballot& ballot : ballots) {
    const auto votes = static_cast<int>(random.between(1, 9));
    for (int v = 0; v < votes; ++v) {
      const auto answer = static_cast<int>(random.below(5)) - 1;
      const double logprob = -std::ldexp(static_cast<double>(random.below(64)), -3);
      ballot.votes.push_back({answer, answer < 0 ? "" : answer_text(answer), logprob});
    }
  }
  return ballots;
}

/// Who votes, as the reward wants it; the samples themselves every other time that it may be they.
std::vector<Ballot> set_voters(Group& group, Votes votes, int trial, base::Random& random) {
  if (votes == Votes::kNone) return {};
  if (votes == Votes::kOwn && trial % 2 == 0) {
    Ballot own;
    for (const Sample& sample : group.samples) {
      double sum = 0;
      for (const float value : sample.logprob) sum += static_cast<double>(value);
      own.votes.push_back({sample.answer_class, sample.answer, sum});
    }
    return {own};
  }
  group.ballots = random_ballots(random, votes == Votes::kPolicies ? 3 : 1);
  return group.ballots;
}

class EveryIntrinsicReward : public testing::TestWithParam<std::string> {};

TEST_P(EveryIntrinsicReward, IsItsUnifiedForm) {
  const RewardEntry& entry = rewards().find(GetParam());
  ASSERT_TRUE(entry.form.has_value()) << "an intrinsic reward without a unified form";
  const UnifiedForm form = *entry.form;
  base::Random random{base::hash_text(GetParam())};
  std::vector<double> seen;
  for (int trial = 0; trial < 100; ++trial) {
    World world = random_world(random);
    const auto ballots = set_voters(world.group, entry.needs.votes, trial, random);
    const Answers answers = distribution_of(ballots, entry.needs.votes == Votes::kPolicies);
    const Scored scored = score(GetParam(), world.group);
    for (std::size_t i = 0; i < world.responses.size(); ++i) {
      FormResponse response = world.responses[i];
      double expected = 0;  // a reward that reads answers pays nothing without one
      if (response.answer || !entry.needs.answers) {
        if (response.answer) response.answer = answers.place[*response.answer];
        expected = unified_value(form, response, answers.pi).value();
      }
      const double tolerance = 1e-5 * std::max(1.0, std::abs(expected));  // statistics are floats
      EXPECT_NEAR(scored.reward[i], expected, tolerance) << "trial " << trial << ", response " << i;
      seen.push_back(expected);
    }
  }
  // The comparison has teeth only where the values differ.
  EXPECT_GT(*std::max_element(seen.begin(), seen.end()), *std::min_element(seen.begin(), seen.end()) + 0.1);
}

std::vector<std::string> intrinsic_rewards() {
  std::vector<std::string> names;
  for (const auto& [name, entry] : rewards()) {
    if (entry.intrinsic()) names.push_back(name);
  }
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& tested) {
  std::string name = tested.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryIntrinsicReward, testing::ValuesIn(intrinsic_rewards()), test_name);

TEST(UnifiedForm, IsTheTableOfThePaper) {
  const std::map<std::string, UnifiedForm> table{
      {"self-certainty", {Anchor::kUniform, +1, IndexSet::kTokens, Transform::kLessLogV}},
      {"token-entropy", {Anchor::kPolicy, -1, IndexSet::kTokens, Transform::kIdentity}},
      {"trajectory-entropy", {Anchor::kSampledToken, -1, IndexSet::kTokens, Transform::kIdentity}},
      {"probability", {Anchor::kSampledToken, -1, IndexSet::kTokensSummed, Transform::kExp}},
      {"semantic-entropy", {Anchor::kSampledAnswer, -1, IndexSet::kAnswer, Transform::kExp}},
      {"majority-vote", {Anchor::kSampledAnswer, -1, IndexSet::kAnswer, Transform::kIndicatorOfMaximum}},
  };
  for (const auto& [name, form] : table) {
    EXPECT_EQ(describe(*rewards().find(name).form), describe(form)) << name;
  }
}

TEST(CrossEntropy, IsWhatItIs) {
  EXPECT_NEAR(cross_entropy({0.5, 0.5}, {0.5, 0.5}), std::log(2.0), 1e-12);
  EXPECT_NEAR(cross_entropy({1, 0}, {0.25, 0.75}), std::log(4.0), 1e-12);
  EXPECT_EQ(cross_entropy({1, 0}, {0, 1}), std::numeric_limits<double>::infinity());
  EXPECT_EQ(cross_entropy({0, 1}, {0, 1}), 0);
  const Distribution p = softmax({1000, 1000, -1000});
  EXPECT_NEAR(p[0], 0.5, 1e-12);
  EXPECT_EQ(p[2], 0);
}

}  // namespace
}  // namespace whet::rewards
