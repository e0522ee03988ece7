// A base model's rollouts, summed up.
#include "analysis/base_profile.h"

#include <vector>

#include "base/error.h"

namespace whet::analysis {

BaseProfile base_profile(std::span<const theory::ProblemCounts> problems, int k, std::uint64_t seed) {
  if (problems.empty()) base::user_error("profile", "no problems, want at least one");
  BaseProfile profile;
  profile.problems = static_cast<std::int64_t>(problems.size());
  profile.k = k;
  std::vector<double> shares, passes, to_limit, to_pass;
  std::int64_t right_majorities = 0;
  for (const theory::ProblemCounts& problem : problems) {
    const auto winner = problem.majority();
    const bool is_right = winner && problem.is_right(*winner);
    std::int64_t right = 0;
    for (std::size_t i = 0; i < problem.answers.size(); ++i) right += problem.is_right(i) ? problem.answers[i] : 0;
    const std::int64_t rollouts = problem.rollouts();
    profile.rollouts += rollouts;
    const double pass = pass_at_k(rollouts, right, k), share = problem.right_share();
    right_majorities += is_right ? 1 : 0;
    shares.push_back(share);
    passes.push_back(pass);
    to_limit.push_back((is_right ? 1 : 0) - share);
    to_pass.push_back(pass - share);
  }
  profile.avg = bootstrap_mean(shares, seed);
  profile.pass = bootstrap_mean(passes, seed);
  profile.majority_right = wilson(right_majorities, profile.problems);
  profile.sharpening_gain = bootstrap_mean(to_limit, seed);
  profile.supervised_gain = bootstrap_mean(to_pass, seed);
  return profile;
}

}  // namespace whet::analysis
