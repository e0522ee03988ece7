// config.json: both generations of transformers are read, every field's fault is named, and what is written loads
// again.
#include "engine/model_config.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;
using base::Json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

fs::path golden(const std::string& name) { return fs::path(WHET_SOURCE_DIR) / "tests/golden" / name; }

class ModelConfigTest : public testing::Test {
 protected:
  ModelConfigTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / (std::string("whet-") + info->test_suite_name() + "-" + info->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ModelConfigTest() override { fs::remove_all(folder_); }

  /// A golden config with some fields replaced; a field whose new value is "-" is removed.
  ModelConfig read_with(const Json& changes, const std::string& name = "qwen3_untied") {
    Json json = base::read_json_file(golden(name) / "config.json");
    for (const auto& [key, value] : changes.items()) {
      json[key] = value;
      if (value == "-") json.erase(key);
    }
    base::write_file(folder_ / "config.json", json.dump());
    return read_model_config(folder_);
  }

  std::string refusal_of(const Json& changes, const std::string& name = "qwen3_untied") {
    try {
      read_with(changes, name);
    } catch (const base::UserError& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(ModelConfigTest, ReadsWhatTransformers5Writes) {
  const ModelConfig config = read_model_config(golden("qwen3_untied"));
  EXPECT_EQ(config.architecture, "Qwen3ForCausalLM");
  EXPECT_EQ(config.vocab_size, 48);
  EXPECT_EQ(config.hidden_size, 32);
  EXPECT_EQ(config.intermediate_size, 56);
  EXPECT_EQ(config.num_hidden_layers, 2);
  EXPECT_EQ(config.num_attention_heads, 4);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.head_dim, 12);
  EXPECT_EQ(config.max_position_embeddings, 64);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.rope_theta, 1e6);
  EXPECT_EQ(config.initializer_range, 0.15);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(0, 7)) << "generation_config.json goes before config.json";
  EXPECT_TRUE(read_model_config(golden("qwen3_tied")).tie_word_embeddings);
}

TEST_F(ModelConfigTest, ReadsWhatTransformers4Writes) {
  const Json older = {{"rope_parameters", "-"},  {"dtype", "-"},
                      {"layer_types", "-"},      {"rope_theta", 5000},
                      {"rope_scaling", nullptr}, {"torch_dtype", "bfloat16"},
                      {"eos_token_id", 3}};
  const ModelConfig config = read_with(older);
  EXPECT_EQ(config.rope_theta, 5000.0);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(3));
  EXPECT_EQ(refusal_of({{"rope_scaling", {{"type", "default"}}}}), "");
}

TEST_F(ModelConfigTest, FillsInTheDefaultsOfTransformers) {
  const ModelConfig config = read_with({{"head_dim", "-"},
                                        {"num_key_value_heads", nullptr},
                                        {"rms_norm_eps", "-"},
                                        {"rope_parameters", "-"},
                                        {"initializer_range", "-"},
                                        {"tie_word_embeddings", "-"},
                                        {"eos_token_id", nullptr}});
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_EQ(config.num_key_value_heads, 4);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);
  EXPECT_EQ(config.rope_theta, 10000.0);
  EXPECT_EQ(config.initializer_range, 0.02);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_THAT(config.eos_token_ids, IsEmpty());
}

TEST_F(ModelConfigTest, ToleratesFieldsThatChangeNothing) {
  EXPECT_EQ(refusal_of({{"use_cache", false},
                        {"pad_token_id", 5},
                        {"transformers_version", "9"},
                        {"_name_or_path", "x"},
                        {"sliding_window", 4096},
                        {"max_window_layers", 1},
                        {"my_note", {1, 2}},
                        {"quantization_config", nullptr},
                        {"attention_dropout", 0},
                        {"mlp_bias", false},
                        {"num_experts", 0}}),
            "");
}

TEST_F(ModelConfigTest, RefusesWhatWouldChangeTheResultByName) {
  const std::vector<std::pair<Json, const char*>> faults = {
      {{{"hidden_act", "gelu"}}, "hidden_act = \"gelu\" is not supported, want \"silu\""},
      {{{"attention_bias", 1}}, "attention_bias = 1, want true or false"},
      {{{"mlp_bias", true}}, "mlp_bias = true has no effect on a Qwen3ForCausalLM"},
      {{{"attention_dropout", 0.1}}, "attention_dropout = 0.1"},
      {{{"layer_types", {"full_attention", "chunked_attention"}}}, "layer_types has \"chunked_attention\""},
      {{{"layer_types", {"full_attention", "sliding_attention"}}}, "have no sliding window"},
      {{{"layer_types", {"full_attention"}}}, "layer_types = [\"full_attention\"], want a list of 2"},
      {{{"quantization_config", {{"bits", 4}}}}, "quantization_config is set"},
      {{{"auto_map", {{"AutoModel", "x.Y"}}}}, "auto_map is set"},
      {{{"num_experts", 8}}, "num_experts = 8"},
      {{{"final_logit_softcapping", 30.0}}, "final_logit_softcapping is set"},
      {{{"is_causal", false}}, "is_causal = false"},
      {{{"partial_rotary_factor", 0.5}}, "partial_rotary_factor = 0.5"},
      {{{"rope_scaling", {{"rope_type", "longrope"}, {"factor", 4.0}}}}, "rope_scaling] rope_type = \"longrope\""},
      {{{"rope_scaling", {{"type", "su"}}}},
       "rope_scaling] type = \"su\" is not supported, want one of: default, linear"},
      {{{"rope_scaling", {{"type", "linear"}, {"rope_type", "yarn"}}}},
       "rope_type = \"yarn\", but type says \"linear\""},
      {{{"rope_scaling", "linear"}}, "rope_scaling] not a JSON object"},
      {{{"rope_parameters", {{"rope_type", "default"}, {"factor", 2.0}}}},
       "rope_parameters] factor = 2.0 is not supported"},
      {{{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}}}}, "rope_scaling and rope_parameters contradict"},
      {{{"original_max_position_embeddings", 32}}, "original_max_position_embeddings is set"},
      {{{"rope_parameters", {{"full_attention", {{"rope_theta", 1e6}}}}}}, "rope_parameters] full_attention"},
      {{{"rope_theta", 500.0}}, "rope_theta = 500, but rope_parameters says 1000000"},
      {{{"architectures", {"GemmaForCausalLM"}}},
       "architectures = [\"GemmaForCausalLM\"], want one of: Qwen3ForCausalLM, Qwen2ForCausalLM, LlamaForCausalLM"},
      {{{"architectures", Json::array()}}, "architectures = []"},
      {{{"architectures", "-"}}, "architectures is missing, want one of: Qwen3ForCausalLM"},
      {{{"model_type", "qwen2"}}, "model_type = \"qwen2\", want 'qwen3'"},
  };
  for (const auto& [changes, message] : faults) {
    EXPECT_THAT(refusal_of(changes), testing::AllOf(HasSubstr(message), HasSubstr("config.json"))) << changes.dump();
  }
}

TEST_F(ModelConfigTest, RefusesScalingOfPositionsThatIsIncompleteOrOutOfRange) {
  const std::vector<std::pair<Json, const char*>> faults = {
      {{{"rope_type", "linear"}}, "factor is missing"},
      {{{"rope_type", "linear"}, {"factor", 0.5}}, "factor = 0.5, want a number 1"},
      {{{"rope_type", "linear"}, {"factor", 2.0}, {"beta_fast", 3}},
       "beta_fast = 3 is not supported for rope_type \"linear\""},
      {{{"rope_type", "dynamic"}, {"factor", "2"}}, "factor = \"2\""},
      {{{"rope_type", "yarn"}}, "factor is missing"},
      {{{"rope_type", "yarn"}, {"factor", 2.0}, {"truncate", 0}}, "truncate = 0, want true or false"},
      {{{"rope_type", "yarn"}, {"factor", 2.0}, {"finetuned", true}}, "finetuned = true is not supported"},
      {{{"rope_type", "llama3"}, {"factor", 8.0}, {"high_freq_factor", 4.0}}, "low_freq_factor is missing"},
      {{{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 4.0}, {"high_freq_factor", 4.0}},
       "high_freq_factor = 4, want more than low_freq_factor = 4"},
  };
  for (const auto& [block, message] : faults) {
    EXPECT_THAT(refusal_of({{"rope_parameters", block}}),
                testing::AllOf(HasSubstr("rope_parameters]"), HasSubstr(message)));
    EXPECT_THAT(refusal_of({{"rope_parameters", "-"}, {"rope_scaling", block}}),
                testing::AllOf(HasSubstr("rope_scaling]"), HasSubstr(message)));
  }
}

TEST_F(ModelConfigTest, ReadsScalingOfPositionsInBothSpellings) {
  const Json block = {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}};
  const ModelConfig newer = read_with({{"rope_parameters", block}});
  const ModelConfig older = read_with({{"rope_parameters", "-"}, {"rope_scaling", block}, {"rope_theta", 10000.0}});
  Json oldest_block = block;
  oldest_block.erase("rope_type");
  oldest_block["type"] = "yarn";
  const ModelConfig oldest =
      read_with({{"rope_parameters", "-"}, {"rope_scaling", oldest_block}, {"rope_theta", 10000.0}});
  for (const ModelConfig& config : {newer, older, oldest}) {
    EXPECT_EQ(config.rope_scaling.type, RopeType::kYarn);
    EXPECT_EQ(config.rope_scaling.factor, 4.0);
    EXPECT_EQ(config.rope_scaling.original_max_position_embeddings, 16.0);
    EXPECT_NEAR(config.rope_scaling.attention_factor, 0.1 * std::log(4.0) + 1, 1e-15);
    EXPECT_EQ(config.rope_theta, 10000.0);
  }
  Json by_length = block;
  by_length["factor"] = nullptr;
  EXPECT_EQ(read_with({{"rope_parameters", by_length}}).rope_scaling.factor, 64.0 / 16);
}

TEST_F(ModelConfigTest, FillsInEachFamilysOwnDefaults) {
  const Json gone = {{"head_dim", "-"}, {"eos_token_id", "-"}, {"rms_norm_eps", "-"}};
  const auto without = [&](const char* family) {
    Json json = base::read_json_file(golden(std::string("families/") + family) / "config.json");
    for (const auto& [key, value] : gone.items()) json.erase(key);
    base::write_file(folder_ / "config.json", json.dump());
    return read_model_config(folder_);
  };
  const ModelConfig llama = without("llama"), olmo = without("olmo2"), qwen = without("qwen2");
  EXPECT_EQ(llama.head_dim, 4);
  EXPECT_THAT(llama.eos_token_ids, ElementsAre(2));
  EXPECT_EQ(llama.rms_norm_eps, 1e-6);
  EXPECT_EQ(olmo.rms_norm_eps, 1e-5);
  EXPECT_THAT(olmo.eos_token_ids, IsEmpty()) << "the default of 50279 is beyond this vocabulary";
  EXPECT_THAT(qwen.eos_token_ids, IsEmpty());
  EXPECT_TRUE(qwen.query_key_value_bias);
  EXPECT_FALSE(qwen.output_bias);
  EXPECT_EQ(
      read_with({{"num_key_value_heads", "-"}, {"num_attention_heads", 8}}, "families/mistral").num_key_value_heads, 8);
  EXPECT_EQ(read_with({{"num_key_value_heads", "-"}}, "families/llama").num_key_value_heads, 4);
  EXPECT_THAT(refusal_of({{"num_key_value_heads", "-"}}), HasSubstr("want a multiple of num_key_value_heads = 32"));
  EXPECT_THAT(refusal_of({{"head_dim", "-"}, {"hidden_size", 18}}, "families/llama"),
              HasSubstr("hidden_size = 18, want a multiple of num_attention_heads = 4 where head_dim is not given"));
}

TEST_F(ModelConfigTest, KnowsWhichLayersHaveASlidingWindow) {
  const auto windows = [&](const Json& changes, const std::string& name) {
    return read_with(changes, name).layer_windows;
  };
  const std::string qwen = "families/qwen2", mistral = "families/mistral";
  EXPECT_THAT(windows({{"layer_types", "-"}}, qwen), IsEmpty());
  const Json on = {{"layer_types", "-"}, {"use_sliding_window", true}, {"sliding_window", 5}, {"max_window_layers", 1}};
  EXPECT_THAT(windows(on, qwen), ElementsAre(0, 5));
  EXPECT_THAT(
      windows({{"layer_types", "-"}, {"use_sliding_window", true}, {"sliding_window", "-"}, {"max_window_layers", 0}},
              qwen),
      ElementsAre(4096, 4096));
  EXPECT_THAT(windows({{"layer_types", "-"}, {"use_sliding_window", true}, {"sliding_window", 5}}, qwen), IsEmpty())
      << "max_window_layers is 28 by default";
  EXPECT_THAT(windows({{"use_sliding_window", true},
                       {"sliding_window", 5},
                       {"layer_types", {"sliding_attention", "full_attention"}}},
                      qwen),
              ElementsAre(5, 0));
  EXPECT_THAT(windows({{"sliding_window", nullptr}}, mistral), IsEmpty());
  EXPECT_THAT(windows({{"sliding_window", "-"}}, mistral), ElementsAre(4096, 4096));
  EXPECT_THAT(windows({{"sliding_window", 9}}, mistral), ElementsAre(9, 9));
  EXPECT_THAT(refusal_of({{"sliding_window", 0}}, mistral), HasSubstr("sliding_window = 0"));
  EXPECT_THAT(refusal_of({{"use_sliding_window", false}}, mistral),
              HasSubstr("use_sliding_window = false has no effect"));
  EXPECT_THAT(refusal_of({{"sliding_window", 9}}, "families/llama"), HasSubstr("sliding_window = 9 has no effect"));
  EXPECT_THAT(refusal_of({{"sliding_window", 9}, {"layer_types", {"full_attention", "sliding_attention"}}}, mistral),
              HasSubstr("all have a sliding window"));
}

TEST_F(ModelConfigTest, RefusesBiasesThatAFamilyDoesNotHave) {
  EXPECT_TRUE(read_with({{"attention_bias", true}}).output_bias);
  EXPECT_THAT(refusal_of({{"attention_bias", false}}, "families/qwen2"),
              HasSubstr("attention_bias = false has no effect on a Qwen2ForCausalLM, want true or no such field"));
  EXPECT_THAT(refusal_of({{"attention_bias", true}}, "families/mistral"),
              HasSubstr("attention_bias = true has no effect"));
  EXPECT_THAT(refusal_of({{"mlp_bias", true}}, "families/olmo2"), HasSubstr("mlp_bias = true has no effect"));
}

/// The fields of published models' config.json, without those that name files and versions.
TEST_F(ModelConfigTest, ReadsTheConfigsOfPublishedModels) {
  const auto read = [&](const char* text) {
    base::write_file(folder_ / "config.json", text);
    return read_model_config(folder_);
  };
  const ModelConfig qwen =
      read(R"({"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 1536, "initializer_range": 0.02, "intermediate_size": 8960,
    "max_position_embeddings": 4096, "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 12,
    "num_hidden_layers": 28, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 10000, "sliding_window": 4096,
    "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "use_mrope": false,
    "use_sliding_window": false, "vocab_size": 151936})");  // Qwen2.5-Math-1.5B
  EXPECT_EQ(qwen.head_dim, 128);
  EXPECT_TRUE(qwen.query_key_value_bias);
  EXPECT_THAT(qwen.layer_windows, IsEmpty());
  EXPECT_EQ(qwen.bos_token_id, 151643);

  const ModelConfig qwen3 =
      read(R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 151643, "eos_token_id": 151643, "head_dim": 128, "hidden_act": "silu", "hidden_size": 2048,
    "initializer_range": 0.02, "intermediate_size": 6144, "max_position_embeddings": 32768, "max_window_layers": 28,
    "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
    "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true,
    "torch_dtype": "bfloat16", "use_cache": true, "use_sliding_window": false, "vocab_size": 151936})");  // Qwen3-1.7B-Base
  EXPECT_FALSE(qwen3.query_key_value_bias);
  EXPECT_TRUE(qwen3.tie_word_embeddings);

  const ModelConfig llama =
      read(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096,
    "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false,
    "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
    "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256})");  // Llama-3.1-8B
  EXPECT_EQ(llama.rope_scaling, (RopeScaling{RopeType::kLlama3, 8.0, 8192.0, 1.0, 4.0}));
  EXPECT_THAT(llama.eos_token_ids, ElementsAre(128001, 128008, 128009));

  const ModelConfig smol =
      read(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041666666666666664,
    "intermediate_size": 1536, "is_llama_config": true, "max_position_embeddings": 8192, "mlp_bias": false,
    "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3, "pretraining_tp": 1,
    "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000,
    "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 49152})");  // SmolLM2-135M
  EXPECT_EQ(smol.head_dim, 64);
  EXPECT_EQ(smol.rope_theta, 100000.0);

  const ModelConfig mistral = read(R"({"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
    "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
    "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 3,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 32000})");  // Mistral-7B-v0.1
  EXPECT_THAT(mistral.layer_windows, ElementsAre(4096, 4096, 4096));

  const ModelConfig olmo =
      read(R"({"architectures": ["Olmo2ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "eos_token_id": 100257, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
    "intermediate_size": 11008, "max_position_embeddings": 4096, "model_type": "olmo2", "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 32, "pad_token_id": 100277, "rms_norm_eps": 1e-06, "rope_scaling": null,
    "rope_theta": 500000, "tie_word_embeddings": false, "torch_dtype": "float32", "use_cache": false,
    "vocab_size": 100352})");  // OLMo-2-1124-7B
  EXPECT_TRUE(olmo.family().norms_after);
  EXPECT_EQ(olmo.pad_token_id, 100277);
}

TEST_F(ModelConfigTest, RefusesMissingAndOutOfRangeFieldsByName) {
  for (const char* field : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                            "num_attention_heads", "max_position_embeddings"}) {
    EXPECT_THAT(refusal_of({{field, "-"}}), HasSubstr(fmt::format("{} is missing", field)));
    for (const Json& bad :
         {Json(0), Json(-1), Json(1.5), Json("48"), Json(true), Json(std::uint64_t{1} << 63), Json(4'000'000'000)}) {
      EXPECT_THAT(refusal_of({{field, bad}}), HasSubstr(fmt::format("{} = {}", field, bad.dump()))) << field;
    }
  }
  const std::vector<std::pair<Json, const char*>> faults = {
      {{{"num_key_value_heads", 3}}, "num_attention_heads = 4, want a multiple of num_key_value_heads = 3"},
      {{{"num_key_value_heads", 0}}, "num_key_value_heads = 0"},
      {{{"head_dim", 13}}, "head_dim = 13, want an even number"},
      {{{"head_dim", 0}}, "head_dim = 0"},
      {{{"rms_norm_eps", -1e-6}}, "rms_norm_eps = -1e-06"},
      {{{"rms_norm_eps", "1e-6"}}, "rms_norm_eps = \"1e-6\""},
      {{{"rope_parameters", {{"rope_theta", 0.0}}}}, "rope_theta = 0.0"},
      {{{"initializer_range", -0.02}}, "initializer_range = -0.02"},
      {{{"tie_word_embeddings", 1}}, "tie_word_embeddings = 1, want true or false"},
      {{{"eos_token_id", 48}}, "eos_token_id = 48, want a whole number 0..47"},
      {{{"eos_token_id", {0, -1}}}, "eos_token_id = -1"},
      {{{"eos_token_id", "end"}}, "eos_token_id = \"end\""},
  };
  for (const auto& [changes, message] : faults) EXPECT_THAT(refusal_of(changes), HasSubstr(message)) << changes.dump();
}

TEST_F(ModelConfigTest, NamesAMissingOrBrokenFile) {
  const auto refusal = [&] {
    try {
      read_model_config(folder_);
    } catch (const base::UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refusal(), HasSubstr("config.json"));
  base::write_file(folder_ / "config.json", "{\"vocab_size\": 4");
  EXPECT_THAT(refusal(), HasSubstr("config.json] not JSON"));
  base::write_file(folder_ / "config.json", "[]");
  EXPECT_THAT(refusal(), HasSubstr("config.json] not a JSON object"));
  fs::copy_file(golden("qwen3_tied") / "config.json", folder_ / "config.json", fs::copy_options::overwrite_existing);
  EXPECT_EQ(refusal(), "");
  base::write_file(folder_ / "generation_config.json", R"({"eos_token_id": 99})");
  EXPECT_THAT(refusal(), HasSubstr("generation_config.json] eos_token_id = 99"));
}

TEST_F(ModelConfigTest, ReadsBackWhatItWrote) {
  std::vector<fs::path> folders = {golden("qwen3_tied")};
  for (const auto& entry : fs::directory_iterator(golden("families"))) folders.push_back(entry.path());
  for (const fs::path& folder : folders) {
    for (const std::vector<std::int32_t>& eos : {std::vector<std::int32_t>{}, {5}, {0, 7}}) {
      ModelConfig config = read_model_config(folder);
      config.eos_token_ids = eos;
      base::write_file(folder_ / "config.json", config_json(config).dump());
      base::write_file(folder_ / "generation_config.json", generation_config_json(config).dump());
      const ModelConfig again = read_model_config(folder_);
      EXPECT_EQ(config_json(again), config_json(config));
      EXPECT_EQ(again.eos_token_ids, eos);
      EXPECT_EQ(again.rms_norm_eps, config.rms_norm_eps);
      EXPECT_EQ(again.rope_scaling, config.rope_scaling);
      EXPECT_EQ(again.layer_windows, config.layer_windows);
      EXPECT_EQ(again.query_key_value_bias, config.query_key_value_bias);
      EXPECT_EQ(again.mlp_bias, config.mlp_bias);
    }
  }
}

}  // namespace
}  // namespace whet::engine
