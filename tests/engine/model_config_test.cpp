// config.json: both generations of transformers are read, every field's fault is named, and what is written loads
// again.
#include "engine/model_config.h"

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

  /// The golden config with some fields replaced; a field whose new value is "-" is removed.
  ModelConfig read_with(const Json& changes) {
    Json json = base::read_json_file(golden("qwen3_untied") / "config.json");
    for (const auto& [key, value] : changes.items()) {
      json[key] = value;
      if (value == "-") json.erase(key);
    }
    base::write_file(folder_ / "config.json", json.dump());
    return read_model_config(folder_);
  }

  std::string refusal_of(const Json& changes) {
    try {
      read_with(changes);
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
      {{{"attention_bias", true}}, "attention_bias = true"},
      {{{"mlp_bias", true}}, "mlp_bias = true"},
      {{{"attention_dropout", 0.1}}, "attention_dropout = 0.1"},
      {{{"use_sliding_window", true}}, "use_sliding_window = true"},
      {{{"layer_types", {"full_attention", "sliding_attention"}}}, "layer_types has \"sliding_attention\""},
      {{{"layer_types", {"full_attention"}}}, "layer_types = [\"full_attention\"], want a list of 2"},
      {{{"quantization_config", {{"bits", 4}}}}, "quantization_config is set"},
      {{{"auto_map", {{"AutoModel", "x.Y"}}}}, "auto_map is set"},
      {{{"num_experts", 8}}, "num_experts = 8"},
      {{{"final_logit_softcapping", 30.0}}, "final_logit_softcapping is set"},
      {{{"is_causal", false}}, "is_causal = false"},
      {{{"partial_rotary_factor", 0.5}}, "partial_rotary_factor = 0.5"},
      {{{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}}}, "rope_scaling] rope_type = \"yarn\""},
      {{{"rope_scaling", "linear"}}, "rope_scaling] not a JSON object"},
      {{{"rope_parameters", {{"rope_type", "llama3"}, {"rope_theta", 1e6}}}},
       "rope_parameters] rope_type = \"llama3\""},
      {{{"rope_parameters", {{"full_attention", {{"rope_theta", 1e6}}}}}}, "rope_parameters] full_attention"},
      {{{"rope_theta", 500.0}}, "rope_theta = 500, but rope_parameters says 1000000"},
      {{{"architectures", {"LlamaForCausalLM"}}},
       "architectures = [\"LlamaForCausalLM\"], want one of: Qwen3ForCausalLM"},
      {{{"architectures", Json::array()}}, "architectures = []"},
      {{{"architectures", "-"}}, "architectures is missing, want one of: Qwen3ForCausalLM"},
      {{{"model_type", "qwen2"}}, "model_type = \"qwen2\", want 'qwen3'"},
  };
  for (const auto& [changes, message] : faults) {
    EXPECT_THAT(refusal_of(changes), testing::AllOf(HasSubstr(message), HasSubstr("config.json"))) << changes.dump();
  }
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
  for (const std::vector<std::int32_t>& eos : {std::vector<std::int32_t>{}, {5}, {0, 7}}) {
    ModelConfig config = read_model_config(golden("qwen3_tied"));
    config.eos_token_ids = eos;
    base::write_file(folder_ / "config.json", config_json(config).dump());
    base::write_file(folder_ / "generation_config.json", generation_config_json(config).dump());
    const ModelConfig again = read_model_config(folder_);
    EXPECT_EQ(config_json(again), config_json(config));
    EXPECT_EQ(again.eos_token_ids, eos);
    EXPECT_EQ(again.rms_norm_eps, config.rms_norm_eps);
  }
}

}  // namespace
}  // namespace whet::engine
