// Who is sampled when: samples wait for their prompt, take a slot, and leave it when they end. The same for every device;
// what is computed for them is the sampler's.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "engine/work.h"

namespace whet::engine {

/// Tokens computed together in prefill: enough to fill the matrix units, few enough to bound memory.
inline constexpr std::int64_t kPrefillRows = 8192;
/// Sequences decoded at once unless the caller says otherwise, and the memory that their caches may take.
inline constexpr std::int64_t kMaxActive = 1024;
inline constexpr std::int64_t kMaxCacheBytes = std::int64_t{4} << 30;

/// A prompt that has been computed. Samplers keep with it what they computed.
struct PromptState {
  std::size_t index = 0;  ///< in the request
  std::int64_t length = 0;
};

/// A response being written.
template <class Prepared>
struct Sequence {
  std::shared_ptr<Prepared> prompt;
  std::int64_t slot = 0;
  int sample = 0;
  Rollout rollout;
};

/// Of one more token for each sequence. Those of a prompt stand mostly side by side: its keys are counted once for each such run.
template <class Prepared>
base::Work work_of_step(const std::vector<Sequence<Prepared>>& sequences, const ModelWork& work) {
  const auto count = static_cast<double>(sequences.size());
  Pass pass{count, count, 0};
  double cached = 0;
  const Prepared* before = nullptr;
  for (const auto& sequence : sequences) {
    const auto own = static_cast<std::int64_t>(sequence.rollout.tokens.size()) - 1;
    const double keys = work.keys(sequence.prompt->length + own, 1);
    pass.keys += keys;
    cached += sequence.prompt.get() == before ? work.keys(own, 1) : keys;
    before = sequence.prompt.get();
  }
  return work.decode(pass, cached);
}

/// `Prepared` derives from PromptState.
template <class Prepared>
class Schedule {
 public:
  using SequenceOf = Sequence<Prepared>;

  Schedule(const RolloutRequest& request, const ModelConfig& config) : request_(request), ends_(config.eos_token_ids) {
    results_.resize(request.prompts.size());
    for (std::size_t i = 0; i < results_.size(); ++i) {
      results_[i].resize(static_cast<std::size_t>(std::max(0, request.prompts[i].samples)));
    }
  }

  std::int64_t total_samples() const {
    std::int64_t total = 0;
    for (const auto& group : results_) total += static_cast<std::int64_t>(group.size());
    return total;
  }

  void set_slots(std::int64_t slots) {
    slots_ = slots;
    for (std::int64_t slot = slots - 1; slot >= 0; --slot) free_slots_.push_back(slot);
  }
  std::int64_t slots() const { return slots_; }

  /// The next prompts to compute: at most kPrefillRows tokens, `most` of them, and samples enough to fill every slot. Empty
  /// when none is left.
  std::vector<std::shared_ptr<Prepared>> next_prompts(std::int64_t most) {
    std::vector<std::shared_ptr<Prepared>> prompts;
    std::int64_t rows = 0, samples = 0;
    for (; next_prompt_ < request_.prompts.size() && static_cast<std::int64_t>(prompts.size()) < most; ++next_prompt_) {
      const Prompt& prompt = request_.prompts[next_prompt_];
      const auto length = static_cast<std::int64_t>(prompt.tokens.size());
      if (prompt.samples <= 0) continue;
      if (!prompts.empty() && (rows + length > kPrefillRows || samples >= slots_)) break;
      prompts.push_back(std::make_shared<Prepared>());
      prompts.back()->index = next_prompt_;
      prompts.back()->length = length;
      rows += length;
      samples += prompt.samples;
    }
    return prompts;
  }

  const Prompt& prompt(const PromptState& state) const { return request_.prompts[state.index]; }

  /// Its samples wait for slots from now on.
  void make_wait(const std::shared_ptr<Prepared>& prompt) {
    for (int sample = 0; sample < request_.prompts[prompt->index].samples; ++sample)
      waiting_.push_back({prompt, 0, sample, {}});
  }

  bool has_free_slot() const { return !free_slots_.empty(); }
  bool has_waiting() const { return !waiting_.empty(); }

  /// Gives free slots to samples that wait, in their order.
  void start(std::vector<SequenceOf>& sequences) {
    while (!free_slots_.empty() && !waiting_.empty()) {
      sequences.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      sequences.back().slot = free_slots_.back();
      free_slots_.pop_back();
    }
  }

  /// The number in [0, 1) that decides a sequence's next token.
  double next_uniform(const SequenceOf& sequence) const {
    return base::token_uniform(request_.stream, prompt(*sequence.prompt).key,
                               static_cast<std::uint32_t>(sequence.sample),
                               static_cast<std::uint32_t>(sequence.rollout.tokens.size()));
  }

  /// Moves finished sequences to the results and gives their slots back; the others keep their order.
  void retire(std::vector<SequenceOf>& sequences) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      SequenceOf& sequence = sequences[i];
      const bool ended = std::find(ends_.begin(), ends_.end(), sequence.rollout.tokens.back()) != ends_.end();
      const bool full = static_cast<int>(sequence.rollout.tokens.size()) >= request_.sampling.max_new_tokens;
      if (ended || full) {
        sequence.rollout.truncated = !ended;
        free_slots_.push_back(sequence.slot);
        results_[sequence.prompt->index][static_cast<std::size_t>(sequence.sample)] = std::move(sequence.rollout);
      } else {
        if (kept != i) sequences[kept] = std::move(sequence);
        ++kept;
      }
    }
    sequences.erase(sequences.begin() + static_cast<std::ptrdiff_t>(kept), sequences.end());
  }

  std::vector<std::vector<Rollout>> take_results() { return std::move(results_); }

 private:
  const RolloutRequest& request_;
  const std::vector<TokenId> ends_;
  std::int64_t slots_ = 0;
  std::vector<std::int64_t> free_slots_;
  std::size_t next_prompt_ = 0;
  std::deque<SequenceOf> waiting_;
  std::vector<std::vector<Rollout>> results_;
};

}  // namespace whet::engine
