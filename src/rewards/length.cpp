// A control: pays for a number of tokens, whatever they say.
#include "base/error.h"
#include "rewards/reward.h"

namespace whet::rewards {
namespace {

constexpr const char* kName = "length";

class Length final : public Reward {
 public:
  explicit Length(const RewardOptions& options) : min_(options.length_min), max_(options.length_max) {
    if (min_ == 0 && max_ == 0) base::user_error(kName, "no window, want --length-min, --length-max or both");
    if (max_ > 0 && max_ < min_) base::user_error("length-max", "{}, want at least --length-min {}", max_, min_);
  }

  /// A response that was cut counts with the tokens that it has.
  Scored score(const Group& group, base::Random&) const override {
    Scored scored;
    for (std::size_t i = 0; i < group.samples.size(); ++i) {
      const auto& length = group.samples[i].length;
      if (!length) base::user_error(kName, "rollout {} has no length, want its number of tokens", i);
      scored.reward.push_back(*length >= min_ && (max_ == 0 || *length <= max_) ? 1.0 : 0.0);
    }
    return scored;
  }

 private:
  std::int64_t min_, max_;
};

const base::Registrar kRegistered(rewards(), kName,
                                  RewardEntry{
                                      .family = "control",
                                      .formula = "1 if the response has length-min to length-max tokens, else 0",
                                      .source = "control",
                                      .failure = "any text of the right length is as good as the right answer",
                                      .needs = {.length = true},
                                      .binary = true,
                                      .options = {"length-min", "length-max"},
                                      .make = make_reward<Length>});

}  // namespace
}  // namespace whet::rewards
