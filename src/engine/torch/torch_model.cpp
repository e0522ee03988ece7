#include "engine/torch/torch_model.h"

#include <ATen/ops/_fused_adamw.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "engine/safetensors.h"
#include "engine/torch/device.h"
#include "engine/torch/sampler.h"

namespace whet::engine {
namespace {

constexpr std::int64_t kScoringRows = 16384;
constexpr const char* kMasters = "master_weights";

/// Of a tensor in host memory.
std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

/// A tensor made of the bytes of a file, of another's type and place.
at::Tensor tensor_of(const TensorView& view, const at::Tensor& like) {
  at::Tensor result = at::empty(like.sizes(), like.options().device(at::kCPU));
  std::memcpy(result.data_ptr(), view.bytes.data(), view.bytes.size());
  return result.to(like.device());
}

}  // namespace

TorchModel::TorchModel(std::shared_ptr<Decoder> decoder, const EngineOptions& options, std::filesystem::path folder)
    : decoder_(std::move(decoder)),
      options_(options),
      folder_(std::move(folder)),
      vocabulary_(options.vocabulary_in_use > 0 ? options.vocabulary_in_use : decoder_->config().vocab_size),
      work_(decoder_->config(), vocabulary_, decoder_->lora(), decoder_->computed_weights().element_size()) {
  const std::int64_t rows = decoder_->config().vocab_size;
  if (vocabulary_ > rows) {
    base::user_error("model", "the tokenizer has {} tokens, want at most the model's {}", vocabulary_, rows);
  }
}

std::vector<std::vector<Rollout>> TorchModel::rollout(const RolloutRequest& request) {
  return sample(*decoder_, request, vocabulary_, work_, options_.profile);
}

std::vector<std::vector<std::vector<float>>> TorchModel::logprobs(std::span<const SharedPromptBatch> groups,
                                                                  double temperature) {
  const torch::NoGradGuard no_grad;
  std::vector<std::vector<float>> flat;
  for (const PackedBatch& batch : pack(groups, kScoringRows, vocabulary_)) {
    base::Span span(options_.profile, base::Phase::kForward, "log-probs");
    span.add(work_.forward(pass_of(batch, work_)));
    const at::Tensor values = in_host_memory(decoder_->logprobs(batch, vocabulary_, temperature));
    const float* next = values.const_data_ptr<float>();
    for (const std::size_t length : batch.response_lengths) {
      flat.emplace_back(next, next + length);
      next += length;
    }
  }
  std::vector<std::vector<std::vector<float>>> result;
  auto response = flat.begin();
  for (const SharedPromptBatch& group : groups) {
    const auto count = static_cast<std::ptrdiff_t>(group.responses.size());
    result.emplace_back(std::make_move_iterator(response), std::make_move_iterator(response + count));
    response += count;
  }
  return result;
}

std::vector<TokenScores> TorchModel::score(std::span<const std::vector<TokenId>> sequences, double temperature) {
  std::vector<SharedPromptBatch> groups;
  std::vector<std::size_t> places;  // of each group's sequence
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const std::vector<TokenId>& tokens = sequences[i];
    if (static_cast<std::int64_t>(tokens.size()) > config().max_position_embeddings) {
      base::user_error("engine", "a sequence of {} tokens, want at most {} (max_position_embeddings)", tokens.size(),
                       config().max_position_embeddings);
    }
    if (tokens.size() < 2) continue;
    groups.push_back({{tokens.front()}, {{tokens.begin() + 1, tokens.end()}}});
    places.push_back(i);
  }
  std::vector<TokenScores> result(sequences.size());
  for (const PackedBatch& batch : pack(groups, kScoringRows, vocabulary_)) {
    base::Span span(options_.profile, base::Phase::kForward, "statistics");
    span.add(work_.forward(pass_of(batch, work_)));
    const TargetStatistics on_device = decoder_->statistics(batch, vocabulary_, temperature);
    const TargetStatistics values = {in_host_memory(on_device.logprob), in_host_memory(on_device.entropy),
                                     in_host_memory(on_device.self_certainty), in_host_memory(on_device.gap)};
    std::size_t offset = 0;
    for (std::size_t r = 0; r < batch.response_count; ++r) {
      const std::size_t length = batch.response_lengths[r];
      const auto copy = [&](const at::Tensor& from) {
        const float* begin = from.const_data_ptr<float>() + offset;
        return std::vector<float>(begin, begin + length);
      };
      result[places[batch.first_response + r]] = {copy(values.logprob), copy(values.entropy),
                                                  copy(values.self_certainty), copy(values.gap)};
      offset += length;
    }
  }
  return result;
}

void TorchModel::accumulate_gradient(std::span<const SharedPromptBatch> groups, double temperature,
                                     std::int64_t token_budget, const PolicyGradient& gradient_of) {
  decoder_->gradients();  // before the way forward: weights in bfloat16 must have a place for theirs
  for (const PackedBatch& batch : pack(groups, token_budget, vocabulary_)) {
    const Pass pass = pass_of(batch, work_);
    at::Tensor logprobs, values;
    {
      base::Span span(options_.profile, base::Phase::kForward);
      span.add(work_.forward(pass));
      logprobs = decoder_->logprobs(batch, vocabulary_, temperature);
      values = in_host_memory(logprobs.detach());
    }
    at::Tensor gradient = at::zeros({values.numel()}, at::kFloat);
    gradient_of(batch.first_response, batch.response_count,
                {values.const_data_ptr<float>(), static_cast<std::size_t>(values.numel())},
                {gradient.data_ptr<float>(), static_cast<std::size_t>(gradient.numel())});
    base::Span span(options_.profile, base::Phase::kBackward);
    span.add(work_.backward(pass));
    logprobs.backward(gradient.to(logprobs.device()));
    if (options_.profile != nullptr) wait_for(decoder_->device());
  }
}

double TorchModel::optimizer_step(const AdamOptions& options) {
  const torch::NoGradGuard no_grad;
  base::Span span(options_.profile, base::Phase::kOptimizer);
  at::Tensor& gradient = decoder_->gradients();
  const double norm = by_kernels(gradient)
                          ? std::sqrt(kernels::sum_of_squares(gradient.const_data_ptr<float>(), gradient.numel()))
                          : at::linalg_vector_norm(gradient).item<double>();
  if (!std::isfinite(norm)) {
    base::run_error("optimizer", "the gradient's norm is {}, want a finite number (weights left as they were)", norm);
  }
  const bool clips = options.clip > 0 && norm > options.clip;
  span.add(work_.optimizer(clips));
  if (clips) gradient.mul_(options.clip / (norm + 1e-6));
  if (!first_moment_.defined()) {
    first_moment_ = at::zeros_like(gradient);
    second_moment_ = at::zeros_like(gradient);
  }
  ++steps_;
  at::_fused_adamw_({decoder_->trained()}, {gradient}, {first_moment_}, {second_moment_}, {},
                    {at::scalar_tensor(static_cast<double>(steps_), gradient.options())}, options.learning_rate,
                    options.beta1, options.beta2, options.weight_decay, options.epsilon, /*amsgrad=*/false,
                    /*maximize=*/false);
  if (decoder_->lora().rank == 0) decoder_->round_weights();
  gradient.zero_();
  if (options_.profile != nullptr) wait_for(decoder_->device());
  return norm;
}

namespace {

/// Copies in host memory of windows on a device; the windows themselves where they are there already.
std::vector<Decoder::NamedWindow> host_windows(std::vector<Decoder::NamedWindow> windows) {
  for (auto& entry : windows) entry.window = in_host_memory(entry.window);
  return windows;
}

void write_folder(const std::filesystem::path& folder, const std::vector<Decoder::NamedWindow>& windows, DType dtype,
                  const ModelConfig& config, std::string_view dtype_name, std::int64_t shard_bytes) {
  std::vector<NamedTensor> tensors;
  for (const auto& [name, window] : windows) {
    tensors.push_back({name, dtype, {window.sizes().begin(), window.sizes().end()}, bytes_of(window)});
  }
  write_checkpoint(folder, tensors, shard_bytes);
  base::Json json = config_json(config);
  json["torch_dtype"] = dtype_name;
  base::write_file(folder / "config.json", json.dump(2) + "\n");
  base::write_file(folder / "generation_config.json", generation_config_json(config).dump(2) + "\n");
}

}  // namespace

void TorchModel::save(const std::filesystem::path& folder) const {
  if (decoder_->lora().rank == 0) {
    const bool is_half = decoder_->computed_weights().scalar_type() == at::kBFloat16;
    write_folder(folder, host_windows(decoder_->named_computed_weights()), is_half ? DType::kBF16 : DType::kF32,
                 config(), is_half ? "bfloat16" : "float32", options_.shard_bytes);
    return;
  }
  std::vector<NamedTensor> tensors;
  const auto windows = host_windows(decoder_->named_adapters());
  for (const auto& [name, window] : windows) {
    tensors.push_back({name, DType::kF32, {window.sizes().begin(), window.sizes().end()}, bytes_of(window)});
  }
  write_safetensors(folder / "adapter_model.safetensors", tensors);
  const auto base = folder_.empty() ? folder_ : std::filesystem::absolute(folder_).lexically_normal();
  base::write_file(folder / "adapter_config.json", adapter_config_json(decoder_->lora(), base).dump(2) + "\n");
}

void TorchModel::load_adapters(const std::filesystem::path& folder) {
  if (decoder_->lora().rank == 0)
    base::user_error("model", "{} has adapters, but this model was opened without", folder.string());
  const torch::NoGradGuard no_grad;
  decoder_->load_adapters(folder);
}

void TorchModel::save_merged(const std::filesystem::path& folder, const std::string& dtype) const {
  const std::tuple<const char*, DType, at::ScalarType> known[] = {{"float32", DType::kF32, at::kFloat},
                                                                  {"bfloat16", DType::kBF16, at::kBFloat16},
                                                                  {"float16", DType::kF16, at::kHalf}};
  for (const auto& [name, stored, type] : known) {
    if (dtype != name) continue;
    auto windows = decoder_->merged_weights();
    for (auto& [tensor_name, window] : windows) {
      window = in_host_memory(window.to(type));
      if (!at::isfinite(window).all().item<bool>()) {
        base::run_error("export", "{} has values that {} cannot hold (or that are not finite), want another dtype",
                        tensor_name, dtype);
      }
    }
    write_folder(folder, windows, stored, config(), dtype, options_.shard_bytes);
    return;
  }
  base::user_error("dtype", "'{}', want float32, bfloat16 or float16", dtype);
}

void TorchModel::save_optimizer(const std::filesystem::path& file) const {
  const at::Tensor empty = at::zeros({0}, at::kFloat);
  const at::Tensor first = first_moment_.defined() ? in_host_memory(first_moment_) : empty;
  const at::Tensor second = second_moment_.defined() ? in_host_memory(second_moment_) : empty;
  const at::Tensor steps = at::scalar_tensor(steps_, at::kLong);
  std::vector<NamedTensor> tensors = {{"first_moment", DType::kF32, {first.numel()}, bytes_of(first)},
                                      {"second_moment", DType::kF32, {second.numel()}, bytes_of(second)},
                                      {"steps", DType::kI64, {}, bytes_of(steps)}};
  const at::Tensor masters = decoder_->has_masters() ? in_host_memory(decoder_->weights()) : empty;
  if (decoder_->has_masters()) {
    tensors.push_back({kMasters, DType::kF32, {masters.numel()}, bytes_of(masters)});
  }
  write_safetensors(file, tensors);
}

at::Tensor TorchModel::masters_of(const SafetensorsFile& stored, const std::filesystem::path& file) const {
  const TensorView* view = stored.find(kMasters);
  if (!decoder_->has_masters()) {
    if (view == nullptr) return {};
    base::user_error(
        "optimizer",
        "{} has the float32 masters of weights in bfloat16, want a model that is opened with precision bfloat16",
        file.string());
  }
  if (view == nullptr) {
    base::user_error(
        "optimizer",
        "{} has no {}, the float32 masters of weights in bfloat16 (was it written with another precision?)",
        file.string(), kMasters);
  }
  const std::size_t wanted = decoder_->weights().nbytes();
  if (view->dtype != DType::kF32 || view->bytes.size() != wanted) {
    base::user_error("optimizer", "{}: {} bytes of {}, want {} of type F32 (does it belong to this model?)",
                     file.string(), view->bytes.size(), kMasters, wanted);
  }
  at::Tensor masters = tensor_of(*view, decoder_->weights());
  if (!at::equal(masters.to(at::kBFloat16), decoder_->computed_weights())) {
    base::user_error("optimizer", "{}: {} do not round to the model's weights, want those of the same checkpoint",
                     file.string(), kMasters);
  }
  return masters;
}

void TorchModel::load_optimizer(const std::filesystem::path& file) {
  const SafetensorsFile stored(file);
  const auto get = [&](const char* name, DType dtype) -> const TensorView& {
    const TensorView* view = stored.find(name);
    if (view == nullptr || view->dtype != dtype)
      base::user_error("optimizer", "{}: no {} of type {}", file.string(), name, dtype_name(dtype));
    return *view;
  };
  const TensorView& first = get("first_moment", DType::kF32);
  const TensorView& second = get("second_moment", DType::kF32);
  const TensorView& stored_steps = get("steps", DType::kI64);
  std::int64_t steps = 0;
  if (stored_steps.bytes.size() != sizeof(steps))
    base::user_error("optimizer", "{}: steps is not one number", file.string());
  std::memcpy(&steps, stored_steps.bytes.data(), sizeof(steps));
  const std::size_t wanted = decoder_->trained().nbytes();
  const at::Tensor masters = masters_of(stored, file);
  const auto set_masters = [&] {
    if (!masters.defined()) return;
    decoder_->weights().copy_(masters);
    decoder_->round_weights();
  };
  if (first.bytes.empty() && second.bytes.empty() && steps == 0) {
    first_moment_ = second_moment_ = at::Tensor();
    steps_ = 0;
    set_masters();
    return;
  }
  if (first.bytes.size() != wanted || second.bytes.size() != wanted) {
    base::user_error("optimizer", "{}: {} bytes of moments, want {} (does it belong to this model?)", file.string(),
                     first.bytes.size(), wanted);
  }
  steps_ = steps;
  first_moment_ = tensor_of(first, decoder_->trained());
  second_moment_ = tensor_of(second, decoder_->trained());
  set_masters();
}

void TorchModel::move_towards(const Model& other, double share) {
  if (!(share >= 0 && share <= 1)) base::user_error("model", "a share of {} to move, want within 0..1", share);
  const auto* goal = dynamic_cast<const TorchModel*>(&other);
  if (decoder_->is_frozen()) throw std::logic_error("a frozen model does not move");
  if (goal == nullptr || !goal->decoder_->trained().sizes().equals(decoder_->trained().sizes())) {
    base::user_error("model", "{} and {} parameters, want two models of one shape to move between", parameter_count(),
                     other.parameter_count());
  }
  const torch::NoGradGuard no_grad;
  decoder_->trained().lerp_(goal->decoder_->trained().to(decoder_->trained().options()), share);
  if (decoder_->lora().rank == 0) decoder_->round_weights();
}

std::unique_ptr<Model> TorchModel::clone() const {
  return std::make_unique<TorchModel>(decoder_->clone(), options_, folder_);
}

}  // namespace whet::engine
