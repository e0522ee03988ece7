// Arithmetic chains with worked steps: `17+5*3-8=` is answered by `17+15-8=32-8=24#24`. Each step carries out one
// operation, products first, and writes the whole rest down again; the answer stands behind the last `#`.
//
// Numbers are small, so that a model of a million parameters can learn every single step: what is hard is to do two to
// four of them without a slip, in the right order.
#include <array>
#include <cstdlib>
#include <numeric>

#include "tasks/generator.h"
#include "text/equivalence.h"
#include "text/expression.h"

namespace whet::tasks {
namespace {

constexpr std::string_view kName = "arithmetic";
constexpr int kLongestResponse = 64;

// name, careful, lazy, skipped, verdicts, noise, wrong rule
constexpr std::array<Mixture, 4> kMixtures{{
    {"s", .62, .18, .13, 0, .04, false},
    {"m", .76, .12, .10, 0, .03, false},
    {"careful", 1, 0, 0, 0, 0, false},
    {"wrong", .62, .18, .13, 0, .04,
     true},  // products that do not come first are taken from left to right all the same
}};

constexpr std::array<std::string_view, 8> kLazyAnswers{"10", "20", "0", "15", "12", "30", "1", "100"};

/// values[0] ops[0] values[1] ops[1] ...; only the first value can be negative.
struct Chain {
  std::vector<int> values;
  std::string ops;

  std::string text() const {
    std::string result = std::to_string(values[0]);
    for (std::size_t i = 0; i < ops.size(); ++i) result += ops[i] + std::to_string(values[i + 1]);
    return result;
  }
  std::string prompt() const { return text() + "="; }
};

/// Two to four operations; factors are 2-9, other numbers 1-20, and no two products follow each other, so that values
/// stay within three digits.
Chain draw_chain(base::Random& random) {
  Chain chain;
  const double u = random.uniform();
  const int count = u < 0.35 ? 2 : u < 0.75 ? 3 : 4;
  for (int i = 0; i < count; ++i) {
    const bool may_multiply = chain.ops.empty() || chain.ops.back() != '*';
    chain.ops += may_multiply && random.uniform() < 0.35 ? '*' : random.uniform() < 0.5 ? '+' : '-';
  }
  for (std::size_t i = 0; i <= chain.ops.size(); ++i) {
    const bool is_factor = (i > 0 && chain.ops[i - 1] == '*') || (i < chain.ops.size() && chain.ops[i] == '*');
    chain.values.push_back(static_cast<int>(is_factor ? random.between(2, 9) : random.between(1, 20)));
  }
  return chain;
}

int apply(int a, char op, int b) { return op == '+' ? a + b : op == '-' ? a - b : a * b; }

/// A slip of the pen: off by one or ten, either way.
int slip(int value, base::Random& random) {
  constexpr std::array<int, 4> kOff{1, -1, 10, -10};
  return value + kOff[random.below(kOff.size())];
}

/// Carries out one operation: the first product, or the first operation when there is none or `left_to_right`.
void reduce(Chain& chain, bool left_to_right, double noise, base::Random& random) {
  const std::size_t product = left_to_right ? std::string::npos : chain.ops.find('*');
  const std::size_t at = product == std::string::npos ? 0 : product;
  int value = apply(chain.values[at], chain.ops[at], chain.values[at + 1]);
  if (random.uniform() < noise) {
    const int slipped = slip(value, random);
    // Only the first number of a chain may be negative, or the text could not be read.
    if (slipped >= 0 || at == 0) value = slipped;
  }
  chain.values[at] = value;
  chain.values.erase(chain.values.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  chain.ops.erase(at, 1);
}

int value_of(Chain chain, bool left_to_right) {
  base::Random unused(0);
  while (!chain.ops.empty()) reduce(chain, left_to_right, 0, unused);
  return chain.values[0];
}

/// The same sum with its terms, and the factors of its products, in another order; a positive term comes first.
std::string commuted(const Chain& chain, base::Random& random) {
  struct Term {
    char sign;
    std::vector<int> factors;
  };
  std::vector<Term> terms{{'+', {chain.values[0]}}};
  for (std::size_t i = 0; i < chain.ops.size(); ++i) {
    if (chain.ops[i] == '*') {
      terms.back().factors.push_back(chain.values[i + 1]);
    } else {
      terms.push_back({chain.ops[i], {chain.values[i + 1]}});
    }
  }
  do {
    random.shuffle(terms);
  } while (terms[0].sign != '+');
  std::string text;
  for (Term& term : terms) {
    random.shuffle(term.factors);
    if (!text.empty()) text += term.sign;
    text += fmt::format("{}", fmt::join(term.factors, "*"));
  }
  return text + "=";
}

std::string worked(Chain chain, const Mixture& mixture, base::Random& random) {
  const bool left_to_right = mixture.wrong_rule;
  std::string text;
  while (!chain.ops.empty()) {
    reduce(chain, left_to_right, mixture.noise, random);
    if (!text.empty()) text += '=';
    text += chain.text();
  }
  return text + "#" + std::to_string(chain.values[0]);
}

/// A guess at once: a favourite number, the value without precedence, or something near the right one.
std::string lazy_answer(const Chain& chain, base::Random& random) {
  const double u = random.uniform();
  if (u < 0.3) return "#" + std::string(pick_geometric(kLazyAnswers, random));
  if (u < 0.6) return "#" + std::to_string(value_of(chain, true));
  return "#" + std::to_string(value_of(chain, false) + random.between(-10, 10));
}

/// One step, then straight to an answer that is wrong half of the time.
std::string skipped_answer(Chain chain, base::Random& random) {
  reduce(chain, false, 0, random);
  const int value = value_of(chain, false);
  return chain.text() + "#" + std::to_string(random.uniform() < 0.5 ? value : slip(value, random));
}

/// The same step again and again, or the same digit.
std::string loop_answer(Chain chain, base::Random& random) {
  if (random.uniform() < 0.5) {
    constexpr std::string_view kDigits = "017";
    return "#" + std::string(static_cast<std::size_t>(random.between(6, 24)), kDigits[random.below(kDigits.size())]);
  }
  reduce(chain, false, 0, random);
  const std::string step = chain.text();
  std::string text = step;
  for (auto repeats = random.between(1, 4); repeats > 0 && text.size() + 1 + step.size() < kLongestResponse;
       --repeats) {
    text += "=" + step;
  }
  return text;
}

class ArithmeticTask : public Task {
 public:
  Problem problem(Split split, std::uint64_t seed, std::uint64_t index) const override {
    const Chain chain = generate(kName, split, seed, index, draw_chain);
    return make_problem(kName, split, seed, index, chain.prompt(), std::to_string(value_of(chain, false)),
                        rephrase(chain.prompt(), [&chain](base::Random& random) { return commuted(chain, random); }));
  }

  /// The integer behind the last `#`, which ends the response; leading zeros and the sign of zero are dropped.
  std::optional<std::string> answer_in(const Problem& problem, std::string_view response) const override {
    const auto place = answer_place(problem, response);
    if (!place) return std::nullopt;
    std::string_view digits = *place;
    const bool negative = !digits.empty() && digits[0] == '-';
    if (negative) digits.remove_prefix(1);
    const std::size_t first = digits.find_first_not_of('0');
    if (first == std::string_view::npos) return "0";
    return (negative ? "-" : "") + std::string(digits.substr(first));
  }

  std::optional<std::string_view> answer_place(const Problem&, std::string_view response) const override {
    const std::size_t mark = response.rfind('#');
    if (mark == std::string_view::npos) return std::nullopt;
    const std::string_view number = response.substr(mark + 1);
    const std::string_view digits = number.starts_with('-') ? number.substr(1) : number;
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    return number;
  }

  bool equivalent(const Problem&, std::string_view a, std::string_view b) const override {
    return text::equivalent(a, b);
  }

  /// Slips of the pen have names of their own.
  std::string kind_of_error(const Problem& problem, std::string_view answer) const override {
    if (!problem.answer) return "wrong answer";
    const auto value = text::literal_value(answer.starts_with('-') ? answer.substr(1) : answer);
    const auto label = text::literal_value(problem.answer->substr(problem.answer->starts_with('-') ? 1 : 0));
    if (!value || !label) return "wrong answer";
    const mpq_class signed_value = answer.starts_with('-') ? mpq_class(-*value) : *value;
    const mpq_class signed_label = problem.answer->starts_with('-') ? mpq_class(-*label) : *label;
    const mpq_class off = abs(signed_value - signed_label);
    if (off == 1) return "off by one";
    if (off == 10) return "off by ten";
    return *value == *label ? "the other sign" : "another value";
  }

  Document document(std::string_view mixture_name, base::Random& random) const override {
    const Mixture& mixture = find_mixture(kMixtures, kName, mixture_name);
    const Chain chain = draw_training(random, draw_chain);
    switch (draw_kind(mixture, random)) {
      case Kind::kLazy:
        return {chain.prompt(), lazy_answer(chain, random)};
      case Kind::kSkipped:
        return {chain.prompt(), skipped_answer(chain, random)};
      case Kind::kLoop:
        return {chain.prompt(), loop_answer(chain, random)};
      default:
        return {chain.prompt(), worked(chain, mixture, random)};
    }
  }

  std::string alphabet() const override { return "0123456789+-*=#"; }

  int response_limit() const override { return kLongestResponse; }
};

const base::Registrar kRegistered(tasks(), std::string(kName),
                                  TaskEntry{"2-4 operations with worked steps: 17+5*3-8= -> 17+15-8=32-8=24#24",
                                            [](const TaskSource&) { return std::make_unique<ArithmeticTask>(); }});

}  // namespace
}  // namespace whet::tasks
