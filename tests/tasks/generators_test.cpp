// Laws that every task which generates its problems obeys. New tasks are tested without being listed.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <unordered_set>

#include "tasks/generator.h"
#include "tasks/task.h"

namespace whet::tasks {
namespace {

std::vector<std::string> generators() {
  std::vector<std::string> names;
  for (const std::string& name : tasks().names()) {
    if (name != "file") names.push_back(name);
  }
  return names;
}

class Generator : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Task> task_ = tasks().find(GetParam()).make({});
};

INSTANTIATE_TEST_SUITE_P(All, Generator, testing::ValuesIn(generators()),
                         [](const auto& instance) { return instance.param; });

TEST_P(Generator, SplitsAreDisjoint) {
  std::unordered_set<std::string> train;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const Problem problem = task_->problem(Split::kTrain, 1, i);
    EXPECT_EQ(split_of(problem.prompt), Split::kTrain);
    train.insert(problem.prompt);
  }
  std::size_t held_out_shared = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const Problem problem = task_->problem(Split::kHeldOut, 2, i);
    EXPECT_EQ(split_of(problem.prompt), Split::kHeldOut);
    held_out_shared += train.count(problem.prompt);
  }
  EXPECT_EQ(held_out_shared, 0u);
  EXPECT_GT(train.size(), 10000u) << "problems repeat too often";
}

TEST_P(Generator, DocumentsUseTrainingPromptsOnly) {
  base::Random random{3};
  for (int i = 0; i < 5000; ++i) {
    const Document document = task_->document("", random);
    // A verdict's context begins with the problem, in whatever form; its prompt is not the whole context.
    if (document.context.ends_with('v')) continue;
    EXPECT_EQ(split_of(document.context), Split::kTrain) << document.context;
  }
}

TEST_P(Generator, ProblemsDependOnTheirKeyOnly) {
  const Problem later = task_->problem(Split::kTrain, 5, 17);
  const auto again = tasks().find(GetParam()).make({});
  EXPECT_EQ(again->problem(Split::kTrain, 5, 17).prompt, later.prompt);
  std::set<std::string> prompts, ids;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    for (std::uint64_t i = 0; i < 50; ++i) {
      for (const Split split : {Split::kTrain, Split::kHeldOut}) {
        const Problem problem = task_->problem(split, seed, i);
        EXPECT_EQ(problem.source, GetParam());
        prompts.insert(problem.prompt);
        ids.insert(problem.id);
      }
    }
  }
  EXPECT_EQ(ids.size(), 400u);
  EXPECT_GT(prompts.size(), 380u);
}

TEST_P(Generator, LabelsAreRightAndInCanonicalForm) {
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const Problem problem = task_->problem(Split::kHeldOut, 0, i);
    ASSERT_TRUE(problem.answer);
    EXPECT_TRUE(task_->has_label(problem));
    EXPECT_TRUE(task_->correct(problem, *problem.answer)) << problem.prompt << " " << *problem.answer;
    EXPECT_EQ(task_->answer_in(problem, "#" + *problem.answer), problem.answer);
    EXPECT_FALSE(task_->correct(problem, *problem.answer + "1"));
  }
}

TEST_P(Generator, RephrasingsAskTheSameAndAreNotHeldOut) {
  int rephrased = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const Problem problem = task_->problem(Split::kTrain, 3, i);
    EXPECT_EQ(task_->problem(Split::kTrain, 3, i).rephrased, problem.rephrased);
    for (const std::string& prompt : problem.rephrased) {
      ++rephrased;
      EXPECT_NE(prompt, problem.prompt);
      EXPECT_EQ(split_of(prompt), Split::kTrain) << prompt;
      EXPECT_EQ(std::multiset<char>(prompt.begin(), prompt.end()),
                std::multiset<char>(problem.prompt.begin(), problem.prompt.end()))
          << prompt;
      EXPECT_EQ(prompt.find_first_not_of(task_->alphabet()), std::string::npos) << prompt;
      // A right answer to the one is a right answer to the other, as far as the task itself can tell.
      Problem other = problem;
      other.prompt = prompt;
      other.answer.reset();
      EXPECT_TRUE(task_->check(other, *problem.answer).value_or(true)) << problem.prompt << " " << prompt;
    }
  }
  EXPECT_GT(rephrased, 1800) << "nearly all problems can be put in another way";
}

TEST_P(Generator, ACheckerAgreesWithTheLabel) {
  std::vector<std::string> answers;
  for (std::uint64_t i = 0; i < 500; ++i) answers.push_back(*task_->problem(Split::kTrain, 4, i).answer);
  for (std::uint64_t i = 0; i < 500; ++i) {
    const Problem problem = task_->problem(Split::kTrain, 4, i);
    for (const std::string& answer : {answers[i], answers[(i + 1) % 500], answers[i] + answers[i], std::string()}) {
      const bool is_right = task_->correct(problem, answer);
      EXPECT_EQ(task_->check(problem, answer).value_or(is_right), is_right) << problem.prompt << " " << answer;
    }
  }
}

TEST_P(Generator, TheAnswersPlaceIsWhatTheAnswerIsReadFrom) {
  base::Random random{17};
  int answered = 0;
  for (int i = 0; i < 3000; ++i) {
    const Document document = task_->document("", random);
    Problem problem;
    problem.prompt = document.context;
    const std::string& response = document.completion;
    const auto answer = task_->answer_in(problem, response);
    const auto place = task_->answer_place(problem, response);
    ASSERT_EQ(answer.has_value(), place.has_value()) << response;
    if (!place) continue;
    ++answered;
    EXPECT_GE(place->data(), response.data());
    EXPECT_LE(place->data() + place->size(), response.data() + response.size());
    EXPECT_EQ(task_->answer_in(problem, "#" + std::string(*place)), answer);
  }
  EXPECT_GT(answered, 1000);
}

TEST_P(Generator, DocumentsKeepToTheAlphabetAndTheLimit) {
  const std::string alphabet = task_->alphabet();
  EXPECT_EQ(std::set<char>(alphabet.begin(), alphabet.end()).size(), alphabet.size());
  for (const char* mixture : {"", "m", "careful", "wrong"}) {
    base::Random random{4};
    for (int i = 0; i < 5000; ++i) {
      const Document document = task_->document(mixture, random);
      EXPECT_EQ((document.context + document.completion).find_first_not_of(alphabet), std::string::npos)
          << document.context << document.completion;
      EXPECT_FALSE(document.completion.empty());
      // The end token needs a place as well.
      EXPECT_LT(document.completion.size(), static_cast<std::size_t>(task_->response_limit())) << document.completion;
    }
  }
}

TEST_P(Generator, CarefulDocumentsAreRight) {
  base::Random random{5};
  for (int i = 0; i < 5000; ++i) {
    const Document document = task_->document("careful", random);
    Problem problem;
    problem.prompt = document.context;
    const auto answer = task_->answer_in(problem, document.completion);
    ASSERT_TRUE(answer) << document.context << document.completion;
    // A document carries no label. Where the checker needs one, the tests of that task solve the problem again.
    if (!task_->has_label(problem)) continue;
    EXPECT_TRUE(task_->correct(problem, *answer)) << document.context << document.completion;
  }
}

TEST_P(Generator, UnknownMixturesAreRefusedWithTheKnownOnes) {
  base::Random random{6};
  try {
    task_->document("nonsense", random);
    FAIL() << "accepted";
  } catch (const base::UserError& error) {
    EXPECT_NE(std::string(error.what()).find("unknown mixture 'nonsense'"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("careful"), std::string::npos) << error.what();
  }
}

TEST_P(Generator, HostileResponsesHaveNoAnswerOrAWrongOne) {
  const Problem problem = task_->problem(Split::kHeldOut, 0, 0);
  std::vector<std::string> responses{"",
                                     "#",
                                     "##",
                                     "#-",
                                     "#(",
                                     "#\xff",
                                     "9^9^9^9",
                                     "#9^9^9^9",
                                     "#1/0",
                                     "#-0",
                                     "no",
                                     "v",
                                     "#T",
                                     std::string(1000000, '#'),
                                     "#" + std::string(1000000, '9'),
                                     "#" + std::string(1000000, '('),
                                     "#" + std::string(1000000, '-'),
                                     std::string(3, '\0')};
  for (const std::string& response : responses) {
    const auto answer = task_->answer_in(problem, response);
    if (answer) {
      EXPECT_FALSE(task_->correct(problem, *answer)) << response.substr(0, 40);
    }
  }
  EXPECT_FALSE(task_->answer_in(problem, "#"));
  EXPECT_FALSE(task_->answer_in(problem, "no"));
}

TEST_P(Generator, EquivalenceIsReflexiveAndSymmetric) {
  base::Random random{7};
  const Problem problem = task_->problem(Split::kTrain, 0, 0);
  std::vector<std::string> answers;
  while (answers.size() < 40) {
    const Document document = task_->document("", random);
    if (const auto answer = task_->answer_in(problem, document.completion)) answers.push_back(*answer);
  }
  for (const std::string& a : answers) {
    EXPECT_TRUE(task_->equivalent(problem, a, a));
    for (const std::string& b : answers) EXPECT_EQ(task_->equivalent(problem, a, b), task_->equivalent(problem, b, a));
  }
}

TEST(Split, HoldsOutOneInTen) {
  constexpr int kCount = 100000;
  int held_out = 0;
  for (int i = 0; i < kCount; ++i) held_out += split_of(std::to_string(i)) == Split::kHeldOut ? 1 : 0;
  EXPECT_NEAR(held_out, kCount * 0.1, 5 * std::sqrt(kCount * 0.1 * 0.9));
}

TEST(Mixture, SharesAreDrawnAsNamed) {
  constexpr int kCount = 100000;
  const Mixture mixture{"x", .5, .2, .1, .1, 0, false, .05};
  base::Random random{8};
  std::array<int, 6> counts{};
  for (int i = 0; i < kCount; ++i) ++counts[static_cast<std::size_t>(draw_kind(mixture, random))];
  const std::array<double, 6> shares{.5, .2, .1, .1, .05, .05};
  for (std::size_t kind = 0; kind < shares.size(); ++kind) {
    EXPECT_NEAR(counts[kind], kCount * shares[kind], 5 * std::sqrt(kCount * shares[kind] * (1 - shares[kind]))) << kind;
  }
}

}  // namespace
}  // namespace whet::tasks
