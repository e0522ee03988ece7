// What can be set about rewards themselves, each field listed once. How the evidence for a reward is gathered (votes,
// teachers, verdicts) is set where it is gathered; what stands here is enough to score somebody else's rollouts.
#pragma once

#include <cstdint>

#include "base/fields.h"

namespace whet::rewards {

struct RewardOptions {
  double entropy_low = 0;
  double entropy_high = 0;
  std::int64_t length_min = 0;
  std::int64_t length_max = 0;
  double agreement_low = 0.3;
  double agreement_high = 0.7;
};

template <class Visitor>
void visit_fields(RewardOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.entropy_low, "entropy-low", "semantic-entropy: pays nothing in groups whose answers have less entropy (nats)",
        at_least(0));
  visit(o.entropy_high, "entropy-high", "semantic-entropy: pays nothing in groups with more entropy; 0: no bound",
        at_least(0));
  visit(o.length_min, "length-min", "length: pays responses of at least this many tokens", count_from(0));
  visit(o.length_max, "length-max", "length: pays responses of at most this many tokens; 0: no bound", count_from(0));
  visit(o.agreement_low, "agreement-low",
        "challenger: the solver learns from problems on which at least this share of its "
        "rollouts agree",
        within(0, 1));
  visit(o.agreement_high, "agreement-high", "challenger: and at most this share", within(0, 1));
}

}  // namespace whet::rewards
