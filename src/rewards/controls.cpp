// Rewards that know nothing of being right, to compare the others with: a coin, and "an answer could be extracted".
#include <bit>
#include <map>

#include "rewards/reward.h"

namespace whet::rewards {
namespace {

/// A number that depends on what a sample says and not on where it stands.
std::uint64_t content_key(const Sample& sample) {
  std::uint64_t key = base::combine({base::hash_text(sample.answer), sample.answer_class < 0, sample.truncated});
  for (const float value : sample.logprob) key = base::combine({key, std::bit_cast<std::uint32_t>(value)});
  return key;
}

/// A fair coin. Drawn for a sample's content rather than its place, so that reordering a group reorders its coins;
/// samples that cannot be told apart are told apart by counting them.
class Coin final : public Reward {
 public:
  Scored score(const Group& group, base::Random& random) const override {
    const std::uint64_t stream = random.next();
    std::map<std::uint64_t, std::uint64_t> seen;
    Scored scored;
    for (const Sample& sample : group.samples) {
      const std::uint64_t key = content_key(sample);
      scored.reward.push_back(base::Random({stream, key, seen[key]++}).uniform() < 0.5 ? 1.0 : 0.0);
    }
    return scored;
  }
};

class Format final : public Reward {
 public:
  Scored score(const Group& group, base::Random&) const override {
    Scored scored;
    for (const Sample& sample : group.samples) scored.reward.push_back(sample.answer_class >= 0 ? 1.0 : 0.0);
    return scored;
  }
};

const base::Registrar kCoin(rewards(), "random",
                            RewardEntry{.family = "control",
                                        .formula = "1 with probability 1/2, else 0",
                                        .source = "control",
                                        .failure = "teaches nothing: what moves under it is noise and clipping",
                                        .binary = true,
                                        .make = make_reward<Coin>});
const base::Registrar kFormat(rewards(), "format",
                              RewardEntry{.family = "control",
                                          .formula = "1 if an answer could be extracted, else 0",
                                          .source = "control",
                                          .failure = "any answer is as good as the right one",
                                          .needs = {.answers = true},
                                          .binary = true,
                                          .make = make_reward<Format>});

}  // namespace
}  // namespace whet::rewards
