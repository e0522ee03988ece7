// The engine on a device held against the engine over its kernels: same tokens under the same keys, log-probabilities to
// 1e-5, gradients to 1e-4. Each test runs with PyTorch's operations in host memory, which is all that a device runs but for
// its own kernels, and again on a GPU where there is one.
#include "engine/torch/device.h"

#include <cmath>
#include <filesystem>
#include <optional>

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "engine/torch/kernels_product.h"
#include "engine/torch/plain.h"
#include "tests/engine/torch/fixtures.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;

struct DeviceCase {
  std::string device;
  ModelConfig config;
  at::ScalarType type = at::kFloat;

  std::string name() const {
    return device + config.architecture + (config.tie_word_embeddings ? "Tied" : "") +
           (type == at::kBFloat16 ? "Bfloat16" : "");
  }
};
void PrintTo(const DeviceCase& one, std::ostream* out) { *out << one.device << ' ' << config_json(one.config).dump(); }

/// The GPU's cases only where there is one: elsewhere GpuTest says that they were left out.
std::vector<DeviceCase> device_cases() {
  std::vector<DeviceCase> all;
  for (const std::string device : {"plain", "cuda"}) {
    if (device == "cuda" && !at::hasCUDA()) continue;
    for (const ModelConfig& config : family_configs()) all.push_back({device, config});
    all.push_back({device, odd_config(3, 1, 20, /*tied=*/true)});
    all.push_back({device, family_configs()[1], at::kBFloat16});
  }
  return all;
}

class OnDevice : public testing::TestWithParam<DeviceCase> {
 protected:
  void SetUp() override {
    config_ = GetParam().config;
    host_decoder_ = random_decoder(config_, GetParam().type, 41);
    host_decoder_->round_weights();
    decoder_ = std::make_shared<Decoder>(config_, GetParam().type, /*has_masters=*/true, device());
    decoder_->copy_from(*host_decoder_);
  }

  // PyTorch's operations widen weights in bfloat16.
  const kernels::WidenedProducts widened_;

  at::Device device() const { return GetParam().device == "cuda" ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU); }

  /// While it lives, what is computed is computed as on the device.
  std::optional<PlainOperations> scope() const {
    return GetParam().device == "plain" ? std::optional<PlainOperations>(std::in_place) : std::nullopt;
  }

  void add_adapters() {
    const torch::NoGradGuard no_grad;
    for (const auto& decoder : {host_decoder_, decoder_})
      decoder->add_adapters({.rank = 3, .alpha = 6, .targets = lora_targets(), .seed = 5});
    host_decoder_->trained().normal_(0, 0.2);
    decoder_->trained().copy_(host_decoder_->trained());
  }

  void expect_same_gradients(const std::vector<SharedPromptBatch>& groups, std::int64_t token_budget,
                             double temperature) {
    TorchModel host(host_decoder_, {}), model(decoder_, {});
    const auto weigh = [](std::size_t first, std::size_t, std::span<const float> logprob, std::span<float> gradient) {
      for (std::size_t i = 0; i < gradient.size(); ++i)
        gradient[i] = std::sin(static_cast<float>(first + i)) + logprob[i];
    };
    for (int pass = 0; pass < 2; ++pass) {  // gradients add up
      host.accumulate_gradient(groups, temperature, token_budget, weigh);
      const auto plain = scope();
      model.accumulate_gradient(groups, temperature, token_budget, weigh);
    }
    const auto wanted = host_decoder_->named_gradients(), got = decoder_->named_gradients();
    ASSERT_EQ(got.size(), wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) expect_close(got[i].window.cpu(), wanted[i].window, 1e-4, got[i].name);
    const double norm = host.optimizer_step({.learning_rate = 0.01});
    EXPECT_NEAR(model.optimizer_step({.learning_rate = 0.01}), norm, 1e-4 * norm);
  }

  ModelConfig config_;
  std::shared_ptr<Decoder> host_decoder_, decoder_;
};

std::vector<Prompt> some_prompts(std::size_t count, int samples, std::uint64_t seed) {
  base::Random random{seed};
  std::vector<Prompt> prompts;
  for (std::size_t i = 0; i < count; ++i)
    prompts.push_back({random_tokens(random, random.between(1, 19), 37), random.next(), samples});
  return prompts;
}

void expect_near(const std::vector<float>& got, const std::vector<float>& wanted, const char* what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], wanted[i], 1e-5 * std::max(1.0f, std::abs(wanted[i]))) << what << ' ' << i;
}

TEST_P(OnDevice, RolloutsAreTheSameTokensUnderTheSameKeys) {
  TorchModel host(host_decoder_, {}), model(decoder_, {});
  std::vector<Prompt> prompts = some_prompts(6, 3, 3);
  prompts[2].samples = 0;
  prompts[4].samples = 9;
  const SamplingOptions samplings[] = {{.max_new_tokens = 18},
                                       {.temperature = 0.7, .top_p = 0.8, .max_new_tokens = 9},
                                       {.temperature = 1.3, .top_k = 5, .max_new_tokens = 1},
                                       {.top_p = 0.9, .top_k = 11, .max_new_tokens = 12},
                                       {.max_new_tokens = 9, .greedy = true}};
  for (const SamplingOptions& sampling : samplings) {
    for (const int max_active : {0, 5}) {
      const RolloutRequest request = {prompts, sampling, 17, max_active};
      const auto wanted = host.rollout(request);
      const auto plain = scope();
      const auto got = model.rollout(request);
      ASSERT_EQ(got.size(), wanted.size());
      for (std::size_t p = 0; p < got.size(); ++p) {
        ASSERT_EQ(got[p].size(), wanted[p].size());
        for (std::size_t s = 0; s < got[p].size(); ++s) {
          ASSERT_EQ(got[p][s].tokens, wanted[p][s].tokens) << "prompt " << p << ", sample " << s;
          EXPECT_EQ(got[p][s].truncated, wanted[p][s].truncated);
          expect_near(got[p][s].logprob, wanted[p][s].logprob, "log-prob");
          expect_near(got[p][s].entropy, wanted[p][s].entropy, "entropy");
          expect_near(got[p][s].self_certainty, wanted[p][s].self_certainty, "self-certainty");
          expect_near(got[p][s].gap, wanted[p][s].gap, "gap");
        }
      }
    }
  }
}

TEST_P(OnDevice, LogProbabilitiesAndStatisticsAreTheSame) {
  // Of the tokens in use; the rows beyond are padding.
  TorchModel host(host_decoder_, {.vocabulary_in_use = 31}), model(decoder_, {.vocabulary_in_use = 31});
  const auto groups = varied_groups(6, 31);
  std::vector<std::vector<TokenId>> sequences = {{}, {4}};
  for (const auto& group : groups) sequences.insert(sequences.end(), group.responses.begin(), group.responses.end());
  const auto wanted = host.logprobs(groups, 0.8);
  const auto wanted_scores = host.score(sequences, 1.4);
  const auto plain = scope();
  const auto got = model.logprobs(groups, 0.8);
  const auto scores = model.score(sequences, 1.4);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t r = 0; r < groups[g].responses.size(); ++r) expect_near(got[g][r], wanted[g][r], "log-prob");
  }
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    expect_near(scores[i].logprob, wanted_scores[i].logprob, "log-prob");
    expect_near(scores[i].entropy, wanted_scores[i].entropy, "entropy");
    expect_near(scores[i].self_certainty, wanted_scores[i].self_certainty, "self-certainty");
    expect_near(scores[i].gap, wanted_scores[i].gap, "gap");
  }
}

TEST_P(OnDevice, GradientsAndUpdatesAreTheSame) { expect_same_gradients(varied_groups(7, 37), 90, 0.9); }

TEST_P(OnDevice, GradientsOfRecomputedLayersAreTheSame) {
  decoder_->set_checkpointing(true);
  expect_same_gradients(varied_groups(8, 37), 4096, 1.0);
}

TEST_P(OnDevice, GradientsOfAdaptersAreTheSame) {
  add_adapters();
  expect_same_gradients(varied_groups(9, 37), 4096, 1.0);
}

TEST_P(OnDevice, WeightsAndOptimizerAreWrittenAndReadBack) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("whet-device-test-{}", ::getpid());
  fs::create_directories(folder / "host");
  fs::create_directories(folder / "device");
  const auto plain = scope();
  TorchModel model(decoder_, {});
  TorchModel(host_decoder_, {}).save(folder / "host");
  model.save(folder / "device");
  EXPECT_TRUE(base::read_file(folder / "host/model.safetensors") ==
              base::read_file(folder / "device/model.safetensors"));
  const auto weigh = [](std::size_t, std::size_t, std::span<const float>, std::span<float> gradient) {
    std::fill(gradient.begin(), gradient.end(), 1.0f);
  };
  const auto step = [&](TorchModel& one) {
    one.accumulate_gradient(varied_groups(10, 37), 1.0, 4096, weigh);
    one.optimizer_step({.learning_rate = 0.01});
  };
  step(model);
  model.save_optimizer(folder / "optimizer.safetensors");
  const auto copy = model.clone();
  auto& resumed = dynamic_cast<TorchModel&>(*copy);
  resumed.load_optimizer(folder / "optimizer.safetensors");
  for (TorchModel* one : {&model, &resumed}) {
    step(*one);
    one->save(folder / (one == &model ? "host" : "device"));
  }
  if (GetParam().device == "plain") {
    EXPECT_TRUE(base::read_file(folder / "host/model.safetensors") ==
                base::read_file(folder / "device/model.safetensors"));
  }
  EXPECT_NO_THROW(resumed.move_towards(model, 0.5));
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Families, OnDevice, testing::ValuesIn(device_cases()),
                         [](const auto& one) { return one.param.name(); });

TEST(GpuTest, TheTestsOfADeviceRunOnAGpuToo) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a PyTorch without CUDA: what needs one was not tested";
  EXPECT_GT(device_cases().size(), family_configs().size() + 2);
}

// The plan of the attention: pieces of long segments, chunks of unlike lengths.
TEST(PlainAttention, LongAndUnlikeSegmentsAreCutAndPaddedWithoutATrace) {
  base::Random random{12};
  const std::vector<SharedPromptBatch> groups = {random_group(random, 40, {2900, 3, 700, 690, 1, 5}, 37),
                                                 random_group(random, 2100, {30, 2}, 37)};
  const auto batches = pack(groups, 1 << 20, 37);
  const kernels::HeadShape shape{2, 1, 12};
  at::manual_seed(3);
  for (const PackedBatch& batch : batches) {
    for (const std::int64_t window : {0, 100}) {
      const at::Tensor rows = at::randn({batch.rows(), shape.qkv_width()});
      const at::Tensor direction = at::randn({batch.rows(), shape.query_width()});
      const at::Tensor ours = rows.clone().requires_grad_(true), theirs = rows.clone().requires_grad_(true);
      const at::Tensor wanted = attention(theirs, batch, shape, window);
      const at::Tensor got = plain::attention(ours, batch, shape, window);
      expect_close(got, wanted, 1e-5, "attention");
      got.backward(direction);
      wanted.backward(direction);
      expect_close(ours.grad(), theirs.grad(), 1e-4, "gradient");
    }
  }
  std::size_t chunks = 0;
  for (const PackedBatch& batch : batches) chunks += tensors_of(batch, at::kCPU).chunks.size();
  EXPECT_GT(chunks, 5u);
}

TEST(PlainHead, RowsInSeveralPiecesGiveTheSameValuesAndGradients) {
  base::Random random{13};
  constexpr std::int64_t kVocabulary = 1 << 19, kWidth = 2;  // 128 rows at once
  const std::vector<SharedPromptBatch> groups = {random_group(random, 5, {90, 1, 1}, kVocabulary),
                                                 random_group(random, 2, {60, 1}, kVocabulary)};
  const PackedBatch batch = pack(groups, 4096, kVocabulary).at(0);
  at::manual_seed(4);
  // In double: in float the library's own product over half a million tokens is off by 6e-4.
  const at::Tensor hidden = at::randn({static_cast<std::int64_t>(batch.head_rows.size()), kWidth}, at::kDouble);
  const at::Tensor weight = at::randn({kVocabulary, kWidth}, at::kDouble);
  ASSERT_GT(hidden.size(0), 128);
  const at::Tensor direction = at::randn({static_cast<std::int64_t>(batch.target_ids.size())}, at::kDouble);
  const auto run = [&](const auto& head) {
    std::vector<at::Tensor> inputs = {hidden.clone().requires_grad_(true), weight.clone().requires_grad_(true)};
    const at::Tensor logprobs = head(inputs[0], inputs[1]);
    logprobs.backward(direction);
    return std::vector<at::Tensor>{logprobs.detach(), inputs[0].grad(), inputs[1].grad()};
  };
  const auto wanted = run([&](const at::Tensor& h, const at::Tensor& w) { return target_logprobs(h, w, batch, 0.7); });
  const auto got =
      run([&](const at::Tensor& h, const at::Tensor& w) { return plain::target_logprobs(h, w, batch, 0.7, {}); });
  for (std::size_t i = 0; i < 3; ++i) expect_close(got[i], wanted[i], 1e-11, fmt::format("value {}", i));
}

TEST(FindDevice, TakesTheNamesItKnowsAndRefusesOthersInOneLine) {
  EXPECT_EQ(find_device("cpu"), at::Device(at::kCPU));
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cpu:0", "CUDA"}) {
    try {
      find_device(name);
      ADD_FAILURE() << name;
    } catch (const base::UserError& error) {
      EXPECT_NE(std::string(error.what()).find("want cpu, cuda or cuda:N"), std::string::npos) << error.what();
    }
  }
  if (!at::hasCUDA()) {
    EXPECT_THROW(find_device("cuda"), base::UserError);
  }
  EXPECT_THROW(find_device("cuda:4711"), base::UserError);
}

}  // namespace
}  // namespace whet::engine
