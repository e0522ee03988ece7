// Adapters over frozen weights, and layers that are computed again on the way back: gradients, sampling, files, resuming.
#include <unistd.h>

#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/lora.h"
#include "engine/safetensors.h"
#include "tests/engine/torch/fixtures.h"
#include "tests/engine/torch/reference.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;

const LoraOptions kAll{.rank = 3, .alpha = 5, .targets = lora_targets(), .seed = 4};
const LoraOptions kFew{.rank = 2, .alpha = 1, .targets = {"q_proj", "v_proj"}, .seed = 4};

std::vector<ModelConfig> configs() {
  std::vector<ModelConfig> all = family_configs();
  all.push_back(odd_config(4, 2, 12, /*tied=*/true));
  return all;
}

/// Adapters that have been trained, as it were: both matrices random.
std::shared_ptr<Decoder> adapted_decoder(const ModelConfig& config, at::ScalarType dtype, const LoraOptions& options) {
  auto decoder = random_decoder(config, dtype);
  const torch::NoGradGuard no_grad;
  decoder->add_adapters(options);
  at::manual_seed(31);
  decoder->trained().copy_(0.3 * at::randn(decoder->trained().sizes(), at::kDouble));
  return decoder;
}

std::shared_ptr<Decoder> merged_decoder(const Decoder& adapted) {
  auto plain = std::make_shared<Decoder>(adapted.config(), adapted.weights().scalar_type());
  const torch::NoGradGuard no_grad;
  const auto from = adapted.merged_weights(), to = plain->named_weights();
  for (std::size_t i = 0; i < to.size(); ++i) to[i].window.copy_(from[i].window);
  return plain;
}

/// The gradient of a weighted sum of log-probabilities, in micro-batches.
at::Tensor gradient_of(Decoder& decoder, std::int64_t budget = 64) {
  decoder.gradients().zero_();
  const auto groups = varied_groups(21, 37);
  for (const PackedBatch& batch : pack(groups, budget, 37)) {
    const at::Tensor logprobs = decoder.logprobs(batch, 37, 0.8);
    logprobs.backward(
        at::sin(at::arange(logprobs.numel(), logprobs.options()) + static_cast<double>(batch.first_response)));
  }
  return decoder.gradients().clone();
}

TEST(Adapters, HaveTheGradientsOfTheMergedWeightsByTheChainRule) {
  for (const ModelConfig& config : configs()) {
    for (const LoraOptions& options : {kAll, kFew}) {
      const auto adapted = adapted_decoder(config, at::kDouble, options);
      const auto merged = merged_decoder(*adapted);
      gradient_of(*adapted);
      gradient_of(*merged);
      std::map<std::string, at::Tensor> wanted;
      for (const auto& [name, window] : merged->named_gradients()) wanted[name] = window;
      const auto adapters = adapted->named_adapters(), gradients = adapted->named_gradients();
      ASSERT_EQ(adapters.size(), config.num_hidden_layers * options.targets.size() * 2);
      for (std::size_t i = 0; i < adapters.size(); i += 2) {
        // base_model.model.X.lora_A.weight -> X.weight
        const std::string x = adapters[i].name.substr(17, adapters[i].name.size() - 17 - 14);
        const at::Tensor &a = adapters[i].window, &b = adapters[i + 1].window, d_weight = wanted.at(x + ".weight");
        expect_close(gradients[i].window, options.scale() * at::mm(b.t(), d_weight), 1e-11, adapters[i].name);
        expect_close(gradients[i + 1].window, options.scale() * at::mm(d_weight, a.t()), 1e-11, adapters[i + 1].name);
      }
    }
  }
}

TEST(Adapters, ThatAreNewChangeNothing) {
  const auto plain = random_decoder(odd_config(), at::kFloat), adapted = random_decoder(odd_config(), at::kFloat);
  adapted->add_adapters(kAll);
  const auto groups = varied_groups(3, 37);
  const auto batches = pack(groups, 1 << 20, 37);
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(same_bytes(plain->logprobs(batches[0], 37, 1.0), adapted->logprobs(batches[0], 37, 1.0)));
  bool first_matrix_is_zero = true;
  for (const auto& [name, window] : adapted->named_adapters()) {
    if (name.find("lora_A") != std::string::npos)
      first_matrix_is_zero = first_matrix_is_zero && window.eq(0).all().item<bool>();
  }
  EXPECT_FALSE(first_matrix_is_zero);
}

TEST(Adapters, AreSampledWithAsTheyAreTrained) {
  for (const ModelConfig& config : configs()) {
    TorchModel model(adapted_decoder(config, at::kFloat, kAll), {});
    base::Random random{11};
    std::vector<Prompt> prompts;
    for (std::uint64_t i = 0; i < 4; ++i)
      prompts.push_back({random_tokens(random, 3 + static_cast<std::int64_t>(i) * 4, 37), i, 2});
    const auto rollouts = model.rollout({prompts, {.max_new_tokens = 20}, 5});
    std::vector<SharedPromptBatch> groups;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      groups.push_back({prompts[i].tokens, {rollouts[i][0].tokens, rollouts[i][1].tokens}});
    }
    const auto logprobs = model.logprobs(groups, 1.0);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      for (std::size_t s = 0; s < 2; ++s) {
        for (std::size_t t = 0; t < rollouts[i][s].tokens.size(); ++t) {
          // Adapters as large as these make hidden states large; the rounding of two orders of attention grows with them.
          const float wanted = logprobs[i][s][t];
          EXPECT_NEAR(rollouts[i][s].logprob[t], wanted, 1e-5f * std::max(1.0f, std::abs(wanted)));
        }
      }
    }
  }
}

TEST(Adapters, AreAllThatAnUpdateChanges) {
  const auto decoder = adapted_decoder(odd_config(), at::kFloat, kAll);
  const at::Tensor weights = decoder->weights().clone(), adapters = decoder->trained().clone();
  TorchModel model(decoder, {});
  const auto copy = model.clone();
  const auto other = model.clone();
  model.accumulate_gradient(varied_groups(3, 37), 1.0, 64,
                            [](std::size_t, std::size_t, std::span<const float>, std::span<float> gradient) {
                              std::fill(gradient.begin(), gradient.end(), 0.1f);
                            });
  EXPECT_GT(model.optimizer_step({.learning_rate = 1e-2}), 0);
  EXPECT_TRUE(same_bytes(decoder->weights(), weights));
  EXPECT_FALSE(same_bytes(decoder->trained(), adapters));
  // A copy keeps the adapters that it was made with, and can be moved.
  const auto groups = varied_groups(5, 37);
  const auto before = copy->logprobs(groups, 1.0), after = model.logprobs(groups, 1.0);
  EXPECT_EQ(before, other->logprobs(groups, 1.0));
  EXPECT_NE(before, after);
  other->move_towards(model, 1.0);
  EXPECT_EQ(other->logprobs(groups, 1.0), after);
}

class AdapterFiles : public testing::Test {
 protected:
  AdapterFiles() : folder_(fs::path(testing::TempDir()) / fmt::format("whet_adapters_{}", ::getpid())) {
    fs::remove_all(folder_);
    for (const char* name : {"base", "adapter", "merged"}) fs::create_directories(folder_ / name);
    TorchModel(random_decoder(odd_config(), at::kFloat), {}).save(folder_ / "base");
  }
  ~AdapterFiles() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(AdapterFiles, AreReadBackExactly) {
  const auto decoder = adapted_decoder(odd_config(), at::kFloat, kFew);
  TorchModel(decoder, {}, folder_ / "base").save(folder_ / "adapter");
  EXPECT_FALSE(fs::exists(folder_ / "adapter" / "model.safetensors"));
  const auto config = read_adapter_config(folder_ / "adapter");
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->lora.rank, 2);
  EXPECT_EQ(config->lora.alpha, 1);
  EXPECT_EQ(config->lora.targets, kFew.targets);
  EXPECT_EQ(config->base, folder_ / "base");
  EXPECT_EQ(weights_folder(folder_ / "adapter"), folder_ / "base");
  Decoder again(read_model_config(config->base), at::kFloat);
  const torch::NoGradGuard no_grad;
  again.load(config->base);
  again.add_adapters(config->lora);
  again.load_adapters(folder_ / "adapter");
  EXPECT_TRUE(same_bytes(again.trained(), decoder->trained()));
  // A folder that does not fit is refused by name.
  Decoder wider(read_model_config(config->base), at::kFloat);
  wider.add_adapters(kAll);
  EXPECT_THROW(wider.load_adapters(folder_ / "adapter"), base::UserError);
  EXPECT_THROW(TorchModel(random_decoder(odd_config(), at::kFloat), {}).load_adapters(folder_ / "adapter"),
               base::UserError);
}

TEST_F(AdapterFiles, AreMergedIntoAModelThatSaysTheSame) {
  for (const ModelConfig& config : configs()) {
    const auto decoder = adapted_decoder(config, at::kFloat, kAll);
    TorchModel model(decoder, {}, folder_ / "base");
    const auto groups = varied_groups(5, 37);
    for (const std::string dtype : {"float32", "bfloat16", "float16"}) {
      const fs::path out = folder_ / (config.architecture + dtype + (config.tie_word_embeddings ? "tied" : ""));
      fs::create_directories(out);
      model.save_merged(out, dtype);
      EXPECT_EQ(base::read_json_file(out / "config.json").at("torch_dtype"), dtype);
      auto again = std::make_shared<Decoder>(read_model_config(out), at::kFloat);
      {
        const torch::NoGradGuard no_grad;
        again->load(out);
      }
      const auto got = TorchModel(again, {}).logprobs(groups, 1.0), wanted = model.logprobs(groups, 1.0);
      for (std::size_t g = 0; g < got.size(); ++g) {
        for (std::size_t r = 0; r < got[g].size(); ++r) {
          for (std::size_t t = 0; t < got[g][r].size(); ++t) {
            EXPECT_NEAR(got[g][r][t], wanted[g][r][t],
                        (dtype == "float32" ? 1e-5 : 0.3) * std::max(1.0f, std::abs(wanted[g][r][t])));
          }
        }
      }
    }
  }
  EXPECT_THROW(TorchModel(random_decoder(odd_config(), at::kFloat), {}).save_merged(folder_ / "merged", "int8"),
               base::UserError);
}

TEST_F(AdapterFiles, OfAnUnsupportedKindAreRefusedByField) {
  const base::Json good = adapter_config_json(kFew, folder_ / "base");
  const auto read = [&](const base::Json& json) {
    base::write_file(folder_ / "adapter" / "adapter_config.json", json.dump());
    return read_adapter_config(folder_ / "adapter");
  };
  EXPECT_TRUE(read(good).has_value());
  for (const auto& [field, value] :
       std::initializer_list<std::pair<const char*, base::Json>>{{"peft_type", "IA3"},
                                                                 {"bias", "all"},
                                                                 {"use_dora", true},
                                                                 {"use_rslora", true},
                                                                 {"modules_to_save", {"lm_head"}},
                                                                 {"rank_pattern", {{"q_proj", 4}}},
                                                                 {"r", 0},
                                                                 {"r", "2"},
                                                                 {"lora_alpha", -1},
                                                                 {"target_modules", "all-linear"},
                                                                 {"target_modules", {"c_attn"}},
                                                                 {"base_model_name_or_path", "/nonexistent"},
                                                                 {"base_model_name_or_path", nullptr}}) {
    base::Json bad = good;
    bad[field] = value;
    try {
      read(bad);
      ADD_FAILURE() << field << " = " << value << " was taken";
    } catch (const base::UserError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("adapter_config.json"), std::string::npos) << text;
    }
  }
}

TEST(Adapters, OfPeftHaveTheGradientsThatPeftComputes) {
  const fs::path golden = fs::path(WHET_SOURCE_DIR) / "tests/golden/qwen3_lora";
  const auto config = read_adapter_config(golden);
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->lora.rank, 3);
  EXPECT_EQ(config->lora.targets, lora_targets());
  auto decoder = std::make_shared<Decoder>(read_model_config(config->base), at::kFloat);
  {
    const torch::NoGradGuard no_grad;
    decoder->load(config->base);
    decoder->add_adapters(config->lora);
    decoder->load_adapters(golden);
  }
  std::vector<SharedPromptBatch> groups;
  std::size_t targets = 0;
  const base::Json expected = base::read_json_file(config->base / "expected.json");
  for (const auto& row : expected.at("sequences")) {
    const auto sequence = row.get<std::vector<TokenId>>();
    groups.push_back({{sequence[0]}, {{sequence.begin() + 1, sequence.end()}}});
    targets += sequence.size() - 1;
  }
  double loss = 0;
  TorchModel model(decoder, {});
  model.accumulate_gradient(groups, 1.0, 1 << 20,
                            [&](std::size_t, std::size_t, std::span<const float> logprob, std::span<float> gradient) {
                              for (std::size_t i = 0; i < logprob.size(); ++i) {
                                loss -= static_cast<double>(logprob[i]) / static_cast<double>(targets);
                                gradient[i] = -1.0f / static_cast<float>(targets);
                              }
                            });
  EXPECT_NEAR(loss, base::read_json_file(golden / "loss.json").at("loss").get<double>(), 1e-5 * loss);
  const SafetensorsFile stored(golden / "expected_gradients.safetensors");
  const auto gradients = decoder->named_gradients();
  EXPECT_EQ(gradients.size(), stored.tensors().size());
  for (const auto& [name, window] : gradients) {
    const TensorView* view = stored.find(name);
    ASSERT_NE(view, nullptr) << name;
    at::Tensor wanted = at::empty(view->shape, at::kFloat);
    std::memcpy(wanted.data_ptr(), view->bytes.data(), view->bytes.size());
    expect_close(window, wanted, 5e-5, name);
  }
}

TEST(LoraOptions, AreChecked) {
  EXPECT_THROW(check_lora({.rank = 0, .alpha = 1, .targets = {"q_proj"}}), base::UserError);
  EXPECT_THROW(check_lora({.rank = 2, .alpha = 0, .targets = {"q_proj"}}), base::UserError);
  EXPECT_THROW(check_lora({.rank = 2, .alpha = 1, .targets = {}}), base::UserError);
  EXPECT_THROW(check_lora({.rank = 2, .alpha = 1, .targets = {"q_proj", "q_proj"}}), base::UserError);
  EXPECT_THROW(check_lora({.rank = 2, .alpha = 1, .targets = {"lm_head"}}), base::UserError);
}

TEST(Checkpointing, GivesTheSameGradientsToTheLastBit) {
  for (const ModelConfig& config : configs()) {
    for (const bool with_adapters : {false, true}) {
      const auto make = [&] {
        return with_adapters ? adapted_decoder(config, at::kFloat, kAll) : random_decoder(config, at::kFloat);
      };
      const auto kept = make(), recomputed = make();
      recomputed->set_checkpointing(true);
      const at::Tensor wanted = gradient_of(*kept);
      EXPECT_TRUE(same_bytes(gradient_of(*recomputed), wanted))
          << config.architecture << (with_adapters ? " with adapters" : "");
      EXPECT_GT(wanted.norm().item<double>(), 0);
    }
  }
}

}  // namespace
}  // namespace whet::engine
