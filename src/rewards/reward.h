// What the policy is paid for. A reward is a pure function of a group: it knows no tensors, no model and no trainer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/registry.h"
#include "rewards/options.h"
#include "rewards/unified_form.h"

namespace whet::rewards {

/// One response, as a reward sees it. Per-token values run over the response including its first end token.
struct Sample {
  /// Equivalence class of the answer within the group: 0, 1, ... or -1 when no answer could be extracted.
  int answer_class = -1;
  std::string answer;                     ///< canonical form; empty when absent
  std::span<const float> logprob;         ///< log pi_t(y_t)
  std::span<const float> entropy;         ///< H(pi_t), nats
  std::span<const float> self_certainty;  ///< KL(U || pi_t)
  std::span<const float> gap;             ///< largest minus second largest probability
  bool truncated = false;                 ///< cut at the length limit
  std::optional<std::int64_t> length;     ///< tokens of the response, where they were counted
  /// The answer's tokens, [begin, end); absent where they could not be told from the rest.
  std::optional<std::pair<std::size_t, std::size_t>> answer_span;
  std::optional<bool> correct;  ///< the true reward; only `ground-truth` may read it
  std::optional<bool> checked;  ///< the word of the task's checker; only `program` may read it
  /// What a verifier said of this response, reading by reading; absent: the verdict could not be read.
  std::vector<std::optional<bool>> verdicts;
};

/// One rollout's answer, as it counts in a vote.
struct Vote {
  int answer_class = -1;  ///< numbered together with the samples' classes
  std::string answer;     ///< canonical form; empty when absent
  double logprob = 0;     ///< of the whole response; breaks ties; 0 where it is not known
};

/// The rollouts of one policy on one problem.
struct Ballot {
  std::vector<Vote> votes;
};

/// The n rollouts of one problem in one step, and who votes on them.
struct Group {
  std::vector<Sample> samples;       ///< to be scored
  std::vector<Ballot> ballots = {};  ///< see Votes
  /// Whether one answer is as good as another (canonical forms), where a reward compares them in pairs. Need be neither
  /// symmetric nor transitive. Empty: answers are equivalent when their classes are equal.
  std::function<bool(std::string_view, std::string_view)> equivalent = {};
};

struct Scored {
  std::vector<double> reward = {};  ///< one per sample, in the units of the reward's formula
  /// The same rewards divided by a positive constant of the group, where the plain values would underflow
  /// (`probability`); empty otherwise. Group-normalised advantages do not depend on the constant.
  std::vector<double> rescaled = {};
  /// The class taken as the label (ensemble rewards), or -1 when the group has none or the reward uses none.
  int label_class = -1;

  /// What to normalise within the group. Advantages that compare groups with each other must use `reward`.
  const std::vector<double>& within_group() const { return rescaled.empty() ? reward : rescaled; }
};

/// Who votes on a group.
enum class Votes {
  kNone,
  /// The policy itself. Without a ballot the samples vote; otherwise there is one ballot, with all the policy's
  /// rollouts on the problem, of which the samples are a few chosen at random (choose_samples).
  kOwn,
  kRephrased,  ///< one ballot: the policy's rollouts on a rephrasing of the problem
  kTeacher,    ///< one ballot: rollouts of a moving average of the policy
  kPolicies,   ///< one ballot for each of several policies
};

/// What a reward needs beyond the responses, so that a run which cannot provide it is refused by name before it starts.
struct Needs {
  bool answers = false;      ///< Sample::answer_class; without any answer in a group it pays 0 throughout
  bool label = false;        ///< Sample::correct
  bool token_stats = false;  ///< per-token values
  bool length = false;       ///< Sample::length
  bool checker = false;      ///< Sample::checked
  bool verdicts = false;     ///< Sample::verdicts
  bool proposer = false;     ///< problems written by a policy that is trained beside (none of a group's business)
  Votes votes = Votes::kNone;
};

class Reward {
 public:
  virtual ~Reward() = default;
  /// Scores a group. `random` is for rewards that draw (a coin); it is keyed by step and problem.
  /// UserError when the group lacks what the reward needs (and how to add it); RunError naming the reward and the
  /// rollout when a log-probability or a per-token value that it reads is not finite. Reordering the samples reorders
  /// the rewards, no more.
  virtual Scored score(const Group& group, base::Random& random) const = 0;
};

/// What a reward costs beyond sampling the group once, in words for a table.
struct Cost {
  std::string forward_passes = "none";
  std::string extra_rollouts = "none";
};

struct RewardEntry {
  std::string family;   ///< "certainty", "ensemble" (these two are intrinsic), "external", "control"
  std::string formula;  ///< one line
  std::string source;   ///< system and paper
  std::string failure;  ///< how it is known to fail
  Cost cost = {};
  Needs needs = {};
  /// Every reward is 0 or 1, so that it can be equal to the true reward (self-verification: with one verdict each).
  bool binary = false;
  std::vector<std::string> options = {};  ///< names of the RewardOptions that it reads
  std::optional<UnifiedForm> form = {};   ///< of intrinsic rewards
  /// UserError naming the option when the reward cannot work with these.
  std::function<std::unique_ptr<Reward>(const RewardOptions&)> make;

  bool intrinsic() const { return family == "certainty" || family == "ensemble"; }
};

base::Registry<RewardEntry>& rewards();

/// RewardEntry::make of a class that is built from the options, or from nothing.
template <class R>
std::unique_ptr<Reward> make_reward(const RewardOptions& options) {
  if constexpr (std::is_constructible_v<R, const RewardOptions&>) {
    return std::make_unique<R>(options);
  } else {
    return std::make_unique<R>();
  }
}

/// One term of a weighted sum of rewards.
struct Term {
  double weight = 1;
  std::string name;
};

/// UserError naming an option that is not its default and that none of the terms reads: it would change nothing.
void require_read(const RewardOptions& options, std::span<const Term> terms);

/// Reads "majority-vote" or "majority-vote + 0.5*format - 0.1 * length". UserError naming the place for anything else:
/// an unknown name (lists the known ones), a name twice, a weight of 0 or one that is not finite.
std::vector<Term> parse_terms(std::string_view text);

}  // namespace whet::rewards
