// What can be set about a verifier, each field listed once.
#pragma once

#include <cstdint>
#include <string>

#include "base/fields.h"

namespace whet::train {

inline constexpr const char* kLiveVerifier = "live";
inline constexpr const char* kBaseVerifier = "base";

struct VerifierOptions {
  std::string verifier = kLiveVerifier;
  std::string verifier_template = {};
  std::string verifier_verdict = "task";
  std::int64_t verifier_readings = 1;
  double verifier_temperature = 0.5;
  std::int64_t verifier_max_new_tokens = 0;
};

/// Whether the verifier is neither the policy nor its base.
inline bool is_other_model(const VerifierOptions& o) {
  return o.verifier != kLiveVerifier && o.verifier != kBaseVerifier;
}

template <class Visitor>
void visit_fields(VerifierOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.verifier, "verifier",
        "who judges solutions: live (the policy as it is), base (the model it started from), or "
        "another model",
        anything());
  visit(o.verifier_template, "verifier-template",
        "file with the verifier's prompt: {problem}, and {solution} (the whole "
        "response) or {answer} (as it stands there), are put in as they are; without, the task's own",
        anything());
  visit(o.verifier_verdict, "verifier-verdict",
        "how a verdict is read: boxed, the last \\boxed{True} or \\boxed{False}; "
        "mark, T or F at the end of the text; task, as the task says",
        one_of({"task", "boxed", "mark"}));
  visit(o.verifier_readings, "verifier-readings", "verdicts on each solution", count_from(1));
  visit(o.verifier_temperature, "verifier-temperature", "logits of the verifier are divided by it", above(0));
  visit(o.verifier_max_new_tokens, "verifier-max-new-tokens", "length limit of a verdict; 0: what the task needs",
        count_from(0));
}

}  // namespace whet::train
