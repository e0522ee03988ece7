// Classes of answers.
#include "text/clusters.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "text/equivalence.h"

namespace whet::text {
namespace {

using Answers = std::vector<std::optional<std::string>>;

TEST(Clusters, AreNumberedByFirstAppearance) {
  const Answers answers{"7", std::nullopt, "25", "025", "7.0", std::nullopt, "x"};
  EXPECT_EQ(clusters(answers, equivalent), (std::vector<int>{0, -1, 1, 1, 0, -1, 2}));
}

TEST(Clusters, OfNothingAreNothing) {
  EXPECT_TRUE(clusters({}, equivalent).empty());
  const Answers absent{std::nullopt, std::nullopt};
  EXPECT_EQ(clusters(absent, equivalent), (std::vector<int>{-1, -1}));
}

TEST(Clusters, AnEmptyAnswerIsNotAnAbsentOne) {
  const Answers answers{"", std::nullopt, ""};
  EXPECT_EQ(clusters(answers, equivalent), (std::vector<int>{0, -1, 0}));
}

TEST(Clusters, EqualTextsAreNeverCompared) {
  const Answers answers(100, std::string("5"));
  int calls = 0;
  const auto counting = [&calls](std::string_view, std::string_view) { return ++calls, true; };
  EXPECT_EQ(clusters(answers, counting), std::vector<int>(100, 0));
  EXPECT_EQ(calls, 0);
}

TEST(Clusters, AreClosedAndIndependentOfOrderForAnyRelation) {
  // Lengths that differ by at most one: symmetric and reflexive, not transitive.
  const auto near = [](std::string_view a, std::string_view b) {
    return std::max(a.size(), b.size()) - std::min(a.size(), b.size()) <= 1;
  };
  const Answers chain{"a", "aaa", "aa", "aaaaaa"};
  EXPECT_EQ(clusters(chain, near), (std::vector<int>{0, 0, 0, 1}));

  base::Random random{1};
  for (int round = 0; round < 100; ++round) {
    Answers answers;
    for (int i = 0; i < 8; ++i) answers.emplace_back(std::string(random.below(14), 'a'));
    std::vector<std::size_t> order(answers.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    random.shuffle(order);
    Answers shuffled;
    for (const std::size_t i : order) shuffled.push_back(answers[i]);
    const auto straight = clusters(answers, near), mixed = clusters(shuffled, near);
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (std::size_t j = 0; j < order.size(); ++j) {
        EXPECT_EQ(mixed[i] == mixed[j], straight[order[i]] == straight[order[j]]);
      }
    }
  }
}

}  // namespace
}  // namespace whet::text
