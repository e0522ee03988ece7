#include "rewards/unified.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <tuple>

#include "base/error.h"

namespace whet::rewards {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// q_i with the sign of its term.
struct SignedAnchor {
  double sign;
  Distribution q;
};

Distribution point_mass(std::size_t size, std::size_t place) {
  Distribution q(size, 0.0);
  q.at(place) = 1;
  return q;
}

std::vector<SignedAnchor> anchors_at(Anchor anchor, const Distribution& policy, std::size_t sampled) {
  const std::size_t size = policy.size();
  switch (anchor) {
    case Anchor::kUniform:
      return {{1, Distribution(size, 1 / static_cast<double>(size))}};
    case Anchor::kPolicy:
      return {{1, policy}};
    case Anchor::kSampledToken:
      return {{1, point_mass(size, sampled)}};
    case Anchor::kTopTwo: {
      std::vector<std::size_t> order(size);
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return policy[a] > policy[b]; });
      return {{1, point_mass(size, order.at(0))}, {-1, point_mass(size, order.at(1))}};
    }
    case Anchor::kSampledAnswer:
      break;
  }
  throw std::logic_error("an anchor on answers has no distribution over tokens");
}

double inner(Inner kind, double cross) { return kind == Inner::kProbability ? std::exp(-cross) : cross; }

double over_tokens(const UnifiedForm& form, const FormResponse& response) {
  std::size_t begin = 0, end = response.policy.size();
  if (form.index_set == IndexSet::kAnswerTokens && response.answer_tokens) {
    std::tie(begin, end) = *response.answer_tokens;
  }
  double sum = 0;
  for (std::size_t t = begin; t < end; ++t) {
    for (const auto& [sign, q] : anchors_at(form.anchor, response.policy.at(t), response.sampled.at(t))) {
      sum += sign * inner(form.inner, cross_entropy(q, response.policy[t]));
    }
  }
  return form.index_set == IndexSet::kTokensSummed ? sum : sum / static_cast<double>(end - begin);
}

double over_answer(const FormResponse& response, const Distribution& answers) {
  if (!response.answer) return kInfinity;
  return cross_entropy(point_mass(answers.size(), *response.answer), answers);
}

}  // namespace

double cross_entropy(const Distribution& q, const Distribution& p) {
  double sum = 0;
  for (std::size_t v = 0; v < q.size(); ++v) {
    if (q[v] != 0) sum -= q[v] * std::log(p.at(v));
  }
  return sum;
}

Distribution softmax(const std::vector<double>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  Distribution p;
  for (const double logit : logits) p.push_back(std::exp(logit - largest));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

std::optional<double> unified_value(const UnifiedForm& form, const FormResponse& response,
                                    const Distribution& answers) {
  const bool on_answer = form.index_set == IndexSet::kAnswer;
  if (!on_answer && response.policy.empty()) return std::nullopt;
  const double x = form.sign * (on_answer ? over_answer(response, answers) : over_tokens(form, response));
  switch (form.transform) {
    case Transform::kIdentity:
      return x;
    case Transform::kLessLogV:
      return x - std::log(static_cast<double>(response.policy.at(0).size()));
    case Transform::kExp:
      return std::exp(x);
    case Transform::kIndicatorOfMaximum: {
      if (!response.answer || answers.at(*response.answer) <= 0) return 0;
      const auto likeliest = std::max_element(answers.begin(), answers.end());  // the first of the largest
      return static_cast<std::size_t>(likeliest - answers.begin()) == *response.answer ? 1 : 0;
    }
  }
  throw std::logic_error("unknown transform");
}

FormWords words_of(const UnifiedForm& form) {
  FormWords words;
  switch (form.anchor) {
    case Anchor::kUniform:
      words.anchor = "uniform";
      break;
    case Anchor::kPolicy:
      words.anchor = "pi";
      break;
    case Anchor::kSampledToken:
      words.anchor = "sampled token";
      break;
    case Anchor::kSampledAnswer:
      words.anchor = "the response's answer, pi over the voters' answers";
      break;
    case Anchor::kTopTwo:
      words.anchor = "likeliest token less second likeliest";
      break;
  }
  switch (form.index_set) {
    case IndexSet::kTokens:
      words.index_set = "tokens";
      break;
    case IndexSet::kTokensSummed:
      words.index_set = "tokens, summed";
      break;
    case IndexSet::kAnswerTokens:
      words.index_set = "the answer's tokens";
      break;
    case IndexSet::kAnswer:
      words.index_set = "the answer";
      break;
  }
  switch (form.transform) {
    case Transform::kIdentity:
      words.transform = "x";
      break;
    case Transform::kLessLogV:
      words.transform = "x - log V";
      break;
    case Transform::kExp:
      words.transform = "exp x";
      break;
    case Transform::kIndicatorOfMaximum:
      words.transform = "1 at the maximum, else 0";
      break;
  }
  words.sign = form.sign > 0 ? "+" : "-";
  words.inner = form.inner == Inner::kProbability ? "exp(-H)" : "H";
  return words;
}

std::string describe(const UnifiedForm& form) {
  const FormWords words = words_of(form);
  return fmt::format("q = {}; sigma = {}; I = {}; psi = {}{}", words.anchor, words.sign, words.index_set,
                     words.transform, form.inner == Inner::kIdentity ? "" : fmt::format("; each H as {}", words.inner));
}

}  // namespace whet::rewards
