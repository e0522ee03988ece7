// What can be set about the evidence that rewards ask for, each field listed once. Parameters of a reward's own formula
// stand in rewards/options.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"

namespace whet::train {

struct EvidenceOptions {
  std::int64_t votes = 0;
  double teacher_decay = 0.99;
  double teacher_decay_end = 0.9999;
  std::vector<std::string> voters;
  std::string proposer;
  double repetition_penalty = 1.0;
};

template <class Visitor>
void visit_fields(EvidenceOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.votes, "votes",
        "rollouts of each problem that vote, of which --samples chosen at random are trained on; 0: --samples",
        count_from(0));
  visit(o.teacher_decay, "teacher-decay",
        "teacher-vote: the teacher keeps this share of itself at an update and takes the rest from the policy",
        within(0, 1));
  visit(o.teacher_decay_end, "teacher-decay-end", "teacher-vote: that share at the last step; a cosine leads there",
        within(0, 1));
  visit(o.voters, "voters", "weighted-vote: models that vote beside the policy, folders or names of embedded ones",
        anything());
  visit(o.proposer, "proposer",
        "challenger: the model that writes the problems and is trained to write better ones; "
        "without: a copy of --model",
        anything());
  visit(o.repetition_penalty, "repetition-penalty",
        "challenger: a problem's pay is less by this times the share of the step's problems that are like it",
        at_least(0));
}

}  // namespace whet::train
