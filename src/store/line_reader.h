// Lines of a file or of standard input, one at a time, however long the file is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace whet::store {

class LineReader {
 public:
  /// So many bytes behind a line may be read (not used): what a vectorised parser wants.
  static constexpr std::size_t kPadding = 64;

  /// `path` or "-" for standard input. UserError when it cannot be read.
  explicit LineReader(const std::string& path);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line without its end, valid until the next call; false at the end of the file. UserError when the file
  /// cannot be read to its end.
  bool next(std::string_view& line);
  /// Gives the last line back: it comes again, with what may have been written behind it by then.
  void take_back();
  /// Behind the file's end: looks there again, for a file that grows.
  void go_on() { at_end_ = false; }
  /// Whether the path still names the file that is read, and that file still has all that was read.
  bool is_current() const;

  /// The number of the last line, from 1.
  std::size_t number() const { return number_; }
  /// Whether a line end stood behind the last line: where none does, the file may have been cut.
  bool ended() const { return ended_; }
  /// Bytes of the lines read so far, their ends among them.
  std::uint64_t bytes() const { return bytes_; }
  /// The file's first bytes (at most 16), before or after lines were read.
  std::string_view head();

 private:
  bool fill();

  std::string path_;
  int descriptor_ = -1;
  bool at_end_ = false;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what of the buffer is still to be read
  std::size_t number_ = 0;
  std::uint64_t bytes_ = 0;
  bool ended_ = true;
  std::string head_;
};

}  // namespace whet::store
