// The unified form, evaluated: what an intrinsic reward must be, from whole distributions. Slow and plain on purpose;
// it shares nothing with the rewards' own code, which sees no distribution but only a few numbers a token.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewards/unified_form.h"

namespace whet::rewards {

using Distribution = std::vector<double>;

/// H(q, p) = -sum_v q(v) log p(v), nats. 0 log 0 is 0; infinite where q stands on what p excludes. q may be signed.
double cross_entropy(const Distribution& q, const Distribution& p);

/// exp(z) / sum exp(z), stable for large logits.
Distribution softmax(const std::vector<double>& logits);

/// A response as the form sees it.
struct FormResponse {
  std::vector<Distribution> policy;  ///< pi_t over the vocabulary, a distribution a token
  std::vector<std::size_t> sampled;  ///< y_t, one per distribution
  /// Tokens of the answer, [begin, end); absent: all.
  std::optional<std::pair<std::size_t, std::size_t>> answer_tokens = {};
  std::optional<std::size_t> answer = {};  ///< index into the distribution over answers; absent: no answer
};

/// psi( sigma / |I| * sum_i inner(H(q_i, pi_i)) ).
///
/// `answers` is pi over the voters' answers, listed in the order in which ties between them are broken; what is missing
/// to 1 is the share of no answer. A response without tokens has no value under a form over tokens (nullopt), one
/// without an answer has H = infinity over answers.
std::optional<double> unified_value(const UnifiedForm& form, const FormResponse& response, const Distribution& answers);

/// The four choices (and the inner one) in words.
struct FormWords {
  std::string anchor;     ///< "uniform"
  std::string sign;       ///< "+" or "-"
  std::string index_set;  ///< "tokens"
  std::string transform;  ///< "x - log V"
  std::string inner;      ///< "H", or what is done to each H
};
FormWords words_of(const UnifiedForm& form);

/// "q = uniform; sigma = +; I = tokens; psi = x - log V".
std::string describe(const UnifiedForm& form);

}  // namespace whet::rewards
