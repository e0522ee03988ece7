// The decoder's adapters of low rank: where they lie, what PEFT calls them, and weights with their corrections added.
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/random.h"
#include "engine/safetensors.h"
#include "engine/torch/decoder_slots.h"

namespace whet::engine {

std::vector<Decoder::AdapterSlot> Decoder::adapter_slots() {
  std::vector<AdapterSlot> all;
  if (lora_.rank == 0) return all;
  const std::int64_t d = config_.hidden_size, f = config_.intermediate_size;
  const std::int64_t queries = shape_.query_width(), keys = shape_.key_width();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerWeights& layer = layers_[i];
    const auto add = [&](const char* target, const char* block, std::vector<Adapter>& place, std::int64_t first_column,
                         std::int64_t inputs, std::int64_t outputs) {
      if (std::find(lora_.targets.begin(), lora_.targets.end(), target) == lora_.targets.end()) return;
      all.push_back({&place, fmt::format("model.layers.{}.{}.{}", i, block, target), first_column, inputs, outputs});
    };
    // In the order in which gradients() walks them.
    add("q_proj", "self_attn", layer.qkv_adapters, 0, d, queries);
    add("k_proj", "self_attn", layer.qkv_adapters, queries, d, keys);
    add("v_proj", "self_attn", layer.qkv_adapters, queries + keys, d, keys);
    add("o_proj", "self_attn", layer.output_adapters, 0, queries, d);
    add("gate_proj", "mlp", layer.gate_up_adapters, 0, d, f);
    add("up_proj", "mlp", layer.gate_up_adapters, f, d, f);
    add("down_proj", "mlp", layer.down_adapters, 0, f, d);
  }
  return all;
}

void Decoder::add_adapters(const LoraOptions& options) {
  check_lora(options);
  if (adapters_.defined()) throw std::logic_error("a decoder takes adapters once");
  lora_ = options;
  std::int64_t total = 0;
  for (const AdapterSlot& slot : adapter_slots()) total += lora_.rank * (slot.inputs + slot.outputs);
  adapters_ = at::zeros({total}, weights_.options().dtype(arithmetic()));
  gradients_ = at::Tensor();
  make_windows();
  for (const NamedWindow& entry : named_adapters()) {
    if (entry.name.find(".lora_A.") == std::string::npos) continue;  // the other matrix is zero: no correction at first
    // As PEFT begins: uniform within 1/sqrt(inputs).
    base::Random random{options.seed, base::hash_text(entry.name)};
    const double bound = 1.0 / std::sqrt(static_cast<double>(entry.window.size(1)));
    at::Tensor values = at::empty(entry.window.sizes(), at::kDouble);
    double* out = values.data_ptr<double>();
    for (std::int64_t i = 0; i < values.numel(); ++i) out[i] = (2 * random.uniform() - 1) * bound;
    entry.window.copy_(values);
  }
}

std::vector<Decoder::NamedWindow> Decoder::adapter_windows(const at::Tensor& flat) const {
  std::vector<NamedWindow> all;
  std::int64_t offset = 0;
  for (const AdapterSlot& slot : const_cast<Decoder*>(this)->adapter_slots()) {
    const auto add = [&](const char* which, std::int64_t rows, std::int64_t columns) {
      all.push_back({fmt::format("base_model.model.{}.{}.weight", slot.name, which),
                     flat.narrow(0, offset, rows * columns).view({rows, columns})});
      offset += rows * columns;
    };
    add("lora_A", lora_.rank, slot.inputs);
    add("lora_B", slot.outputs, lora_.rank);
  }
  return all;
}

std::vector<Decoder::NamedWindow> Decoder::named_adapters() const {
  return adapters_.defined() ? adapter_windows(adapters_) : std::vector<NamedWindow>{};
}

std::vector<Decoder::NamedWindow> Decoder::merged_weights() const {
  const torch::NoGradGuard no_grad;
  std::vector<NamedWindow> all = named_computed_weights();
  for (NamedWindow& entry : all) entry.window = entry.window.to(arithmetic());
  const auto adapters = named_adapters();  // pairs of A and B
  for (std::size_t i = 0; i < adapters.size(); i += 2) {
    const std::string_view name = adapters[i].name;
    const std::string target = std::string(name.substr(17, name.size() - 17 - std::strlen("lora_A.weight"))) + "weight";
    for (NamedWindow& entry : all) {
      if (entry.name == target)
        entry.window = at::add(entry.window, at::mm(adapters[i + 1].window, adapters[i].window), adapter_scale());
    }
  }
  return all;
}

void Decoder::load_adapters(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "adapter_model.safetensors";
  const SafetensorsFile file(path);
  const auto windows = named_adapters();
  for (const NamedWindow& entry : windows) {
    const TensorView* view = file.find(entry.name);
    if (view == nullptr) base::user_error("model", "{} has no tensor {}", path.string(), entry.name);
    copy_tensor(*view, entry.window, path.string(), entry.name);
  }
  if (file.tensors().size() != windows.size()) {
    for (const auto& [name, view] : file.tensors()) {
      if (std::none_of(windows.begin(), windows.end(), [&](const auto& entry) { return entry.name == name; })) {
        base::user_error("model", "{}: tensor {} has no place under adapter_config.json", path.string(), name);
      }
    }
  }
}

}  // namespace whet::engine
