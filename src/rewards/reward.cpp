// The registry of rewards.
#include "rewards/reward.h"

namespace whet::rewards {

base::Registry<RewardEntry>& rewards() {
  static base::Registry<RewardEntry> registry("reward");
  return registry;
}

}  // namespace whet::rewards
