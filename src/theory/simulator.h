// Policy-gradient training without a network: every problem is a distribution over a few answers, one of them right, and
// GRPO moves their logits. Small enough to be computed exactly, rich enough to rise and to fall.
//
// An answer is the right one, a wrong one of the problem's own, or a degenerate one that is the same for all problems (a
// constant, an unfinished line). Its logit is the problem's preference times a sharpness that all problems share, plus, for
// a degenerate answer, a liking that all problems share. Training moves the problem's own preferences by what its group
// says, and what is shared by the mean over the batch. The shared part is what a network's weights do: groups that agree
// make problems sharper that were never seen, and groups that agree on a degenerate answer teach it to all the others.
// With `generalisation` 0 nothing is shared, and every problem meets its own fate.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace whet::theory {

/// What a rollout is paid in a group.
enum class SimulatedReward {
  kMajorityVote,    ///< 1 for the answer most rollouts gave; of several, each is the winner equally often
  kGroundTruth,     ///< 1 for the right answer
  kAnswerShare,     ///< share of the group that gave the answer (semantic entropy)
  kLogProbability,  ///< log of the answer's probability (trajectory entropy)
};

enum class SimulatedUpdate {
  kSampled,   ///< each group is drawn
  kExpected,  ///< the mean over all groups that could be drawn, by enumeration
};

struct SimulatorOptions {
  std::int64_t problems = 1000;
  int own_wrong = 15;  ///< wrong answers of a problem's own
  int degenerate = 1;  ///< answers shared by all problems
  /// Logits at the start are normal: mean and spread over problems of the right answer's, relative to own wrong ones
  /// (mean 0, spread `wrong_spread`), and of each degenerate answer's.
  double right_mean = 2.0, right_spread = 1.5;
  double wrong_spread = 1.0;
  double degenerate_mean = 2.0, degenerate_spread = 1.0;

  SimulatedReward reward = SimulatedReward::kMajorityVote;
  SimulatedUpdate update = SimulatedUpdate::kSampled;
  int samples = 8;          ///< rollouts of a problem in a step
  std::int64_t batch = 64;  ///< problems in a step; at least `problems`: all of them
  int steps = 300;
  double rate = 0.2;            ///< of a gradient of logits
  double generalisation = 1.0;  ///< share of the rate that moves what is shared; the rest moves the batch's problems
  std::uint64_t seed = 0;
};

/// The world at one step, over all its problems, exactly (not over a sample).
struct SimulatedStep {
  int step = 0;
  double accuracy = 0;         ///< mean mass of the right answer
  double majority_right = 0;   ///< share of problems whose most likely answer is right
  double majority_mass = 0;    ///< mean mass of the most likely answer
  double degenerate_mass = 0;  ///< mean mass of degenerate answers
  double sharpness = 1;
  /// This step's push on the degenerate answers, summed over them, from the batch's problems whose most likely answer
  /// was right at the start, and from the others: where a collapse comes from.
  double push_from_right = 0;
  double push_from_wrong = 0;
};

struct Simulation {
  std::vector<SimulatedStep> steps;   ///< step 0, the start, included
  std::vector<double> initial_mass;   ///< by problem: the right answer's, at the start
  std::vector<double> final_mass;     ///< and at the end
  std::vector<bool> initially_right;  ///< the most likely answer was right at the start

  const SimulatedStep& peak() const;  ///< highest accuracy, the earliest of equals
};

/// UserError naming the option that is out of range; kExpected allows at most 100,000 distinct groups.
Simulation simulate(const SimulatorOptions& options);

/// GRPO's gradient of the logits for one group of rollouts, given how many gave each answer: sum over rollouts of the
/// advantage (reward less mean, divided by the unbiased deviation + 1e-6) of those that gave the answer, divided by their
/// number. Its terms sum to 0. Where a vote is tied, the mean over the tied winners: to prefer an index would be to prefer
/// the right answer, which has the smallest. `counts` hold at least 2 rollouts; `probability` is the policy; `right` the right answer's index.
std::vector<double> group_gradient(std::span<const int> counts, std::span<const double> probability, std::size_t right,
                                   SimulatedReward reward);

/// The mean of group_gradient over all groups of `samples` independent rollouts, weighted by their probability.
std::vector<double> expected_gradient(std::span<const double> probability, std::size_t right, SimulatedReward reward,
                                      int samples);

}  // namespace whet::theory
