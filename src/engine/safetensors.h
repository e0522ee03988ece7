// Weights on disk: the safetensors format, read without a copy and written without holding the file in memory.
//
// A file is an 8-byte little-endian length, that many bytes of JSON (the header), and the tensors' bytes back to back.
// The header says where each tensor lies, and a reader that believes it can be led outside the file; here every claim
// is checked before any byte is handed out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace whet::engine {

enum class DType { kBool, kU8, kI8, kF8E5M2, kF8E4M3, kI16, kU16, kF16, kBF16, kI32, kU32, kF32, kF64, kI64, kU64 };

/// The name in a header ("F32", "BF16", ...).
std::string_view dtype_name(DType dtype);
/// Bytes of one element.
std::size_t dtype_size(DType dtype);

/// A tensor inside a mapped file; valid as long as the file (or checkpoint) that gave it. Row-major, little-endian.
/// `bytes` need not be aligned to the element: files of other programs may pad the header freely.
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;  ///< empty: a scalar
  std::span<const std::byte> bytes;
};

/// One safetensors file. The constructor throws UserError naming the file (and the tensor, where it is one tensor's
/// fault) for anything but a header that describes exactly the bytes that follow it: no gaps, no overlaps, no rest.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// In alphabetical order.
  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  /// nullptr when there is none of that name.
  const TensorView* find(std::string_view name) const;
  /// The header's `__metadata__`.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  base::MappedFile file_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// The weights of a model folder: model.safetensors, or the shards that model.safetensors.index.json lists.
/// UserError naming a shard that is missing or that lacks a tensor which the index promises.
class Checkpoint {
 public:
  explicit Checkpoint(const std::filesystem::path& folder);

  /// nullptr when there is none of that name.
  const TensorView* find(std::string_view name) const;
  /// UserError naming the file or the index and the tensor when there is none of that name.
  const TensorView& get(std::string_view name) const;
  /// In alphabetical order.
  std::vector<std::string> names() const;
  /// The file that holds the tensor, for errors about it. It must be there.
  const std::filesystem::path& file_of(std::string_view name) const;

 private:
  struct Place {
    const TensorView* view;
    std::filesystem::path file;
  };

  std::filesystem::path listing_;  ///< the one file, or the index
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place, std::less<>> tensors_;
};

/// What to write: as TensorView, with its name.
struct NamedTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Writes a file whole or not at all. Tensors are laid out widest element first and then by name, and the header is
/// padded with spaces to a multiple of 8 bytes, so that every tensor is aligned to its element and the bytes are those
/// of the format's own library. RunError when the disk refuses; std::logic_error for a tensor whose bytes do not fit
/// its shape, or a name used twice.
void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

/// Writes a model's weights into an existing folder: model.safetensors, or, where the tensors take more than `shard_bytes`,
/// files model-00001-of-00003.safetensors and so on with their index. A file takes tensors in the given order as long as
/// they fit; one that is larger by itself gets a file of its own. Weights that another call left there are removed.
void write_checkpoint(const std::filesystem::path& folder, std::span<const NamedTensor> tensors,
                      std::int64_t shard_bytes);

}  // namespace whet::engine
