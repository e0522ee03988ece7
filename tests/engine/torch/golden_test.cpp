// What transformers computes for tiny checkpoints, held against the plain reference in double and against the engine in
// float32: two of Qwen3 (tests/golden/make_qwen3_golden.py), and every family and variant (make_families.py).
#include <algorithm>

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
    if (std::filesystem::exists(folder / "expected.json")) {
      read_json();
    } else {
      read_tensors();
    }
  }

  static at::Tensor copy_of(const TensorView& view) {
    at::Tensor values = at::empty(view.shape, at::kFloat);
    std::memcpy(values.data_ptr(), view.bytes.data(), view.bytes.size());
    return values;
  }

  void read_about(const base::Json& expected) {
    loss = expected.at("loss").get<double>();
    for (const auto& sequence : expected.at("sequences")) sequences.push_back(sequence.get<std::vector<TokenId>>());
  }

  void read_json() {
    const base::Json expected = base::read_json_file(folder / "expected.json");
    read_about(expected);
    for (const auto& rows : expected.at("logits")) {
      std::vector<double> flat;
      for (const auto& row : rows) {
        for (const auto& value : row) flat.push_back(value.get<double>());
      }
      logits.push_back(at::tensor(flat, at::kDouble).view({static_cast<std::int64_t>(rows.size()), -1}));
    }
    const SafetensorsFile stored(folder / "expected_gradients.safetensors");
    for (const auto& [name, view] : stored.tensors()) gradients[name] = copy_of(view);
  }

  void read_tensors() {
    const SafetensorsFile stored(folder / "expected.safetensors");
    read_about(base::Json::parse(stored.metadata().at("about")));
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      logits.push_back(copy_of(*stored.find(fmt::format("logits.{}", i))).to(at::kDouble));
    }
    const std::string prefix = "gradient.";
    for (const auto& [name, view] : stored.tensors()) {
      if (name.starts_with(prefix)) gradients[name.substr(prefix.size())] = copy_of(view);
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

class GoldenTest : public testing::TestWithParam<std::string> {};
/// Qwen3's logits are stored in double, without the rounding of rotary tables.
class Qwen3GoldenTest : public GoldenTest {};

std::vector<std::string> family_folders() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(WHET_SOURCE_DIR) / "tests/golden/families")) {
    names.push_back("families/" + entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST_P(Qwen3GoldenTest, TheReferenceComputesWhatTransformersComputesInDouble) {
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
  for (const auto& [name, window] : decoder->named_gradients())
    expect_close(window, model.at(name).grad(), 1e-11, name);
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
  for (const auto& [name, window] : decoder->named_gradients())
    expect_close(window, golden.gradients.at(name), 2e-5, name);
}

TEST_P(GoldenTest, ASampledTokensLogprobIsTheUpdates) {
  const Golden golden(GetParam());
  TorchModel model(golden.decoder(at::kFloat), {});
  std::vector<Prompt> prompts;
  for (const auto& sequence : golden.sequences) prompts.push_back({sequence, prompts.size(), 4});
  const auto rollouts = model.rollout({prompts, {.max_new_tokens = 20}, 5});
  const auto logprobs = model.logprobs(as_batches(prompts, rollouts), 1.0);
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    for (std::size_t s = 0; s < rollouts[p].size(); ++s) {
      for (std::size_t t = 0; t < rollouts[p][s].tokens.size(); ++t) {
        EXPECT_NEAR(rollouts[p][s].logprob[t], logprobs[p][s][t], 1e-5);
      }
    }
  }
}

TEST_P(GoldenTest, SavingWritesTheSameWeightsAndAConfigThatReadsBack) {
  const Golden golden(GetParam());
  const std::filesystem::path folder = testing::TempDir() + "whet_saved_" + golden.folder.filename().string();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const auto first = golden.decoder(at::kFloat);
  TorchModel(first, {}).save(folder);
  const ModelConfig config = read_model_config(folder);
  EXPECT_EQ(config_json(config), config_json(golden.config));
  EXPECT_EQ(config.rope_scaling, golden.config.rope_scaling);
  EXPECT_EQ(config.layer_windows, golden.config.layer_windows);
  EXPECT_EQ(config.eos_token_ids, golden.config.eos_token_ids);
  Decoder again(config, at::kFloat);
  again.load(folder);
  EXPECT_TRUE(same_bytes(first->weights(), again.weights()));
  std::filesystem::remove_all(folder);
}

std::string test_name(const testing::TestParamInfo<std::string>& one) {
  return std::filesystem::path(one.param).filename().string();
}

INSTANTIATE_TEST_SUITE_P(Qwen3, GoldenTest, testing::Values("qwen3_untied", "qwen3_tied"), test_name);
INSTANTIATE_TEST_SUITE_P(Qwen3, Qwen3GoldenTest, testing::Values("qwen3_untied", "qwen3_tied"), test_name);
INSTANTIATE_TEST_SUITE_P(Families, GoldenTest, testing::ValuesIn(family_folders()), test_name);

}  // namespace
}  // namespace whet::engine
