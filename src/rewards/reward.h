// What the policy is paid for. A reward is a pure function of a group: it knows no tensors, no model and no trainer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/registry.h"

namespace whet::rewards {

/// One response, as a reward sees it. Per-token values run over the response including its first end token.
struct Sample {
  /// Equivalence class of the answer within the group: 0, 1, ... or -1 when no answer could be extracted.
  int answer_class = -1;
  std::string answer;                      ///< canonical form; empty when absent
  std::span<const float> logprob;          ///< log pi_t(y_t)
  std::span<const float> entropy;          ///< H(pi_t), nats
  std::span<const float> self_certainty;   ///< KL(U || pi_t)
  std::span<const float> gap;              ///< largest minus second largest probability
  bool truncated = false;                  ///< cut at the length limit
  std::optional<bool> correct;             ///< the true reward; only `ground-truth` may read it
};

/// The n rollouts of one problem in one step.
struct Group {
  std::vector<Sample> samples;
};

struct Scored {
  std::vector<double> reward = {};   ///< one per sample, in the units of the reward's formula
  /// The same rewards divided by a positive constant of the group, where the plain values would underflow
  /// (`probability`); empty otherwise. Group-normalised advantages do not depend on the constant.
  std::vector<double> rescaled = {};
  /// The class taken as the label (ensemble rewards), or -1 when the group has none or the reward uses none.
  int label_class = -1;

  /// What to normalise within the group. Advantages that compare groups with each other must use `reward`.
  const std::vector<double>& within_group() const { return rescaled.empty() ? reward : rescaled; }
};

/// What a reward needs beyond answers, so that a run which cannot provide it is refused by name before it starts.
struct Needs {
  bool label = false;         ///< Sample::correct
  bool token_stats = false;   ///< per-token values
};

class Reward {
 public:
  virtual ~Reward() = default;
  /// Scores a group. `random` is for rewards that draw (a coin, chosen votes); it is keyed by step and problem.
  /// UserError when the group lacks what the reward needs (and how to add it); RunError naming the reward and the
  /// rollout when a per-token value is not finite. Reordering the samples reorders the rewards, no more.
  virtual Scored score(const Group& group, base::Random& random) const = 0;
};

struct RewardEntry {
  std::string family;   ///< "certainty", "ensemble", "external", "control"
  std::string formula;  ///< one line
  std::string source;   ///< system and paper
  Needs needs = {};
  bool binary = false;  ///< every reward is 0 or 1, so that it can be equal to the true reward
  std::function<std::unique_ptr<Reward>()> make;
};

base::Registry<RewardEntry>& rewards();

/// The winning class of a group: the largest; ties broken by the larger summed log-probability (0 where it is not
/// known), then by the smallest canonical answer in byte order, never by the order of arrival. -1 when every answer is
/// absent. RunError when a log-probability is not finite.
int majority_class(const Group& group);

/// Number of samples in `answer_class`; 0 for -1, because an absent answer is part of no class.
std::size_t class_size(const Group& group, int answer_class);

}  // namespace whet::rewards
