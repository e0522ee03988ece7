#include "analysis/asymmetry.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "base/error.h"
#include "base/random.h"

namespace whet::analysis {
namespace {

constexpr int kDraws = 1000;

/// Sums over responses of one kind; `says_true` counts each response as the share of its readings.
struct Tally {
  double responses = 0, says_true = 0;

  void add(const JudgedResponse& response) {
    responses += 1;
    says_true += static_cast<double>(response.says_true) / response.readings;
  }
  Tally& operator+=(const Tally& other) {
    responses += other.responses;
    says_true += other.says_true;
    return *this;
  }
  std::optional<double> rate() const {
    if (responses == 0) return std::nullopt;
    return says_true / responses;
  }
};

/// What one problem adds.
struct Sums {
  Tally right, wrong;
  std::map<std::string, Tally> kinds;

  Sums& operator+=(const Sums& other) {
    right += other.right;
    wrong += other.wrong;
    for (const auto& [kind, tally] : other.kinds) kinds[kind] += tally;
    return *this;
  }
};

using Statistic = std::function<std::optional<double>(const Sums&)>;

std::optional<double> informedness_of(const Sums& sums) {
  const auto true_rate = sums.right.rate(), false_rate = sums.wrong.rate();
  if (!true_rate || !false_rate) return std::nullopt;
  return *true_rate - *false_rate;
}

double accuracy_of(const Sums& sums) { return sums.right.responses / (sums.right.responses + sums.wrong.responses); }

/// The statistic of all problems, with its percentiles over draws of problems. Draws in which it is not defined do not
/// count.
class Bootstrap {
 public:
  Bootstrap(const std::vector<Sums>& problems, std::uint64_t seed) {
    for (const Sums& problem : problems) all_ += problem;
    base::Random random{seed, base::hash_text("asymmetry")};
    draws_.resize(kDraws);
    for (Sums& draw : draws_) {
      for (std::size_t i = 0; i < problems.size(); ++i) draw += problems[random.below(problems.size())];
    }
  }

  const Sums& all() const { return all_; }

  std::optional<Estimate> of(const Statistic& statistic) const {
    const auto value = statistic(all_);
    if (!value) return std::nullopt;
    std::vector<double> drawn;
    for (const Sums& draw : draws_) {
      if (const auto one = statistic(draw)) drawn.push_back(*one);
    }
    if (drawn.empty()) return Estimate{*value, *value, *value};
    std::sort(drawn.begin(), drawn.end());
    const std::size_t tail = drawn.size() / 40;
    return Estimate{*value, std::min(*value, drawn[tail]), std::max(*value, drawn[drawn.size() - 1 - tail])};
  }

 private:
  Sums all_;
  std::vector<Sums> draws_;
};

/// A rate with the wider of both intervals.
Estimate rate_estimate(const Bootstrap& bootstrap, const std::function<Tally(const Sums&)>& tally_of) {
  const Tally tally = tally_of(bootstrap.all());
  Estimate estimate = *bootstrap.of([&](const Sums& sums) { return tally_of(sums).rate(); });
  const auto trials = static_cast<std::int64_t>(tally.responses);
  // A response whose readings differ is a fraction of a success: rounded away from the middle on either side.
  const auto fewest = static_cast<std::int64_t>(std::floor(tally.says_true + 1e-9));
  const auto most = std::min(trials, static_cast<std::int64_t>(std::ceil(tally.says_true - 1e-9)));
  estimate.low = std::min(estimate.low, wilson(fewest, trials).low);
  estimate.high = std::max(estimate.high, wilson(most, trials).high);
  return estimate;
}

/// Of the responses with most readings True, the share that is right.
double chosen_right(const JudgedProblem& problem) {
  double best = -1;
  int right = 0, liked = 0;
  for (const JudgedResponse& response : problem.responses) {
    const double score = static_cast<double>(response.says_true) / response.readings;
    if (score > best) {
      best = score;
      right = liked = 0;
    }
    if (score < best) continue;
    ++liked;
    right += response.correct ? 1 : 0;
  }
  return static_cast<double>(right) / liked;
}

}  // namespace

Asymmetry asymmetry(const std::vector<JudgedProblem>& problems, std::uint64_t seed) {
  if (problems.empty()) base::user_error("asymmetry", "no problems, want at least one");
  Asymmetry result;
  result.problems = static_cast<std::int64_t>(problems.size());
  std::vector<Sums> sums(problems.size());
  std::vector<double> accuracy, chosen, over_accuracy, over_majority;
  std::int64_t majorities = 0, readings = 0, unreadable = 0;
  for (std::size_t p = 0; p < problems.size(); ++p) {
    const JudgedProblem& problem = problems[p];
    if (problem.responses.empty()) base::user_error("asymmetry", "problem {} has no responses, want at least one", p);
    for (const JudgedResponse& response : problem.responses) {
      if (response.readings < 1) base::user_error("asymmetry", "a response of problem {} has no reading, want one", p);
      (response.correct ? sums[p].right : sums[p].wrong).add(response);
      if (!response.correct) sums[p].kinds[response.kind].add(response);
      ++result.responses;
      if (!response.asked) continue;
      ++result.asked;
      readings += response.readings;
      unreadable += response.unreadable;
    }
    accuracy.push_back(accuracy_of(sums[p]));
    chosen.push_back(chosen_right(problem));
    over_accuracy.push_back(chosen.back() - accuracy.back());
    over_majority.push_back(chosen.back() - (problem.majority_correct ? 1.0 : 0.0));
    majorities += problem.majority_correct ? 1 : 0;
  }
  result.accuracy = bootstrap_mean(accuracy, seed);
  result.majority = wilson(majorities, result.problems);
  result.chosen = bootstrap_mean(chosen, seed);
  result.chosen_minus_accuracy = bootstrap_mean(over_accuracy, seed);
  result.chosen_minus_majority = bootstrap_mean(over_majority, seed);
  if (readings > 0) result.unreadable = static_cast<double>(unreadable) / static_cast<double>(readings);

  const Bootstrap bootstrap(sums, seed);
  const Sums& all = bootstrap.all();
  if (all.right.responses > 0) {
    result.true_positive_rate = rate_estimate(bootstrap, [](const Sums& s) { return s.right; });
  }
  if (all.wrong.responses > 0) {
    result.false_positive_rate = rate_estimate(bootstrap, [](const Sums& s) { return s.wrong; });
  }
  result.informedness = bootstrap.of(informedness_of);
  result.advantage = bootstrap.of([](const Sums& s) -> std::optional<double> {
    const auto informedness = informedness_of(s);
    if (!informedness) return std::nullopt;
    return *informedness - accuracy_of(s);
  });
  const double says_true = all.right.says_true + all.wrong.says_true;
  if (says_true > 0) result.precision = all.right.says_true / says_true;
  for (const auto& [kind, tally] : all.kinds) {
    result.kinds.push_back(
        {kind, static_cast<std::int64_t>(tally.responses), rate_estimate(bootstrap, [&kind](const Sums& s) {
           const auto found = s.kinds.find(kind);
           return found == s.kinds.end() ? Tally{} : found->second;
         })});
  }
  std::stable_sort(result.kinds.begin(), result.kinds.end(),
                   [](const KindRate& a, const KindRate& b) { return a.responses > b.responses; });
  return result;
}

Advice advise(const Asymmetry& measured) {
  Advice advice;
  const auto interval = [](const Estimate& e) {
    return fmt::format("{:+.3f} [{:+.3f}, {:+.3f}]", e.value, e.low, e.high);
  };
  if (measured.problems < kFewProblems) {
    advice.reasons.push_back(fmt::format("{} problems, want at least {} to judge by", measured.problems, kFewProblems));
    return advice;
  }
  if (!measured.advantage) {
    advice.reasons.push_back(measured.true_positive_rate
                                 ? "every answer is right: there is nothing to tell apart"
                                 : "no answer is right: how often right ones pass cannot be measured");
    advice.worth = measured.true_positive_rate ? Answer::kNo : Answer::kUnclear;
    return advice;
  }
  advice.easier = measured.advantage->low > 0    ? Answer::kYes
                  : measured.advantage->high < 0 ? Answer::kNo
                                                 : Answer::kUnclear;

  bool fails = false, open = false;
  const auto require = [&](bool holds, bool surely_not, std::string reason) {
    fails = fails || surely_not;
    open = open || !(holds || surely_not);
    advice.reasons.push_back((holds ? "holds: " : surely_not ? "fails: " : "open: ") + std::move(reason));
  };
  const Estimate& gain = measured.chosen_minus_accuracy;
  require(gain.low > 0, gain.high <= 0,
          fmt::format("choosing by verdict instead of at random changes accuracy by {}", interval(gain)));
  const Estimate& right = *measured.true_positive_rate;
  for (const KindRate& kind : measured.kinds) {
    const Estimate& rate = kind.says_true;
    if (rate.high < right.low) continue;
    if (kind.responses < kFewResponses) {
      advice.reasons.push_back(fmt::format("not judged: '{}' was seen only {} times", kind.kind, kind.responses));
      continue;
    }
    require(false, rate.value >= right.value,
            fmt::format("'{}' passes at a rate of {:.3f} [{:.3f}, {:.3f}], right solutions at {:.3f} [{:.3f}, {:.3f}]",
                        kind.kind, rate.value, rate.low, rate.high, right.value, right.low, right.high));
  }
  if (!fails && !open)
    advice.reasons.push_back("holds: right solutions pass more often than any kind of error that was judged");
  const double unreadable = measured.unreadable.value_or(1);
  require(unreadable <= kMostUnreadable, unreadable > kMostUnreadable,
          fmt::format("{:.1f} % of the verdicts cannot be read, at most {:.0f} % wanted", 100 * unreadable,
                      100 * kMostUnreadable));
  advice.worth = fails ? Answer::kNo : open ? Answer::kUnclear : Answer::kYes;
  return advice;
}

}  // namespace whet::analysis
