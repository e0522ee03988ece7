// What transformers computes for two tiny checkpoints (tests/golden/make_qwen3_golden.py), held against the plain reference
// in double and against the engine in float32.
#include "base/json.h"
#include "engine/safetensors.h"
#include "tests/engine/torch/fixtures.h"
#include "tests/engine/torch/reference.h"

namespace whet::engine {
namespace {

struct Golden {
  std::filesystem::path folder;
  ModelConfig config;
  std::vector<std::vector<TokenId>> sequences;
  std::vector<at::Tensor> logits;  // [T, V] each, float64
  double loss = 0;
  std::map<std::string, at::Tensor> gradients;  // stored as float32

  explicit Golden(const std::string& name)
      : folder(std::filesystem::path(WHET_SOURCE_DIR) / "tests/golden" / name), config(read_model_config(folder)) {
    const base::Json expected = base::read_json_file(folder / "expected.json");
    loss = expected.at("loss").get<double>();
    for (const auto& sequence : expected.at("sequences")) sequences.push_back(sequence.get<std::vector<TokenId>>());
    for (const auto& rows : expected.at("logits")) {
      std::vector<double> flat;
      for (const auto& row : rows) {
        for (const auto& value : row) flat.push_back(value.get<double>());
      }
      logits.push_back(at::tensor(flat, at::kDouble).view({static_cast<std::int64_t>(rows.size()), -1}));
    }
    const SafetensorsFile stored(folder / "expected_gradients.safetensors");
    for (const auto& [tensor_name, view] : stored.tensors()) {
      at::Tensor values = at::empty(view.shape, at::kFloat);
      std::memcpy(values.data_ptr(), view.bytes.data(), view.bytes.size());
      gradients[tensor_name] = values;
    }
  }

  std::int64_t targets() const {
    std::int64_t count = 0;
    for (const auto& sequence : sequences) count += static_cast<std::int64_t>(sequence.size()) - 1;
    return count;
  }

  std::shared_ptr<Decoder> decoder(at::ScalarType dtype) const {
    auto result = std::make_shared<Decoder>(config, dtype);
    result->load(folder);
    return result;
  }

  /// Each sequence as a prompt of one token and one response.
  std::vector<SharedPromptBatch> groups() const {
    std::vector<SharedPromptBatch> all;
    for (const auto& sequence : sequences) all.push_back({{sequence[0]}, {{sequence.begin() + 1, sequence.end()}}});
    return all;
  }
};

/// The engine's logits of every row of every sequence, packed together.
at::Tensor all_logits(Decoder& decoder, const std::vector<std::vector<TokenId>>& sequences) {
  std::vector<Prompt> prompts;
  for (const auto& sequence : sequences) prompts.push_back({sequence, 0, 1});
  std::vector<const Prompt*> pointers;
  for (const Prompt& prompt : prompts) pointers.push_back(&prompt);
  const PackedBatch batch = pack_prompts(pointers, decoder.config().vocab_size);
  const at::Tensor normed = rms_norm(decoder.forward(batch), decoder.final_norm(), decoder.config().rms_norm_eps);
  return at::mm(normed, decoder.head().t());
}

class GoldenTest : public testing::TestWithParam<const char*> {};

TEST_P(GoldenTest, TheReferenceComputesWhatTransformersComputesInDouble) {
  const Golden golden(GetParam());
  const reference::Model model = reference::model_of(*golden.decoder(at::kDouble), /*exact_rotary=*/true);
  at::Tensor loss = at::zeros({}, at::kDouble);
  for (std::size_t i = 0; i < golden.sequences.size(); ++i) {
    expect_close(model.logits(golden.sequences[i]), golden.logits[i], 1e-10, "logits");
    const SharedPromptBatch group = golden.groups()[i];
    loss = loss - model.logprobs(group.prompt, group.responses[0], golden.config.vocab_size, 1.0).sum();
  }
  loss = loss / static_cast<double>(golden.targets());
  EXPECT_NEAR(loss.item<double>(), golden.loss, 1e-10);
  loss.backward();
  ASSERT_EQ(golden.gradients.size(), model.weights.size());
  for (const auto& [name, wanted] : golden.gradients) expect_close(model.at(name).grad(), wanted, 2e-7, name);
}

TEST_P(GoldenTest, TheEngineInDoubleDiffersFromTheReferenceByRoundingAlone) {
  const Golden golden(GetParam());
  const auto decoder = golden.decoder(at::kDouble);
  const reference::Model model = reference::model_of(*decoder);
  std::vector<at::Tensor> wanted;
  at::Tensor loss = at::zeros({}, at::kDouble);
  for (const SharedPromptBatch& group : golden.groups()) {
    loss = loss - model.logprobs(group.prompt, group.responses[0], golden.config.vocab_size, 1.0).sum();
  }
  for (const auto& sequence : golden.sequences) wanted.push_back(model.logits(sequence));
  loss.backward();
  expect_close(all_logits(*decoder, golden.sequences), at::cat(wanted), 1e-12, "logits");
  decoder->gradients();
  const auto groups = golden.groups();
  for (const PackedBatch& batch : pack(groups, 1 << 20, golden.config.vocab_size)) {
    (-decoder->logprobs(batch, golden.config.vocab_size, 1.0).sum()).backward();
  }
  for (const auto& [name, window] : decoder->named_gradients()) expect_close(window, model.at(name).grad(), 1e-11, name);
}

TEST_P(GoldenTest, TheEngineInFloatGivesTransformersLogitsLossAndGradients) {
  const Golden golden(GetParam());
  const auto decoder = golden.decoder(at::kFloat);
  expect_close(all_logits(*decoder, golden.sequences), at::cat(golden.logits), 1e-5, "logits");
  TorchModel model(decoder, {});
  double loss = 0;
  const auto targets = static_cast<float>(golden.targets());
  model.accumulate_gradient(golden.groups(), 1.0, 1 << 20,
                            [&](std::size_t, std::size_t, std::span<const float> logprob, std::span<float> gradient) {
                              for (std::size_t i = 0; i < logprob.size(); ++i) {
                                loss -= static_cast<double>(logprob[i]) / targets;
                                gradient[i] = -1.0f / targets;
                              }
                            });
  EXPECT_NEAR(loss, golden.loss, 1e-5 * golden.loss);
  for (const auto& [name, window] : decoder->named_gradients()) expect_close(window, golden.gradients.at(name), 2e-5, name);
}

TEST_P(GoldenTest, SavingWritesTheSameWeightsAndAConfigThatReadsBack) {
  const Golden golden(GetParam());
  const std::filesystem::path folder = testing::TempDir() + "whet_saved_" + GetParam();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const auto first = golden.decoder(at::kFloat);
  TorchModel(first, {}).save(folder);
  const ModelConfig config = read_model_config(folder);
  EXPECT_EQ(config_json(config), config_json(golden.config));
  EXPECT_EQ(config.eos_token_ids, golden.config.eos_token_ids);
  Decoder again(config, at::kFloat);
  again.load(folder);
  EXPECT_TRUE(same_bytes(first->weights(), again.weights()));
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Qwen3, GoldenTest, testing::Values("qwen3_untied", "qwen3_tied"));

}  // namespace
}  // namespace whet::engine
