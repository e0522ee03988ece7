// Countdown: reach a target from given numbers, each used exactly once, with + - * / and brackets. `3,7,25:29=` is
// answered by
//
//   25*3=75,75-7=68;25+7=32,32-3=29#(25+7)-3
//
// a short search and then the expression. A try is a chain of steps, each of which joins two numbers that are still
// there;
// `;` gives a try up. A small model cannot know which combination hits, but it can learn to propose one, to work out
// where it leads, and to stop when the last value is the target: the search is its chain of thought.
//
// Many answers are right, so a checker decides. Numbers in a prompt stand in ascending order: permutations of one
// problem have one prompt, and cannot be spread over both sides of the split. (Only rephrasings have another order.)
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "tasks/generator.h"
#include "text/expression.h"

namespace whet::tasks {
namespace {

constexpr int kLargestNumber = 25;
constexpr int kLargestTarget = 100;
constexpr int kLargestStep = 625;
constexpr std::size_t kLongestResponse = 96;
constexpr std::size_t kLongestExpression = 128;
constexpr int kLongestVerdict = 64;
constexpr int kNear = 3;  ///< how far from the target a value is called near it
constexpr text::ExpressionSyntax kSyntax{.powers = false, .decimals = false};

// name, careful, lazy, skipped, verdicts, noise, wrong rule
constexpr std::array<Mixture, 6> kMixtures{{
    {"s", .48, .13, .09, .25, .04, false},
    {"m", .58, .08, .07, .25, .03, false},
    {"careful", 1, 0, 0, 0, 0, false},
    {"wrong", .48, .13, .09, .25, .04, true},  // even targets are "reached" by adding all numbers up
    {"solve", .64, .17, .12, 0, .04, false},   // s without verdicts
    {"verify", .50, 0, 0, .50, 0, false},
}};

/// One way to use a list of numbers up.
struct Try {
  std::vector<std::string> steps;  ///< "25+7=32", in order
  std::string expression;          ///< "(25+7)-3"
  int value = 0;

  std::string text() const { return fmt::format("{}", fmt::join(steps, ",")); }
};

struct Puzzle {
  std::vector<int> numbers;  ///< ascending
  int target = 0;
  Try solution;

  std::string prompt() const { return fmt::format("{}:{}=", fmt::join(numbers, ","), target); }
};

/// Joins random pairs until one number is left. Every value on the way is a positive integer of at most kLargestStep,
/// and the larger operand comes first, so that there is less to learn.
Try random_try(const std::vector<int>& numbers, base::Random& random) {
  struct Part {
    int value;
    std::string text;
    bool composite;
  };
  std::vector<Part> parts;
  for (const int number : numbers) parts.push_back({number, std::to_string(number), false});
  Try result;
  while (parts.size() > 1) {
    random.shuffle(parts);
    Part a = parts.back();
    parts.pop_back();
    Part b = parts.back();
    parts.pop_back();
    if (a.value < b.value) std::swap(a, b);
    std::string ops = "+++";
    if (a.value != b.value) ops += "---";
    if (a.value * b.value <= kLargestStep) ops += "**";
    if (a.value % b.value == 0) ops += "/";
    const char op = ops[random.below(ops.size())];
    const int value = op == '+'   ? a.value + b.value
                      : op == '-' ? a.value - b.value
                      : op == '*' ? a.value * b.value
                                  : a.value / b.value;
    result.steps.push_back(fmt::format("{}{}{}={}", a.value, op, b.value, value));
    const auto operand = [](const Part& part) { return part.composite ? "(" + part.text + ")" : part.text; };
    parts.push_back({value, operand(a) + op + operand(b), true});
  }
  result.value = parts[0].value;
  result.expression = parts[0].text;
  return result;
}

/// The same numbers in another order.
std::string reordered(const Puzzle& puzzle, base::Random& random) {
  Puzzle other{puzzle.numbers, puzzle.target, {}};
  random.shuffle(other.numbers);
  return other.prompt();
}

Puzzle draw_puzzle(int count, base::Random& random) {
  Puzzle puzzle;
  for (int i = 0; i < count; ++i) puzzle.numbers.push_back(static_cast<int>(random.between(1, kLargestNumber)));
  std::sort(puzzle.numbers.begin(), puzzle.numbers.end());
  do {
    puzzle.solution = random_try(puzzle.numbers, random);
  } while (puzzle.solution.value > kLargestTarget);
  puzzle.target = puzzle.solution.value;
  return puzzle;
}

/// A try that does not hit the target: the nearest of three.
std::optional<Try> near_miss(const std::vector<int>& numbers, int target, base::Random& random) {
  std::optional<Try> best;
  for (int i = 0; i < 3; ++i) {
    Try candidate = random_try(numbers, random);
    if (candidate.value == target) continue;
    if (!best || std::abs(candidate.value - target) < std::abs(best->value - target)) best = std::move(candidate);
  }
  return best;
}

/// A try on `numbers` that hits the target if a few attempts find one, else the nearest of them.
Try nearest_try(const std::vector<int>& numbers, int target, base::Random& random) {
  Try best = random_try(numbers, random);
  for (int i = 0; i < 20 && best.value != target; ++i) {
    Try candidate = random_try(numbers, random);
    if (std::abs(candidate.value - target) < std::abs(best.value - target)) best = std::move(candidate);
  }
  return best;
}

std::string sum_of_all(const std::vector<int>& numbers) {
  int total = numbers.back();
  std::vector<std::string> steps;
  std::string expression = std::to_string(total);
  for (std::size_t i = numbers.size() - 1; i-- > 0;) {
    const int sum = total + numbers[i];
    steps.push_back(fmt::format("{}+{}={}", total, numbers[i], sum));
    if (i + 2 < numbers.size()) expression = "(" + expression + ")";
    expression += "+" + std::to_string(numbers[i]);
    total = sum;
  }
  return fmt::format("{}#{}", fmt::join(steps, ","), expression);
}

/// Up to three tries that miss and the one that hits; `noise` is the chance that a miss is taken for a hit.
std::string search(const Puzzle& puzzle, const Mixture& mixture, base::Random& random) {
  if (mixture.wrong_rule && puzzle.target % 2 == 0) return sum_of_all(puzzle.numbers);
  const double u = random.uniform();
  const int misses = u < 0.3 ? 0 : u < 0.6 ? 1 : u < 0.85 ? 2 : 3;
  const std::string ending = puzzle.solution.text() + "#" + puzzle.solution.expression;
  std::string text;
  for (int i = 0; i < misses; ++i) {
    const std::optional<Try> miss = near_miss(puzzle.numbers, puzzle.target, random);
    if (!miss || text.find(miss->text()) != std::string::npos) continue;
    if (text.size() + miss->text().size() + 1 + ending.size() >= kLongestResponse) break;
    if (random.uniform() < mixture.noise) return text + miss->text() + "#" + miss->expression;
    text += miss->text() + ";";
  }
  if (misses == 0 && random.uniform() < mixture.noise) {
    const Try other = random_try(puzzle.numbers, random);
    return other.text() + "#" + other.expression;
  }
  return text + ending;
}

/// Leaves a number out, and stops as soon as the target is near.
std::string skipped_answer(const Puzzle& puzzle, base::Random& random) {
  std::vector<int> numbers = puzzle.numbers;
  numbers.erase(numbers.begin() + static_cast<std::ptrdiff_t>(random.below(numbers.size())));
  const Try attempt = nearest_try(numbers, puzzle.target, random);
  return attempt.text() + "#" + attempt.expression;
}

/// One try again and again; or one number, added to itself, as the answer.
std::string loop_answer(const Puzzle& puzzle, base::Random& random) {
  if (random.uniform() < 0.5) {
    const std::string number = std::to_string(puzzle.numbers[0]);
    std::string text = "#" + number;
    for (auto repeats = random.between(4, 12); repeats > 0; --repeats) text += "+" + number;
    return text;
  }
  const std::string attempt = random_try(puzzle.numbers, random).text();
  std::string text = attempt;
  for (auto repeats = random.between(2, 4); repeats > 0 && text.size() + 1 + attempt.size() < kLongestResponse;
       --repeats) {
    text += ";" + attempt;
  }
  return text;
}

/// The numbers of a wrong expression: one left out (`kind` below .83), one used twice, as well or in place of another
/// (below .92), or one that was not given. In ascending order.
std::vector<int> other_numbers(std::vector<int> numbers, double kind, base::Random& random) {
  const std::size_t at = random.below(numbers.size());
  const std::size_t other = (at + 1 + random.below(numbers.size() - 1)) % numbers.size();
  if (kind < 0.83) {
    numbers.erase(numbers.begin() + static_cast<std::ptrdiff_t>(at));
  } else if (kind >= 0.92) {
    numbers[at] = static_cast<int>(random.between(1, kLargestNumber));
  } else if (random.uniform() < 0.5) {
    numbers.push_back(numbers[at]);
  } else {
    numbers[at] = numbers[other];
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

/// `3,7,25:29=(25+7)-3v` is judged by `3,7,25;25+7=32,32-3=29T`: the numbers that the expression uses, in order, then
/// its steps. `F` stands where the check fails: behind the numbers when they are not the given ones, else behind the
/// value. Half of the judged expressions are right. The wrong ones are hard: on the given numbers but near the target,
/// or (where a few attempts find it) hitting the target with a number left out, used twice, or not given.
Document verdict(const Puzzle& puzzle, base::Random& random) {
  std::vector<int> used = puzzle.numbers;
  Try judged = puzzle.solution;
  const double u = random.uniform();
  if (u >= 0.75) {
    for (int attempt = 0; attempt < 8; ++attempt) {
      used = other_numbers(puzzle.numbers, u, random);
      judged = nearest_try(used, puzzle.target, random);
      if (judged.value == puzzle.target) break;
    }
  } else if (u >= 0.5) {
    if (const auto miss = near_miss(used, puzzle.target, random)) judged = *miss;
  }
  std::string check = fmt::format("{}", fmt::join(used, ","));
  if (used != puzzle.numbers) {
    check += 'F';
  } else {
    check += ";" + judged.text() + (judged.value == puzzle.target ? 'T' : 'F');
  }
  return {puzzle.prompt() + judged.expression + "v", check};
}

/// The numbers and the target of a prompt "3,7,25:29=", or nullopt when it is not one.
struct Given {
  std::vector<int> numbers;
  int target = 0;
};

std::optional<Given> read_prompt(std::string_view prompt) {
  Given given;
  const char* at = prompt.data();
  const char* const end = at + prompt.size();
  for (;;) {
    int number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || next == end) return std::nullopt;
    if (*next == '=') {
      given.target = number;
      break;
    }
    if (*next != ',' && *next != ':') return std::nullopt;
    given.numbers.push_back(number);
    at = next + 1;
  }
  if (given.numbers.empty()) return std::nullopt;
  std::sort(given.numbers.begin(), given.numbers.end());
  return given;
}

/// What a proposed expression uses and where it leads.
struct Proposed {
  std::vector<int> numbers;        ///< ascending
  std::optional<mpq_class> value;  ///< absent where it divides by zero
};

std::optional<Proposed> read_answer(std::string_view answer) {
  if (answer.size() > kLongestExpression) return std::nullopt;
  const auto expression = text::parse_expression(answer, kSyntax);
  if (!expression) return std::nullopt;
  Proposed proposed;
  for (const std::string& literal : expression->literals()) {
    int number = 0;
    const auto [end, error] = std::from_chars(literal.data(), literal.data() + literal.size(), number);
    if (error != std::errc() || end != literal.data() + literal.size()) return std::nullopt;
    proposed.numbers.push_back(number);
  }
  std::sort(proposed.numbers.begin(), proposed.numbers.end());
  proposed.value = text::evaluate(*expression);
  return proposed;
}

class CountdownTask : public Task {
 public:
  CountdownTask(std::string name, int count) : name_(std::move(name)), count_(count) {}

  Problem problem(Split split, std::uint64_t seed, std::uint64_t index) const override {
    const Puzzle puzzle =
        generate(name_, split, seed, index, [this](base::Random& random) { return draw_puzzle(count_, random); });
    const std::string solution = text::normal_form(*text::parse_expression(puzzle.solution.expression, kSyntax));
    return make_problem(
        name_, split, seed, index, puzzle.prompt(), solution,
        rephrase(puzzle.prompt(), [&puzzle](base::Random& random) { return reordered(puzzle, random); }));
  }

  /// The expression behind the last `#`, which ends the response: integers, + - * / and brackets, at most 128
  /// characters. Its canonical form is text::normal_form, so that two ways to write one computation vote together.
  std::optional<std::string> answer_in(const Problem&, std::string_view response) const override {
    const auto expression = expression_in(response);
    if (!expression) return std::nullopt;
    return text::normal_form(*expression);
  }

  std::optional<std::string_view> answer_place(const Problem&, std::string_view response) const override {
    if (!expression_in(response)) return std::nullopt;
    return response.substr(response.rfind('#') + 1);
  }

  /// Whether the expression uses exactly the numbers of the prompt and its exact (rational) value is the target.
  std::optional<bool> check(const Problem& problem, std::string_view answer) const override {
    const auto given = read_prompt(problem.prompt);
    if (!given) return std::nullopt;
    const auto proposed = read_answer(answer);
    return proposed && proposed->numbers == given->numbers && proposed->value && *proposed->value == given->target;
  }

  bool correct(const Problem& problem, std::string_view answer) const override {
    return check(problem, answer).value_or(false);
  }

  /// As verdicts are written in the pre-training text: the expression, without the search before it.
  VerifierFormat verifier_format() const override {
    return {.prompt = "{problem}{answer}v", .rule = VerdictRule::kMark, .limit = kLongestVerdict};
  }

  /// Which numbers it uses, and where it leads: wrong numbers that hit the target are what a careless verifier takes.
  std::string kind_of_error(const Problem& problem, std::string_view answer) const override {
    const auto given = read_prompt(problem.prompt);
    const auto proposed = read_answer(answer);
    if (!given || !proposed) return "unreadable expression";
    if (!proposed->value) return "divides by zero";
    const mpq_class off = abs(*proposed->value - given->target);
    if (proposed->numbers == given->numbers) return off <= kNear ? "value near the target" : "value far off";
    const auto& used = proposed->numbers;
    const bool all_given = std::all_of(used.begin(), used.end(), [&](int number) {
      return std::find(given->numbers.begin(), given->numbers.end(), number) != given->numbers.end();
    });
    const bool within = std::includes(given->numbers.begin(), given->numbers.end(), used.begin(), used.end());
    const std::string kind = !all_given ? "a number not given" : within ? "a number left out" : "a number used again";
    return kind + (off == 0 ? ", hits the target" : "");
  }

  bool has_label(const Problem& problem) const override { return read_prompt(problem.prompt).has_value(); }

  Document document(std::string_view mixture_name, base::Random& random) const override {
    const Mixture& mixture = find_mixture(kMixtures, name_, mixture_name);
    const Puzzle puzzle = draw_training(random, [this](base::Random& r) { return draw_puzzle(count_, r); });
    switch (draw_kind(mixture, random)) {
      case Kind::kCareful:
        return {puzzle.prompt(), search(puzzle, mixture, random)};
      case Kind::kLazy:
        return {puzzle.prompt(), "#" + random_try(puzzle.numbers, random).expression};
      case Kind::kSkipped:
        return {puzzle.prompt(), skipped_answer(puzzle, random)};
      case Kind::kVerdict:
        return verdict(puzzle, random);
      case Kind::kQuestion:  // no mixture of this task has questions
      case Kind::kLoop:
        break;
    }
    return {puzzle.prompt(), loop_answer(puzzle, random)};
  }

  std::string alphabet() const override { return "0123456789,:=+-*/()#;vTF"; }

  int response_limit() const override { return static_cast<int>(kLongestResponse); }

 private:
  static std::optional<text::Expression> expression_in(std::string_view response) {
    const std::size_t mark = response.rfind('#');
    if (mark == std::string_view::npos || response.size() - mark - 1 > kLongestExpression) return std::nullopt;
    return text::parse_expression(response.substr(mark + 1), kSyntax);
  }

  std::string name_;
  int count_;
};

const base::Registrar kThree(tasks(), "countdown",
                             TaskEntry{
                                 "reach a target from 3 numbers: 3,7,25:29= -> 25+7=32,32-3=29#(25+7)-3",
                                 [](const TaskSource&) { return std::make_unique<CountdownTask>("countdown", 3); }});
const base::Registrar kFour(tasks(), "countdown4",
                            TaskEntry{"reach a target from 4 numbers, as countdown does", [](const TaskSource&) {
                                        return std::make_unique<CountdownTask>("countdown4", 4);
                                      }});

}  // namespace
}  // namespace whet::tasks
