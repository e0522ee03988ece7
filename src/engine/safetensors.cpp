#include "engine/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "base/json.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;
using base::user_error;
/// Sorted by key: in base::Json, which keeps the order, reading n tensors takes n^2 steps.
using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "tensors are handed out as the file stores them");

constexpr std::size_t kLengthBytes = 8;
/// The format's own library refuses longer headers; a model with 100,000 tensors needs a tenth of it.
constexpr std::uint64_t kLongestHeader = 100'000'000;

struct DTypeFacts {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

/// From narrow to wide, in the order of the format's own library, whose reverse is the order of a file's tensors.
constexpr std::array<DTypeFacts, 15> kDTypes = {{
    {DType::kBool, "BOOL", 1},
    {DType::kU8, "U8", 1},
    {DType::kI8, "I8", 1},
    {DType::kF8E5M2, "F8_E5M2", 1},
    {DType::kF8E4M3, "F8_E4M3", 1},
    {DType::kI16, "I16", 2},
    {DType::kU16, "U16", 2},
    {DType::kF16, "F16", 2},
    {DType::kBF16, "BF16", 2},
    {DType::kI32, "I32", 4},
    {DType::kU32, "U32", 4},
    {DType::kF32, "F32", 4},
    {DType::kF64, "F64", 8},
    {DType::kI64, "I64", 8},
    {DType::kU64, "U64", 8},
}};

const DTypeFacts& facts(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)]; }

std::optional<DType> dtype_named(std::string_view name) {
  for (const DTypeFacts& entry : kDTypes) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

/// Bytes of a tensor, or nothing when the product does not fit.
std::optional<std::uint64_t> byte_size(const std::vector<std::int64_t>& shape, DType dtype) {
  std::uint64_t size = facts(dtype).size;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(size, static_cast<std::uint64_t>(extent), &size)) return std::nullopt;
  }
  return size;
}

/// Parses an object. The library would keep one of two equal keys in silence; here the second is an error, because two
/// readers that keep different ones would run different models. `what` names the text in errors.
Json parse_object(std::string_view text, std::string_view what, const std::string& file) {
  std::vector<std::set<std::string>> open_objects;
  std::string duplicate;
  const Json::parser_callback_t watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key && !open_objects.back().insert(parsed.get<std::string>()).second) {
      if (duplicate.empty()) duplicate = parsed.get<std::string>();
    }
    return true;
  };
  Json object;
  try {
    object = Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    user_error(file, "{} is not JSON at its byte {}", what, error.byte);
  } catch (const Json::out_of_range&) {
    user_error(file, "{} has a number that is too large", what);
  }
  if (!duplicate.empty()) user_error(file, "{} has '{}' twice", what, duplicate);
  if (!object.is_object()) user_error(file, "{} is not a JSON object", what);
  return object;
}

/// A whole number that is not negative, as the format asks for; 1.0, true and -1 are not.
std::optional<std::uint64_t> natural(const Json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<std::uint64_t>();
}

struct Entry {
  TensorView view;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// One tensor's line of the header, checked against itself and against the `available` bytes of data.
Entry read_entry(const std::string& name, const Json& line, std::uint64_t available, const std::string& file) {
  if (!line.is_object()) user_error(file, "tensor '{}': want an object with dtype, shape and data_offsets", name);
  for (const auto& [key, value] : line.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      user_error(file, "tensor '{}': unknown field '{}', want dtype, shape and data_offsets", name, key);
    }
  }
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!line.contains(key)) user_error(file, "tensor '{}': {} is missing", name, key);
  }
  Entry entry;
  const Json& dtype = line["dtype"];
  const std::optional<DType> known = dtype.is_string() ? dtype_named(dtype.get<std::string>()) : std::nullopt;
  if (!known) {
    std::vector<std::string_view> names;
    for (const DTypeFacts& each : kDTypes) names.push_back(each.name);
    user_error(file, "tensor '{}': dtype {}, want one of: {}", name, dtype.dump(), fmt::join(names, ", "));
  }
  entry.view.dtype = *known;

  const Json& shape = line["shape"];
  if (!shape.is_array()) user_error(file, "tensor '{}': shape {}, want a list", name, shape.dump());
  for (const Json& extent : shape) {
    const std::optional<std::uint64_t> value = natural(extent);
    if (!value || *value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      user_error(file, "tensor '{}': shape {}, want whole numbers >= 0", name, shape.dump());
    }
    entry.view.shape.push_back(static_cast<std::int64_t>(*value));
  }

  const Json& offsets = line["data_offsets"];
  const std::string offsets_text = offsets.dump();
  if (!offsets.is_array() || offsets.size() != 2 || !natural(offsets[0]) || !natural(offsets[1])) {
    user_error(file, "tensor '{}': data_offsets {}, want [begin, end]", name, offsets_text);
  }
  entry.begin = *natural(offsets[0]);
  entry.end = *natural(offsets[1]);
  if (entry.begin > entry.end) user_error(file, "tensor '{}': data_offsets {} run backwards", name, offsets_text);
  if (entry.end > available) {
    user_error(file, "tensor '{}': data_offsets {} reach past the {} bytes of data (file cut short?)", name,
               offsets_text, available);
  }
  const std::optional<std::uint64_t> wanted = byte_size(entry.view.shape, entry.view.dtype);
  if (!wanted) user_error(file, "tensor '{}': shape {} has too many elements", name, shape.dump());
  if (*wanted != entry.end - entry.begin) {
    user_error(file, "tensor '{}': data_offsets {} hold {} bytes, want {} for shape {} of {}", name, offsets_text,
               entry.end - entry.begin, *wanted, shape.dump(), facts(*known).name);
  }
  return entry;
}

/// The data must be covered exactly: a gap could hide bytes, and an overlap lets one tensor change another.
void check_cover(const std::map<std::string, Entry>& entries, std::uint64_t available, const std::string& file) {
  std::vector<std::pair<const std::string*, const Entry*>> order;
  for (const auto& [name, entry] : entries) order.emplace_back(&name, &entry);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  std::uint64_t covered = 0;
  for (const auto& [name, entry] : order) {
    if (entry->begin < covered) user_error(file, "tensor '{}': its bytes overlap another tensor's", *name);
    if (entry->begin > covered) {
      user_error(file, "tensor '{}': {} bytes before it belong to no tensor", *name, entry->begin - covered);
    }
    covered = entry->end;
  }
  if (covered != available) user_error(file, "{} bytes after the last tensor belong to none", available - covered);
}

/// A path that cannot be looked at counts as absent; opening it would fail with the system's reason.
bool stands(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string_view dtype_name(DType dtype) { return facts(dtype).name; }
std::size_t dtype_size(DType dtype) { return facts(dtype).size; }

SafetensorsFile::SafetensorsFile(const fs::path& path) : file_(path) {
  const std::string file = path.string();
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < kLengthBytes) {
    user_error(file, "{} bytes, want a safetensors file (at least {})", bytes.size(), kLengthBytes);
  }
  std::uint64_t header_length = 0;
  std::memcpy(&header_length, bytes.data(), kLengthBytes);
  if (header_length > kLongestHeader) {
    user_error(file, "safetensors header of {} bytes, want at most {} (not a safetensors file?)", header_length,
               kLongestHeader);
  }
  if (header_length > bytes.size() - kLengthBytes) {
    user_error(file, "safetensors header of {} bytes, but the file ends after {} (cut short?)", header_length,
               bytes.size() - kLengthBytes);
  }
  const Json header = parse_object(as_text(bytes.subspan(kLengthBytes, header_length)), "safetensors header", file);
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + header_length);

  std::map<std::string, Entry> entries;
  for (const auto& [name, line] : header.items()) {
    if (name != "__metadata__") {
      entries.emplace(name, read_entry(name, line, data.size(), file));
      continue;
    }
    if (!line.is_object()) user_error(file, "__metadata__ is not an object of texts");
    for (const auto& [key, value] : line.items()) {
      if (!value.is_string()) user_error(file, "__metadata__ '{}' is not a text", key);
      metadata_.emplace(key, value.get<std::string>());
    }
  }
  check_cover(entries, data.size(), file);
  for (auto& [name, entry] : entries) {
    entry.view.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    tensors_.emplace(name, std::move(entry.view));
  }
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

Checkpoint::Checkpoint(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors";
  const fs::path index_path = folder / "model.safetensors.index.json";
  if (stands(single)) {
    listing_ = single;
    files_.push_back(std::make_unique<SafetensorsFile>(single));
    for (const auto& [name, view] : files_.back()->tensors()) tensors_.emplace(name, Place{&view, single});
    return;
  }
  if (!stands(index_path)) {
    user_error(folder.string(),
               "no model.safetensors and no model.safetensors.index.json, want the weights of a model");
  }
  listing_ = index_path;
  const Json index = parse_object(base::read_file(index_path), "index", index_path.string());
  if (!index.contains("weight_map") || !index["weight_map"].is_object()) {
    user_error(index_path.string(), "no weight_map, want an object of tensor names and shard files");
  }
  std::map<std::string, const SafetensorsFile*> shards;
  for (const auto& [name, shard] : index["weight_map"].items()) {
    // A shard lies beside its index: a path in its name could reach any file of the machine.
    if (!shard.is_string() || fs::path(shard.get<std::string>()).filename() != shard.get<std::string>()) {
      user_error(index_path.string(), "tensor '{}': shard {}, want a file name", name, shard.dump());
    }
    const auto [place, is_new] = shards.emplace(shard.get<std::string>(), nullptr);
    if (is_new) {
      if (!stands(folder / place->first)) {
        user_error(index_path.string(), "shard '{}' is missing from the folder", place->first);
      }
      files_.push_back(std::make_unique<SafetensorsFile>(folder / place->first));
      place->second = files_.back().get();
    }
    const TensorView* view = place->second->find(name);
    if (view == nullptr)
      user_error((folder / place->first).string(), "tensor '{}' is missing, the index lists it", name);
    tensors_.emplace(name, Place{view, folder / place->first});
  }
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second.view;
}

const fs::path& Checkpoint::file_of(std::string_view name) const { return tensors_.find(name)->second.file; }

const TensorView& Checkpoint::get(std::string_view name) const {
  const TensorView* view = find(name);
  if (view == nullptr) user_error(listing_.string(), "no tensor '{}', which config.json calls for", name);
  return *view;
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> result;
  for (const auto& [name, place] : tensors_) result.push_back(name);
  return result;
}

void write_safetensors(const fs::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    return a->dtype != b->dtype ? a->dtype > b->dtype : a->name < b->name;
  });
  base::Json header = base::Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t begin = 0;
  for (const NamedTensor* tensor : order) {
    if (byte_size(tensor->shape, tensor->dtype) != tensor->bytes.size()) {
      throw std::logic_error(
          fmt::format("tensor '{}' has {} bytes, which do not fit its shape", tensor->name, tensor->bytes.size()));
    }
    const std::uint64_t end = begin + tensor->bytes.size();
    const base::Json line = {
        {"dtype", facts(tensor->dtype).name}, {"shape", tensor->shape}, {"data_offsets", {begin, end}}};
    if (tensor->name == "__metadata__" || header.contains(tensor->name)) {
      throw std::logic_error(fmt::format("tensor name '{}' is used twice or reserved", tensor->name));
    }
    header[tensor->name] = line;
    begin = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();

  base::NewFile file(path);
  file.write({reinterpret_cast<const char*>(&length), kLengthBytes});
  file.write(text);
  for (const NamedTensor* tensor : order) file.write(as_text(tensor->bytes));
  file.commit();
}

void write_checkpoint(const fs::path& folder, std::span<const NamedTensor> tensors, std::int64_t shard_bytes) {
  std::vector<std::vector<NamedTensor>> shards(1);
  std::uint64_t total = 0, in_last = 0;
  for (const NamedTensor& tensor : tensors) {
    if (!shards.back().empty() && in_last + tensor.bytes.size() > static_cast<std::uint64_t>(shard_bytes)) {
      shards.emplace_back();
      in_last = 0;
    }
    shards.back().push_back(tensor);
    in_last += tensor.bytes.size();
    total += tensor.bytes.size();
  }
  const fs::path single = folder / "model.safetensors", index_path = folder / "model.safetensors.index.json";
  std::set<std::string> written;
  if (shards.size() == 1) {
    write_safetensors(single, tensors);
    written.insert(single.filename());
  } else {
    base::Json map = base::Json::object();
    for (std::size_t i = 0; i < shards.size(); ++i) {
      const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
      write_safetensors(folder / name, shards[i]);
      written.insert(name);
      for (const NamedTensor& tensor : shards[i]) map[tensor.name] = name;
    }
    const base::Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
    base::write_file(index_path, index.dump(2) + "\n");
    written.insert(index_path.filename());
  }
  // A reader takes model.safetensors before an index: neither may outlive the weights that it belonged to.
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    const bool is_weights = name == single.filename() || name == index_path.filename() ||
                            (name.starts_with("model-") && name.ends_with(".safetensors"));
    if (is_weights && !written.contains(name)) fs::remove(entry.path());
  }
}

}  // namespace whet::engine
