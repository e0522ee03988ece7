#include "train/verdicts.h"

#include <optional>

#include "base/error.h"
#include "train/verifier.h"

namespace whet::train {
namespace {

class Verdicts final : public Gatherer {
 public:
  explicit Verdicts(const EvidenceContext& context)
      : context_(context), verifier_(context.options.verifier, context.task) {
    const VerifierOptions& options = context.options.verifier;
    if (options.verifier == kBaseVerifier && !context.base)
      base::user_error("verifier", "base, but no base is kept; want live, or a model");
    if (is_other_model(options)) {
      other_.emplace(open_text_model(resolve_model(options.verifier), context.models));
    }
    verifier_.require_usable(tokenizer(), model().config());
  }

  void gather(Gathering& step) override {
    const auto verdicts = verifier_.read(model(), tokenizer(), step.groups, step.stream("verify"));
    for (std::size_t g = 0; g < step.groups.size(); ++g) {
      for (const Verdict& verdict : verdicts[g]) {
        step.groups[g].verdicts.push_back(verdict.readings);
        step.tokens += verdict.tokens;
      }
    }
    step.metrics.update(verdict_metrics(count_verdicts(step.groups, verdicts)));
  }

 private:
  engine::Model& model() const {
    if (other_) return *other_->model;
    return context_.options.verifier.verifier == kBaseVerifier ? *context_.base : *context_.policy.model;
  }
  const tokenizer::Tokenizer& tokenizer() const { return other_ ? other_->tokenizer : context_.policy.tokenizer; }

  EvidenceContext context_;
  Verifier verifier_;
  std::optional<TextModel> other_;
};

}  // namespace

std::unique_ptr<Gatherer> make_verdicts(const EvidenceContext& context) { return std::make_unique<Verdicts>(context); }

}  // namespace whet::train
