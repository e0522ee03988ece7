// A model reads problem and solution, and writes a verdict: the external check of `self-verification`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"
#include "tasks/task.h"
#include "text/template.h"
#include "tokenizer/tokenizer.h"
#include "train/groups.h"
#include "train/verifier_options.h"

namespace whet::train {

/// What a verifier said of one response.
struct Verdict {
  enum class Asked {
    kYes,
    kNoAnswer,  ///< the response has no answer: nothing can be right about it, and nobody is asked
    kTooLong,   ///< prompt and verdict do not fit the verifier's context
  };
  Asked asked = Asked::kYes;
  std::vector<std::optional<bool>> readings = {};  ///< one per reading; absent: could not be read, or not asked
  std::int64_t tokens = 0;                         ///< of what it wrote
  std::vector<std::string> texts = {};             ///< what it wrote; empty unless asked
};

using GroupVerdicts = std::vector<Verdict>;  ///< one per rollout

class Verifier {
 public:
  /// UserError when the template file cannot be read, or has no {problem}, or neither {solution} nor {answer}.
  Verifier(const VerifierOptions& options, const tasks::Task& task);

  /// A verifier's prompt, and the places in it that the policy wrote.
  struct Question {
    std::string text;
    std::vector<std::pair<std::size_t, std::size_t>> written;  ///< [begin, end)
  };
  /// The prompt for one response; `answer` as it stands there.
  Question question(const tasks::Problem& problem, std::string_view response, std::string_view answer) const;

  /// UserError when the tokenizer has no token for something in the template, or template and verdict leave no room for
  /// a solution in the model's context: such a model cannot be asked.
  void require_usable(const tokenizer::Tokenizer& tokenizer, const engine::ModelConfig& config) const;

  /// Asks `model` about every rollout that has an answer, in one batch. Equal solutions of a problem share their prompt's
  /// computation, and each gets readings of its own. `stream` keys the draws (seed, purpose, step). The verifier's own
  /// tokens are not trained on. Result [group][rollout].
  std::vector<GroupVerdicts> read(engine::Model& model, const tokenizer::Tokenizer& tokenizer,
                                  const std::vector<Group>& groups, std::uint64_t stream) const;

 private:
  const tasks::Task& task_;
  tasks::VerifierFormat format_;
  text::Template template_;
  int readings_;
  engine::SamplingOptions sampling_;
};

/// Counts over readings; a response that was not asked counts as its readings, none of which says True.
struct VerdictCounts {
  std::int64_t responses = 0, no_answer = 0, too_long = 0;
  std::int64_t readings = 0;  ///< of those asked
  std::int64_t unreadable = 0, says_true = 0;
  std::int64_t right = 0, wrong = 0;  ///< readings of labelled responses, asked or not
  std::int64_t true_on_right = 0, true_on_wrong = 0;

  void add(const Verdict& verdict, std::optional<bool> correct);

  std::optional<double> precision() const;            ///< of verdicts True, the share on right responses
  std::optional<double> recall() const;               ///< share of True among readings of right responses
  std::optional<double> false_positive_rate() const;  ///< share of True among readings of wrong responses
};

VerdictCounts count_verdicts(const std::vector<Group>& groups, const std::vector<GroupVerdicts>& verdicts);

/// The verifier_* keys of a metrics line; those that need labels only where there are labels.
base::Json verdict_metrics(const VerdictCounts& counts);

/// The ids of a text in which `plain` (places in it) holds what a model wrote: a special token spelt out there is text
/// like any other, and does not become that token.
std::vector<engine::TokenId> encode_with_plain(const tokenizer::Tokenizer& tokenizer, std::string_view text,
                                               const std::vector<std::pair<std::size_t, std::size_t>>& plain);

}  // namespace whet::train
