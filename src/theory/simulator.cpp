#include "theory/simulator.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "theory/sharpening.h"

namespace whet::theory {
namespace {

constexpr std::size_t kRight = 0;
constexpr double kMostGroups = 100'000;

double log_factorial(int n) { return std::lgamma(n + 1.0); }

/// Calls visit(counts) for every way to spread `samples` over the answers.
template <class Visit>
void for_each_group(int samples, std::size_t answers, const Visit& visit) {
  std::vector<int> counts(answers, 0);
  const auto fill = [&](const auto& self, std::size_t answer, int left) -> void {
    if (answer + 1 == answers) {
      counts[answer] = left;
      visit(counts);
      return;
    }
    for (int count = 0; count <= left; ++count) {
      counts[answer] = count;
      self(self, answer + 1, left - count);
    }
  };
  fill(fill, 0, samples);
}

double number_of_groups(int samples, std::size_t answers) {
  const int kinds = static_cast<int>(answers);
  return std::exp(log_factorial(samples + kinds - 1) - log_factorial(samples) - log_factorial(kinds - 1));
}

/// Each answer's pay in a group, with `winner` as the vote's.
std::vector<double> group_rewards(std::span<const int> counts, std::span<const double> probability, std::size_t right,
                                  SimulatedReward reward, std::size_t winner) {
  const int samples = std::accumulate(counts.begin(), counts.end(), 0);
  std::vector<double> pay(counts.size(), 0.0);
  switch (reward) {
    case SimulatedReward::kMajorityVote:
      pay[winner] = 1;
      break;
    case SimulatedReward::kGroundTruth:
      pay[right] = 1;
      break;
    case SimulatedReward::kAnswerShare:
      for (std::size_t a = 0; a < pay.size(); ++a) pay[a] = static_cast<double>(counts[a]) / samples;
      break;
    case SimulatedReward::kLogProbability:
      for (std::size_t a = 0; a < pay.size(); ++a) pay[a] = counts[a] > 0 ? std::log(probability[a]) : 0;
      break;
  }
  return pay;
}

void check(const SimulatorOptions& o) {
  const auto want = [](bool holds, const char* option, const char* wanted) {
    if (!holds) base::user_error(option, "want {}", wanted);
  };
  want(o.problems >= 1, "problems", "at least 1");
  want(o.own_wrong >= 0 && o.degenerate >= 0 && o.own_wrong + o.degenerate >= 1, "wrong answers",
       "at least one wrong answer");
  want(o.samples >= 2, "samples", "at least 2: advantages compare the rollouts of a group");
  want(o.batch >= 1, "batch", "at least 1");
  want(o.steps >= 0, "steps", "0 or more");
  want(o.rate > 0, "rate", "more than 0");
  want(o.generalisation >= 0 && o.generalisation <= 1, "generalisation", "0..1");
  const auto answers = static_cast<std::size_t>(1 + o.own_wrong + o.degenerate);
  if (o.update == SimulatedUpdate::kExpected && number_of_groups(o.samples, answers) > kMostGroups) {
    base::user_error("samples",
                     "{} rollouts over {} answers make more than {} distinct groups: too many for the expected "
                     "update; take fewer, or sampled updates",
                     o.samples, answers, kMostGroups);
  }
}

/// What all problems share: how sharp their own preferences are, and how much each degenerate answer is liked.
struct Shared {
  double sharpness = 0;
  std::vector<double> degenerate;
};

class World {
 public:
  explicit World(const SimulatorOptions& options)
      : options_(options),
        answers_(static_cast<std::size_t>(1 + options.own_wrong + options.degenerate)),
        own_(static_cast<std::size_t>(options.problems) * answers_),
        shared_{1.0, std::vector<double>(static_cast<std::size_t>(options.degenerate), 0.0)} {
    for (std::size_t x = 0; x < problems(); ++x) {
      base::Random random{options.seed, base::hash_text("world"), x};
      double* logits = own_.data() + x * answers_;
      logits[kRight] = options.right_mean + options.right_spread * random.normal();
      for (int a = 0; a < options.own_wrong; ++a) logits[1 + a] = options.wrong_spread * random.normal();
      for (int d = 0; d < options.degenerate; ++d) {
        logits[1 + options.own_wrong + d] = options.degenerate_mean + options.degenerate_spread * random.normal();
      }
    }
  }

  std::size_t problems() const { return static_cast<std::size_t>(options_.problems); }
  std::size_t first_degenerate() const { return static_cast<std::size_t>(1 + options_.own_wrong); }
  Shared no_push() const { return {0.0, std::vector<double>(shared_.degenerate.size(), 0.0)}; }

  std::vector<double> policy(std::size_t x) const {
    std::vector<double> p(answers_);
    for (std::size_t a = 0; a < answers_; ++a) {
      p[a] = shared_.sharpness * preference(x, a);
    }
    const double largest = *std::max_element(p.begin(), p.end());
    double sum = 0;
    for (double& value : p) sum += value = std::exp(value - largest);
    for (double& value : p) value /= sum;
    return p;
  }

  /// Adds one problem's gradient of the logits, by the chain rule, to that of what is shared.
  void add_push(std::size_t x, std::span<const double> gradient, Shared& push) const {
    for (std::size_t a = 0; a < answers_; ++a) {
      push.sharpness += gradient[a] * preference(x, a);
      if (a >= first_degenerate()) push.degenerate[a - first_degenerate()] += shared_.sharpness * gradient[a];
    }
  }

  void move_own(std::size_t x, std::span<const double> gradient, double rate) {
    for (std::size_t a = 0; a < answers_; ++a) own_[x * answers_ + a] += rate * shared_.sharpness * gradient[a];
  }
  void move_shared(const Shared& push, double rate) {
    shared_.sharpness = std::max(0.0, shared_.sharpness + rate * push.sharpness);
    for (std::size_t d = 0; d < shared_.degenerate.size(); ++d) shared_.degenerate[d] += rate * push.degenerate[d];
  }
  double sharpness() const { return shared_.sharpness; }

 private:
  double preference(std::size_t x, std::size_t answer) const {
    const double own = own_[x * answers_ + answer];
    return answer < first_degenerate() ? own : own + shared_.degenerate[answer - first_degenerate()];
  }

  const SimulatorOptions& options_;
  std::size_t answers_;
  std::vector<double> own_;  // [problems, answers]
  Shared shared_;
};

std::vector<int> draw_group(std::span<const double> probability, int samples, base::Random& random) {
  std::vector<int> counts(probability.size(), 0);
  for (int i = 0; i < samples; ++i) {
    double left = random.uniform();
    std::size_t answer = 0;
    while (answer + 1 < probability.size() && left >= probability[answer]) left -= probability[answer++];
    ++counts[answer];
  }
  return counts;
}

SimulatedStep measure(const World& world, int step) {
  SimulatedStep result{.step = step, .sharpness = world.sharpness()};
  for (std::size_t x = 0; x < world.problems(); ++x) {
    const auto p = world.policy(x);
    const std::size_t winner = majority(p);
    result.accuracy += p[kRight];
    result.majority_right += winner == kRight ? 1 : 0;
    result.majority_mass += p[winner];
    for (std::size_t a = world.first_degenerate(); a < p.size(); ++a) result.degenerate_mass += p[a];
  }
  const auto n = static_cast<double>(world.problems());
  for (double* value : {&result.accuracy, &result.majority_right, &result.majority_mass, &result.degenerate_mass})
    *value /= n;
  return result;
}

}  // namespace

std::vector<double> group_gradient(std::span<const int> counts, std::span<const double> probability, std::size_t right,
                                   SimulatedReward reward) {
  const auto samples = static_cast<double>(std::accumulate(counts.begin(), counts.end(), 0));
  const int most = *std::max_element(counts.begin(), counts.end());
  const auto winners = static_cast<double>(std::count(counts.begin(), counts.end(), most));
  std::vector<double> gradient(counts.size(), 0.0);
  for (std::size_t winner = 0; winner < counts.size(); ++winner) {
    if (counts[winner] != most) continue;
    const auto pay = group_rewards(counts, probability, right, reward, winner);
    double mean = 0, squares = 0;
    for (std::size_t a = 0; a < pay.size(); ++a) mean += counts[a] * pay[a] / samples;
    for (std::size_t a = 0; a < pay.size(); ++a) squares += counts[a] * (pay[a] - mean) * (pay[a] - mean);
    if (squares == 0) continue;
    const double deviation = std::sqrt(squares / (samples - 1)) + 1e-6;
    for (std::size_t a = 0; a < pay.size(); ++a)
      gradient[a] += counts[a] * (pay[a] - mean) / deviation / samples / winners;
  }
  return gradient;
}

std::vector<double> expected_gradient(std::span<const double> probability, std::size_t right, SimulatedReward reward,
                                      int samples) {
  std::vector<double> total(probability.size(), 0.0);
  for_each_group(samples, probability.size(), [&](const std::vector<int>& counts) {
    double log_chance = log_factorial(samples);
    for (std::size_t a = 0; a < counts.size(); ++a) {
      if (counts[a] == 0) continue;
      if (probability[a] == 0) return;
      log_chance += counts[a] * std::log(probability[a]) - log_factorial(counts[a]);
    }
    const auto gradient = group_gradient(counts, probability, right, reward);
    for (std::size_t a = 0; a < total.size(); ++a) total[a] += std::exp(log_chance) * gradient[a];
  });
  return total;
}

const SimulatedStep& Simulation::peak() const {
  return *std::max_element(steps.begin(), steps.end(),
                           [](const auto& a, const auto& b) { return a.accuracy < b.accuracy; });
}

Simulation simulate(const SimulatorOptions& options) {
  check(options);
  World world(options);
  Simulation result;
  for (std::size_t x = 0; x < world.problems(); ++x) {
    const auto p = world.policy(x);
    result.initial_mass.push_back(p[kRight]);
    result.initially_right.push_back(majority(p) == kRight);
  }
  result.steps.push_back(measure(world, 0));
  const auto batch_size = static_cast<std::size_t>(std::min(options.batch, options.problems));
  for (int step = 1; step <= options.steps; ++step) {
    const auto key = static_cast<std::uint64_t>(step);
    std::vector<std::size_t> batch(batch_size);
    base::Random choice{options.seed, base::hash_text("batch"), key};
    if (batch_size == world.problems()) {
      std::iota(batch.begin(), batch.end(), std::size_t{0});
    } else {
      for (std::size_t& x : batch) x = choice.below(world.problems());
    }
    const auto count = static_cast<double>(batch_size);
    Shared push = world.no_push();
    SimulatedStep pushes;
    std::vector<std::vector<double>> gradients;
    for (const std::size_t x : batch) {
      const auto p = world.policy(x);
      base::Random random{options.seed, base::hash_text("group"), key, x};
      gradients.push_back(options.update == SimulatedUpdate::kExpected
                              ? expected_gradient(p, kRight, options.reward, options.samples)
                              : group_gradient(draw_group(p, options.samples, random), p, kRight, options.reward));
      const auto& gradient = gradients.back();
      world.add_push(x, gradient, push);
      double on_degenerate = 0;
      for (std::size_t a = world.first_degenerate(); a < p.size(); ++a) on_degenerate += gradient[a] / count;
      (result.initially_right[x] ? pushes.push_from_right : pushes.push_from_wrong) += on_degenerate;
    }
    push.sharpness /= count;
    for (double& value : push.degenerate) value /= count;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      world.move_own(batch[i], gradients[i], options.rate * (1 - options.generalisation));
    }
    world.move_shared(push, options.rate * options.generalisation);
    SimulatedStep measured = measure(world, step);
    measured.push_from_right = pushes.push_from_right;
    measured.push_from_wrong = pushes.push_from_wrong;
    result.steps.push_back(measured);
  }
  for (std::size_t x = 0; x < world.problems(); ++x) result.final_mass.push_back(world.policy(x)[kRight]);
  return result;
}

}  // namespace whet::theory
