// How good a model is on a set of problems, from n samples of each.
#include "analysis/evaluation.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

constexpr int kDraws = 1000;
constexpr double kZ = 1.959963984540054;  // 97.5 % quantile of the normal distribution

}  // namespace

double pass_at_k(std::int64_t n, std::int64_t right, std::int64_t k) {
  if (k < 1 || k > n) base::user_error("pass@k", "k = {} with {} samples a problem, want 1..{}", k, n, n);
  if (right < 0 || right > n) base::user_error("pass@k", "{} right of {} samples, want 0..{}", right, n, n);
  // C(n-c,k)/C(n,k) = prod_{i=n-c+1}^{n} (1 - k/i): the chance that none of the c right ones is among the k.
  // A factor is negative only after one was exactly 0.
  double miss = 1;
  for (std::int64_t i = n - right + 1; i <= n && miss > 0; ++i) {
    miss *= i > k ? 1.0 - static_cast<double>(k) / static_cast<double>(i) : 0.0;
  }
  return 1 - miss;
}

Estimate wilson(std::int64_t successes, std::int64_t trials) {
  if (trials <= 0 || successes < 0 || successes > trials) {
    base::user_error("wilson", "{} of {} trials, want 0 <= successes <= trials and trials > 0", successes, trials);
  }
  const auto n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n;
  const double scale = 1 + kZ * kZ / n;
  const double centre = (share + kZ * kZ / (2 * n)) / scale;
  const double half = kZ / scale * std::sqrt(share * (1 - share) / n + kZ * kZ / (4 * n * n));
  // At 0 and at all successes a bound is the share itself; rounding must not put it beside.
  const double low = successes == 0 ? 0.0 : std::max(0.0, centre - half);
  const double high = successes == trials ? 1.0 : std::min(1.0, centre + half);
  return {share, low, high};
}

Estimate bootstrap_mean(const std::vector<double>& values, std::uint64_t seed) {
  if (values.empty()) base::user_error("bootstrap", "no values, want at least one");
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;

  base::Random random{seed, base::hash_text("bootstrap")};
  std::vector<double> means;
  means.reserve(kDraws);
  for (int draw = 0; draw < kDraws; ++draw) {
    double drawn = 0;
    for (std::size_t i = 0; i < values.size(); ++i) drawn += random.pick(values);
    means.push_back(drawn / n);
  }
  std::sort(means.begin(), means.end());
  return {sum / n, means[kDraws / 40], means[kDraws - 1 - kDraws / 40]};
}

Evaluation evaluate(const std::vector<ProblemOutcome>& problems, const std::vector<int>& pass_ks, std::uint64_t seed) {
  if (problems.empty()) base::user_error("evaluation", "no problems, want at least one");
  Evaluation result;
  result.problems = static_cast<std::int64_t>(problems.size());
  std::vector<double> shares;
  std::map<int, std::vector<double>> passes;
  std::int64_t votes = 0, right_votes = 0;
  for (std::size_t p = 0; p < problems.size(); ++p) {
    const ProblemOutcome& problem = problems[p];
    const auto n = static_cast<std::int64_t>(problem.correct.size());
    if (n == 0) base::user_error("evaluation", "problem {} has no samples, want at least one", p);
    const auto right = static_cast<std::int64_t>(std::count(problem.correct.begin(), problem.correct.end(), true));
    shares.push_back(static_cast<double>(right) / static_cast<double>(n));
    for (const int k : pass_ks) {
      if (!passes.contains(k) || passes[k].size() == p) passes[k].push_back(pass_at_k(n, right, k));
    }
    result.samples += n;
    result.least_samples = p == 0 ? n : std::min(result.least_samples, n);
    if (problem.majority_correct) {
      ++votes;
      right_votes += *problem.majority_correct ? 1 : 0;
    }
  }
  result.avg = bootstrap_mean(shares, seed);
  for (const auto& [k, values] : passes) result.pass[k] = bootstrap_mean(values, seed);
  if (votes == result.problems) result.maj = wilson(right_votes, votes);
  return result;
}

}  // namespace whet::analysis
