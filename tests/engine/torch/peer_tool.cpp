// What the engine computes with a checkpoint, written where tests/engine/families_peer_test.py can hold it against transformers.
//
//   whet_peer_tool MODEL SEQUENCES.json OUT SHARD_BYTES
//
// OUT/actual.safetensors: logits.0, logits.1, ... of the sequences; gradient.WEIGHT of the mean over all next tokens of
// -log p(next token); and how far log-probabilities while sampling are from those of the update at most, as "sampled".
// OUT/saved: the model as the engine writes it, in files of at most SHARD_BYTES.
// bfloat16.0, ... and OUT/saved_bfloat16: logits and files of the model in bfloat16.
#include <cmath>
#include <cstdio>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "engine/safetensors.h"
#include "engine/torch/kernels_product.h"
#include "tests/engine/torch/fixtures.h"

namespace whet::engine {
namespace {

/// The largest difference between a sampled token's log-probability and the one that training computes.
float sampled_difference(TorchModel& model, const std::vector<std::vector<TokenId>>& sequences) {
  std::vector<Prompt> prompts;
  for (const auto& sequence : sequences) prompts.push_back({sequence, prompts.size(), 6});
  const auto rollouts = model.rollout({prompts, {.max_new_tokens = 16}, 11});
  const auto logprobs = model.logprobs(as_batches(prompts, rollouts), 1.0);
  float worst = 0;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    for (std::size_t s = 0; s < rollouts[p].size(); ++s) {
      for (std::size_t t = 0; t < rollouts[p][s].tokens.size(); ++t) {
        worst = std::max(worst, std::abs(rollouts[p][s].logprob[t] - logprobs[p][s][t]));
      }
    }
  }
  return worst;
}

void run(const std::filesystem::path& folder, const std::filesystem::path& sequences_file,
         const std::filesystem::path& out, std::int64_t shard_bytes) {
  const auto sequences = base::read_json_file(sequences_file).get<std::vector<std::vector<TokenId>>>();
  auto decoder = std::make_shared<Decoder>(read_model_config(folder), at::kFloat);
  decoder->load(folder);
  TorchModel model(decoder, {.shard_bytes = shard_bytes});

  // In the peer's arithmetic: float32, of weights that are widened.
  const kernels::WidenedProducts widened;
  auto half = std::make_shared<Decoder>(read_model_config(folder), at::kBFloat16);
  half->load(folder);

  std::vector<std::pair<std::string, at::Tensor>> results;
  const at::Tensor logits = all_logits(*decoder, sequences).detach(),
                   half_logits = all_logits(*half, sequences).detach();
  std::int64_t row = 0, targets = 0;
  std::vector<SharedPromptBatch> groups;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto length = static_cast<std::int64_t>(sequences[i].size());
    results.emplace_back(fmt::format("logits.{}", i), logits.narrow(0, row, length).contiguous());
    results.emplace_back(fmt::format("bfloat16.{}", i), half_logits.narrow(0, row, length).contiguous());
    groups.push_back({{sequences[i][0]}, {{sequences[i].begin() + 1, sequences[i].end()}}});
    row += length;
    targets += length - 1;
  }
  model.accumulate_gradient(groups, 1.0, 1 << 20,
                            [&](std::size_t, std::size_t, std::span<const float>, std::span<float> gradient) {
                              std::fill(gradient.begin(), gradient.end(), -1.0f / static_cast<float>(targets));
                            });
  for (const auto& [name, window] : decoder->named_gradients()) results.emplace_back("gradient." + name, window);
  results.emplace_back("sampled", at::full({1}, sampled_difference(model, sequences)));

  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : results) {
    tensors.push_back({name,
                       DType::kF32,
                       {tensor.sizes().begin(), tensor.sizes().end()},
                       {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  std::filesystem::create_directories(out / "saved");
  std::filesystem::create_directories(out / "saved_bfloat16");
  write_safetensors(out / "actual.safetensors", tensors);
  model.save(out / "saved");
  TorchModel(half, {.shard_bytes = shard_bytes}).save(out / "saved_bfloat16");
}

}  // namespace
}  // namespace whet::engine

int main(int count, char** arguments) {
  if (count != 5) {
    std::fprintf(stderr, "usage: whet_peer_tool MODEL SEQUENCES.json OUT SHARD_BYTES\n");
    return 2;
  }
  try {
    whet::engine::run(arguments[1], arguments[2], arguments[3], std::stoll(arguments[4]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
