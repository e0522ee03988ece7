// What the decoder's own files share: the layout of adapters, and reading a stored tensor into a window.
#pragma once

#include <algorithm>

#include "engine/safetensors.h"
#include "engine/torch/decoder.h"

namespace whet::engine {

/// An adapter's place in a layer, the projection that it corrects and its sizes.
struct Decoder::AdapterSlot {
  std::vector<Adapter>* place;
  std::string name;  ///< model.layers.0.self_attn.q_proj
  std::int64_t first_column = 0;
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
};

/// Converts a stored tensor of any float type into `window`. UserError naming file and tensor for another shape or type.
void copy_tensor(const TensorView& view, const at::Tensor& window, const std::string& file, const std::string& name);

}  // namespace whet::engine
