// Gatherers of what is known of a single rollout that is trained on.
#include "train/witnesses.h"

#include "base/error.h"
#include "train/problems.h"

namespace whet::train {
namespace {

class Checks final : public Gatherer {
 public:
  explicit Checks(const tasks::Task& task) : task_(task) {}

  void gather(Gathering& step) override {
    for (Group& group : step.groups) {
      for (const auto& answer : group.answers) {
        group.checked.push_back(answer && task_.check(group.problem, *answer).value_or(false));
      }
    }
  }

 private:
  const tasks::Task& task_;
};

class AnswerSpans final : public Gatherer {
 public:
  AnswerSpans(const tasks::Task& task, const tokenizer::Tokenizer& tokenizer) : task_(task), tokenizer_(tokenizer) {}

  void gather(Gathering& step) override {
    for (Group& group : step.groups) {
      for (std::size_t i = 0; i < group.rollouts.size(); ++i) {
        // A cut response may have something in the answer's place that is none.
        const auto place = group.answers[i] ? task_.answer_place(group.problem, group.texts[i]) : std::nullopt;
        group.answer_tokens.push_back(
            place ? std::optional(tokens_of(group.rollouts[i].tokens, group.texts[i], *place, tokenizer_))
                  : std::nullopt);
      }
    }
  }

 private:
  const tasks::Task& task_;
  const tokenizer::Tokenizer& tokenizer_;
};

}  // namespace

std::pair<std::size_t, std::size_t> tokens_of(std::span<const engine::TokenId> tokens, std::string_view text,
                                              std::string_view place, const tokenizer::Tokenizer& tokenizer) {
  const auto first_byte = static_cast<std::size_t>(place.data() - text.data());
  const std::size_t end_byte = first_byte + place.size();
  std::size_t at = 0, begin = tokens.size(), end = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (tokenizer.is_special(tokens[t])) continue;
    const std::size_t next = at + tokenizer.bytes_of(tokens[t]).size();
    if (next > first_byte && at < end_byte && next > at) {
      begin = std::min(begin, t);
      end = t + 1;
    }
    at = next;
  }
  return {std::min(begin, end), end};
}

std::unique_ptr<Gatherer> make_checks(const EvidenceContext& context) {
  // A generator's problems are alike, so that one is asked; those of files are asked one by one.
  const std::uint64_t count = context.task.size(tasks::Split::kTrain).value_or(1);
  for (std::uint64_t i = 0; i < count; ++i) {
    const tasks::Problem problem = context.task.problem(tasks::Split::kTrain, 0, i);
    if (context.task.check(problem, "")) continue;
    std::vector<std::string> able;
    for (const auto& [name, entry] : tasks::tasks()) {
      if (name == "file") continue;
      const auto task = entry.make({});
      if (task->check(task->problem(tasks::Split::kTrain, 0, 0), "")) able.push_back(name);
    }
    base::user_error("program", "task '{}' has no checker for problem {}, want one of the tasks: {}",
                     context.options.source.problems.empty() ? context.options.source.task : "file", problem.id,
                     fmt::join(able, ", "));
  }
  return std::make_unique<Checks>(context.task);
}

std::unique_ptr<Gatherer> make_answer_spans(const EvidenceContext& context) {
  return std::make_unique<AnswerSpans>(context.task, context.policy.tokenizer);
}

}  // namespace whet::train
