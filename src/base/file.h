// Files that appear whole or not at all, and files that are read without a copy.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace whet::base {

/// The whole content of a file. UserError when it cannot be read (names the path and the system's reason).
std::string read_file(const std::filesystem::path& path);

/// The last line of a file that is whole, without its line feed: what is being written now is not. Empty when there is
/// none, or no file.
std::string last_whole_line(const std::filesystem::path& path);

/// Writes `bytes` to a temporary sibling, syncs it and renames it over `path`, so that a reader (or the next run
/// after a kill or a full disk) sees either the old file or the whole new one. RunError on failure; the temporary is removed.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// write_file for content that comes in pieces: nothing stands at `path` before commit(), and an object that is
/// destroyed without it leaves no trace. RunError on failure.
class NewFile {
 public:
  explicit NewFile(std::filesystem::path path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::string_view bytes);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

/// UserError when something other than an empty folder is at `path`. Commands ask this before long work.
void require_new_folder(const std::filesystem::path& path);

/// Creates `path` as a new, empty folder. UserError when something non-empty is already there.
void create_new_folder(const std::filesystem::path& path);

/// Syncs a folder's own entries to disk, so that renames inside it survive a power cut. RunError on failure.
void sync_folder(const std::filesystem::path& path);

/// A file opened for appending lines. Each append() is one write followed by an error check, so a full disk is
/// noticed at the line that did not fit. RunError on failure.
class AppendFile {
 public:
  /// Opens (creating if needed) and cuts the file to `keep_bytes` first; pass kKeepAll to keep what is there.
  static constexpr std::size_t kKeepAll = static_cast<std::size_t>(-1);
  explicit AppendFile(std::filesystem::path path, std::size_t keep_bytes = kKeepAll);
  ~AppendFile();
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&&) = delete;

  void append(std::string_view bytes);
  void sync();
  /// Bytes in the file so far.
  std::size_t size() const { return size_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::size_t size_ = 0;
};

/// A file mapped read-only into memory. UserError when it cannot be opened.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// SHA-256 of a file's content in hex, as sha256sum prints it.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace whet::base
