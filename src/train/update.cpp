// Groups to mini-batches, log-probabilities to losses, losses to steps of AdamW.
#include "train/update.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace whet::train {

double scheduled_rate(const TrainOptions& options, double peak, std::int64_t step) {
  if (step <= options.warmup_steps) {
    return peak * static_cast<double>(step) / static_cast<double>(options.warmup_steps);
  }
  if (options.learning_rate_schedule == "cosine") {
    const auto rest = static_cast<double>(std::max<std::int64_t>(1, options.steps - options.warmup_steps));
    return peak * 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(step - 1 - options.warmup_steps) / rest));
  }
  return peak;
}

Update update_policy(engine::Model& model, engine::Model* reference, const std::vector<Group>& groups,
                     const std::vector<std::vector<double>>& advantages, const TrainOptions& options,
                     double learning_rate, int max_tokens) {
  const engine::AdamOptions adam{.learning_rate = learning_rate,
                                 .beta1 = options.beta1,
                                 .beta2 = options.beta2,
                                 .epsilon = options.epsilon,
                                 .weight_decay = options.weight_decay,
                                 .clip = options.gradient_clip};
  const bool on_policy = options.mini_batches == 1;
  const bool with_reference = options.loss.kl_coefficient > 0;
  Update update;
  const auto batches = static_cast<std::size_t>(options.mini_batches);
  for (std::size_t m = 0; m < batches; ++m) {
    const std::size_t begin = groups.size() * m / batches, end = groups.size() * (m + 1) / batches;
    // A rollout without advantage changes nothing unless the divergence is in the loss: it is counted, not computed.
    std::vector<engine::SharedPromptBatch> packed;
    std::vector<const engine::Rollout*> rollouts;
    std::vector<double> advantage;
    LossTotals totals{.tokens = 0, .responses = 0, .max_tokens = max_tokens};
    for (std::size_t g = begin; g < end; ++g) {
      engine::SharedPromptBatch batch{groups[g].prompt, {}};
      for (std::size_t i = 0; i < groups[g].rollouts.size(); ++i) {
        const engine::Rollout& rollout = groups[g].rollouts[i];
        totals.tokens += static_cast<std::int64_t>(rollout.tokens.size());
        ++totals.responses;
        if (advantages[g][i] == 0 && !with_reference) continue;
        batch.responses.push_back(rollout.tokens);
        rollouts.push_back(&rollout);
        advantage.push_back(advantages[g][i]);
      }
      if (!batch.responses.empty()) packed.push_back(std::move(batch));
    }
    if (packed.empty()) continue;
    std::vector<std::vector<float>> reference_logprobs;
    if (with_reference) {
      for (auto& group : reference->logprobs(packed, options.sampling.temperature)) {
        for (auto& response : group) reference_logprobs.push_back(std::move(response));
      }
    }
    model.accumulate_gradient(
        packed, options.sampling.temperature, options.token_budget,
        [&](std::size_t first, std::size_t count, std::span<const float> logprob, std::span<float> gradient) {
          std::vector<LossResponse<float>> responses;
          std::size_t offset = 0;
          for (std::size_t r = first; r < first + count; ++r) {
            const std::size_t length = rollouts[r]->tokens.size();
            LossResponse<float> response{.logprob = logprob.subspan(offset, length),
                                         .advantage = advantage[r],
                                         .gradient = gradient.subspan(offset, length)};
            if (!on_policy) response.old_logprob = rollouts[r]->logprob;
            if (with_reference) response.reference_logprob = reference_logprobs[r];
            responses.push_back(response);
            offset += length;
          }
          update.loss.add(policy_loss<float>(responses, totals, options.loss));
        });
    update.gradient_norm = std::max(update.gradient_norm, model.optimizer_step(adam));
  }
  return update;
}

}  // namespace whet::train
