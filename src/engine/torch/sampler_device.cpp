// A step here is: one copy of small integers to the device, the layers, one copy of five numbers a sequence back. That
// copy is the only time the host waits in a step; samples that start are drawn with the others, not before them.
#include "engine/torch/sampler_device.h"

#include <algorithm>
#include <bit>

#include "engine/torch/cuda/kernels.h"
#include "engine/torch/device.h"
#include "engine/torch/plain.h"
#include "engine/torch/sampler_schedule.h"

namespace whet::engine {
namespace {

/// Where a prompt's keys and values are, and the logits of its first response token.
struct PlacedPrompt : PromptState {
  std::int64_t place = 0;
  at::Tensor logits;  ///< [vocabulary]
  std::vector<std::int64_t>* free_places = nullptr;

  PlacedPrompt() = default;
  PlacedPrompt(const PlacedPrompt&) = delete;
  PlacedPrompt& operator=(const PlacedPrompt&) = delete;
  ~PlacedPrompt() {
    if (free_places != nullptr) free_places->push_back(place);
  }
};

using Active = std::vector<Sequence<PlacedPrompt>>;

at::Tensor draw_rows(const at::Tensor& logits, const at::Tensor& uniforms, const SamplingOptions& options) {
  return cuda::can_sample_rows(logits, options) ? cuda::sample_rows(logits, uniforms, options)
                                                : plain::sample_rows(logits, uniforms, options);
}

class DeviceSampler {
 public:
  DeviceSampler(Decoder& decoder, const RolloutRequest& request, std::int64_t vocabulary, const ModelWork& work,
                base::Profile* profile)
      : decoder_(decoder),
        request_(request),
        vocabulary_(vocabulary),
        work_(work),
        profile_(profile),
        shape_(decoder.shape()),
        schedule_(request, decoder.config()) {
    const std::int64_t capacity = std::max<std::int64_t>(1, request.sampling.max_new_tokens - 1);
    std::int64_t most_samples = 1;
    for (const Prompt& prompt : request.prompts) {
      if (prompt.samples <= 0) continue;
      longest_prompt_ = std::max(longest_prompt_, static_cast<std::int64_t>(prompt.tokens.size()));
      most_samples = std::max<std::int64_t>(most_samples, prompt.samples);
    }
    // A prompt's place is its own as long as one of its samples waits or is being written; with as many places as there are
    // groups among the slots, and one to go on with, few slots stay empty where groups are of one size.
    const auto layers = static_cast<std::int64_t>(decoder.layers().size());
    const auto places_for = [&](std::int64_t slots) {
      return std::min(static_cast<std::int64_t>(request.prompts.size()), (slots + most_samples - 1) / most_samples + 1);
    };
    const std::int64_t row_bytes =
        layers * 2 * shape_.key_width() * static_cast<std::int64_t>(decoder.final_norm().element_size());
    std::int64_t slots =
        std::min<std::int64_t>(request.max_active > 0 ? request.max_active : kMaxActive, schedule_.total_samples());
    while (slots > 1 && (slots * capacity + places_for(slots) * longest_prompt_) * row_bytes > kMaxCacheBytes)
      slots -= (slots + 7) / 8;
    slots = std::max<std::int64_t>(1, slots);
    schedule_.set_slots(slots);
    const std::int64_t places = places_for(slots);
    for (std::int64_t place = places - 1; place >= 0; --place) free_places_.push_back(place);
    const auto make = [&](std::int64_t count, std::int64_t length) {
      return at::zeros({layers, 2, count, length, shape_.key_width()},
                       decoder.final_norm().options().requires_grad(false));
    };
    // Zeros: what is masked must be finite all the same.
    slots_cache_ = make(slots, capacity);
    prompts_cache_ = make(places, longest_prompt_);
  }

  std::vector<std::vector<Rollout>> run() {
    while (true) {
      Active starting;
      admit(starting);
      if (active_.empty() && starting.empty()) break;
      at::Tensor drawn;
      {
        // With the drawing of tokens, which is not waited for on its own.
        base::Span span(profile_, base::Phase::kDecode);
        if (profile_ != nullptr && !active_.empty()) span.add(work_of_step(active_, work_));
        span.add(work_.sampling(static_cast<double>(active_.size() + starting.size())));
        drawn = step(starting);
      }
      const base::Span span(profile_, base::Phase::kSampling);
      take(starting, drawn);
      schedule_.retire(active_);
    }
    return schedule_.take_results();
  }

 private:
  /// Fills free slots with the next samples, computing prompts as they are needed.
  void admit(Active& starting) {
    while (schedule_.has_free_slot()) {
      if (!schedule_.has_waiting() && !prefill()) return;
      schedule_.start(starting);
    }
  }

  /// Computes the next prompts. False when none is left, or no place for one.
  bool prefill() {
    const auto prepared = schedule_.next_prompts(static_cast<std::int64_t>(free_places_.size()));
    if (prepared.empty()) return false;
    base::Span span(profile_, base::Phase::kPrefill);
    std::vector<const Prompt*> prompts;
    std::vector<std::int64_t> rows;  // of the prompts' cache, for each token
    for (const auto& state : prepared) {
      state->place = free_places_.back();
      free_places_.pop_back();
      state->free_places = &free_places_;
      prompts.push_back(&schedule_.prompt(*state));
      for (std::int64_t i = 0; i < state->length; ++i) rows.push_back(state->place * longest_prompt_ + i);
    }
    const PackedBatch batch = pack_prompts(prompts, vocabulary_);
    span.add(work_.forward(pass_of(batch, work_)));
    const at::Tensor to = upload(rows, decoder_.device());
    const at::Tensor hidden = decoder_.forward(batch, [&](std::size_t layer, const at::Tensor& heads) {
      for (const std::int64_t which : {0, 1}) {
        at::Tensor cache =
            prompts_cache_.select(0, static_cast<std::int64_t>(layer)).select(0, which).view({-1, shape_.key_width()});
        cache.index_copy_(0, to,
                          heads.narrow(1, shape_.query_width() + which * shape_.key_width(), shape_.key_width()));
      }
    });
    const at::Tensor logits =
        linear_map(decoder_.head_states(hidden, batch), decoder_.head().narrow(0, 0, vocabulary_));
    for (std::size_t i = 0; i < prepared.size(); ++i) {
      prepared[i]->logits = logits.select(0, static_cast<std::int64_t>(i));
      schedule_.make_wait(prepared[i]);
    }
    if (profile_ != nullptr) wait_for(decoder_.device());
    return true;
  }

  /// One token for every active sequence and for every starting one: [active + starting, 5] in host memory.
  at::Tensor step(const Active& starting) {
    // One copy for all that the device is told: token, position, slot, place, prompt length, filled rows, random number.
    const std::size_t active = active_.size(), count = active + starting.size();
    at::Tensor told = at::empty({7, static_cast<std::int64_t>(count)},
                                at::TensorOptions().dtype(at::kLong).pinned_memory(decoder_.device().is_cuda()));
    std::int64_t* const begin = told.data_ptr<std::int64_t>();
    DecodeRows rows;
    for (std::size_t i = 0; i < count; ++i) {
      const Sequence<PlacedPrompt>& sequence = i < active ? active_[i] : starting[i - active];
      const std::vector<TokenId>& tokens = sequence.rollout.tokens;
      const std::int64_t length = sequence.prompt->length, filled = static_cast<std::int64_t>(tokens.size()) - 1;
      const std::int64_t values[] = {tokens.empty() ? 0 : tokens.back(),
                                     length + filled,
                                     sequence.slot,
                                     sequence.prompt->place,
                                     length,
                                     filled,
                                     std::bit_cast<std::int64_t>(schedule_.next_uniform(sequence))};
      for (std::size_t k = 0; k < 7; ++k) begin[k * count + i] = values[k];
      if (i < active) {
        rows.longest_prompt = std::max(rows.longest_prompt, length);
        rows.longest = std::max(rows.longest, filled);
      }
    }
    const at::Tensor known = told.to(decoder_.device(), /*non_blocking=*/true);
    const at::Tensor uniforms = known.select(0, 6).view(at::kDouble);
    std::vector<at::Tensor> drawn;
    if (active > 0) {
      const auto n = static_cast<std::int64_t>(active);
      const auto row = [&](std::int64_t k) { return known.select(0, k).narrow(0, 0, n); };
      rows.slots = row(2);
      rows.places = row(3);
      rows.prompt_lengths = row(4);
      rows.lengths = row(5);
      drawn.push_back(draw_rows(decode(row(0), row(1), rows), uniforms.narrow(0, 0, n), request_.sampling));
    }
    draw_starting(starting, uniforms, drawn);
    const at::Tensor all = at::cat(drawn);
    return in_host_memory(all);
  }

  /// The next logits of every active sequence, [active, vocabulary].
  at::Tensor decode(const at::Tensor& ids, const at::Tensor& positions, const DecodeRows& rows) {
    const ModelConfig& config = decoder_.config();
    const RotaryTable& rotary = decoder_.rotary(rows.longest_prompt + rows.longest + 1);
    at::Tensor x = decoder_.embedding().index_select(0, ids).to(decoder_.final_norm().scalar_type());
    for (std::size_t l = 0; l < decoder_.layers().size(); ++l) {
      const LayerWeights& layer = decoder_.layers()[l];
      const auto cached = [&](const at::Tensor& cache, std::int64_t which) {
        return cache.select(0, static_cast<std::int64_t>(l)).select(0, which);
      };
      const DeviceCache cache = {cached(slots_cache_, 0), cached(slots_cache_, 1), cached(prompts_cache_, 0),
                                 cached(prompts_cache_, 1)};
      x = decoder_.run_layer(l, x, [&](const at::Tensor& qkv) {
        const at::Tensor prepared = plain::prepare_heads(qkv, layer.query_norm, layer.key_norm, positions, rotary,
                                                         shape_, decoder_.head_norm(), config.rms_norm_eps);
        return cuda::can_decode_attention(prepared, shape_)
                   ? cuda::decode_attention(prepared, cache, rows, shape_, config.window(l))
                   : plain::decode_attention(prepared, cache, rows, shape_, config.window(l));
      });
    }
    return linear_map(rms_norm(x, decoder_.final_norm(), config.rms_norm_eps),
                      decoder_.head().narrow(0, 0, vocabulary_));
  }

  /// Samples of one prompt start one after another: they share its row of logits.
  void draw_starting(const Active& starting, const at::Tensor& uniforms, std::vector<at::Tensor>& drawn) {
    const auto first = static_cast<std::int64_t>(active_.size()), count = static_cast<std::int64_t>(starting.size());
    const std::int64_t at_once = std::max<std::int64_t>(1, (std::int64_t{1} << 26) / vocabulary_);
    for (std::int64_t begin = 0, end = 0; begin < count; begin = end) {
      std::vector<at::Tensor> logits;
      while (end < count && end - begin < at_once) {
        const PlacedPrompt* const prompt = starting[static_cast<std::size_t>(end)].prompt.get();
        const std::int64_t run = end;
        while (end < count && end - begin < at_once && starting[static_cast<std::size_t>(end)].prompt.get() == prompt)
          ++end;
        logits.push_back(prompt->logits.unsqueeze(0).expand({end - run, vocabulary_}));
      }
      drawn.push_back(draw_rows(at::cat(logits), uniforms.narrow(0, first + begin, end - begin), request_.sampling));
    }
  }

  /// Adds the drawn tokens to their sequences; those that started are active then.
  void take(Active& starting, const at::Tensor& drawn) {
    std::move(starting.begin(), starting.end(), std::back_inserter(active_));
    const double* next = drawn.const_data_ptr<double>();
    for (auto& sequence : active_) {
      Rollout& rollout = sequence.rollout;
      rollout.tokens.push_back(static_cast<TokenId>(next[0]));
      rollout.logprob.push_back(static_cast<float>(next[1]));
      rollout.entropy.push_back(static_cast<float>(next[2]));
      rollout.self_certainty.push_back(static_cast<float>(next[3]));
      rollout.gap.push_back(static_cast<float>(next[4]));
      next += 5;
    }
  }

  Decoder& decoder_;
  const RolloutRequest& request_;
  const std::int64_t vocabulary_;
  const ModelWork& work_;
  base::Profile* const profile_;
  const kernels::HeadShape shape_;
  std::int64_t longest_prompt_ = 1;
  std::vector<std::int64_t> free_places_;  // outlives the prompts that give theirs back
  at::Tensor slots_cache_;                 ///< [layers, 2, slots, capacity, key width]
  at::Tensor prompts_cache_;               ///< [layers, 2, places, longest prompt, key width]
  Schedule<PlacedPrompt> schedule_;
  Active active_;
};

}  // namespace

std::vector<std::vector<Rollout>> sample_on_device(Decoder& decoder, const RolloutRequest& request,
                                                   std::int64_t vocabulary, const ModelWork& work,
                                                   base::Profile* profile) {
  return DeviceSampler(decoder, request, vocabulary, work, profile).run();
}

}  // namespace whet::engine
