// Keyed random numbers: the published Philox vectors, and the laws that callers rely on.
#include "base/random.h"

#include <gtest/gtest.h>

#include <set>

namespace whet::base {
namespace {

// Known answers of Random123 1.09's kat_vectors for philox4x32, 10 rounds.
TEST(Philox, MatchesPublishedVectors) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffffull),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822ull),
            (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(TokenUniform, DependsOnEveryPartOfItsMeaning) {
  std::set<double> draws;
  for (std::uint64_t key : {1, 2})
    for (std::uint64_t problem : {3, 4})
      for (std::uint32_t rollout : {0, 1})
        for (std::uint32_t position : {0, 1}) draws.insert(token_uniform(key, problem, rollout, position));
  EXPECT_EQ(draws.size(), 16u);
}

TEST(Random, BelowIsUniformAndBounded) {
  Random random{7, 1};
  std::array<int, 5> counts{};
  for (int i = 0; i < 50000; ++i) ++counts.at(random.below(5));
  // 10,000 expected each, standard deviation 89: five of them is a failure in 1 of a million seeds.
  for (const int count : counts) EXPECT_NEAR(count, 10000, 450);
}

TEST(Random, CombineIsOrderSensitive) { EXPECT_NE(combine({1, 2}), combine({2, 1})); }

TEST(Random, SameKeySameDraws) {
  Random first{5, 6}, second{5, 6};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(first.next(), second.next());
}

}  // namespace
}  // namespace whet::base
