// Many problems, sampled a slice at a time.
#include "app/sampling.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/console.h"
#include "train/groups.h"
#include "train/problems.h"

namespace whet::app {

void in_slices(const std::string& what, const std::vector<tasks::Problem>& problems,
               const std::function<void(const std::vector<tasks::Problem>&)>& use) {
  constexpr std::size_t kSlice = 64;
  for (std::size_t begin = 0; begin < problems.size(); begin += kSlice) {
    print_transient(fmt::format("{}: {} of {} problems", what, begin, problems.size()));
    const std::size_t end = std::min(problems.size(), begin + kSlice);
    use({problems.begin() + static_cast<std::ptrdiff_t>(begin), problems.begin() + static_cast<std::ptrdiff_t>(end)});
  }
}

std::vector<theory::ProblemCounts> sample_counts(const std::string& what, train::TextModel& model,
                                                 const tasks::Task& task, const std::vector<tasks::Problem>& problems,
                                                 std::int64_t samples, const train::SamplingFields& sampling,
                                                 std::uint64_t stream) {
  std::vector<theory::ProblemCounts> counts;
  in_slices(what, problems, [&](const std::vector<tasks::Problem>& slice) {
    for (const train::Group& group :
         train::sample_groups(*model.model, model.tokenizer, task, slice, static_cast<int>(samples),
                              train::sampling_options(sampling, task), stream)) {
      counts.push_back(train::answer_counts(group));
    }
  });
  print_transient("");
  return counts;
}

}  // namespace whet::app
