// Which rollouts to show: a few at each telling moment of a run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/facts.h"
#include "store/run.h"

namespace whet::report {

/// One response, with how its group voted.
struct Sample {
  std::string prompt, output;
  std::optional<std::string> answer, label;
  std::optional<bool> right;
  std::optional<double> score;  ///< the pseudo-reward
  int agreeing = 0, group = 0;  ///< responses to the prompt with this answer, and responses in all
  bool truncated = false;
};

struct Moment {
  std::string title;            ///< "At the start", "Near the collapse", ...
  std::int64_t step = 0;        ///< of the dump that is nearest
  std::size_t rows = 0;         ///< responses in the dump
  std::optional<double> right;  ///< share of them that are right, where labels are known
  std::vector<Sample> samples;
};

/// The start, the peak, the collapse where there was one, and the end. Moments whose nearest dump is the same are one; a
/// run without dumps has none. From the first of these dumps, the first response to each of `count` prompts spread evenly
/// over it, so that nobody picks; from the others, to prompts of the same kind: the same ones, or else those nearest in
/// length. UserError for a dump that cannot be read.
std::vector<Moment> moments_of(const store::Run& run, const RunFacts& facts, int count);

}  // namespace whet::report
