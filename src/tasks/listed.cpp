#include "tasks/listed.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/error.h"
#include "tasks/permutation.h"

namespace whet::tasks {
namespace {

class ListedTask : public Task {
 public:
  /// `measured`: the problems are the held-out ones as well.
  ListedTask(std::unique_ptr<Task> rules, std::vector<Problem> problems, bool measured)
      : rules_(std::move(rules)), measured_(measured) {
    std::unordered_set<std::string> prompts;
    for (Problem& problem : problems) {
      if (prompts.insert(problem.prompt).second) {
        problems_.push_back(std::move(problem));
      } else {
        ++repeated_;
      }
    }
    if (problems_.empty()) base::user_error("problems", "none, want at least one");
  }

  Problem problem(Split split, std::uint64_t seed, std::uint64_t index) const override {
    if (split == Split::kHeldOut && !measured_) return rules_->problem(split, seed, index);
    const std::uint64_t size = problems_.size(), place = index % size;
    if (split == Split::kHeldOut) return problems_[place];
    return problems_[permuted(place, size, base::combine({seed, index / size}))];
  }

  std::optional<std::uint64_t> size(Split split) const override {
    return split == Split::kHeldOut && !measured_ ? rules_->size(split) : problems_.size();
  }

  std::optional<std::string> answer_in(const Problem& problem, std::string_view response) const override {
    return rules_->answer_in(problem, response);
  }
  std::optional<std::string_view> answer_place(const Problem& problem, std::string_view response) const override {
    return rules_->answer_place(problem, response);
  }
  bool answers_when_truncated() const override { return rules_->answers_when_truncated(); }
  bool equivalent(const Problem& problem, std::string_view a, std::string_view b) const override {
    return rules_->equivalent(problem, a, b);
  }
  bool correct(const Problem& problem, std::string_view answer) const override {
    return rules_->correct(problem, answer);
  }
  std::optional<std::string> label_from(std::string_view written) const override { return rules_->label_from(written); }
  bool has_label(const Problem& problem) const override { return rules_->has_label(problem); }
  VerifierFormat verifier_format() const override { return rules_->verifier_format(); }
  std::string kind_of_error(const Problem& problem, std::string_view answer) const override {
    return rules_->kind_of_error(problem, answer);
  }
  std::optional<bool> check(const Problem& problem, std::string_view answer) const override {
    return rules_->check(problem, answer);
  }
  /// A proposer's problems would not be those of the list.
  std::optional<std::string> proposal_prompt() const override { return std::nullopt; }
  Document document(std::string_view mixture, base::Random& random) const override {
    return rules_->document(mixture, random);
  }
  std::string alphabet() const override { return rules_->alphabet(); }
  int response_limit() const override { return rules_->response_limit(); }

  std::vector<std::string> notes() const override {
    std::vector<std::string> lines = measured_ ? std::vector<std::string>() : rules_->notes();
    if (repeated_ > 0) lines.push_back(fmt::format("{} prompts stand there again: used once", repeated_));
    std::size_t unlabelled = 0;
    for (const Problem& problem : problems_) unlabelled += has_label(problem) ? 0 : 1;
    if (unlabelled > 0 && unlabelled < problems_.size()) {
      lines.push_back(
          fmt::format("{} of {} problems have no answer: accuracy is not measured", unlabelled, problems_.size()));
    }
    return lines;
  }

 private:
  std::unique_ptr<Task> rules_;
  bool measured_;
  std::vector<Problem> problems_;
  std::size_t repeated_ = 0;
};

}  // namespace

std::unique_ptr<Task> with_problems(std::unique_ptr<Task> rules, std::vector<Problem> problems) {
  return std::make_unique<ListedTask>(std::move(rules), std::move(problems), true);
}

std::unique_ptr<Task> with_training_problems(std::unique_ptr<Task> task, std::vector<Problem> problems) {
  return std::make_unique<ListedTask>(std::move(task), std::move(problems), false);
}

}  // namespace whet::tasks
