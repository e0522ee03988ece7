#include "engine/torch/sampler.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/cores.h"
#include "base/error.h"
#include "engine/torch/device.h"
#include "engine/torch/functions_common.h"
#include "engine/torch/parallel.h"
#include "engine/torch/sampler_device.h"
#include "engine/torch/sampler_schedule.h"

namespace whet::engine {
namespace {

/// A prompt's keys and values, and the logits of its first response token.
struct PreparedPrompt : PromptState {
  at::Tensor keys_values;     ///< of each layer, a KeyValueCache of `length` tokens: its keys, then its values
  std::vector<float> logits;  ///< [vocabulary]
};

void check(const RolloutRequest& request, const ModelConfig& config) {
  const SamplingOptions& options = request.sampling;
  if (!(options.temperature > 0)) base::user_error("sampler", "temperature {}, want > 0", options.temperature);
  if (!(options.top_p > 0 && options.top_p <= 1))
    base::user_error("sampler", "top-p {}, want within (0, 1]", options.top_p);
  if (options.top_k < 0) base::user_error("sampler", "top-k {}, want >= 0", options.top_k);
  if (options.max_new_tokens < 1) base::user_error("sampler", "max-new-tokens {}, want >= 1", options.max_new_tokens);
  for (const Prompt& prompt : request.prompts) {
    const auto needed = static_cast<std::int64_t>(prompt.tokens.size()) + options.max_new_tokens;
    if (needed > config.max_position_embeddings) {
      base::user_error("sampler",
                       "a prompt of {} tokens and {} new ones, want at most {} together (max_position_embeddings)",
                       prompt.tokens.size(), options.max_new_tokens, config.max_position_embeddings);
    }
  }
}

/// In host memory, over the engine's kernels.
class Sampler {
 public:
  Sampler(Decoder& decoder, const RolloutRequest& request, std::int64_t vocabulary, const ModelWork& work,
          base::Profile* profile)
      : decoder_(decoder),
        request_(request),
        vocabulary_(vocabulary),
        work_(work),
        profile_(profile),
        shape_(decoder.shape()),
        schedule_(request, decoder.config()) {
    // The newest token is never cached: the last one of a response is not an input.
    capacity_ = kernels::KeyValueCache::padded(std::max(1, request.sampling.max_new_tokens - 1));
    const auto layers = static_cast<std::int64_t>(decoder.layers().size());
    const std::int64_t slot_bytes =
        layers * 2 * capacity_ * shape_.key_width() * static_cast<std::int64_t>(sizeof(float));
    const std::int64_t wanted = request.max_active > 0 ? request.max_active : near_slots(slot_bytes);
    slots_ = std::max<std::int64_t>(1, std::min({wanted, schedule_.total_samples(), kMaxCacheBytes / slot_bytes}));
    schedule_.set_slots(slots_);
    // Untouched pages cost nothing, so a slot takes only the memory of the tokens that were written.
    cache_ = at::empty({layers, 2, slots_, capacity_, shape_.key_width()}, at::kFloat);
    allocate();
  }

  std::vector<std::vector<Rollout>> run() {
    while (true) {
      admit();
      if (active_.empty()) break;
      at::Tensor logits;
      {
        base::Span span(profile_, base::Phase::kDecode);
        if (profile_ != nullptr) span.add(work_of_step(active_, work_));
        logits = decode_step();
      }
      base::Span span(profile_, base::Phase::kSampling);
      span.add(work_.sampling(static_cast<double>(active_.size())));
      take_tokens(active_, [&](std::size_t i) {
        return logits.const_data_ptr<float>() + static_cast<std::int64_t>(i) * vocabulary_;
      });
      schedule_.retire(active_);
    }
    return schedule_.take_results();
  }

 private:
  /// How many sequences to decode at once. Small models' long responses are bound by the reading of their caches, and the
  /// processor's own cache gives those back several times as fast as memory does: then no more than fit there, half full on
  /// average, beside the weights. Weights too large for that are read anew each step, and want as many sequences as there are.
  std::int64_t near_slots(std::int64_t slot_bytes) const {
    constexpr std::int64_t kFewest = 16;  // below it the products lose more than is won
    const std::int64_t room =
        base::shared_cache_bytes() / 2 - static_cast<std::int64_t>(decoder_.computed_weights().nbytes());
    const std::int64_t fit = room / std::max<std::int64_t>(1, slot_bytes / 2);
    return fit < kFewest ? kMaxActive : std::min(fit, kMaxActive);
  }

  /// Fills free slots with the next samples, computing prompts as they are needed.
  void admit() {
    while (schedule_.has_free_slot()) {
      if (!schedule_.has_waiting() && !prefill()) return;
      base::Span span(profile_, base::Phase::kSampling, "first tokens");
      std::vector<Sequence<PreparedPrompt>> starting;
      schedule_.start(starting);
      span.add(work_.sampling(static_cast<double>(starting.size())));
      take_tokens(starting, [&](std::size_t i) { return starting[i].prompt->logits.data(); });
      schedule_.retire(starting);
      std::move(starting.begin(), starting.end(), std::back_inserter(active_));
    }
  }

  /// Computes the next prompts. False when none is left.
  bool prefill() {
    const auto prepared = schedule_.next_prompts(std::numeric_limits<std::int64_t>::max());
    if (prepared.empty()) return false;
    base::Span span(profile_, base::Phase::kPrefill);
    std::vector<const Prompt*> prompts;
    for (const auto& state : prepared) {
      prompts.push_back(&schedule_.prompt(*state));
      state->keys_values = at::empty({static_cast<std::int64_t>(decoder_.layers().size()), 2,
                                      kernels::KeyValueCache::padded(state->length) * shape_.key_width()},
                                     at::kFloat);
      state->logits.resize(static_cast<std::size_t>(vocabulary_));
    }
    const PackedBatch batch = pack_prompts(prompts, vocabulary_);
    span.add(work_.forward(pass_of(batch, work_)));
    const at::Tensor hidden = decoder_.forward(batch, [&](std::size_t layer, const at::Tensor& heads) {
      for (std::size_t i = 0; i < prepared.size(); ++i) {
        store_prompt(*prepared[i], layer, heads.const_data_ptr<float>() + batch.segments[i].begin * shape_.qkv_width());
      }
    });
    const at::Tensor logits =
        linear_map(decoder_.head_states(hidden, batch), decoder_.head().narrow(0, 0, vocabulary_));
    for (std::size_t i = 0; i < prepared.size(); ++i) {
      std::memcpy(prepared[i]->logits.data(),
                  logits.const_data_ptr<float>() + static_cast<std::int64_t>(i) * vocabulary_,
                  static_cast<std::size_t>(vocabulary_) * sizeof(float));
      schedule_.make_wait(prepared[i]);
    }
    return true;
  }

  /// Where a prompt's keys and values of one layer are.
  kernels::KeyValueCache prompt_cache(PreparedPrompt& prompt, std::size_t layer) const {
    const std::int64_t capacity = kernels::KeyValueCache::padded(prompt.length), size = capacity * shape_.key_width();
    float* keys = prompt.keys_values.data_ptr<float>() + static_cast<std::int64_t>(layer) * 2 * size;
    return {keys, keys + size, capacity};
  }

  void store_prompt(PreparedPrompt& prompt, std::size_t layer, const float* heads) const {
    const kernels::KeyValueCache cache = prompt_cache(prompt, layer);
    for (std::int64_t i = 0; i < prompt.length; ++i) {
      kernels::store_key_value(heads + i * shape_.qkv_width() + shape_.query_width(), shape_, i, cache);
    }
  }

  /// Draws the next token of each sequence from its row of logits.
  template <class LogitsOf>
  void take_tokens(std::vector<Sequence<PreparedPrompt>>& sequences, const LogitsOf& logits_of) {
    const std::int64_t per_task = std::max<std::int64_t>(1, 8192 / vocabulary_);
    parallel_blocks(static_cast<std::int64_t>(sequences.size()), per_task, [&](std::int64_t begin, std::int64_t end) {
      thread_local std::vector<float> scratch;
      scratch.resize(static_cast<std::size_t>(vocabulary_));
      for (std::int64_t i = begin; i < end; ++i) {
        Sequence<PreparedPrompt>& sequence = sequences[static_cast<std::size_t>(i)];
        Rollout& rollout = sequence.rollout;
        const double uniform = schedule_.next_uniform(sequence);
        const auto token = kernels::sample_token(logits_of(static_cast<std::size_t>(i)), scratch.data(), vocabulary_,
                                                 request_.sampling, uniform);
        rollout.tokens.push_back(token.id);
        rollout.logprob.push_back(token.statistics.logprob);
        rollout.entropy.push_back(token.statistics.entropy);
        rollout.self_certainty.push_back(token.statistics.self_certainty);
        rollout.gap.push_back(token.statistics.gap);
      }
    });
  }

  void allocate() {
    const ModelConfig& config = decoder_.config();
    const auto make = [&](std::int64_t width) { return at::empty({slots_, width}, at::kFloat); };
    x_ = make(config.hidden_size);
    normed_ = make(config.hidden_size);
    if (config.family().norms_after) projected_ = make(config.hidden_size);
    qkv_ = make(shape_.qkv_width());
    prepared_ = make(shape_.qkv_width());
    attended_ = make(shape_.query_width());
    gate_up_ = make(2 * config.intermediate_size);
    gated_ = make(config.intermediate_size);
    logits_ = make(vocabulary_);
    inverse_rms_ = make(std::max<std::int64_t>(1, shape_.query_heads + shape_.key_heads));
    positions_.resize(static_cast<std::size_t>(slots_));
    caches_.resize(static_cast<std::size_t>(slots_));
  }

  /// One token for every active sequence; returns their next logits, [active, vocabulary].
  at::Tensor decode_step() {
    const ModelConfig& config = decoder_.config();
    const auto count = static_cast<std::int64_t>(active_.size());
    const auto rows = [&](const at::Tensor& buffer) { return buffer.narrow(0, 0, count); };
    at::Tensor x = rows(x_), normed = rows(normed_), qkv = rows(qkv_), prepared = rows(prepared_),
               attended = rows(attended_), gate_up = rows(gate_up_), gated = rows(gated_), logits = rows(logits_);
    std::int64_t last_position = 0;
    for (std::size_t i = 0; i < active_.size(); ++i) {
      const Sequence<PreparedPrompt>& sequence = active_[i];
      const auto written = static_cast<std::int64_t>(sequence.rollout.tokens.size());
      with_weight(decoder_.embedding(), [&](const auto* table) {
        kernels::widen(table + sequence.rollout.tokens.back() * config.hidden_size, config.hidden_size,
                       x.data_ptr<float>() + static_cast<std::int64_t>(i) * config.hidden_size);
      });
      positions_[i] = sequence.prompt->length + written - 1;
      last_position = std::max(last_position, positions_[i]);
    }
    const RotaryTable& rotary = decoder_.rotary(last_position + 1);
    for (std::size_t l = 0; l < decoder_.layers().size(); ++l) {
      const LayerWeights& layer = decoder_.layers()[l];
      multiply(norm_before(x, layer.input_norm, normed), layer.qkv, layer.qkv_bias, layer.qkv_adapters, qkv);
      kernels::prepare_heads(qkv.const_data_ptr<float>(), prepared.data_ptr<float>(), pointer(layer.query_norm),
                             pointer(layer.key_norm), inverse_rms_.data_ptr<float>(), positions_.data(),
                             rotary.cosine.const_data_ptr<float>(), rotary.sine.const_data_ptr<float>(), count, shape_,
                             decoder_.head_norm(), config.rms_norm_eps);
      point_caches(l);
      kernels::decode_attention(prepared.const_data_ptr<float>(), attended.data_ptr<float>(),
                                std::span(caches_).first(active_.size()), shape_, config.window(l));
      add_product(attended, layer.output, layer.output_bias, layer.output_adapters, layer.attention_norm, x);
      multiply(norm_before(x, layer.mlp_norm, normed), layer.gate_up, layer.gate_up_bias, layer.gate_up_adapters,
               gate_up);
      kernels::swiglu(gate_up.const_data_ptr<float>(), gated.data_ptr<float>(), count, config.intermediate_size);
      add_product(gated, layer.down, layer.down_bias, layer.down_adapters, layer.mlp_out_norm, x);
    }
    norm(x, decoder_.final_norm(), normed);
    multiply(normed, decoder_.head().narrow(0, 0, vocabulary_), {}, {}, logits);
    return logits;
  }

  /// nullptr for a weight that the family lacks.
  static const float* pointer(const at::Tensor& weight) {
    return weight.defined() ? weight.const_data_ptr<float>() : nullptr;
  }

  static void product(const at::Tensor& x, const at::Tensor& weight, kernels::Addend add, at::Tensor& y) {
    with_weight(weight, [&](const auto* w) {
      kernels::product_transposed(x.const_data_ptr<float>(), x.size(0), w, weight.size(0), weight.size(1), add,
                                  y.data_ptr<float>());
    });
  }

  /// y = x W^T + bias, corrected.
  void multiply(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                const std::vector<Adapter>& adapters, at::Tensor& y) {
    product(x, weight, {pointer(bias), /*one_row=*/true}, y);
    correct(x, adapters, y);
  }

  /// x += rows W^T + bias, corrected, or its norm where the family has one there.
  void add_product(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias,
                   const std::vector<Adapter>& adapters, const at::Tensor& norm_weight, at::Tensor& x) {
    if (norm_weight.defined()) {
      at::Tensor projected = projected_.narrow(0, 0, x.size(0)), normed = normed_.narrow(0, 0, x.size(0));
      multiply(rows, weight, bias, adapters, projected);
      norm(projected, norm_weight, normed);
      x.add_(normed);
      return;
    }
    product(rows, weight, {x.const_data_ptr<float>()}, x);
    if (bias.defined()) kernels::add_row(x.data_ptr<float>(), pointer(bias), x.size(0), x.size(1));
    correct(rows, adapters, x);
  }

  /// As add_adapter, without autograd.
  void correct(const at::Tensor& x, const std::vector<Adapter>& adapters, at::Tensor& y) const {
    for (const Adapter& adapter : adapters) {
      at::Tensor narrow = at::empty({x.size(0), adapter.a.size(0)}, x.options()),
                 wide = at::empty({x.size(0), adapter.b.size(0)}, x.options());
      product(x, adapter.a, {}, narrow);
      product(narrow, adapter.b, {}, wide);
      kernels::add_columns(y.data_ptr<float>(), wide.const_data_ptr<float>(), y.size(0), y.size(1),
                           adapter.first_column, wide.size(1), static_cast<float>(decoder_.adapter_scale()));
    }
  }

  /// x, or its norm in `normed` where the family has one at this entry.
  const at::Tensor& norm_before(const at::Tensor& x, const at::Tensor& weight, at::Tensor& normed) {
    if (!weight.defined()) return x;
    norm(x, weight, normed);
    return normed;
  }

  void norm(const at::Tensor& x, const at::Tensor& weight, at::Tensor& y) {
    kernels::rms_norm(x.const_data_ptr<float>(), weight.const_data_ptr<float>(), y.data_ptr<float>(),
                      inverse_rms_.data_ptr<float>(), x.size(0), x.size(1), decoder_.config().rms_norm_eps);
  }

  /// Where each active sequence's keys and values of one layer are.
  void point_caches(std::size_t layer) {
    const std::int64_t slot_size = capacity_ * shape_.key_width();
    float* keys = cache_.data_ptr<float>() + static_cast<std::int64_t>(layer) * 2 * slots_ * slot_size;
    float* values = keys + slots_ * slot_size;
    for (std::size_t i = 0; i < active_.size(); ++i) {
      const Sequence<PreparedPrompt>& sequence = active_[i];
      const std::int64_t at = sequence.slot * slot_size;
      caches_[i] = {prompt_cache(*sequence.prompt, layer),
                    sequence.prompt->length,
                    {keys + at, values + at, capacity_},
                    static_cast<std::int64_t>(sequence.rollout.tokens.size()) - 1};
    }
  }

  Decoder& decoder_;
  const RolloutRequest& request_;
  const std::int64_t vocabulary_;
  const ModelWork& work_;
  base::Profile* const profile_;
  const kernels::HeadShape shape_;
  std::int64_t capacity_ = 0;  ///< response tokens that a slot can cache, padded
  std::int64_t slots_ = 0;
  at::Tensor cache_;  ///< [layers, 2, slots, a KeyValueCache's keys or values]
  Schedule<PreparedPrompt> schedule_;
  std::vector<Sequence<PreparedPrompt>> active_;
  // Work space of a step, allocated once: [slots, ...].
  at::Tensor x_, normed_, projected_, qkv_, prepared_, attended_, gate_up_, gated_, logits_, inverse_rms_;
  std::vector<std::int64_t> positions_;
  std::vector<kernels::CachedKeys> caches_;
};

}  // namespace

std::vector<std::vector<Rollout>> sample(Decoder& decoder, const RolloutRequest& request, std::int64_t vocabulary,
                                         const ModelWork& work, base::Profile* profile) {
  check(request, decoder.config());
  if (request.prompts.empty()) return {};
  const torch::NoGradGuard no_grad;
  if (!by_kernels(decoder.weights())) return sample_on_device(decoder, request, vocabulary, work, profile);
  return Sampler(decoder, request, vocabulary, work, profile).run();
}

}  // namespace whet::engine
