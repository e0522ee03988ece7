#include "base/file.h"

#include <fcntl.h>
#include <nettle/sha2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace whet::base {
namespace {

namespace fs = std::filesystem;

std::string reason() { return std::strerror(errno); }

/// Writes everything or throws; a short write (full disk, quota) is an error like any other.
void write_all(int descriptor, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      run_error("file", "cannot write {}: {}", path.string(), reason());
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string read_file(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) user_error("file", "cannot read {}: {}", path.string(), reason());
  struct stat status{};
  std::string content;
  if (::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
    ::close(descriptor);
    user_error("file", "cannot read {}: it is a folder, want a file", path.string());
  }
  if (status.st_size > 0) content.reserve(static_cast<std::size_t>(status.st_size));
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const std::string why = reason();
      ::close(descriptor);
      user_error("file", "cannot read {}: {}", path.string(), why);
    }
    if (got == 0) break;
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(descriptor);
  return content;
}

std::string last_whole_line(const fs::path& path) {
  if (!fs::exists(path)) return {};
  const std::string text = read_file(path);
  const std::size_t end = text.rfind('\n');
  if (end == std::string::npos || end == 0) return {};
  const std::size_t begin = text.rfind('\n', end - 1) + 1;  // 0 where it is the only one
  return text.substr(begin, end - begin);
}

void write_file(const fs::path& path, std::string_view bytes) {
  NewFile file(path);
  file.write(bytes);
  file.commit();
}

NewFile::NewFile(fs::path path)
    : path_(std::move(path)), temporary_(path_.string() + ".tmp-" + std::to_string(::getpid())) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) run_error("file", "cannot write {}: {}", path_.string(), reason());
}

NewFile::~NewFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void NewFile::write(std::string_view bytes) { write_all(descriptor_, bytes, path_); }

void NewFile::commit() {
  if (::fsync(descriptor_) != 0) run_error("file", "cannot write {}: {}", path_.string(), reason());
  if (::close(std::exchange(descriptor_, -1)) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const std::string why = reason();
    ::unlink(temporary_.c_str());
    run_error("file", "cannot write {}: {}", path_.string(), why);
  }
}

void require_new_folder(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path, error) && !(fs::is_directory(path, error) && fs::is_empty(path, error))) {
    user_error("output", "{} already exists, want a new folder (nothing was changed)", path.string());
  }
}

void create_new_folder(const fs::path& path) {
  require_new_folder(path);
  std::error_code error;
  fs::create_directories(path, error);
  if (error) run_error("output", "cannot create {}: {}", path.string(), error.message());
}

void sync_folder(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) run_error("file", "cannot open folder {}: {}", path.string(), reason());
  const int result = ::fsync(descriptor);
  ::close(descriptor);
  if (result != 0) run_error("file", "cannot sync folder {}: {}", path.string(), reason());
}

AppendFile::AppendFile(fs::path path, std::size_t keep_bytes) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) run_error("file", "cannot write {}: {}", path_.string(), reason());
  const off_t end = ::lseek(descriptor_, 0, SEEK_END);
  size_ = static_cast<std::size_t>(end);
  if (keep_bytes != kKeepAll && keep_bytes < size_) {
    if (::ftruncate(descriptor_, static_cast<off_t>(keep_bytes)) != 0) {
      run_error("file", "cannot cut {} to {} bytes: {}", path_.string(), keep_bytes, reason());
    }
    ::lseek(descriptor_, 0, SEEK_END);
    size_ = keep_bytes;
  }
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void AppendFile::append(std::string_view bytes) {
  write_all(descriptor_, bytes, path_);
  size_ += bytes.size();
}

void AppendFile::sync() {
  if (::fsync(descriptor_) != 0) run_error("file", "cannot sync {}: {}", path_.string(), reason());
}

MappedFile::MappedFile(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) user_error("file", "cannot read {}: {}", path.string(), reason());
  struct stat status{};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    user_error("file", "cannot read {}: want a regular file", path.string());
  }
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ > 0) {
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (mapped == MAP_FAILED) {
      const std::string why = reason();
      ::close(descriptor);
      user_error("file", "cannot map {}: {}", path.string(), why);
    }
    data_ = static_cast<const std::byte*>(mapped);
  }
  ::close(descriptor);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

std::string sha256_of_file(const fs::path& path) {
  const MappedFile file(path);
  sha256_ctx context;
  sha256_init(&context);
  const auto bytes = file.bytes();
  sha256_update(&context, bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()));
  std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest;
  sha256_digest(&context, digest.size(), digest.data());
  std::string hex;
  for (const std::uint8_t byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace whet::base
