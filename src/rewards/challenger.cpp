#include "rewards/challenger.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "rewards/vote.h"

namespace whet::rewards {
namespace {

using Words = std::vector<std::string>;

Words words_of(std::string_view text) {
  Words words;
  bool in_word = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_letter = std::isalnum(byte) || byte >= 0x80;
    if (is_letter && in_word) {
      words.back() += c;
    } else if (!std::isspace(byte)) {
      words.emplace_back(1, c);
    }
    in_word = is_letter;
  }
  return words;
}

std::map<Words, int> grams(const Words& words, std::size_t order) {
  std::map<Words, int> counts;
  for (std::size_t i = 0; i + order <= words.size(); ++i) {
    const auto first = words.begin() + static_cast<std::ptrdiff_t>(i);
    ++counts[Words(first, first + static_cast<std::ptrdiff_t>(order))];
  }
  return counts;
}

double bleu(const Words& candidate, const Words& reference) {
  const std::size_t orders = std::min({std::size_t{4}, candidate.size(), reference.size()});
  if (orders == 0) return candidate.empty() && reference.empty() ? 1 : 0;
  double log_sum = 0;
  for (std::size_t order = 1; order <= orders; ++order) {
    const auto wanted = grams(reference, order);
    int matches = 0;
    for (const auto& [gram, count] : grams(candidate, order)) {
      const auto found = wanted.find(gram);
      if (found != wanted.end()) matches += std::min(count, found->second);
    }
    if (order == 1 && matches == 0) return 0;
    log_sum += std::log((matches > 0 ? matches : 0.1) / static_cast<double>(candidate.size() - order + 1));
  }
  const double ratio = static_cast<double>(reference.size()) / static_cast<double>(candidate.size());
  return std::exp(log_sum / static_cast<double>(orders) + std::min(0.0, 1 - ratio));
}

double similarity_of(const Words& a, const Words& b) { return (bleu(a, b) + bleu(b, a)) / 2; }

}  // namespace

double similarity(std::string_view a, std::string_view b) { return similarity_of(words_of(a), words_of(b)); }

bool teaches_solver(double agreement, double low, double high) { return agreement >= low && agreement <= high; }

std::vector<double> proposer_pay(std::span<const Proposal> proposals, double penalty) {
  const std::size_t count = proposals.size();
  std::vector<Words> words(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!proposals[i].question) continue;
    const double s = proposals[i].agreement;
    if (!(s >= 0 && s <= 1)) base::run_error("challenger", "agreement on question {} is {}, want 0..1", i, s);
    words[i] = words_of(*proposals[i].question);
  }
  // Clusters as a forest: each question points to another of its cluster, the root to itself.
  std::vector<std::size_t> parent(count), size(count, 0);
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  const auto root = [&](std::size_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!proposals[i].question || !proposals[j].question || root(i) == root(j)) continue;
      if (similarity_of(words[i], words[j]) >= kAlike) parent[root(i)] = root(j);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (proposals[i].question) ++size[root(i)];
  }
  std::vector<double> pay;
  for (std::size_t i = 0; i < count; ++i) {
    const double s = proposals[i].agreement;
    pay.push_back(proposals[i].question
                      ? std::min(s, 1 - s) - penalty * static_cast<double>(size[root(i)]) / static_cast<double>(count)
                      : kMalformedPay);
  }
  return pay;
}

namespace {

constexpr const char* kName = "challenger";

/// The solver's side: a majority vote, on the problems that could teach it something.
class Challenger final : public Reward {
 public:
  explicit Challenger(const RewardOptions& options) : low_(options.agreement_low), high_(options.agreement_high) {
    if (high_ < low_) base::user_error("agreement-high", "{}, want at least --agreement-low {}", high_, low_);
  }

  Scored score(const Group& group, base::Random&) const override {
    const Ballot ballot = voters(group, Votes::kOwn, kName);
    return pay_class(group, teaches_solver(self_consistency(ballot), low_, high_) ? winning_class(ballot) : -1);
  }

 private:
  double low_, high_;
};

const base::Registrar kRegistered(
    rewards(), kName,
    RewardEntry{
        .family = "ensemble",
        .formula = "majority vote on problems that a proposer writes, where agreement s is in [low, high], else 0; the "
                   "proposer is paid min(s, 1 - s) less what its problems have in common, -1 for no problem",
        .source = "R-Zero, arXiv 2508.05004",
        .failure = "as majority-vote, on problems that drift to what the solver cannot agree on",
        .cost = {.forward_passes = "the proposer's update", .extra_rollouts = "a proposal for each problem"},
        .needs = {.answers = true, .proposer = true, .votes = Votes::kOwn},
        .binary = true,
        .options = {"agreement-low", "agreement-high"},
        .form = kMajorityForm,
        .make = make_reward<Challenger>});

}  // namespace
}  // namespace whet::rewards
