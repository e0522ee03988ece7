// Weights that do not fit the config, or that this engine cannot read, are refused in one line that names file and tensor.
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "engine/safetensors.h"
#include "tests/engine/torch/fixtures.h"

namespace whet::engine {
namespace {

class LoadTest : public testing::Test {
 protected:
  LoadTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    for (const auto& [name, window] : decoder_->named_weights()) {
      tensors_.push_back({name,
                          DType::kF32,
                          {window.sizes().begin(), window.sizes().end()},
                          {static_cast<const std::byte*>(window.const_data_ptr()), window.nbytes()}});
    }
  }
  ~LoadTest() override { std::filesystem::remove_all(folder_); }

  NamedTensor& tensor(const std::string& name) {
    return *std::find_if(tensors_.begin(), tensors_.end(), [&](const NamedTensor& one) { return one.name == name; });
  }

  /// What loading says, after `change` was made to the weights; empty when it says nothing.
  std::string refusal(const std::function<void()>& change, bool tied = false) {
    const std::vector<NamedTensor> kept = tensors_;
    change();
    write_checkpoint(folder_, tensors_, 1 << 20);
    tensors_ = kept;
    ModelConfig config = decoder_->config();
    config.tie_word_embeddings = tied;
    Decoder loaded(config, at::kFloat);
    try {
      loaded.load(folder_);
    } catch (const base::UserError& error) {
      return error.what();
    }
    return "";
  }

  void expect_refusal(const std::string& message, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / fmt::format("whet_load_test_{}", ::getpid());
  const std::string file_ = (folder_ / "model.safetensors").string();
  std::shared_ptr<Decoder> decoder_ = random_decoder(odd_config(), at::kFloat, 71);
  std::vector<NamedTensor> tensors_;
};

TEST_F(LoadTest, NamesTheTensorThatDoesNotFitTheConfig) {
  EXPECT_EQ(refusal([] {}), "");
  expect_refusal(refusal([&] { tensor("model.layers.1.mlp.down_proj.weight").shape = {35, 26}; }),
                 {file_, "'model.layers.1.mlp.down_proj.weight'", "shape [35, 26], want [26, 35] from config.json"});
  expect_refusal(refusal([&] { tensors_.erase(tensors_.begin()); }), {file_, "no tensor 'model.embed_tokens.weight'"});
  expect_refusal(refusal([&] { tensors_.push_back({"model.layers.0.self_attn.q_proj.bias", DType::kF32, {0}, {}}); }),
                 {file_, "'model.layers.0.self_attn.q_proj.bias' has no place in a Qwen3ForCausalLM"});
}

TEST_F(LoadTest, NamesTheTensorWhoseTypeIsNotSupported) {
  const std::vector<std::byte> bytes(48);
  expect_refusal(
      refusal([&] {
        tensor("model.layers.0.self_attn.q_norm.weight") = {
            "model.layers.0.self_attn.q_norm.weight", DType::kI32, {12}, bytes};
      }),
      {file_, "'model.layers.0.self_attn.q_norm.weight': dtype I32 is not supported, want F32, BF16, F16 or F64"});
}

TEST_F(LoadTest, TakesATiedHeadThatIsTheEmbeddingAndRefusesAnother) {
  expect_refusal(refusal([] {}, /*tied=*/true),
                 {file_, "'lm_head.weight' differs from the embedding", "tie_word_embeddings"});
  EXPECT_EQ(refusal([&] { tensor("lm_head.weight").bytes = tensor("model.embed_tokens.weight").bytes; }, true), "");
}

TEST_F(LoadTest, PassesOverFrequenciesThatOldFilesHold) {
  const std::vector<float> frequencies(6, 1.0f);
  const NamedTensor old{
      "model.layers.0.self_attn.rotary_emb.inv_freq", DType::kF32, {6}, std::as_bytes(std::span(frequencies))};
  EXPECT_EQ(refusal([&] { tensors_.push_back(old); }), "");
}

TEST_F(LoadTest, ReadsWeightsOfEveryFloatingPointTypeAndShardsAlike) {
  for (const auto& [type, dtype] : std::vector<std::pair<at::ScalarType, DType>>{{at::kHalf, DType::kF16},
                                                                                 {at::kBFloat16, DType::kBF16},
                                                                                 {at::kDouble, DType::kF64},
                                                                                 {at::kFloat, DType::kF32}}) {
    std::vector<at::Tensor> stored;
    std::vector<NamedTensor> tensors;
    for (const auto& [name, window] : decoder_->named_weights()) {
      stored.push_back(window.detach().to(type));
      tensors.push_back({name,
                         dtype,
                         {window.sizes().begin(), window.sizes().end()},
                         {static_cast<const std::byte*>(stored.back().const_data_ptr()), stored.back().nbytes()}});
    }
    for (const std::int64_t shard_bytes : {1 << 20, 5000}) {
      write_checkpoint(folder_, tensors, shard_bytes);
      Decoder loaded(decoder_->config(), at::kFloat);
      loaded.load(folder_);
      const auto windows = loaded.named_weights();
      for (std::size_t i = 0; i < windows.size(); ++i) {
        EXPECT_TRUE(same_bytes(windows[i].window, stored[i].to(at::kFloat)))
            << windows[i].name << " " << dtype_name(dtype);
      }
    }
  }
}

TEST_F(LoadTest, DynamicScalingEndsWhereFrequenciesWouldDependOnALength) {
  ModelConfig config = odd_config();
  config.rope_scaling = {RopeType::kDynamic, 2.0};
  TorchModel model(random_decoder(config, at::kFloat, 72), {});
  base::Random random{73};
  const std::vector<SharedPromptBatch> fits = {random_group(random, 50, {47}, 37)},
                                       beyond = {random_group(random, 50, {48}, 37)};
  EXPECT_NO_THROW(model.logprobs(fits, 1.0));
  try {
    model.logprobs(beyond, 1.0);
    FAIL() << "97 rows were taken";
  } catch (const base::UserError& error) {
    expect_refusal(error.what(), {"a sequence of 97 tokens, want at most 96 (max_position_embeddings)", "dynamic"});
  }
}

}  // namespace
}  // namespace whet::engine
