// TensorBoard event files: scalars by step, written as TFRecords of hand-encoded protocol buffers.
//
// A record is: length (8 bytes, little endian), masked CRC-32C of those 8 bytes, the event, its masked CRC-32C.
// An event is: wall_time = 1 (double), step = 2 (varint), then either file_version = 3 or summary = 5, a list of
// value = 1 { tag = 1, simple_value = 2 (float) }. Nothing else of the format is needed, so no protobuf library is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"

namespace whet::store {

/// CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected), as in RFC 3720.
std::uint32_t crc32c(std::string_view bytes);

struct Scalar {
  std::string tag;
  float value = 0;
};

/// The number of leading bytes of an event file that hold whole records of events with step <= `last_step`, in order up
/// to the first that is cut, damaged or later. 0 when the file is absent or its first record is not an event file's.
std::size_t event_bytes_through(const std::filesystem::path& path, std::int64_t last_step);

/// An event file opened for appending. RunError when a write fails.
class EventFile {
 public:
  /// Opens `path`, cut to `keep_bytes`; an empty file gets the version record that readers look for.
  explicit EventFile(const std::filesystem::path& path, std::size_t keep_bytes = base::AppendFile::kKeepAll);

  /// One record that holds all `scalars` of a step. Writes nothing when there are none.
  void append(std::int64_t step, std::span<const Scalar> scalars);
  void sync() { file_.sync(); }

 private:
  base::AppendFile file_;
};

}  // namespace whet::store
