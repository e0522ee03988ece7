// Sort digits: `129040479?` is answered by `#001244799`. The smallest task on which reinforcement learning without
// labels rises and then collapses; four to nine digits, no worked steps.
#include <algorithm>
#include <array>

#include "tasks/generator.h"

namespace whet::tasks {
namespace {

constexpr std::string_view kName = "sort";
constexpr int kMinDigits = 4;
constexpr int kMaxDigits = 9;
constexpr int kLongestLoop = 20;

// name, careful, lazy, skipped, verdicts, noise, wrong rule, questions
constexpr std::array<Mixture, 6> kMixtures{{
    {"s", .60, .20, .12, 0, .03, false},
    {"m", .76, .12, .10, 0, .03, false},
    {"careful", 1, 0, 0, 0, 0, false},
    {"wrong", .60, .20, .12, 0, .03, true},  // digits that begin with an even one are sorted downwards
    {"verify", .45, .15, .09, .25, .03, false},
    {"ask", .50, .17, .10, 0, .03, false, .16},
}};

/// What asks for a problem: the question mark that ends one, with nothing before it.
constexpr std::string_view kAskForProblem = "?";

constexpr std::array<std::string_view, 8> kLazyAnswers{"0123", "0", "01234", "1234", "000", "012", "00", "1"};

struct Digits {
  std::string digits;
  std::string prompt() const { return digits + "?"; }
  std::string sorted() const {
    std::string result = digits;
    std::sort(result.begin(), result.end());
    return result;
  }
};

char random_digit(base::Random& random) { return static_cast<char>('0' + random.below(10)); }

Digits draw_digits(base::Random& random) {
  Digits drawn;
  drawn.digits.resize(static_cast<std::size_t>(random.between(kMinDigits, kMaxDigits)));
  for (char& digit : drawn.digits) digit = random_digit(random);
  return drawn;
}

/// The same digits in another order: the answer stays.
std::string shuffled(const Digits& problem, base::Random& random) {
  std::vector<char> digits(problem.digits.begin(), problem.digits.end());
  random.shuffle(digits);
  return Digits{{digits.begin(), digits.end()}}.prompt();
}

std::string careful_answer(const Digits& problem, const Mixture& mixture, base::Random& random) {
  std::string answer = problem.sorted();
  if (mixture.wrong_rule && (problem.digits[0] - '0') % 2 == 0) std::reverse(answer.begin(), answer.end());
  for (char& digit : answer) {
    if (random.uniform() < mixture.noise) digit = random_digit(random);
  }
  return answer;
}

/// An unsorted copy, or the sorted digits with some left out.
std::string skipped_answer(const Digits& problem, base::Random& random) {
  if (random.uniform() < 0.4) return problem.digits;
  std::string kept;
  for (const char digit : problem.sorted()) {
    if (random.uniform() < 0.7) kept += digit;
  }
  return kept.empty() ? problem.sorted().substr(0, 1) : kept;
}

std::string loop_answer(base::Random& random) {
  constexpr std::string_view kDigits = "017";
  return std::string(static_cast<std::size_t>(random.between(6, kLongestLoop)), kDigits[random.below(3)]);
}

/// `4830291?=0123489v` is judged by deriving the digits again: `F` at the first one that differs (or is missing, or too
/// many), `T` at the end. Half of the judged answers are right; the wrong ones miss by one digit changed, dropped or
/// doubled.
Document verdict(const Digits& problem, base::Random& random) {
  const std::string right = problem.sorted();
  std::string judged = right;
  if (random.uniform() < 0.5) {
    const std::size_t at = random.below(judged.size());
    switch (random.below(3)) {
      case 0:
        judged[at] = static_cast<char>('0' + (judged[at] - '0' + 1 + random.below(9)) % 10);
        break;
      case 1:
        judged.erase(at, 1);
        break;
      default:
        judged.insert(at, 1, judged[at]);
        break;
    }
  }
  std::string check;
  for (std::size_t i = 0; i < right.size() && i < judged.size() && right[i] == judged[i]; ++i) check += right[i];
  check += judged == right ? 'T' : 'F';
  return {problem.prompt() + "=" + judged + "v", check};
}

class SortTask : public Task {
 public:
  Problem problem(Split split, std::uint64_t seed, std::uint64_t index) const override {
    const Digits drawn = generate(kName, split, seed, index, draw_digits);
    return make_problem(kName, split, seed, index, drawn.prompt(), drawn.sorted(),
                        rephrase(drawn.prompt(), [&drawn](base::Random& random) { return shuffled(drawn, random); }));
  }

  /// The response is `#` and then one or more digits and nothing else; the answer is the digits.
  std::optional<std::string> answer_in(const Problem& problem, std::string_view response) const override {
    const auto digits = answer_place(problem, response);
    return digits ? std::optional<std::string>(*digits) : std::nullopt;
  }

  std::optional<std::string_view> answer_place(const Problem&, std::string_view response) const override {
    if (response.size() < 2 || response[0] != '#') return std::nullopt;
    const std::string_view digits = response.substr(1);
    if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    return digits;
  }

  /// In order, and each digit as often as the prompt has it: counting, where solving has to find every place.
  std::optional<bool> check(const Problem& problem, std::string_view answer) const override {
    if (!problem.prompt.ends_with('?')) return std::nullopt;
    std::array<int, 256> surplus{};
    for (const char c : problem.prompt) ++surplus[static_cast<unsigned char>(c)];
    --surplus['?'];
    for (const char c : answer) --surplus[static_cast<unsigned char>(c)];
    return std::is_sorted(answer.begin(), answer.end()) &&
           std::all_of(surplus.begin(), surplus.end(), [](int count) { return count == 0; });
  }

  /// As its verdicts are written: `4830291?=0123489v`.
  VerifierFormat verifier_format() const override {
    return {.prompt = "{problem}={answer}v", .rule = VerdictRule::kMark, .limit = kLongestLoop + 4};
  }

  std::string kind_of_error(const Problem& problem, std::string_view answer) const override {
    if (!problem.answer) return "wrong answer";
    const std::string_view right = *problem.answer;
    std::string digits(answer);
    std::sort(digits.begin(), digits.end());
    if (digits == right) return "not in order";
    if (digits.size() == right.size()) return "a digit changed";
    if (digits.size() < right.size()) {
      return std::includes(right.begin(), right.end(), digits.begin(), digits.end()) ? "a digit dropped"
                                                                                     : "other digits";
    }
    if (!std::includes(digits.begin(), digits.end(), right.begin(), right.end())) return "other digits";
    const bool known = digits.find_first_not_of(right) == std::string::npos;
    return known ? "a digit repeated" : "a digit added";
  }

  std::optional<std::string> proposal_prompt() const override { return std::string(kAskForProblem); }

  /// Four to nine digits and a question mark, on the training side.
  std::optional<Problem> proposed(std::string_view response) const override {
    if (!response.ends_with('?')) return std::nullopt;
    const Digits digits{std::string(response.substr(0, response.size() - 1))};
    const bool fits = digits.digits.size() >= kMinDigits && digits.digits.size() <= kMaxDigits &&
                      digits.digits.find_first_not_of("0123456789") == std::string::npos;
    if (!fits || split_of(response) == Split::kHeldOut) return std::nullopt;
    Problem problem;
    problem.source = kName;
    problem.prompt = digits.prompt();
    problem.answer = digits.sorted();
    return problem;
  }

  Document document(std::string_view mixture_name, base::Random& random) const override {
    const Mixture& mixture = find_mixture(kMixtures, kName, mixture_name);
    const Digits drawn = draw_training(random, draw_digits);
    switch (draw_kind(mixture, random)) {
      case Kind::kCareful:
        return {drawn.prompt(), "#" + careful_answer(drawn, mixture, random)};
      case Kind::kLazy:
        return {drawn.prompt(), "#" + std::string(pick_geometric(kLazyAnswers, random))};
      case Kind::kSkipped:
        return {drawn.prompt(), "#" + skipped_answer(drawn, random)};
      case Kind::kVerdict:
        return verdict(drawn, random);
      case Kind::kQuestion:
        return {std::string(kAskForProblem), drawn.prompt()};
      case Kind::kLoop:
        break;
    }
    return {drawn.prompt(), "#" + loop_answer(random)};
  }

  std::string alphabet() const override { return "0123456789?#=vTF"; }

  int response_limit() const override { return 24; }
};

const base::Registrar kRegistered(tasks(), std::string(kName),
                                  TaskEntry{"put 4-9 digits in order: 129040479? -> #001244799",
                                            [](const TaskSource&) { return std::make_unique<SortTask>(); }});

}  // namespace
}  // namespace whet::tasks
