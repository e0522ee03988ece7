// How rotary positions are stretched beyond the lengths of pre-training, as config.json says it.
#pragma once

#include "base/json.h"
#include "engine/json_fields.h"

namespace whet::engine {

enum class RopeType {
  kDefault,  ///< no stretching
  kLinear,   ///< every frequency divided by factor
  kDynamic,  ///< as kDefault up to max_position_embeddings; beyond, frequencies would depend on a sequence's length
  kLlama3,   ///< low frequencies divided by factor, high ones kept, those between interpolated
  kYarn,     ///< by turns within the original length, with cosines and sines scaled by attention_factor
};

struct RopeScaling {
  RopeType type = RopeType::kDefault;
  double factor = 1;
  double original_max_position_embeddings = 0;  ///< llama3, yarn
  double low_freq_factor = 1;                   ///< llama3
  double high_freq_factor = 4;                  ///< llama3
  double attention_factor = 1;                  ///< yarn; computed when the file gives none
  double beta_fast = 32;                        ///< yarn
  double beta_slow = 1;                         ///< yarn
  bool truncate = true;                         ///< yarn

  bool operator==(const RopeScaling&) const = default;
};

std::string_view rope_type_name(RopeType type);

/// The base of the rotary angles and their scaling, from wherever the file's generation of transformers put them:
/// `rope_theta` beside `rope_scaling` (4.x), or both inside `rope_parameters` (5.x). Meaning and defaults are those of
/// transformers 5.24. UserError naming file and field for an unknown type, a field that the type does not have, a value
/// out of range, or two places that contradict each other.
void read_rope(const JsonFields& fields, std::int64_t max_position_embeddings, double& theta, RopeScaling& scaling);

/// For `rope_scaling`, which every generation of transformers reads; null without scaling.
base::Json rope_scaling_json(const RopeScaling& scaling);

}  // namespace whet::engine
