// Whether a model's majority is mostly right, from as few labelled or program-checked problems as a stated confidence
// needs; and whether it has become worse since the start of a run.
//
// No label-free signal can tell a base that is confidently wrong from one that is confidently right: sharpening looks
// the same on both. A handful of labels can.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace whet::analysis {

enum class ProbeVerdict {
  kAsking,      ///< not yet: the next problem decides
  kAligned,     ///< the majority is right on most problems
  kMisaligned,  ///< it is wrong on most
  kCannotTell,  ///< all problems are used up
};

/// "asking", "aligned", "misaligned", "cannot tell".
std::string to_string(ProbeVerdict verdict);

/// A sequential test of whether the share p of problems whose majority is right lies above or below one half. Problem by
/// problem it learns right or wrong, and it may stop at any of them.
///
/// It stops when the mixture likelihood ratio (Robbins, 1970) of "p uniform above 1/2" to "p = 1/2" reaches a threshold,
///
///   L(n, k) = 2^(n+1) / ((n+1) C(n, k)) * P(Binomial(n+1, 1/2) <= k),   k right of n,
///
/// with the verdict "aligned", or the same of the wrong ones, with "misaligned". The threshold is the lowest at which the
/// chance of ever saying "aligned" within `most` problems is at most 1 - confidence when p = 1/2, which is enumerated, not
/// approximated; below 1/2 the chance is smaller. So, whatever p is, a false verdict has at most that chance. The problems
/// must be drawn as those are that the verdict is to hold for, and asked in an order that does not depend on the model.
class SequentialProbe {
 public:
  /// UserError unless 1 <= most <= kMostProblems and 0.5 < confidence < 1.
  explicit SequentialProbe(int most, double confidence = 0.95);

  /// Ignored after a verdict: what comes later cannot change it.
  ProbeVerdict update(bool majority_is_right);

  ProbeVerdict verdict() const { return verdict_; }
  int asked() const { return asked_; }
  int right() const { return right_; }
  int most() const { return static_cast<int>(bound_.size()) - 1; }
  double confidence() const { return confidence_; }
  /// The fewest right (or wrong) answers among the first n that end the test; n + 1 where n cannot end it.
  int bound(int n) const { return bound_.at(static_cast<std::size_t>(n)); }
  /// The chance of each verdict, and the mean number of problems asked, when the majority is right on a share p of all:
  /// by enumeration.
  struct Outlook {
    double aligned = 0, misaligned = 0, cannot_tell = 0, mean_asked = 0;
  };
  Outlook outlook(double p) const;

  /// One sentence for a person.
  std::string describe() const;

  static constexpr int kMostProblems = 1000;

 private:
  double confidence_;
  std::vector<int> bound_;  ///< by n
  ProbeVerdict verdict_ = ProbeVerdict::kAsking;
  int asked_ = 0, right_ = 0;
};

/// The same problems, asked at the start and now.
struct MajorityChange {
  int problems = 0;
  int right_before = 0, right_now = 0;
  int lost = 0;       ///< right then, wrong now
  int won = 0;        ///< wrong then, right now
  double chance = 1;  ///< of as many lost or more, among those that changed, if losing were as likely as winning
};

/// The exact one-sided sign test over the problems that changed (McNemar, 1947). UserError when the numbers of problems
/// differ or are 0.
MajorityChange majority_change(const std::vector<bool>& before, const std::vector<bool>& now);

}  // namespace whet::analysis
