#include "tasks/generator.h"

namespace whet::tasks {

const Mixture& find_mixture(std::span<const Mixture> mixtures, std::string_view task, std::string_view name) {
  if (name.empty()) return mixtures.front();
  std::vector<std::string_view> names;
  for (const Mixture& mixture : mixtures) {
    if (mixture.name == name) return mixture;
    names.push_back(mixture.name);
  }
  base::user_error("mixture", "unknown mixture '{}' of task '{}', want one of: {}", name, task, fmt::join(names, ", "));
}

Kind draw_kind(const Mixture& mixture, base::Random& random) {
  double u = random.uniform();
  if ((u -= mixture.careful) < 0) return Kind::kCareful;
  if ((u -= mixture.lazy) < 0) return Kind::kLazy;
  if ((u -= mixture.skipped) < 0) return Kind::kSkipped;
  if ((u -= mixture.verdicts) < 0) return Kind::kVerdict;
  if ((u -= mixture.questions) < 0) return Kind::kQuestion;
  // Shares of a mixture without loops add up to 1 only up to rounding.
  const double loops = 1 - mixture.careful - mixture.lazy - mixture.skipped - mixture.verdicts - mixture.questions;
  return loops > 1e-9 ? Kind::kLoop : Kind::kCareful;
}

std::string_view pick_geometric(std::span<const std::string_view> items, base::Random& random) {
  std::size_t i = 0;
  while (i + 1 < items.size() && random.uniform() < 0.5) ++i;
  return items[i];
}

std::string_view split_name(Split split) { return split == Split::kTrain ? "train" : "held-out"; }

Problem make_problem(std::string_view task, Split split, std::uint64_t seed, std::uint64_t index, std::string prompt,
                     std::string answer, std::vector<std::string> rephrased) {
  return {.id = fmt::format("{}/{}/{}", split_name(split), seed, index),
          .source = std::string(task),
          .prompt = std::move(prompt),
          .answer = std::move(answer),
          .rephrased = std::move(rephrased)};
}

}  // namespace whet::tasks
