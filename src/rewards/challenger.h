// What a proposer of questions is paid (R-Zero, arXiv 2508.05004), as pure functions: most for questions on which the
// solver is of two minds, less the more questions of its batch are alike, and a fine for what is no question.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace whet::rewards {

struct Proposal {
  std::optional<std::string> question;  ///< absent: malformed
  double agreement = 0;                 ///< s: largest class / n of the solver's rollouts on it; not read if malformed
};

inline constexpr double kMalformedPay = -1;
inline constexpr double kAlike = 0.5;  ///< similarity from which two questions count as one

/// One number per proposal of a batch: kMalformedPay, or min(s, 1 - s) - `penalty` * |C| / B, with B the proposals of
/// the batch and C the question's cluster: the connected questions of which each is at least kAlike to another. R-Zero
/// has twice the first term, cuts at 0, and clusters by average linkage, whose ties depend on the questions' order.
/// RunError when an agreement is not in [0, 1].
std::vector<double> proposer_pay(std::span<const Proposal> proposals, double penalty = 1);

/// In [0, 1]: the mean of the BLEU-4 of a against b and of b against a, over words (runs of letters and digits; any
/// other visible character is a word of its own). Orders longer than the shorter question are left out; an order
/// without a match counts as 0.1 of one. 1 for equal word sequences, 0 when there is no word in common.
double similarity(std::string_view a, std::string_view b);

/// Whether the solver should train on a question: it has an opinion, and could still change it. Both bounds included.
bool teaches_solver(double agreement, double low = 0.3, double high = 0.7);

}  // namespace whet::rewards
