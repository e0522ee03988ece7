#include "engine/lora.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;
using base::Json;
using base::user_error;

}  // namespace

const std::vector<std::string>& lora_targets() {
  static const std::vector<std::string> names = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                 "gate_proj", "up_proj", "down_proj"};
  return names;
}

void check_lora(const LoraOptions& options) {
  if (options.rank < 1) user_error("lora-rank", "{}, want >= 1", options.rank);
  if (!(options.alpha > 0) || !std::isfinite(options.alpha)) user_error("lora-alpha", "{}, want > 0", options.alpha);
  if (options.targets.empty()) user_error("lora-targets", "none, want some of: {}", fmt::join(lora_targets(), ", "));
  for (const std::string& target : options.targets) {
    if (std::find(lora_targets().begin(), lora_targets().end(), target) == lora_targets().end()) {
      user_error("lora-targets", "'{}', want some of: {}", target, fmt::join(lora_targets(), ", "));
    }
    if (std::count(options.targets.begin(), options.targets.end(), target) > 1)
      user_error("lora-targets", "'{}' twice", target);
  }
}

std::optional<AdapterConfig> read_adapter_config(const fs::path& folder) {
  const fs::path path = folder / "adapter_config.json";
  if (!fs::exists(path)) return std::nullopt;
  const Json json = base::read_json_file(path);
  const std::string where = path.string();
  if (!json.is_object()) user_error(where, "not a JSON object");
  const auto find = [&](const char* name) -> const Json* {
    const auto found = json.find(name);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  };
  const auto refuse = [&](const char* name, const Json& value, std::string_view wanted) {
    user_error(where, "{} = {} is not supported, want {}", name, base::to_json_line(value), wanted);
  };
  if (const Json* type = find("peft_type"); type == nullptr || *type != "LORA") {
    refuse("peft_type", type == nullptr ? Json(nullptr) : *type, "LORA");
  }
  // What would change the result, and the values under which it does not.
  const std::pair<const char*, std::vector<Json>> features[] = {{"bias", {"none"}},
                                                                {"use_dora", {false}},
                                                                {"use_rslora", {false}},
                                                                {"fan_in_fan_out", {false}},
                                                                {"modules_to_save", {}},
                                                                {"layers_to_transform", {}},
                                                                {"rank_pattern", {Json::object()}},
                                                                {"alpha_pattern", {Json::object()}},
                                                                {"layer_replication", {}},
                                                                {"exclude_modules", {}},
                                                                {"target_parameters", {}},
                                                                {"trainable_token_indices", {}},
                                                                {"lora_bias", {false}},
                                                                {"use_qalora", {false}},
                                                                {"use_bdlora", {false}},
                                                                {"alora_invocation_tokens", {}},
                                                                {"arrow_config", {}},
                                                                {"kasa_config", {}},
                                                                {"velora_config", {}},
                                                                {"monteclora_config", {}},
                                                                {"layers_pattern", {}}};
  for (const auto& [name, off] : features) {
    const Json* value = find(name);
    if (value != nullptr && std::find(off.begin(), off.end(), *value) == off.end()) {
      refuse(name, *value, off.empty() ? "null" : base::to_json_line(off.front()));
    }
  }
  AdapterConfig config;
  const Json* rank = find("r");
  if (rank == nullptr || !rank->is_number_integer()) user_error(where, "r is no whole number");
  config.lora.rank = rank->get<std::int64_t>();
  const Json* alpha = find("lora_alpha");
  if (alpha == nullptr || !alpha->is_number()) user_error(where, "lora_alpha is no number");
  config.lora.alpha = alpha->get<double>();
  const Json* targets = find("target_modules");
  if (targets == nullptr || !targets->is_array()) user_error(where, "target_modules is no list of names");
  for (const Json& target : *targets) {
    if (!target.is_string()) refuse("target_modules", *targets, "names");
    config.lora.targets.push_back(target.get<std::string>());
  }
  // PEFT writes a set: its order is no one's.
  const auto place = [](const std::string& name) {
    return std::find(lora_targets().begin(), lora_targets().end(), name) - lora_targets().begin();
  };
  std::sort(config.lora.targets.begin(), config.lora.targets.end(),
            [&](const auto& a, const auto& b) { return place(a) < place(b); });
  try {
    check_lora(config.lora);
  } catch (const base::UserError& error) {
    user_error(where, "{}", error.what());
  }
  const Json* base = find("base_model_name_or_path");
  if (base == nullptr || !base->is_string()) user_error(where, "base_model_name_or_path is no text");
  config.base = base->get<std::string>();
  if (config.base.is_relative()) config.base = folder / config.base;
  if (!fs::exists(config.base / "config.json")) {
    user_error(where, "base_model_name_or_path = {}, want the folder of the model that the adapter corrects",
               base::to_json_line(*base));
  }
  return config;
}

Json adapter_config_json(const LoraOptions& options, const fs::path& base) {
  return {{"peft_type", "LORA"},
          {"task_type", "CAUSAL_LM"},
          {"base_model_name_or_path", base.string()},
          {"r", options.rank},
          {"lora_alpha", options.alpha},
          {"lora_dropout", 0.0},
          {"target_modules", options.targets},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"use_rslora", false},
          {"use_dora", false},
          {"init_lora_weights", true},
          {"modules_to_save", nullptr},
          {"inference_mode", true}};
}

fs::path weights_folder(const fs::path& folder) {
  const auto adapter = read_adapter_config(folder);
  return adapter ? adapter->base : folder;
}

}  // namespace whet::engine
