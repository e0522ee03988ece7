// The unified form of intrinsic rewards (arXiv 2603.08660), as data:
//
//   r(x, y) = psi( sigma / |I| * sum over i in I of H(q_i, pi_i) ),   H(q, pi) = -sum_v q(v) log pi(v)
//
// An intrinsic reward compares the policy's own distribution pi with an anchor q. Four choices say which reward it is.
// Written down, they are what `whet rewards` prints and what a test computes each reward from a second time.
#pragma once

namespace whet::rewards {

/// q: what pi is compared with.
enum class Anchor {
  kUniform,        ///< the uniform distribution over the vocabulary
  kPolicy,         ///< pi itself: H(pi, pi) is its entropy
  kSampledToken,   ///< point mass on the sampled token
  kSampledAnswer,  ///< point mass on the response's answer
  /// Point masses on the likeliest and on the second likeliest token, the second with the opposite sign. Not in the
  /// paper's table: the disparity is a difference of two terms of its form.
  kTopTwo,
};

/// Which distributions pi_i are compared, and how they are averaged.
enum class IndexSet {
  kTokens,        ///< the response's next-token distributions, mean
  kTokensSummed,  ///< the same, summed (|I| taken as 1)
  kAnswerTokens,  ///< the next-token distributions at the answer's tokens, mean
  kAnswer,        ///< one distribution over answers: that of the voters (Needs::votes)
};

/// What is done to each H(q_i, pi_i) before averaging.
enum class Inner {
  kIdentity,     ///< as in the paper
  kProbability,  ///< exp(-H), which is pi's probability of what a point mass stands on (probability-disparity)
};

/// psi: increasing, so that it never changes which response is preferred.
enum class Transform {
  kIdentity,
  kLessLogV,  ///< x - log V, which makes a cross-entropy with the uniform a divergence from it
  kExp,
  kIndicatorOfMaximum,  ///< 1 where no answer is likelier (ties broken as votes are), else 0
};

struct UnifiedForm {
  Anchor anchor = Anchor::kUniform;
  int sign = 1;
  IndexSet index_set = IndexSet::kTokens;
  Transform transform = Transform::kIdentity;
  Inner inner = Inner::kIdentity;
};

}  // namespace whet::rewards
