#include "engine/model_config.h"

#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;
using base::Json;
using base::user_error;

/// What may differ from family to family in how a config is read. A new family is a new row (and its layers).
struct Family {
  std::string_view architecture;
  std::string_view model_type;
  std::int64_t default_head_dim;  ///< where the file names none; 0: hidden_size / num_attention_heads
  bool default_tie_word_embeddings;
};

/// Defaults are those of transformers' configuration classes (5.24).
constexpr Family kFamilies[] = {
    {"Qwen3ForCausalLM", "qwen3", 128, false},
};

/// A feature that this engine lacks, and the values under which it is off. null is off for all of them.
struct Feature {
  const char* field;
  std::vector<Json> off;
};

const std::vector<Feature>& features() {
  static const std::vector<Feature> list = {
      {"hidden_act", {"silu"}},
      {"attention_bias", {false}},
      {"qkv_bias", {false}},
      {"mlp_bias", {false}},
      {"lm_head_bias", {false}},
      {"attention_dropout", {0.0}},
      {"hidden_dropout", {0.0}},
      {"resid_pdrop", {0.0}},
      {"embd_pdrop", {0.0}},
      {"use_sliding_window", {false}},
      {"use_bidirectional_attention", {false}},
      {"is_causal", {true}},
      {"is_encoder_decoder", {false}},
      {"add_cross_attention", {false}},
      {"partial_rotary_factor", {1.0}},
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

/// The fields of one JSON file, each read with its type and range, errors naming file and field.
class Fields {
 public:
  Fields(const Json& object, std::string file) : object_(object), file_(std::move(file)) {
    if (!object_.is_object()) user_error(file_, "not a JSON object");
  }

  /// nullptr when the field is missing or null.
  const Json* find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  std::int64_t integer(const char* name, std::int64_t low, std::int64_t high,
                       std::optional<std::int64_t> missing = std::nullopt) const {
    const Json* value = find(name);
    if (value == nullptr) {
      if (!missing) user_error(file_, "{} is missing, want a whole number {}..{}", name, low, high);
      return *missing;
    }
    return checked_integer(*value, name, low, high);
  }

  double number(const char* name, double low, double high, double missing) const {
    const Json* value = find(name);
    if (value == nullptr) return missing;
    const double result = value->is_number() ? value->get<double>() : std::nan("");
    if (!(result >= low && result <= high)) {
      user_error(file_, "{} = {}, want a number {}..{}", name, base::to_json_line(*value), low, high);
    }
    return result;
  }

  bool flag(const char* name, bool missing) const {
    const Json* value = find(name);
    if (value == nullptr) return missing;
    if (!value->is_boolean()) user_error(file_, "{} = {}, want true or false", name, base::to_json_line(*value));
    return value->get<bool>();
  }

  /// An id, a list of ids, or nothing.
  std::vector<std::int32_t> token_ids(const char* name, std::int64_t vocab_size) const {
    const Json* value = find(name);
    if (value == nullptr) return {};
    std::vector<std::int32_t> ids;
    if (!value->is_array()) return {static_cast<std::int32_t>(checked_integer(*value, name, 0, vocab_size - 1))};
    for (const Json& id : *value) {
      ids.push_back(static_cast<std::int32_t>(checked_integer(id, name, 0, vocab_size - 1)));
    }
    return ids;
  }

  const std::string& file() const { return file_; }

 private:
  std::int64_t checked_integer(const Json& value, const char* name, std::int64_t low, std::int64_t high) const {
    // A number past 2^63 is stored unsigned and would wrap.
    const bool fits =
        value.is_number_integer() &&
        !(value.is_number_unsigned() &&
          value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
    if (!fits || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
      user_error(file_, "{} = {}, want a whole number {}..{}", name, base::to_json_line(value), low, high);
    }
    return value.get<std::int64_t>();
  }

  const Json& object_;
  std::string file_;
};

const Family& find_family(const Fields& fields) {
  std::vector<std::string_view> known;
  for (const Family& family : kFamilies) known.push_back(family.architecture);
  const Json* architectures = fields.find("architectures");
  if (architectures == nullptr) {
    user_error(fields.file(), "architectures is missing, want one of: {}", fmt::join(known, ", "));
  }
  for (const Family& family : kFamilies) {
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

void refuse_unsupported(const Fields& fields, std::int64_t layers) {
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
  if (const Json* types = fields.find("layer_types")) {
    if (!types->is_array() || types->size() != static_cast<std::size_t>(layers)) {
      user_error(fields.file(), "layer_types = {}, want a list of {} names", base::to_json_line(*types), layers);
    }
    for (const Json& type : *types) {
      if (type != "full_attention") {
        user_error(fields.file(), "layer_types has {}, which is not supported (want full_attention)",
                   base::to_json_line(type));
      }
    }
  }
}

/// The base of the rotary angles, from wherever the file's generation of transformers put it: `rope_theta` beside
/// `rope_scaling` (4.x), or both inside `rope_parameters` (5.x). Any scaling of the angles is refused.
double read_rope_theta(const Fields& fields) {
  constexpr double kDefault = 10000.0, kLow = 1.0, kHigh = 1e12;
  double theta = fields.number("rope_theta", kLow, kHigh, kDefault);
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const Json* block = fields.find(name);
    if (block == nullptr) continue;
    const Fields inner(*block, fmt::format("{}: {}", fields.file(), name));
    for (const auto& [key, value] : block->items()) {
      if (key == "rope_theta" || value.is_null()) continue;
      if ((key == "rope_type" || key == "type") && value == "default") continue;
      if (key == "partial_rotary_factor" && value == 1.0) continue;
      user_error(inner.file(), "{} = {} is not supported, want rope_type \"default\" and rope_theta only", key,
                 base::to_json_line(value));
    }
    if (inner.find("rope_theta") == nullptr) continue;
    const double inner_theta = inner.number("rope_theta", kLow, kHigh, kDefault);
    if (fields.find("rope_theta") != nullptr && inner_theta != theta) {
      user_error(fields.file(), "rope_theta = {}, but {} says {}", theta, name, inner_theta);
    }
    theta = inner_theta;
  }
  return theta;
}

}  // namespace

ModelConfig read_model_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  const Json json = base::read_json_file(path);
  const Fields fields(json, path.string());
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
  config.num_key_value_heads = fields.integer("num_key_value_heads", 1, 65'536, config.num_attention_heads);
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    user_error(path.string(), "num_attention_heads = {}, want a multiple of num_key_value_heads = {}",
               config.num_attention_heads, config.num_key_value_heads);
  }
  const std::int64_t default_head_dim =
      family.default_head_dim > 0 ? family.default_head_dim : config.hidden_size / config.num_attention_heads;
  config.head_dim = fields.integer("head_dim", 2, 65'536, default_head_dim);
  if (config.head_dim % 2 != 0) {
    user_error(path.string(), "head_dim = {}, want an even number (rotary positions turn pairs)", config.head_dim);
  }
  config.max_position_embeddings = fields.integer("max_position_embeddings", 1, 1'000'000'000);
  config.rms_norm_eps = fields.number("rms_norm_eps", 0.0, 1.0, 1e-6);
  config.rope_theta = read_rope_theta(fields);
  config.initializer_range = fields.number("initializer_range", 0.0, 10.0, 0.02);
  config.tie_word_embeddings = fields.flag("tie_word_embeddings", family.default_tie_word_embeddings);
  refuse_unsupported(fields, config.num_hidden_layers);
  config.eos_token_ids = fields.token_ids("eos_token_id", config.vocab_size);

  const fs::path generation_path = folder / "generation_config.json";
  std::error_code error;
  if (fs::exists(generation_path, error)) {
    const Json generation = base::read_json_file(generation_path);
    const Fields generation_fields(generation, generation_path.string());
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

}  // namespace

Json config_json(const ModelConfig& config) {
  std::string_view model_type;
  for (const Family& family : kFamilies) {
    if (family.architecture == config.architecture) model_type = family.model_type;
  }
  return {
      {"architectures", Json::array({config.architecture})},
      {"model_type", model_type},
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
      {"initializer_range", config.initializer_range},
      {"tie_word_embeddings", config.tie_word_embeddings},
      {"attention_bias", false},
      {"attention_dropout", 0.0},
      {"use_sliding_window", false},
      {"use_cache", true},
      {"eos_token_id", eos_json(config)},
      // The name that every generation of transformers reads; newer ones call it dtype.
      {"torch_dtype", "float32"},
  };
}

Json generation_config_json(const ModelConfig& config) {
  Json json = Json::object();
  json["do_sample"] = true;
  if (!config.eos_token_ids.empty()) json["eos_token_id"] = eos_json(config);
  return json;
}

}  // namespace whet::engine
