// How good a model is on a set of problems, from n samples of each: avg@n, pass@k, maj@n, with their uncertainty.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace whet::analysis {

/// A number with a 95 % interval.
struct Estimate {
  double value = 0;
  double low = 0;
  double high = 0;
};

/// The n samples of one problem.
struct ProblemOutcome {
  std::vector<bool> correct;             ///< one per sample; an absent answer is false
  std::optional<bool> majority_correct;  ///< the vote over these n samples is right; false when no sample has an answer
};

struct Evaluation {
  std::int64_t problems = 0;
  std::int64_t samples = 0;        ///< over all problems
  std::int64_t least_samples = 0;  ///< of any problem: the n of avg@n and maj@n when all problems have as many
  Estimate avg;                    ///< mean over problems of the share of right samples
  std::map<int, Estimate> pass;    ///< by k
  std::optional<Estimate> maj;     ///< share of problems whose vote is right; absent unless every problem has a vote
};

/// The chance that at least one of k samples drawn without replacement from n, of which `right` are right, is right:
/// 1 - C(n - right, k) / C(n, k) (Chen et al., arXiv 2107.03374), as a product that cannot overflow.
/// UserError unless 1 <= k <= n and 0 <= right <= n.
double pass_at_k(std::int64_t n, std::int64_t right, std::int64_t k);

/// 95 % Wilson score interval of a proportion. UserError unless 0 <= successes <= trials and trials > 0.
Estimate wilson(std::int64_t successes, std::int64_t trials);

/// Mean and 95 % percentile bootstrap interval: `values` (one per problem) are drawn with replacement 1,000 times under
/// `seed`. The samples of one problem hang together, so that problems, not samples, are the unit. UserError when empty.
Estimate bootstrap_mean(const std::vector<double>& values, std::uint64_t seed);

/// avg and pass@k with bootstrap intervals over problems; maj@n with a Wilson interval, because each problem is one
/// trial. maj@n votes over all samples that are given: to have maj@k, give k samples.
/// UserError for no problem, a problem without samples, or a k that exceeds a problem's samples.
Evaluation evaluate(const std::vector<ProblemOutcome>& problems, const std::vector<int>& pass_ks, std::uint64_t seed);

}  // namespace whet::analysis
