// Which steps' weights are worth averaging.
#include "analysis/contenders.h"

#include <algorithm>
#include <stdexcept>

#include "base/error.h"

namespace whet::analysis {

Contenders::Contenders(const ContenderOptions& options) : options_(options) {
  if (options.count < 1) base::user_error("contenders", "{}, want >= 1", options.count);
  if (!(options.margin > 0)) base::user_error("contenders", "a margin of {}, want > 0", options.margin);
}

void Contenders::update(std::int64_t step, double value) {
  if (step <= last_step_) throw std::logic_error(fmt::format("step {} after step {}", step, last_step_));
  last_step_ = step;
  const auto place =
      std::find_if(best_.begin(), best_.end(), [value](const Contender& other) { return other.value < value; });
  best_.insert(place, {step, value});
  const double least = best_.front().value - options_.margin;
  std::erase_if(best_, [least](const Contender& contender) { return contender.value <= least; });
  if (best_.size() > static_cast<std::size_t>(options_.count)) best_.resize(static_cast<std::size_t>(options_.count));
}

std::vector<std::int64_t> Contenders::steps() const {
  std::vector<std::int64_t> steps;
  for (const Contender& contender : best_) steps.push_back(contender.step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

bool Contenders::contains(std::int64_t step) const {
  return std::any_of(best_.begin(), best_.end(), [step](const Contender& contender) { return contender.step == step; });
}

std::vector<std::int64_t> steps_to_average(const Contenders& contenders, std::int64_t peak_step) {
  if (peak_step == 0) return {};
  std::vector<std::int64_t> steps = contenders.steps();
  std::erase(steps, 0);
  return steps;
}

bool stands_for(const BaseView& average, const BaseView& best, const WatchOptions& options) {
  // What is not known of the best says nothing against the average.
  const auto fell = [](const std::optional<double>& now, const std::optional<double>& before, double margin) {
    return !before || !now || *before - *now >= margin;
  };
  if (!average.logprob && best.logprob) return false;  // it writes nothing
  return !fell(average.logprob, best.logprob, options.logprob_margin) ||
         !fell(average.agreement, best.agreement, options.agreement_margin);
}

}  // namespace whet::analysis
