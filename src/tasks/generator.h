// What the tasks that invent their problems share: the search for a problem on the wanted side of the split, the named
// mixtures of their pre-training text, and small ways of being wrong.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "tasks/task.h"

namespace whet::tasks {

/// Shares of the kinds of text in a pre-training mixture. What is left over goes to degenerate loops. The names are the
/// recipe's: a base model learns to be careful most of the time, and also learns bad habits, so that training has
/// something to sharpen and something to collapse to.
struct Mixture {
  std::string_view name;
  double careful;        ///< solves the problem as it should be solved
  double lazy;           ///< a guess, mostly without looking at the problem
  double skipped;        ///< leaves out a part of the work
  double verdicts;       ///< reads a solution and says whether it is right
  double noise;          ///< chance that one symbol or step of a careful text goes wrong
  bool wrong_rule;       ///< careful texts follow a wrong rule, confidently, on a part of the problems
  double questions = 0;  ///< writes a problem of the task when asked for one
};

/// The mixture of that name; the first one for "". UserError that lists the names.
const Mixture& find_mixture(std::span<const Mixture> mixtures, std::string_view task, std::string_view name);

/// Which kind of text comes next.
enum class Kind { kCareful, kLazy, kSkipped, kVerdict, kQuestion, kLoop };
Kind draw_kind(const Mixture& mixture, base::Random& random);

/// One of `items`, each half as likely as the one before it.
std::string_view pick_geometric(std::span<const std::string_view> items, base::Random& random);

/// "train" or "held-out".
std::string_view split_name(Split split);

/// Draws made by `make(random)` -- anything with a `prompt()` -- until one lies in `split`. Every attempt has its own
/// key, so that the index-th problem does not depend on how many attempts the ones before it took.
template <class Make>
auto generate(std::string_view task, Split split, std::uint64_t seed, std::uint64_t index, Make make) {
  for (std::uint64_t attempt = 0;; ++attempt) {
    base::Random random{base::hash_text(task), seed, static_cast<std::uint64_t>(split), index, attempt};
    auto made = make(random);
    if (split_of(made.prompt()) == split) return made;
  }
}

/// A draw of `make(random)` among training problems.
template <class Make>
auto draw_training(base::Random& random, Make make) {
  for (;;) {
    auto made = make(random);
    if (split_of(made.prompt()) == Split::kTrain) return made;
  }
}

/// One prompt of `make(random)` that differs from `prompt`, or none where a few draws find none (`7777?` can be put in
/// one order only). That of a training problem is on the training side as well. A pure function of the prompt.
template <class Make>
std::vector<std::string> rephrase(std::string_view prompt, Make make) {
  base::Random random{base::hash_text("rephrased"), base::hash_text(prompt)};
  for (int attempt = 0; attempt < 16; ++attempt) {
    std::string other = make(random);
    const bool is_allowed = split_of(prompt) == Split::kHeldOut || split_of(other) == Split::kTrain;
    if (is_allowed && other != prompt) return {std::move(other)};
  }
  return {};
}

/// The Problem record of a generated prompt.
Problem make_problem(std::string_view task, Split split, std::uint64_t seed, std::uint64_t index, std::string prompt,
                     std::string answer, std::vector<std::string> rephrased);

}  // namespace whet::tasks
