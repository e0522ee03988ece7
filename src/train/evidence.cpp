// Which gatherers a run has, in which order, and what is refused.
#include "train/evidence.h"

#include "base/error.h"
#include "base/random.h"
#include "rewards/vote.h"
#include "train/ballots.h"
#include "train/problems.h"
#include "train/proposer.h"
#include "train/verdicts.h"
#include "train/witnesses.h"

namespace whet::train {
namespace {

using rewards::Votes;

/// Names of the rewards that ask for it, for messages.
template <class Asks>
std::string rewards_that(Asks asks) {
  std::vector<std::string> names;
  for (const auto& [name, entry] : rewards::rewards()) {
    if (asks(entry.needs)) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::uint64_t Gathering::stream(std::string_view purpose) const {
  return base::combine({seed, base::hash_text(purpose), static_cast<std::uint64_t>(step)});
}

Evidence::Evidence(const EvidenceContext& context, std::span<const rewards::Term> terms) : context_(context) {
  const TrainOptions& options = context.options;
  const EvidenceOptions& evidence = options.evidence;
  const auto any = [&](auto asks) {
    for (const rewards::Term& term : terms) {
      if (asks(rewards::rewards().find(term.name).needs)) return true;
    }
    return false;
  };
  const auto votes = [&](Votes kind) {
    return any([kind](const rewards::Needs& needs) { return needs.votes == kind; });
  };
  const auto do_vote = [](const rewards::Needs& needs) { return needs.votes != Votes::kNone; };

  // What was asked for and nobody reads.
  const EvidenceOptions unset;
  if (evidence.votes > 0 && !any(do_vote)) {
    base::user_error("votes", "{} for '{}', where nobody votes; want 0, or a reward that votes: {}", evidence.votes,
                     options.reward, rewards_that(do_vote));
  }
  if (evidence.votes > 0 && evidence.votes < options.samples) {
    base::user_error("votes", "{}, want at least the --samples {} that are trained on (or 0: as many)", evidence.votes,
                     options.samples);
  }
  if (!evidence.voters.empty() && !votes(Votes::kPolicies)) {
    base::user_error("voters", "given for '{}', which asks no other policy; want none, or --reward weighted-vote",
                     options.reward);
  }
  if ((evidence.teacher_decay != unset.teacher_decay || evidence.teacher_decay_end != unset.teacher_decay_end) &&
      !votes(Votes::kTeacher)) {
    base::user_error("teacher-decay",
                     "given for '{}', which has no teacher; want the default, or --reward teacher-vote",
                     options.reward);
  }

  const auto read_verdicts = [](const rewards::Needs& needs) { return needs.verdicts; };
  // Both are named: what items() walks over must outlive the walk.
  const base::Json verifier = base::fields_to_json(options.verifier),
                   defaults = base::fields_to_json(VerifierOptions{});
  for (const auto& [name, value] : defaults.items()) {
    if (verifier.at(name) == value || any(read_verdicts)) continue;
    base::user_error(name, "given for '{}', which asks no verifier; want the default, or a reward that does: {}",
                     options.reward, rewards_that(read_verdicts));
  }

  for (const rewards::Term& term : terms) {
    if (rewards::rewards().find(term.name).needs.label) require_labels(context.task, tasks::Split::kTrain, term.name);
  }
  const bool challenges = any([](const rewards::Needs& needs) { return needs.proposer; });
  if (!challenges && (!evidence.proposer.empty() || evidence.repetition_penalty != unset.repetition_penalty)) {
    base::user_error(evidence.proposer.empty() ? "repetition-penalty" : "proposer",
                     "given for '{}', where nobody writes problems; want none, or --reward challenger", options.reward);
  }
  if (challenges && votes(Votes::kRephrased)) {
    base::user_error("reward",
                     "'{}' joins challenger and co-reward, but a proposer's problems have no rephrasings; want one "
                     "of them",
                     options.reward);
  }
  chooses_ = evidence.votes > options.samples;
  if (challenges) voters_.push_back(make_proposer(context));
  // Rephrasings first: who asks a model of its own asks it the problems that they add.
  if (votes(Votes::kRephrased)) voters_.push_back(make_rephrased_votes(context));
  if (votes(Votes::kOwn) && chooses_) voters_.push_back(make_own_votes());
  if (votes(Votes::kTeacher)) voters_.push_back(make_teacher_votes(context));
  if (votes(Votes::kPolicies)) voters_.push_back(make_policy_votes(context));
  if (any([](const rewards::Needs& needs) { return needs.checker; })) witnesses_.push_back(make_checks(context));
  if (any(read_verdicts)) witnesses_.push_back(make_verdicts(context));
  if (any([](const rewards::Needs& needs) { return needs.token_stats; }))
    witnesses_.push_back(make_answer_spans(context));
}

void Evidence::plan(Gathering& step) {
  step.rollouts = vote_count(context_.options);
  for (const auto* list : {&voters_, &witnesses_}) {
    for (const auto& gatherer : *list) gatherer->plan(step);
  }
}

void Evidence::gather(Gathering& step) {
  for (const auto& gatherer : voters_) gatherer->gather(step);
  if (!voters_.empty()) {
    for (Group& group : step.groups) number_classes(group, context_.task);
  }
  if (chooses_) {
    step.tokens += token_count(step.groups);
    for (Group& group : step.groups) {
      base::Random random{step.stream("samples"), draw_key(group.problem)};
      const auto places =
          rewards::choose_samples(group.rollouts.size(), static_cast<std::size_t>(context_.options.samples), random);
      keep_rollouts(group, places);
    }
    step.tokens -= token_count(step.groups);
  }
  for (const auto& gatherer : witnesses_) gatherer->gather(step);
}

void Evidence::after_update(std::int64_t step) {
  for (const auto* list : {&voters_, &witnesses_}) {
    for (const auto& gatherer : *list) gatherer->after_update(step);
  }
}

void Evidence::save(const std::filesystem::path& checkpoint) const {
  for (const auto* list : {&voters_, &witnesses_}) {
    for (const auto& gatherer : *list) gatherer->save(checkpoint);
  }
}

}  // namespace whet::train
