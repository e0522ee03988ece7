// Votes: who wins, who is paid, and whose rollouts count. Values by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include "base/error.h"
#include "tests/rewards/evidence.h"

namespace whet::rewards {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class Error, class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(MajorityVote, PaysTheLargestClassOnly) {
  OwnedGroup owned;
  owned.add(0, "7", {-1});
  owned.add(1, "8", {-5});
  owned.add(-1, "", {-0.1f});
  owned.add(1, "8", {-5});
  owned.add(-1, "", {-0.1f});
  owned.add(-1, "", {-0.1f});
  const Scored scored = score("majority-vote", owned.group());
  EXPECT_EQ(scored.label_class, 1);  // three absent answers outvote nobody
  EXPECT_EQ(scored.reward, (std::vector<double>{0, 1, 0, 1, 0, 0}));
}

TEST(MajorityClass, BreaksATieByTheLargerSummedLogProbability) {
  OwnedGroup owned;
  owned.add(0, "1", {-1, -1});  // class 0: -2 - 0.5 = -2.5
  owned.add(1, "2", {-1.25f});  // class 1: -1.25 - 1 = -2.25
  owned.add(0, "1", {-0.5f});
  owned.add(1, "2", {-0.5f, -0.5f});
  EXPECT_EQ(majority_class(owned.group()), 1);
}

TEST(MajorityClass, BreaksAFullTieByTheSmallestAnswer) {
  OwnedGroup owned;
  owned.add(0, "8", {-1});
  owned.add(1, "12", {-1});
  EXPECT_EQ(majority_class(owned.group()), 1);  // byte order: "12" < "8"
  std::swap(owned.group().samples[0], owned.group().samples[1]);
  EXPECT_EQ(majority_class(owned.group()), 1);
}

TEST(MajorityClass, DoesNotLetRoundingPreferAnOrderOfArrival) {
  // Small to large these add up to -1 - 2.2e-16, large to small to -1; the classes are equally likely all the same.
  const std::vector<std::vector<float>> tokens{{-1e-16f}, {-1e-16f}, {-1}};
  OwnedGroup owned;
  for (std::size_t i = 0; i < 3; ++i) owned.add(0, "8", tokens[i]);
  for (std::size_t i = 3; i-- > 0;) owned.add(1, "7", tokens[i]);
  EXPECT_EQ(majority_class(owned.group()), 1);
  std::reverse(owned.group().samples.begin(), owned.group().samples.end());
  EXPECT_EQ(majority_class(owned.group()), 1);
}

TEST(MajorityClass, VotesWithoutLogProbabilities) {
  Group group;
  for (const char* answer : {"b", "a", "b", "a"}) {
    group.samples.push_back({});
    group.samples.back().answer = answer;
    group.samples.back().answer_class = answer[0] == 'b' ? 0 : 1;
  }
  EXPECT_EQ(majority_class(group), 1);
  EXPECT_EQ(count_votes(ballot_of(group.samples, "vote"), 0), 2u);
  EXPECT_EQ(count_votes(ballot_of(group.samples, "vote"), -1), 0u);
}

TEST(SemanticEntropy, PaysTheShareOfTheClass) {
  OwnedGroup owned;
  for (const std::string answer : {"7", "8", "", "8", "", "9", "7"}) {
    owned.add(answer.empty() ? -1 : answer[0] - '7', answer, {-1});
  }
  EXPECT_EQ(score("semantic-entropy", owned.group()).reward,
            (std::vector<double>{2. / 7, 2. / 7, 0, 2. / 7, 0, 1. / 7, 2. / 7}));
}

TEST(SemanticEntropy, PaysNothingOutsideItsWindow) {
  OwnedGroup owned;  // entropy: log 2
  for (const char* answer : {"7", "7", "8", "8"}) owned.add(answer[0] - '7', answer, {-1});
  const auto with = [&](double low, double high) {
    RewardOptions options;
    options.entropy_low = low;
    options.entropy_high = high;
    return score("semantic-entropy", owned.group(), options);
  };
  EXPECT_THAT(with(0, 0).reward, testing::Each(0.5));
  EXPECT_THAT(with(0.69, 0.70).reward, testing::Each(0.5));
  EXPECT_THAT(with(0.70, 0).reward, testing::Each(0.0));
  EXPECT_EQ(with(0.70, 0).label_class, -1);
  EXPECT_THAT(with(0, 0.69).reward, testing::Each(0.0));
  EXPECT_THAT(message_of<base::UserError>([&] { with(2, 1); }), HasSubstr("entropy-high"));
}

TEST(SemanticEntropy, CountsNoAnswerAsAnOutcomeOfItsWindow) {
  OwnedGroup owned;
  owned.add(0, "7", {-1});
  owned.add(-1, "", {-1});
  EXPECT_NEAR(answer_entropy(ballot_of(owned.group().samples, "vote")), std::log(2.0), 1e-12);
}

TEST(MajorityVote, HearsTheWholeBallotWhenThereIsOne) {
  OwnedGroup owned;  // the samples alone would choose 8
  owned.add(1, "8", {-1});
  owned.add(1, "8", {-1});
  owned.add(0, "7", {-1});
  EXPECT_EQ(score("majority-vote", owned.group()).label_class, 1);
  owned.add_ballot({{1, "8"}, {1, "8"}, {0, "7"}, {0, "7"}, {0, "7"}, {-1, ""}});
  EXPECT_THAT(score("majority-vote", owned.group()).reward, ElementsAre(0, 0, 1));
  EXPECT_THAT(score("pairwise-vote", owned.group()).reward, ElementsAre(0, 0, 1));
  EXPECT_THAT(score("semantic-entropy", owned.group()).reward, ElementsAre(2. / 6, 2. / 6, 3. / 6));
}

TEST(MajorityVote, PaysNobodyWhenTheLabelIsNotAmongTheSamples) {
  OwnedGroup owned;
  owned.add(0, "7", {-1});
  owned.add_ballot({{0, "7"}, {1, "8"}, {1, "8"}});
  const Scored scored = score("majority-vote", owned.group());
  EXPECT_EQ(scored.label_class, 1);
  EXPECT_THAT(scored.reward, ElementsAre(0));
}

TEST(MajorityVote, RefusesTwoBallots) {
  OwnedGroup owned;
  owned.add(0, "7", {-1});
  owned.add_ballot({{0, "7"}});
  owned.add_ballot({{0, "7"}});
  EXPECT_THAT(message_of<base::UserError>([&] { score("majority-vote", owned.group()); }),
              HasSubstr("2 ballots, want one"));
}

/// Neither symmetric nor transitive.
bool is_part_of(std::string_view a, std::string_view b) { return b.find(a) != std::string_view::npos; }

TEST(PairwiseVote, ComparesInEitherDirection) {
  OwnedGroup owned;
  owned.group().equivalent = is_part_of;
  owned.add(0, "12", {-1});
  owned.add(1, "123", {-1});
  owned.add(2, "9", {-1});
  // 12 is part of 123 and not the other way round: both have two votes, 12 is the smaller.
  EXPECT_THAT(score("pairwise-vote", owned.group()).reward, ElementsAre(1, 1, 0));
  std::swap(owned.group().samples[0], owned.group().samples[1]);
  EXPECT_THAT(score("pairwise-vote", owned.group()).reward, ElementsAre(1, 1, 0));
}

TEST(PairwiseVote, IsNotClosedUnderTheComparison) {
  OwnedGroup owned;
  owned.group().equivalent = is_part_of;
  // ab ~ abc ~ bc, and ab is not bc: abc has three votes, each of the others two.
  owned.add(0, "ab", {-1});
  owned.add(0, "bc", {-1});
  owned.add(0, "abc", {-9});
  owned.add(1, "x", {-1});
  EXPECT_THAT(score("pairwise-vote", owned.group()).reward, ElementsAre(1, 1, 1, 0));
  // Two more for ab make it the label, which bc is not.
  owned.add(0, "ab", {-1});
  owned.add(0, "abx", {-1});
  owned.add(0, "aby", {-1});
  EXPECT_THAT(score("pairwise-vote", owned.group()).reward, ElementsAre(1, 0, 1, 0, 1, 1, 1));
}

TEST(PairwiseVote, IsTheMajorityVoteWhereTheComparisonIsAnEquivalence) {
  base::Random random{3};
  for (int trial = 0; trial < 200; ++trial) {
    OwnedGroup owned;
    owned.group().equivalent = [](std::string_view a, std::string_view b) { return a.front() == b.front(); };
    for (int i = 0; i < 8; ++i) {
      const auto id = static_cast<int>(random.below(4)) - 1;
      std::string answer;
      if (id >= 0) answer = static_cast<char>('a' + id) + std::to_string(random.below(3));
      owned.add(id, answer, {-static_cast<float>(random.below(3))});
    }
    EXPECT_EQ(score("pairwise-vote", owned.group()).reward, score("majority-vote", owned.group()).reward);
  }
}

TEST(OthersVote, DoNotHearTheSamples) {
  for (const char* name : {"co-reward", "teacher-vote", "weighted-vote"}) {
    OwnedGroup owned;
    owned.add(1, "8", {-1});
    owned.add(1, "8", {-1});
    owned.add(0, "7", {-1});
    owned.add_ballot({{0, "7"}, {1, "8"}, {0, "7"}});
    const Scored scored = score(name, owned.group());
    EXPECT_EQ(scored.label_class, 0) << name;
    EXPECT_THAT(scored.reward, ElementsAre(0, 0, 1)) << name;
  }
}

TEST(OthersVote, SayWhatToAdd) {
  OwnedGroup owned;
  owned.add(0, "7", {-1});
  const auto message = [&](const char* name) {
    return message_of<base::UserError>([&] { score(name, owned.group()); });
  };
  EXPECT_THAT(message("co-reward"), HasSubstr("rephrasing"));
  EXPECT_THAT(message("teacher-vote"), HasSubstr("teacher"));
  EXPECT_THAT(message("weighted-vote"), HasSubstr("policies"));
}

TEST(WeightedVote, WeighsAPolicyByItsAgreementWithItself) {
  OwnedGroup owned;
  owned.add(0, "7", {-1});
  owned.add(1, "8", {-1});
  // A: c = 1, all for 7. B and C: c = 2/5 each, 2/5 for 8. weight(7) = 1 + 0.4 * 0.2, weight(8) = 2 * 0.4 * 0.4.
  owned.add_ballot({{0, "7"}, {0, "7"}, {0, "7"}, {0, "7"}, {0, "7"}});
  owned.add_ballot({{1, "8"}, {1, "8"}, {2, "9"}, {-1, ""}, {0, "7"}});
  owned.add_ballot({{1, "8"}, {1, "8"}, {2, "9"}, {3, "5"}, {4, "6"}});
  EXPECT_THAT(score("weighted-vote", owned.group()).reward, ElementsAre(1, 0));
  // Unweighted by number of rollouts: ten times as many of B's change nothing.
  const auto votes = owned.group().ballots[1].votes;
  for (int i = 0; i < 9; ++i) {
    owned.group().ballots[1].votes.insert(owned.group().ballots[1].votes.end(), votes.begin(), votes.end());
  }
  EXPECT_THAT(score("weighted-vote", owned.group()).reward, ElementsAre(1, 0));
  // A doubts: c = 3/5 gives 7 only 0.36 + 0.08, and 8 has 0.32 + 0.6 * 0.4.
  owned.group().ballots[0] = {{{0, "7", -1}, {0, "7", -1}, {0, "7", -1}, {1, "8", -1}, {1, "8", -1}}};
  EXPECT_THAT(score("weighted-vote", owned.group()).reward, ElementsAre(0, 1));
}

TEST(WeightedVote, BreaksATieAsATieWhenTheFractionsDiffer) {
  OwnedGroup owned;
  owned.add(0, "8", {-1});
  owned.add(1, "7", {-1});
  const auto add = [&](int answer_class, const char* answer, int votes, int of, double logprob) {
    Ballot ballot;
    for (int v = 0; v < of; ++v) ballot.votes.push_back(v < votes ? Vote{answer_class, answer, logprob} : Vote{});
    owned.group().ballots.push_back(ballot);
  };
  // Both weigh 1 + 1/4, but the first sum, of 1/4 and three times 1/3, is less in floating point.
  add(0, "8", 1, 2, -0.25);
  add(0, "8", 3, 3, -0.25);
  add(1, "7", 1, 1, -1);
  add(1, "7", 1, 2, -1);
  EXPECT_EQ(score("weighted-vote", owned.group()).label_class, 0);  // log-probability -1 against -2
}

TEST(ChooseSamples, TakesEverySetEquallyOften) {
  std::map<std::vector<std::size_t>, int> seen;
  constexpr int kDraws = 6000;
  for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
    base::Random random{draw};
    ++seen[choose_samples(4, 2, random)];
  }
  EXPECT_EQ(seen.size(), 6u);
  for (const auto& [set, count] : seen) {
    EXPECT_LT(set[0], set[1]);
    EXPECT_NEAR(count, kDraws / 6.0, 5 * std::sqrt(kDraws / 6.0));
  }
  base::Random random{0};
  EXPECT_THAT(choose_samples(3, 3, random), ElementsAre(0, 1, 2));
  EXPECT_THAT(message_of<base::UserError>([&] { choose_samples(3, 4, random); }), HasSubstr("want at least the 4"));
}

TEST(SelfVerification, PaysTheShareOfReadingsThatSaidRight) {
  OwnedGroup owned;
  owned.add(0, "7", {-1}).verdicts = {true, true, false, std::nullopt};
  owned.add(1, "8", {-1}).verdicts = {std::nullopt};
  owned.add(-1, "", {-1}).verdicts = {};  // need not be read
  EXPECT_THAT(score("self-verification", owned.group()).reward, ElementsAre(0.5, 0, 0));
}

TEST(Program, PaysWhatTheCheckerAcceptsAndReadsNoLabel) {
  OwnedGroup owned;
  owned.add(0, "8", {-1}).checked = true;
  owned.add(1, "7", {-1}).checked = false;  // though its label says right
  EXPECT_THAT(score("program", owned.group()).reward, ElementsAre(1, 0));
}

TEST(Length, PaysItsWindow) {
  OwnedGroup owned;
  for (const std::size_t length : {1u, 2u, 3u, 4u}) owned.add(0, "7", std::vector<float>(length, -1));
  const auto with = [&](std::int64_t min, std::int64_t max) {
    RewardOptions options;
    options.length_min = min;
    options.length_max = max;
    return score("length", owned.group(), options).reward;
  };
  EXPECT_THAT(with(2, 3), ElementsAre(0, 1, 1, 0));
  EXPECT_THAT(with(3, 0), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(with(0, 1), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(message_of<base::UserError>([&] { with(0, 0); }), HasSubstr("want --length-min, --length-max or both"));
  EXPECT_THAT(message_of<base::UserError>([&] { with(3, 2); }), HasSubstr("length-max"));
}

}  // namespace
}  // namespace whet::rewards
