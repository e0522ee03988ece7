// Counting votes: one place for ties, absent answers and numbers that are not finite.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rewards/reward.h"

namespace whet::rewards {

/// What majority rewards are in the unified form: pi is the distribution of the voters' answers.
inline constexpr UnifiedForm kMajorityForm{.anchor = Anchor::kSampledAnswer,
                                           .sign = -1,
                                           .index_set = IndexSet::kAnswer,
                                           .transform = Transform::kIndicatorOfMaximum,
                                           .inner = Inner::kIdentity};

/// Added in sorted order: the rounding of a sum depends on its order, and must not decide a tie by order of arrival.
double sorted_sum(std::vector<double> values);

/// The samples as voters. RunError naming `reward` and the rollout when a log-probability is not finite.
Ballot ballot_of(const std::vector<Sample>& samples, std::string_view reward);

/// RunError naming `reward` and the vote when a log-probability is not finite.
void require_finite(const Ballot& ballot, std::string_view reward);

/// Who votes on a group whose reward has at most one ballot: that ballot or, for Votes::kOwn without one, the samples.
/// UserError when there is another number of ballots, saying how to get one; RunError as above.
Ballot voters(const Group& group, Votes votes, std::string_view reward);

/// The ballots of several policies. UserError when there is none; RunError as above.
const std::vector<Ballot>& policies(const Group& group, std::string_view reward);

/// An answer that may become the label.
struct Candidate {
  int id = -1;         ///< what best_candidate returns
  double weight = 0;   ///< votes
  double logprob = 0;  ///< summed over those who gave it
  std::string answer;  ///< its smallest canonical form
};

/// The id with the largest weight; ties broken by the larger log-probability, then by the smallest answer in byte
/// order. -1 without candidates.
int best_candidate(const std::vector<Candidate>& candidates);

/// The winning class: the largest; ties broken by the larger summed log-probability, then by the smallest canonical
/// answer in byte order, never by the order of arrival. -1 when every answer is absent.
int winning_class(const Ballot& ballot);

/// winning_class of the samples of a group, whoever else votes.
int majority_class(const Group& group, std::string_view reward = "vote");

/// Votes for `answer_class`; 0 for -1, because an absent answer is part of no class.
std::size_t count_votes(const Ballot& ballot, int answer_class);

/// Largest class / votes, absent answers in the denominator; 0 without votes.
double self_consistency(const Ballot& ballot);

/// Entropy (nats) of the answers of a ballot, where no answer is an outcome of its own; 0 without votes.
double answer_entropy(const Ballot& ballot);

/// Scores every sample 1 if it is in `label_class`, else 0; all 0 for -1.
Scored pay_class(const Group& group, int label_class);

/// `samples` different places out of 0..votes-1, every set equally likely, in increasing order: which of a policy's
/// rollouts are trained on, when more of them vote. UserError when samples > votes.
std::vector<std::size_t> choose_samples(std::size_t votes, std::size_t samples, base::Random& random);

}  // namespace whet::rewards
