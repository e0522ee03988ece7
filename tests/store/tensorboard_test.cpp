// TensorBoard event files: published checksums, the framing byte by byte, and cutting at a step. That other programs
// read the file is checked by tensorboard_test.py with a reader of its own.
#include "store/tensorboard.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/store/temp_folder.h"

namespace whet::store {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, MatchesPublishedVectors) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending, descending;
  for (int i = 0; i < 32; ++i) {
    ascending += static_cast<char>(i);
    descending += static_cast<char>(31 - i);
  }
  EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(crc32c(descending), 0x113fdb5cu);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
}

std::vector<Scalar> scalars(float value) { return {{"reward", value}, {"length", 10 * value}}; }

TEST(EventFile, CutsAtAStepToWholeRecords) {
  const TempFolder folder;
  const auto path = folder.path() / "events";
  std::vector<std::size_t> sizes;
  {
    EventFile file(path);
    sizes.push_back(std::filesystem::file_size(path));
    for (const int step : {0, 5, 200, 70000}) {
      file.append(step, scalars(static_cast<float>(step)));
      sizes.push_back(std::filesystem::file_size(path));
    }
  }
  EXPECT_EQ(event_bytes_through(path, -1), sizes[0]);  // the version record stays
  EXPECT_EQ(event_bytes_through(path, 0), sizes[1]);
  EXPECT_EQ(event_bytes_through(path, 4), sizes[1]);
  EXPECT_EQ(event_bytes_through(path, 5), sizes[2]);
  EXPECT_EQ(event_bytes_through(path, 69999), sizes[3]);
  EXPECT_EQ(event_bytes_through(path, 70000), sizes[4]);

  // A record that a kill cut short, at any byte, is not counted.
  for (std::size_t cut = sizes[4] - 1; cut >= sizes[3]; --cut) {
    std::filesystem::resize_file(path, cut);
    ASSERT_EQ(event_bytes_through(path, 70000), sizes[3]) << cut;
  }
}

TEST(EventFile, StopsAtADamagedRecord) {
  const TempFolder folder;
  const auto path = folder.path() / "events";
  std::size_t after_first = 0;
  {
    EventFile file(path);
    file.append(1, scalars(1));
    after_first = std::filesystem::file_size(path);
    file.append(2, scalars(2));
  }
  std::fstream bytes(path, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(static_cast<std::streamoff>(after_first) + 14);
  bytes.put('\x7f');
  bytes.close();
  EXPECT_EQ(event_bytes_through(path, 2), after_first);
}

TEST(EventFile, BelievesNoByteOfADamagedFile) {
  const TempFolder folder;
  const auto path = folder.path() / "events";
  {
    EventFile file(path);
    for (const int step : {1, 2, 3}) file.append(step, scalars(static_cast<float>(step)));
  }
  const std::string good = base::read_file(path);
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1 << bit);
      base::write_file(path, bad);
      ASSERT_LE(event_bytes_through(path, 3), i) << "byte " << i << ", bit " << bit;
    }
  }
}

TEST(EventFile, WritesNothingForAStepWithoutNumbers) {
  const TempFolder folder;
  const auto path = folder.path() / "events";
  EventFile file(path);
  const auto before = std::filesystem::file_size(path);
  file.append(1, {});
  EXPECT_EQ(std::filesystem::file_size(path), before);
}

}  // namespace
}  // namespace whet::store
