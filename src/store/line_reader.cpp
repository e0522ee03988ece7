#include "store/line_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace whet::store {
namespace {

constexpr std::size_t kChunk = 1 << 20;
constexpr std::size_t kHeadBytes = 16;

}  // namespace

LineReader::LineReader(const std::string& path) : path_(path), buffer_(kChunk + kPadding) {
  if (path == "-") {
    path_ = "standard input";
    descriptor_ = STDIN_FILENO;
    return;
  }
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) base::user_error("file", "cannot read {}: {}", path, std::strerror(errno));
}

LineReader::~LineReader() {
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
}

/// Reads more behind what is left; false when there is no more.
bool LineReader::fill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - kPadding == end_) buffer_.resize(2 * buffer_.size());
  ssize_t got = 0;
  do {
    got = ::read(descriptor_, buffer_.data() + end_, buffer_.size() - kPadding - end_);
  } while (got < 0 && errno == EINTR);
  if (got < 0) base::user_error("file", "cannot read {}: {}", path_, std::strerror(errno));
  if (got == 0) at_end_ = true;
  if (head_.size() < kHeadBytes && number_ == 0) {
    head_.append(buffer_.data() + end_, std::min(static_cast<std::size_t>(got), kHeadBytes - head_.size()));
  }
  end_ += static_cast<std::size_t>(got);
  return got > 0;
}

std::string_view LineReader::head() {
  while (head_.size() < kHeadBytes && number_ == 0 && fill()) {
  }
  return head_;
}

bool LineReader::next(std::string_view& line) {
  std::size_t searched = begin_;
  for (;;) {
    const auto* found = static_cast<const char*>(std::memchr(buffer_.data() + searched, '\n', end_ - searched));
    if (found) {
      const auto at = static_cast<std::size_t>(found - buffer_.data());
      line = {buffer_.data() + begin_, at - begin_};
      begin_ = at + 1;
      bytes_ += line.size() + 1;
      ended_ = true;
      ++number_;
      return true;
    }
    const std::size_t left = end_ - begin_;
    if (!fill()) break;
    searched = begin_ + left;
  }
  if (begin_ == end_) return false;
  line = {buffer_.data() + begin_, end_ - begin_};
  begin_ = end_;
  bytes_ += line.size();
  ended_ = false;
  ++number_;
  return true;
}

bool LineReader::is_current() const {
  struct stat read{}, named{};
  return ::fstat(descriptor_, &read) == 0 && ::stat(path_.c_str(), &named) == 0 && read.st_ino == named.st_ino &&
         read.st_dev == named.st_dev && static_cast<std::uint64_t>(read.st_size) >= bytes_;
}

void LineReader::take_back() {
  // The bytes before begin_ stay where they are until more is read.
  std::size_t size = ended_ ? 1 : 0;
  while (size < begin_ && buffer_[begin_ - size - 1] != '\n') ++size;
  begin_ -= size;
  bytes_ -= size;
  --number_;
}

}  // namespace whet::store
