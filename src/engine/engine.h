// What the rest of the house sees of a model: rollouts out, updates in, all in host arrays.
//
// The implementation (src/engine/torch) lives in a shared library that is loaded when a model is opened, so that
// commands without a model start at once and run where PyTorch is absent. Nothing here mentions a tensor. A test can
// implement Model itself and drive the trainer without libtorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/profile.h"
#include "engine/lora.h"
#include "engine/model_config.h"

namespace whet::engine {

using TokenId = std::int32_t;

struct SamplingOptions {
  double temperature = 1.0;  ///< > 0; logits are divided by it
  double top_p = 1.0;        ///< in (0, 1]; nucleus sampling
  int top_k = 0;             ///< 0: off
  int max_new_tokens = 64;   ///< responses are cut here and marked truncated
  bool greedy = false;       ///< take the most likely token; the smallest id wins a tie
};

/// A prompt to sample from. `key` identifies the problem in the random draws.
struct Prompt {
  std::vector<TokenId> tokens;
  std::uint64_t key = 0;
  int samples = 1;
};

/// One sampled response. The per-token values belong to the distribution that was sampled from: logits divided by the
/// temperature, before top-p and top-k, over the vocabulary in use.
struct Rollout {
  std::vector<TokenId> tokens;        ///< including the end token, if it came
  std::vector<float> logprob;         ///< log pi_t(y_t)
  std::vector<float> entropy;         ///< nats
  std::vector<float> self_certainty;  ///< KL(U || pi_t), nats
  std::vector<float> gap;             ///< largest minus second largest probability
  bool truncated = false;             ///< no end token within the limit
};

/// What a model says of a given sequence: a value for each token after the first, of the distribution over what follows
/// the tokens before it. The statistics are those of Rollout.
struct TokenScores {
  std::vector<float> logprob;
  std::vector<float> entropy;
  std::vector<float> self_certainty;
  std::vector<float> gap;
};

struct RolloutRequest {
  std::span<const Prompt> prompts;
  SamplingOptions sampling;
  std::uint64_t stream = 0;  ///< key of this batch's draws: combine({seed, purpose, step})
  int max_active = 0;        ///< sequences decoded at once; 0: chosen by the engine
};

/// A prompt with responses that share it: the unit of scoring and training. The prompt is computed once.
struct SharedPromptBatch {
  std::vector<TokenId> prompt;
  std::vector<std::vector<TokenId>> responses;
};

/// Called for a run of consecutive responses (flattened over groups in order: first index, count). `logprob` holds
/// log pi(y_t) of their tokens, concatenated; the callee writes dLoss/dlogprob into `gradient` (same length).
using PolicyGradient = std::function<void(std::size_t first_response, std::size_t count, std::span<const float> logprob,
                                          std::span<float> gradient)>;

struct AdamOptions {
  double learning_rate = 1e-6;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;  ///< decoupled, on every weight, as PyTorch's AdamW
  double clip = 1.0;           ///< largest global gradient norm; 0: off
};

class Model {
 public:
  virtual ~Model() = default;

  virtual const ModelConfig& config() const = 0;
  virtual std::int64_t parameter_count() const = 0;

  /// Samples every prompt's responses. Result [prompt][sample]. A token's draw depends only on (stream, prompt key,
  /// sample index, position). UserError for options out of range or a prompt that does not fit the context.
  virtual std::vector<std::vector<Rollout>> rollout(const RolloutRequest& request) = 0;

  /// log pi(y_t) of every response token at a temperature. Result [group][response][token]. Keeps no gradient.
  virtual std::vector<std::vector<std::vector<float>>> logprobs(std::span<const SharedPromptBatch> groups,
                                                                double temperature) = 0;

  /// Statistics of given sequences at a temperature. Sequences of fewer than two tokens have none. UserError for a token
  /// outside the vocabulary or a sequence that does not fit the context.
  virtual std::vector<TokenScores> score(std::span<const std::vector<TokenId>> sequences, double temperature) = 0;

  /// Adds dLoss/dparameters to the gradient: log-probs go out through `gradient_of`, their gradients come back.
  /// Micro-batches hold at most `token_budget` tokens (a prompt with one response may exceed it).
  virtual void accumulate_gradient(std::span<const SharedPromptBatch> groups, double temperature,
                                   std::int64_t token_budget, const PolicyGradient& gradient_of) = 0;

  /// Clips, applies AdamW, clears the gradient. Returns the global gradient norm before clipping.
  /// RunError when it is not finite; the weights are then untouched.
  virtual double optimizer_step(const AdamOptions& options) = 0;

  /// Writes config.json, generation_config.json and model.safetensors (or shards) into an existing folder: the weights that it
  /// computes with, in their precision (masters go with the optimizer). With adapters:
  /// adapter_config.json and adapter_model.safetensors alone, as PEFT does.
  virtual void save(const std::filesystem::path& folder) const = 0;
  /// Sets the adapters from such a folder. UserError when it does not fit them.
  virtual void load_adapters(const std::filesystem::path& folder) = 0;
  /// As save without adapters: their corrections are added to the weights. `dtype`: float32, bfloat16 or float16.
  virtual void save_merged(const std::filesystem::path& folder, const std::string& dtype) const = 0;
  /// The optimizer's moments and step count, and the masters of weights in bfloat16, exactly.
  virtual void save_optimizer(const std::filesystem::path& file) const = 0;
  virtual void load_optimizer(const std::filesystem::path& file) = 0;

  /// Takes every weight that share of the way to the other model's: w + share (other - w). A moving average of a policy
  /// is a clone that moves 1 - decay towards it after each update. Optimizer state stays. UserError unless share is
  /// within 0..1 and both models have one shape.
  virtual void move_towards(const Model& other, double share) = 0;

  /// An independent copy with the same weights and no optimizer state. (Frozen weights are shared: nothing changes them.)
  virtual std::unique_ptr<Model> clone() const = 0;
};

/// What the matrices that a model computes with are stored in. Everything but their products is float32 either way, and so are
/// the sums of these.
enum class Precision {
  kFloat32,
  kBFloat16,  ///< all weights are rounded to bfloat16; what is trained has float32 masters, which are rounded after each update.
  ///< What they are multiplied with is rounded too where the processor multiplies bfloat16; engine_versions() says so
};

/// How a model is kept and trained.
struct EngineOptions {
  int threads = 0;                     ///< 0: base::usable_cores(), or what OMP_NUM_THREADS says
  std::string device = "cpu";          ///< cpu, cuda (the first GPU) or cuda:N
  std::int64_t vocabulary_in_use = 0;  ///< tokens that exist; rows of the embedding beyond are padding. 0: all
  Precision precision = Precision::kFloat32;
  bool is_frozen = false;  ///< it is only asked: in bfloat16 there are no masters, and an update is refused
  bool checkpoint_activations = false;       ///< compute each layer again on the way back, and keep only what enters it
  LoraOptions lora = {};                     ///< rank above 0: freeze the weights and train adapters over them
  std::int64_t shard_bytes = 5'000'000'000;  ///< larger weights are saved as several files of at most this size
  base::Profile* profile = nullptr;  ///< is told of every phase's time and work; outlives the model and its clones
};

/// Opens a Hugging Face model folder, or an adapter's: the model that it names, with the adapter over it. UserError naming
/// file and field when something is missing or does not fit.
std::unique_ptr<Model> open_model(const std::filesystem::path& folder, const EngineOptions& options);

/// A model with random weights (normal, standard deviation `config.initializer_range`) drawn under `seed`.
std::unique_ptr<Model> new_model(const ModelConfig& config, std::uint64_t seed, const EngineOptions& options);

/// Versions of the libraries the engine runs on, and what its products by weights in bfloat16 are computed in, for the manifest.
std::string engine_versions();

}  // namespace whet::engine
