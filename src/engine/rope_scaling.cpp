#include "engine/rope_scaling.h"

#include <cmath>
#include <optional>

#include "base/error.h"

namespace whet::engine {
namespace {

using base::Json;
using base::user_error;

struct RopeKind {
  RopeType type;
  std::string_view name;
  std::vector<std::string_view> fields;  ///< beside rope_type and rope_theta
};

const std::vector<RopeKind>& kinds() {
  static const std::vector<RopeKind> list = {
      {RopeType::kDefault, "default", {}},
      {RopeType::kLinear, "linear", {"factor"}},
      {RopeType::kDynamic, "dynamic", {"factor"}},
      {RopeType::kLlama3,
       "llama3",
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}},
      {RopeType::kYarn,
       "yarn",
       {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "mscale",
        "mscale_all_dim", "truncate"}},
  };
  return list;
}

const RopeKind& kind_of(const JsonFields& block) {
  Json name = "default";
  const Json* older = block.find("type");
  const Json* newer = block.find("rope_type");
  if (older != nullptr) name = *older;
  if (newer != nullptr) name = *newer;
  if (older != nullptr && newer != nullptr && *older != *newer) {
    user_error(block.file(), "rope_type = {}, but type says {}", base::to_json_line(*newer),
               base::to_json_line(*older));
  }
  std::vector<std::string_view> known;
  for (const RopeKind& kind : kinds()) {
    if (name == Json(kind.name)) return kind;
    known.push_back(kind.name);
  }
  user_error(block.file(), "{} = {} is not supported, want one of: {}", newer != nullptr ? "rope_type" : "type",
             base::to_json_line(name), fmt::join(known, ", "));
}

constexpr double kMost = 1e9;

/// What cosines and sines are multiplied by, unless the file says so itself.
double yarn_attention_factor(const JsonFields& block, double factor) {
  const auto growth = [factor](double scale) { return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0; };
  const double mscale = block.number("mscale", 0.0, kMost, 0.0);
  const double all_dimensions = block.number("mscale_all_dim", 0.0, kMost, 0.0);
  const double usual = mscale > 0 && all_dimensions > 0 ? growth(mscale) / growth(all_dimensions) : growth(1.0);
  return block.number("attention_factor", 0.0, kMost, usual);
}

RopeScaling read_scaling(const JsonFields& block, std::int64_t max_position_embeddings) {
  const RopeKind& kind = kind_of(block);
  for (const auto& [key, value] : block.object().items()) {
    if (value.is_null() || key == "rope_theta" || key == "rope_type" || key == "type") continue;
    if (key == "partial_rotary_factor" && value == 1.0) continue;
    if (std::find(kind.fields.begin(), kind.fields.end(), key) == kind.fields.end()) {
      user_error(block.file(), "{} = {} is not supported for rope_type \"{}\" (want: {})", key,
                 base::to_json_line(value), kind.name,
                 kind.fields.empty() ? "rope_theta only" : fmt::format("{}", fmt::join(kind.fields, ", ")));
    }
  }
  RopeScaling scaling;
  scaling.type = kind.type;
  if (kind.type == RopeType::kDefault) return scaling;
  const auto length = static_cast<double>(max_position_embeddings);
  if (kind.type == RopeType::kLlama3 || kind.type == RopeType::kYarn) {
    scaling.original_max_position_embeddings = block.number("original_max_position_embeddings", 1.0, kMost, length);
  }
  // A factor of null asks yarn for the ratio of the two lengths; one that is left out is an error there too.
  const bool by_lengths = kind.type == RopeType::kYarn && block.has("factor");
  scaling.factor = by_lengths ? block.number("factor", 1.0, kMost, length / scaling.original_max_position_embeddings)
                              : block.number("factor", 1.0, kMost);
  if (kind.type == RopeType::kLlama3) {
    scaling.low_freq_factor = block.number("low_freq_factor", 1e-9, kMost);
    scaling.high_freq_factor = block.number("high_freq_factor", 1e-9, kMost);
    if (scaling.high_freq_factor <= scaling.low_freq_factor) {
      user_error(block.file(), "high_freq_factor = {}, want more than low_freq_factor = {}", scaling.high_freq_factor,
                 scaling.low_freq_factor);
    }
  }
  if (kind.type == RopeType::kYarn) {
    // 0 stands for the default, as in transformers.
    const double fast = block.number("beta_fast", 0.0, kMost, 0.0), slow = block.number("beta_slow", 0.0, kMost, 0.0);
    if (fast > 0) scaling.beta_fast = fast;
    if (slow > 0) scaling.beta_slow = slow;
    scaling.truncate = block.flag("truncate", true);
    scaling.attention_factor = yarn_attention_factor(block, scaling.factor);
  }
  return scaling;
}

}  // namespace

std::string_view rope_type_name(RopeType type) { return kinds()[static_cast<std::size_t>(type)].name; }

void read_rope(const JsonFields& fields, std::int64_t max_position_embeddings, double& theta, RopeScaling& scaling) {
  // A base of 1 gives every pair the same frequency, and yarn divides by its logarithm.
  constexpr double kDefault = 10000.0, kLow = 1.0 + 1e-6, kHigh = 1e12;
  theta = fields.number("rope_theta", kLow, kHigh, kDefault);
  std::optional<RopeScaling> first;
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const Json* object = fields.find(name);
    if (object == nullptr) continue;
    const JsonFields block(*object, fmt::format("{}: {}", fields.file(), name));
    scaling = read_scaling(block, max_position_embeddings);
    if (first && *first != scaling) user_error(fields.file(), "rope_scaling and rope_parameters contradict each other");
    first = scaling;
    if (block.find("rope_theta") == nullptr) continue;
    const double inner = block.number("rope_theta", kLow, kHigh);
    if (fields.find("rope_theta") != nullptr && inner != theta) {
      user_error(fields.file(), "rope_theta = {}, but {} says {}", theta, name, inner);
    }
    theta = inner;
  }
}

Json rope_scaling_json(const RopeScaling& scaling) {
  if (scaling.type == RopeType::kDefault) return nullptr;
  Json json = {{"rope_type", rope_type_name(scaling.type)}, {"factor", scaling.factor}};
  if (scaling.type == RopeType::kLlama3) {
    json["low_freq_factor"] = scaling.low_freq_factor;
    json["high_freq_factor"] = scaling.high_freq_factor;
  }
  if (scaling.type == RopeType::kYarn) {
    json["attention_factor"] = scaling.attention_factor;
    json["beta_fast"] = scaling.beta_fast;
    json["beta_slow"] = scaling.beta_slow;
    json["truncate"] = scaling.truncate;
  }
  if (scaling.type == RopeType::kLlama3 || scaling.type == RopeType::kYarn) {
    json["original_max_position_embeddings"] = static_cast<std::int64_t>(scaling.original_max_position_embeddings);
  }
  return json;
}

}  // namespace whet::engine
