// Adapters of low rank over frozen weights (LoRA, arXiv 2106.09685), as PEFT keeps them on disk: a folder with
// adapter_config.json and adapter_model.safetensors that names the model it belongs to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace whet::engine {

/// Projections that an adapter may correct.
const std::vector<std::string>& lora_targets();

struct LoraOptions {
  std::int64_t rank = 0;             ///< 0: no adapters
  double alpha = 0;                  ///< corrections are scaled by alpha / rank
  std::vector<std::string> targets;  ///< of lora_targets()
  std::uint64_t seed = 0;            ///< of the first matrix; the second starts at zero

  double scale() const { return alpha / static_cast<double>(rank); }
};

/// UserError for a rank below 1, an alpha that is not positive, or targets that are none, twice or unknown.
void check_lora(const LoraOptions& options);

/// An adapter folder's config.
struct AdapterConfig {
  LoraOptions lora;
  std::filesystem::path base;  ///< folder of the model that it corrects
};

/// Nothing for a folder without adapter_config.json. UserError naming file and field for one that asks for what is not
/// supported, and when the folder of the base is not there.
std::optional<AdapterConfig> read_adapter_config(const std::filesystem::path& folder);

/// PEFT reads it.
base::Json adapter_config_json(const LoraOptions& options, const std::filesystem::path& base);

/// The folder whose config.json and weights a model folder stands for: its own, or that of an adapter's base.
std::filesystem::path weights_folder(const std::filesystem::path& folder);

}  // namespace whet::engine
