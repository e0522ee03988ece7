#include "engine/model_config.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "base/error.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;
using base::Json;
using base::user_error;

/// A feature that this engine lacks, and the values under which it is off. null is off for all of them.
struct Feature {
  const char* field;
  std::vector<Json> off;
};

const std::vector<Feature>& features() {
  static const std::vector<Feature> list = {
      {"hidden_act", {"silu"}},
      {"qkv_bias", {false}},
      {"lm_head_bias", {false}},
      {"attention_dropout", {0.0}},
      {"hidden_dropout", {0.0}},
      {"resid_pdrop", {0.0}},
      {"embd_pdrop", {0.0}},
      {"use_bidirectional_attention", {false}},
      {"is_causal", {true}},
      {"is_encoder_decoder", {false}},
      {"add_cross_attention", {false}},
      {"partial_rotary_factor", {1.0}},
      {"rope_interleaved", {false}},
      {"use_mrope", {false}},
      {"original_max_position_embeddings", {}},
      {"clip_qkv", {}},
      {"attn_logit_softcapping", {}},
      {"final_logit_softcapping", {}},
      {"logit_scale", {1.0}},
      {"logits_scaling", {1.0}},
      {"embedding_multiplier", {1.0}},
      {"residual_multiplier", {1.0}},
      {"num_experts", {0}},
      {"num_local_experts", {0}},
      {"num_nextn_predict_layers", {0}},
      {"chunk_size_feed_forward", {0}},
      {"pruned_heads", {Json::object()}},
      {"quantization_config", {}},
      {"compression_config", {}},
      {"auto_map", {}},
  };
  return list;
}

const Family& find_family(const JsonFields& fields) {
  std::vector<std::string_view> known;
  for (const Family& family : families()) known.push_back(family.architecture);
  const Json* architectures = fields.find("architectures");
  if (architectures == nullptr) {
    user_error(fields.file(), "architectures is missing, want one of: {}", fmt::join(known, ", "));
  }
  for (const Family& family : families()) {
    if (*architectures != Json::array({family.architecture})) continue;
    const Json* model_type = fields.find("model_type");
    if (model_type != nullptr && *model_type != Json(family.model_type)) {
      user_error(fields.file(), "model_type = {}, want '{}' for {}", base::to_json_line(*model_type), family.model_type,
                 family.architecture);
    }
    return family;
  }
  user_error(fields.file(), "architectures = {}, want one of: {}", base::to_json_line(*architectures),
             fmt::join(known, ", "));
}

void refuse_unsupported(const JsonFields& fields) {
  for (const Feature& feature : features()) {
    const Json* value = fields.find(feature.field);
    if (value == nullptr) continue;
    bool off = false;
    for (const Json& allowed : feature.off) off = off || *value == allowed;
    if (off) continue;
    if (feature.off.empty()) {
      user_error(fields.file(), "{} is set, which is not supported (want null or no such field)", feature.field);
    }
    user_error(fields.file(), "{} = {} is not supported, want {}", feature.field, base::to_json_line(*value),
               base::to_json_line(feature.off.front()));
  }
}

/// A field that a family's code in transformers does not read must not ask for anything.
void refuse_foreign(const JsonFields& fields, const Family& family, const char* name, const Json& off) {
  const Json* value = fields.find(name);
  if (value == nullptr || *value == off) return;
  user_error(fields.file(), "{} = {} has no effect on a {}, want {} or no such field", name, base::to_json_line(*value),
             family.architecture, base::to_json_line(off));
}

void read_biases(const JsonFields& fields, const Family& family, ModelConfig& config) {
  switch (family.attention_bias) {
    case AttentionBias::kNever:
      refuse_foreign(fields, family, "attention_bias", false);
      break;
    case AttentionBias::kQueryKeyValue:
      refuse_foreign(fields, family, "attention_bias", true);
      config.query_key_value_bias = true;
      break;
    case AttentionBias::kByField:
      config.query_key_value_bias = config.output_bias = fields.flag("attention_bias", false);
      break;
  }
  if (family.has_mlp_bias) {
    config.mlp_bias = fields.flag("mlp_bias", false);
  } else {
    refuse_foreign(fields, family, "mlp_bias", false);
  }
}

/// Which layers layer_types calls "sliding_attention"; nothing when there is no such field.
std::optional<std::vector<bool>> sliding_layers(const JsonFields& fields, std::int64_t layers) {
  const Json* types = fields.find("layer_types");
  if (types == nullptr) return std::nullopt;
  if (!types->is_array() || types->size() != static_cast<std::size_t>(layers)) {
    user_error(fields.file(), "layer_types = {}, want a list of {} names", base::to_json_line(*types), layers);
  }
  std::vector<bool> sliding;
  for (const Json& type : *types) {
    if (type != "full_attention" && type != "sliding_attention") {
      user_error(fields.file(), "layer_types has {}, which is not supported (want full_attention or sliding_attention)",
                 base::to_json_line(type));
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

void read_windows(const JsonFields& fields, const Family& family, ModelConfig& config) {
  constexpr std::int64_t kDefaultWindow = 4096, kDefaultFirstLayer = 28, kMost = 1'000'000'000;
  const std::int64_t layers = config.num_hidden_layers;
  std::int64_t window = 0;
  if (family.sliding_window == SlidingWindow::kByLayer) {
    if (fields.flag("use_sliding_window", false) && (!fields.has("sliding_window") || fields.find("sliding_window"))) {
      window = fields.integer("sliding_window", 1, kMost, kDefaultWindow);
    }
  } else {
    refuse_foreign(fields, family, "use_sliding_window", nullptr);
    if (family.sliding_window == SlidingWindow::kNever) {
      refuse_foreign(fields, family, "sliding_window", nullptr);
    } else if (!fields.has("sliding_window") || fields.find("sliding_window")) {
      window = fields.integer("sliding_window", 1, kMost, kDefaultWindow);
    }
  }
  std::vector<bool> sliding(static_cast<std::size_t>(layers), window > 0);
  if (family.sliding_window == SlidingWindow::kByLayer && window > 0) {
    const std::int64_t first = fields.integer("max_window_layers", 0, kMost, kDefaultFirstLayer);
    for (std::int64_t i = 0; i < layers; ++i) sliding[static_cast<std::size_t>(i)] = i >= first;
  }
  if (const auto named = sliding_layers(fields, layers)) {
    const bool binding = family.sliding_window == SlidingWindow::kByLayer && window > 0;
    if (!binding && *named != sliding) {
      user_error(fields.file(), "layer_types = {}, but the layers of this {} {}",
                 base::to_json_line(*fields.find("layer_types")), family.architecture,
                 window > 0 ? "all have a sliding window" : "have no sliding window");
    }
    sliding = *named;
  }
  if (std::find(sliding.begin(), sliding.end(), true) == sliding.end()) return;
  for (const bool slides : sliding) config.layer_windows.push_back(slides ? window : 0);
}

/// A single id, or -1.
std::int32_t read_token_id(const JsonFields& fields, const char* name, std::int64_t vocab_size) {
  return static_cast<std::int32_t>(fields.integer(name, -1, vocab_size - 1, -1));
}

}  // namespace

const Family& ModelConfig::family() const {
  const Family* found = engine::find_family(architecture);
  if (found == nullptr) throw std::logic_error("no family of models is called " + architecture);
  return *found;
}

ModelConfig read_model_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  const Json json = base::read_json_file(path);
  const JsonFields fields(json, path.string());
  const Family& family = find_family(fields);

  // The upper bounds are far above any real model; they keep products of two sizes inside 64 bits, and a typing error
  // from asking for the machine's whole memory.
  ModelConfig config;
  config.architecture = family.architecture;
  config.vocab_size = fields.integer("vocab_size", 1, 16'000'000);
  config.hidden_size = fields.integer("hidden_size", 1, 1'000'000);
  config.intermediate_size = fields.integer("intermediate_size", 1, 4'000'000);
  config.num_hidden_layers = fields.integer("num_hidden_layers", 1, 10'000);
  config.num_attention_heads = fields.integer("num_attention_heads", 1, 65'536);
  // null asks for as many as query heads; leaving the field out means a number of the family's own.
  const bool fills_in = !fields.has("num_key_value_heads") && family.default_key_value_heads > 0;
  config.num_key_value_heads = fields.integer("num_key_value_heads", 1, 65'536,
                                              fills_in ? family.default_key_value_heads : config.num_attention_heads);
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    user_error(path.string(), "num_attention_heads = {}, want a multiple of num_key_value_heads = {}",
               config.num_attention_heads, config.num_key_value_heads);
  }
  std::int64_t default_head_dim = family.default_head_dim;
  if (default_head_dim == 0) {
    default_head_dim = config.hidden_size / config.num_attention_heads;
    if (fields.find("head_dim") == nullptr && config.hidden_size % config.num_attention_heads != 0) {
      user_error(path.string(),
                 "hidden_size = {}, want a multiple of num_attention_heads = {} where head_dim is not given",
                 config.hidden_size, config.num_attention_heads);
    }
  }
  config.head_dim = fields.integer("head_dim", 2, 65'536, default_head_dim);
  if (config.head_dim % 2 != 0) {
    user_error(path.string(), "head_dim = {}, want an even number (rotary positions turn pairs)", config.head_dim);
  }
  config.max_position_embeddings = fields.integer("max_position_embeddings", 1, 1'000'000'000);
  config.rms_norm_eps = fields.number("rms_norm_eps", 0.0, 1.0, family.default_rms_norm_eps);
  read_rope(fields, config.max_position_embeddings, config.rope_theta, config.rope_scaling);
  config.initializer_range = fields.number("initializer_range", 0.0, 10.0, 0.02);
  config.tie_word_embeddings = fields.flag("tie_word_embeddings", false);
  refuse_unsupported(fields);
  read_biases(fields, family, config);
  read_windows(fields, family, config);
  config.eos_token_ids = fields.token_ids("eos_token_id", config.vocab_size);
  if (!fields.has("eos_token_id") && family.default_eos_token_id >= 0 &&
      family.default_eos_token_id < config.vocab_size) {
    config.eos_token_ids = {family.default_eos_token_id};
  }
  config.bos_token_id = read_token_id(fields, "bos_token_id", config.vocab_size);
  config.pad_token_id = read_token_id(fields, "pad_token_id", config.vocab_size);

  const fs::path generation_path = folder / "generation_config.json";
  std::error_code error;
  if (fs::exists(generation_path, error)) {
    const Json generation = base::read_json_file(generation_path);
    const JsonFields generation_fields(generation, generation_path.string());
    if (generation_fields.find("eos_token_id") != nullptr) {
      config.eos_token_ids = generation_fields.token_ids("eos_token_id", config.vocab_size);
    }
  }
  return config;
}

namespace {

Json eos_json(const ModelConfig& config) {
  if (config.eos_token_ids.empty()) return nullptr;
  if (config.eos_token_ids.size() == 1) return config.eos_token_ids.front();
  return config.eos_token_ids;
}

void write_windows(const ModelConfig& config, Json& json) {
  const SlidingWindow kind = config.family().sliding_window;
  if (kind == SlidingWindow::kNever) return;
  std::int64_t window = 0;
  std::size_t first = config.layer_windows.size();
  for (std::size_t i = config.layer_windows.size(); i-- > 0;) {
    if (config.layer_windows[i] > 0) window = config.layer_windows[first = i];
  }
  json["sliding_window"] = window > 0 ? Json(window) : Json();
  if (kind == SlidingWindow::kEveryLayer) return;
  json["use_sliding_window"] = window > 0;
  if (window == 0) return;
  json["max_window_layers"] = first;  // what generations of transformers before layer_types read
  for (std::size_t i = 0; i < config.layer_windows.size(); ++i) {
    json["layer_types"].push_back(config.window(i) > 0 ? "sliding_attention" : "full_attention");
  }
}

}  // namespace

Json config_json(const ModelConfig& config) {
  const Family& family = config.family();
  const auto id = [](std::int32_t token) { return token < 0 ? Json() : Json(token); };
  Json json = {
      {"architectures", Json::array({config.architecture})},
      {"model_type", family.model_type},
      {"vocab_size", config.vocab_size},
      {"hidden_size", config.hidden_size},
      {"intermediate_size", config.intermediate_size},
      {"num_hidden_layers", config.num_hidden_layers},
      {"num_attention_heads", config.num_attention_heads},
      {"num_key_value_heads", config.num_key_value_heads},
      {"head_dim", config.head_dim},
      {"hidden_act", "silu"},
      {"max_position_embeddings", config.max_position_embeddings},
      {"rms_norm_eps", config.rms_norm_eps},
      {"rope_theta", config.rope_theta},
      {"rope_scaling", rope_scaling_json(config.rope_scaling)},
      {"initializer_range", config.initializer_range},
      {"tie_word_embeddings", config.tie_word_embeddings},
      {"attention_dropout", 0.0},
      {"use_cache", true},
      {"bos_token_id", id(config.bos_token_id)},
      {"eos_token_id", eos_json(config)},
      {"pad_token_id", id(config.pad_token_id)},
      // The name that every generation of transformers reads; newer ones call it dtype.
      {"torch_dtype", "float32"},
  };
  if (family.attention_bias == AttentionBias::kByField) json["attention_bias"] = config.output_bias;
  if (family.has_mlp_bias) json["mlp_bias"] = config.mlp_bias;
  write_windows(config, json);
  return json;
}

Json generation_config_json(const ModelConfig& config) {
  Json json = Json::object();
  json["do_sample"] = true;
  if (!config.eos_token_ids.empty()) json["eos_token_id"] = eos_json(config);
  return json;
}

}  // namespace whet::engine
