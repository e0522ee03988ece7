#include "store/tensorboard.h"

#include <array>
#include <bit>
#include <chrono>
#include <optional>

namespace whet::store {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0u);
    table[i] = value;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kCrcTable = crc_table();

/// TFRecord rotates and shifts checksums, so that the checksum of data that embeds checksums stays useful.
std::uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

template <class Unsigned>
void put_fixed(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof(value); ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

template <class Unsigned>
Unsigned get_fixed(std::string_view bytes) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof(value); ++i) {
    value |= static_cast<Unsigned>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}

// Keys of protocol buffer fields: (field number << 3) | wire type, with types 0 varint, 1 fixed64, 2 bytes, 5 fixed32.
constexpr char kWallTime = 1 << 3 | 1;
constexpr char kStep = 2 << 3 | 0;
constexpr char kFileVersion = 3 << 3 | 2;
constexpr char kSummary = 5 << 3 | 2;
constexpr char kSummaryValue = 1 << 3 | 2;
constexpr char kTag = 1 << 3 | 2;
constexpr char kSimpleValue = 2 << 3 | 5;

void put_bytes(std::string& out, char key, std::string_view bytes) {
  out += key;
  put_varint(out, bytes.size());
  out += bytes;
}

std::string event_head(std::int64_t step) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::string event(1, kWallTime);
  put_fixed(event, std::bit_cast<std::uint64_t>(now));
  event += kStep;
  put_varint(event, static_cast<std::uint64_t>(step));
  return event;
}

std::string record(std::string_view event) {
  std::string bytes;
  put_fixed(bytes, static_cast<std::uint64_t>(event.size()));
  put_fixed(bytes, masked_crc(bytes));
  bytes += event;
  put_fixed(bytes, masked_crc(event));
  return bytes;
}

constexpr std::size_t kHeader = 12, kFooter = 4;

/// The event at the start of `bytes`, when a whole and undamaged record stands there.
std::optional<std::string_view> first_event(std::string_view bytes) {
  if (bytes.size() < kHeader + kFooter) return std::nullopt;
  if (get_fixed<std::uint32_t>(bytes.substr(8)) != masked_crc(bytes.substr(0, 8))) return std::nullopt;
  const auto length = get_fixed<std::uint64_t>(bytes);
  if (length > bytes.size() - kHeader - kFooter) return std::nullopt;
  const std::string_view event = bytes.substr(kHeader, length);
  if (get_fixed<std::uint32_t>(bytes.substr(kHeader + length)) != masked_crc(event)) return std::nullopt;
  return event;
}

/// The step of an event that event_head() began.
std::optional<std::int64_t> step_of(std::string_view event) {
  constexpr std::size_t kAfterWallTime = 9;
  if (event.size() <= kAfterWallTime + 1) return std::nullopt;
  if (event[0] != kWallTime || event[kAfterWallTime] != kStep) return std::nullopt;
  std::uint64_t step = 0;
  int shift = 0;
  for (const char byte : event.substr(kAfterWallTime + 1)) {
    if (shift > 63) return std::nullopt;
    step |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    shift += 7;
    if ((byte & 0x80) == 0) return static_cast<std::int64_t>(step);
  }
  return std::nullopt;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const char byte : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<unsigned char>(byte)) & 0xff];
  return crc ^ 0xffffffffu;
}

std::size_t event_bytes_through(const std::filesystem::path& path, std::int64_t last_step) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return 0;
  const std::string content = base::read_file(path);
  std::string_view rest = content;
  while (const auto event = first_event(rest)) {
    const auto step = step_of(*event);
    if (!step || *step > last_step) {
      // The version record has step 0, and stays even when every step is taken back.
      const bool is_version = rest.size() == content.size() && step && event->find("brain.Event:") != event->npos;
      if (!is_version) break;
    }
    rest.remove_prefix(kHeader + event->size() + kFooter);
  }
  return content.size() - rest.size();
}

EventFile::EventFile(const std::filesystem::path& path, std::size_t keep_bytes) : file_(path, keep_bytes) {
  if (file_.size() > 0) return;
  std::string event = event_head(0);
  put_bytes(event, kFileVersion, "brain.Event:2");
  file_.append(record(event));
}

void EventFile::append(std::int64_t step, std::span<const Scalar> scalars) {
  if (scalars.empty()) return;
  std::string summary;
  for (const Scalar& scalar : scalars) {
    std::string value;
    put_bytes(value, kTag, scalar.tag);
    value += kSimpleValue;
    put_fixed(value, std::bit_cast<std::uint32_t>(scalar.value));
    put_bytes(summary, kSummaryValue, value);
  }
  std::string event = event_head(step);
  put_bytes(event, kSummary, summary);
  file_.append(record(event));
}

}  // namespace whet::store
