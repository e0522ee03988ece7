// Sampling groups: who does not want labels does not have answers compared with them.
#include "train/groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/train/fake_model.h"
#include "train/problems.h"

namespace whet::train {
namespace {

/// Sorting, with a count of answers that were graded.
class CountingTask final : public tasks::Task {
 public:
  tasks::Problem problem(tasks::Split split, std::uint64_t seed, std::uint64_t index) const override {
    return sort_->problem(split, seed, index);
  }
  std::optional<std::string> answer_in(const tasks::Problem& problem, std::string_view response) const override {
    return sort_->answer_in(problem, response);
  }
  std::optional<std::string_view> answer_place(const tasks::Problem& problem,
                                               std::string_view response) const override {
    return sort_->answer_place(problem, response);
  }
  bool correct(const tasks::Problem& problem, std::string_view answer) const override {
    ++graded;
    return sort_->correct(problem, answer);
  }
  tasks::Document document(std::string_view mixture, base::Random& random) const override {
    return sort_->document(mixture, random);
  }
  std::string alphabet() const override { return sort_->alphabet(); }
  int response_limit() const override { return sort_->response_limit(); }

  mutable int graded = 0;

 private:
  std::unique_ptr<tasks::Task> sort_ = tasks::tasks().find("sort").make({});
};

TEST(SampleGroups, WithoutGradingNoAnswerIsComparedWithALabelAndAllElseIsTheSame) {
  const CountingTask task;
  TextModel model = fake_text_model("0123456789?#", [](const std::string&, base::Random& random) {
    return random.below(2) == 0 ? std::string("#12") : std::string("#7");
  });
  const auto sample = [&](bool grading) {
    return sample_groups(*model.model, model.tokenizer, task, take_problems(task, tasks::Split::kHeldOut, 0, 5), 6, {},
                         3, grading);
  };
  const std::vector<Group> without = sample(false);
  EXPECT_EQ(task.graded, 0);
  const std::vector<Group> with = sample(true);
  EXPECT_EQ(task.graded, 30);
  ASSERT_EQ(without.size(), with.size());
  for (std::size_t g = 0; g < with.size(); ++g) {
    EXPECT_THAT(without[g].correct, testing::Each(std::nullopt));
    EXPECT_EQ(without[g].answers, with[g].answers);
    EXPECT_EQ(without[g].classes, with[g].classes);
    EXPECT_EQ(without[g].majority, with[g].majority);
  }
}

}  // namespace
}  // namespace whet::train
