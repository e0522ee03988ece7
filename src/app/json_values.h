// Values that several commands write in the same way.
#pragma once

#include <optional>

#include "analysis/evaluation.h"
#include "base/json.h"

namespace whet::app {

template <class T>
base::Json or_null(const std::optional<T>& value) {
  return value ? base::Json(*value) : base::Json(nullptr);
}

/// {value, low, high}, or null.
inline base::Json estimate_json(const std::optional<analysis::Estimate>& estimate) {
  if (!estimate) return nullptr;
  return {{"value", estimate->value}, {"low", estimate->low}, {"high", estimate->high}};
}

}  // namespace whet::app
