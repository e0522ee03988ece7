// Safetensors: what is written is read back, the bytes are those of the format's own library, and no header is
// believed.
#include "engine/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"

namespace whet::engine {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path golden(const std::string& name) { return fs::path(WHET_SOURCE_DIR) / "tests/golden" / name; }

class SafetensorsTest : public testing::Test {
 protected:
  SafetensorsTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / (std::string("whet-") + info->test_suite_name() + "-" + info->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    file_ = folder_ / "model.safetensors";
  }
  ~SafetensorsTest() override { fs::remove_all(folder_); }

  fs::path folder_, file_;
};

std::string with_length(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

/// The message of the UserError that `read` throws; empty when it throws none.
template <class Read>
std::string refusal(Read&& read) {
  try {
    read();
  } catch (const base::UserError& error) {
    return error.what();
  }
  return "";
}

/// Without the sync of base::write_file, which takes most of the time of a thousand small files.
void write_quickly(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

std::string refusal_of_bytes(const fs::path& file, const std::string& bytes) {
  write_quickly(file, bytes);
  return refusal([&] { const SafetensorsFile read(file); });
}

std::span<const std::byte> bytes_of(const auto& values) { return std::as_bytes(std::span(values)); }

TEST_F(SafetensorsTest, ReadsBackWhatItWrote) {
  const std::vector<float> floats = {1.5f, -2.0f, 0.0f, 3e30f, -0.0f, 7.0f};
  const std::vector<std::int64_t> integers = {1, -1};
  const std::vector<std::uint8_t> small = {1, 2, 3};
  const std::vector<double> scalar = {3.25};
  const std::vector<NamedTensor> tensors = {
      {"b.weight", DType::kF32, {2, 3}, bytes_of(floats)},
      {"a.count", DType::kI64, {2}, bytes_of(integers)},
      {"odd", DType::kU8, {3}, bytes_of(small)},
      {"scalar", DType::kF64, {}, bytes_of(scalar)},
      {"empty", DType::kBF16, {4, 0, 2}, {}},
  };
  write_safetensors(file_, tensors, {{"format", "pt"}, {"note", "zwölf \"q\""}});

  const SafetensorsFile read(file_);
  EXPECT_EQ(read.tensors().size(), tensors.size());
  EXPECT_EQ(read.metadata().at("note"), "zwölf \"q\"");
  EXPECT_EQ(read.metadata().at("format"), "pt");
  for (const NamedTensor& tensor : tensors) {
    const TensorView* view = read.find(tensor.name);
    ASSERT_NE(view, nullptr) << tensor.name;
    EXPECT_EQ(view->dtype, tensor.dtype);
    EXPECT_EQ(view->shape, tensor.shape);
    ASSERT_EQ(view->bytes.size(), tensor.bytes.size());
    EXPECT_TRUE(std::equal(view->bytes.begin(), view->bytes.end(), tensor.bytes.begin()));
    if (!view->bytes.empty()) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view->bytes.data()) % dtype_size(view->dtype), 0u) << tensor.name;
    }
  }
  EXPECT_EQ(read.find("c"), nullptr);
}

TEST_F(SafetensorsTest, WritesTheBytesThatTheFormatsOwnLibraryWrites) {
  for (const char* name : {"qwen3_untied", "qwen3_tied"}) {
    const fs::path original = golden(name) / "model.safetensors";
    const SafetensorsFile read(original);
    std::vector<NamedTensor> tensors;
    for (const auto& [tensor_name, view] : read.tensors())
      tensors.push_back({tensor_name, view.dtype, view.shape, view.bytes});
    std::reverse(tensors.begin(), tensors.end());
    write_safetensors(file_, tensors);
    EXPECT_TRUE(base::read_file(file_) == base::read_file(original)) << name;
  }
}

TEST_F(SafetensorsTest, LeavesTheOldFileWhenATensorDoesNotFit) {
  base::write_file(file_, "old");
  const std::vector<float> floats = {1, 2};
  const std::vector<NamedTensor> wrong_size = {{"a", DType::kF32, {3}, bytes_of(floats)}};
  const std::vector<NamedTensor> twice = {{"a", DType::kF32, {2}, bytes_of(floats)},
                                          {"a", DType::kF32, {2}, bytes_of(floats)}};
  EXPECT_THROW(write_safetensors(file_, wrong_size), std::logic_error);
  EXPECT_THROW(write_safetensors(file_, twice), std::logic_error);
  EXPECT_EQ(base::read_file(file_), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
  EXPECT_THROW(write_safetensors(folder_ / "absent" / "x.safetensors", {}), base::RunError);
}

TEST_F(SafetensorsTest, RefusesEveryMalformedHeader) {
  const std::string data(16, 'x');
  const auto entry = [](const char* dtype, const char* shape, const char* offsets) {
    return fmt::format(R"({{"dtype":{},"shape":{},"data_offsets":{}}})", dtype, shape, offsets);
  };
  const auto one = [&](const char* dtype, const char* shape, const char* offsets) {
    return fmt::format(R"({{"weight":{}}})", entry(dtype, shape, offsets));
  };
  const auto two = [&](const char* first, const char* second) {
    return fmt::format(R"({{"weight":{},"other":{}}})", entry("\"F32\"", "[2]", first),
                       entry("\"F32\"", "[2]", second));
  };
  const std::string good = one("\"F32\"", "[2,2]", "[0,16]");
  ASSERT_EQ(refusal_of_bytes(file_, with_length(good, data)), "");

  struct Fault {
    std::string header;
    const char* message;
  };
  const std::vector<Fault> faults = {
      {"", "is not JSON at its byte"},
      {"[]", "not a JSON object"},
      {"null", "not a JSON object"},
      {good.substr(0, good.size() - 1), "is not JSON at its byte"},
      {good + "{}", "is not JSON at its byte"},
      {"{\"a\xff\":{}}", "is not JSON at its byte"},
      {R"({"weight":3})", "'weight': want an object"},
      {R"({"weight":{"shape":[],"data_offsets":[0,16]}})", "'weight': dtype is missing"},
      {R"({"weight":{"dtype":"F32","data_offsets":[0,16]}})", "'weight': shape is missing"},
      {R"({"weight":{"dtype":"F32","shape":[4]}})", "'weight': data_offsets is missing"},
      {R"({"weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"extra":1}})", "'weight': unknown field 'extra'"},
      {one("\"F31\"", "[4]", "[0,16]"), "'weight': dtype \"F31\", want one of: BOOL"},
      {one("4", "[4]", "[0,16]"), "'weight': dtype 4"},
      {one("\"F32\"", "4", "[0,16]"), "'weight': shape 4, want a list"},
      {one("\"F32\"", "[-4]", "[0,16]"), "'weight': shape [-4]"},
      {one("\"F32\"", "[4.0]", "[0,16]"), "'weight': shape [4.0]"},
      {one("\"F32\"", "[true]", "[0,16]"), "'weight': shape [true]"},
      {one("\"F32\"", "[18446744073709551615]", "[0,16]"), "'weight': shape [18446744073709551615]"},
      {one("\"F32\"", "[4294967296,4294967296]", "[0,16]"), "'weight': shape [4294967296,4294967296] has too many"},
      // 2^62 * 4 wraps to 0 in 64 bits.
      {one("\"F32\"", "[4611686018427387904]", "[0,0]"), "has too many elements"},
      {one("\"F32\"", "[4]", "16"), "'weight': data_offsets 16, want [begin, end]"},
      {one("\"F32\"", "[4]", "[0]"), "want [begin, end]"},
      {one("\"F32\"", "[4]", "[0,16,16]"), "want [begin, end]"},
      {one("\"F32\"", "[4]", "[0,\"16\"]"), "want [begin, end]"},
      {one("\"F32\"", "[4]", "[-16,0]"), "want [begin, end]"},
      {one("\"F32\"", "[4]", "[16,0]"), "'weight': data_offsets [16,0] run backwards"},
      {one("\"F32\"", "[8]", "[0,32]"), "'weight': data_offsets [0,32] reach past the 16 bytes"},
      {one("\"F32\"", "[4]", "[18446744073709551600,18446744073709551615]"), "reach past"},
      {one("\"F32\"", "[3]", "[0,16]"), "'weight': data_offsets [0,16] hold 16 bytes, want 12"},
      {one("\"F16\"", "[4]", "[0,16]"), "want 8 for shape [4] of F16"},
      {one("\"F32\"", "[3]", "[0,12]"), "4 bytes after the last tensor"},
      {one("\"F32\"", "[3]", "[4,16]"), "'weight': 4 bytes before it belong to no tensor"},
      {two("[0,8]", "[0,8]"), "overlap"},
      {two("[0,8]", "[4,12]"), "overlap"},
      {fmt::format(R"({{"weight":{0},"weight":{0}}})", entry("\"F32\"", "[4]", "[0,16]")), "has 'weight' twice"},
      {R"({"weight":{"dtype":"F32","shape":[3],"shape":[4],"data_offsets":[0,16]}})", "has 'shape' twice"},
      {R"({"__metadata__":[],"weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", "__metadata__ is not"},
      {R"({"__metadata__":{"a":1},"weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", "__metadata__ 'a'"},
      {one("\"F32\"", "[1e999]", "[0,16]"), "has a number that is too large"},
      {"{}", "16 bytes after the last tensor"},
      {std::string(100'000, '['), "is not JSON at its byte"},
  };
  for (const Fault& fault : faults) {
    const std::string message = refusal_of_bytes(file_, with_length(fault.header, data));
    EXPECT_THAT(message, HasSubstr(fault.message)) << fault.header.substr(0, 200);
    EXPECT_THAT(message, HasSubstr(file_.string())) << fault.header.substr(0, 200);
  }
}

TEST_F(SafetensorsTest, RefusesATruncatedFileAtEveryLength) {
  const std::vector<float> floats = {1, 2, 3};
  const std::vector<NamedTensor> tensors = {{"weight", DType::kF32, {3}, bytes_of(floats)}};
  write_safetensors(file_, tensors);
  const std::string whole = base::read_file(file_);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(refusal_of_bytes(file_, whole.substr(0, length)), HasSubstr(file_.string())) << length;
  }
  EXPECT_EQ(refusal_of_bytes(file_, whole), "");
}

TEST_F(SafetensorsTest, RefusesAHeaderLengthThatLies) {
  const std::string header = "{}";
  for (const std::uint64_t length :
       {std::uint64_t{3}, std::uint64_t{1} << 32, ~std::uint64_t{0}, ~std::uint64_t{0} - 7}) {
    const std::string bytes = std::string(reinterpret_cast<const char*>(&length), 8) + header;
    EXPECT_THAT(refusal_of_bytes(file_, bytes), HasSubstr(fmt::format("header of {} bytes", length)));
  }
}

// The reader either refuses a changed file with a UserError or hands out views that lie inside it.
TEST_F(SafetensorsTest, SurvivesRandomDamage) {
  const std::string original = base::read_file(golden("qwen3_tied") / "model.safetensors");
  std::uint64_t header_length = 0;
  std::memcpy(&header_length, original.data(), 8);
  const std::string tokens[] = {"\"",   "{",   "}",       "[", "]", ",", ":", "0", "9", "-", "18446744073709551615",
                                "null", "F64", "\\u0000", "e9"};
  base::Random random({7, 11});
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = original.substr(0, 8 + header_length + random.below(3) * 1000);
    for (std::uint64_t edits = random.between(1, 4); edits > 0; --edits) {
      const std::size_t at = random.below(round % 4 == 0 ? 12 : 8 + header_length);
      switch (random.below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random.below(256));
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
          break;
        case 2:
          bytes.erase(at, random.between(1, 40));
          break;
        default:
          bytes.insert(at, tokens[random.below(std::size(tokens))]);
          break;
      }
      if (bytes.size() < 8 + header_length) bytes.resize(8 + header_length, '0');
    }
    write_quickly(file_, bytes);
    try {
      const SafetensorsFile read(file_);
      std::uint64_t sum = 0;
      for (const auto& [name, view] : read.tensors()) {
        for (const std::byte byte : view.bytes) sum += std::to_integer<std::uint64_t>(byte);
      }
      EXPECT_GE(sum, 0u);
    } catch (const base::UserError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST_F(SafetensorsTest, CheckpointReadsOneFileOrShards) {
  const Checkpoint single(golden("qwen3_tied"));
  EXPECT_EQ(single.get("model.norm.weight").shape, std::vector<std::int64_t>{32});
  EXPECT_EQ(single.find("lm_head.weight"), nullptr);
  EXPECT_THAT(refusal([&] { single.get("lm_head.weight"); }),
              HasSubstr("model.safetensors] no tensor 'lm_head.weight'"));

  const std::vector<float> floats = {1, 2};
  const std::vector<NamedTensor> first = {{"a", DType::kF32, {2}, bytes_of(floats)}};
  const std::vector<NamedTensor> second = {{"b", DType::kF32, {1, 2}, bytes_of(floats)}};
  write_safetensors(folder_ / "model-1.safetensors", first);
  write_safetensors(folder_ / "model-2.safetensors", second);
  const auto read_with_index = [&](const std::string& index) {
    base::write_file(folder_ / "model.safetensors.index.json", index);
    return refusal([&] {
      const Checkpoint sharded(folder_);
      EXPECT_THAT(sharded.names(), testing::ElementsAre("a", "b"));
      EXPECT_EQ(sharded.get("b").shape, (std::vector<std::int64_t>{1, 2}));
    });
  };
  EXPECT_EQ(read_with_index(R"({"weight_map":{"b":"model-2.safetensors","a":"model-1.safetensors"}})"), "");
  EXPECT_THAT(refusal([&] { Checkpoint(folder_).get("c"); }), HasSubstr("model.safetensors.index.json] no tensor 'c'"));
  EXPECT_THAT(read_with_index(R"({"weight_map":{"a":"model-3.safetensors"}})"),
              HasSubstr("shard 'model-3.safetensors' is missing"));
  EXPECT_THAT(read_with_index(R"({"weight_map":{"c":"model-1.safetensors"}})"), HasSubstr("tensor 'c' is missing"));
  EXPECT_THAT(read_with_index(R"({"weight_map":{"a":"../model-1.safetensors"}})"), HasSubstr("want a file name"));
  EXPECT_THAT(read_with_index(R"({"weight_map":{"a":7}})"), HasSubstr("want a file name"));
  EXPECT_THAT(read_with_index(R"({"weight_map":[]})"), HasSubstr("no weight_map"));
  EXPECT_THAT(read_with_index("{"), HasSubstr("is not JSON"));
  fs::remove(folder_ / "model.safetensors.index.json");
  EXPECT_THAT(refusal([&] { const Checkpoint none(folder_); }), HasSubstr("no model.safetensors"));
}

/// Memory of this process that is in use, in bytes.
std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(SafetensorsTest, ReadsATensorBeyondFourGigabytesWithoutHoldingTheFile) {
  // A file of 5 GB that takes no space on disk: only the last tensor's bytes are ever written.
  const std::uint64_t large = 5'000'000'000;
  std::string header = fmt::format(R"({{"first":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}},)"
                                   R"("last":{{"dtype":"F32","shape":[3],"data_offsets":[{},{}]}}}})",
                                   large / 4, large, large, large + 12);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  write_quickly(file_, with_length(header, ""));
  const std::uint64_t data = 8 + header.size();
  std::error_code error;
  fs::resize_file(file_, data + large + 12, error);
  if (error) GTEST_SKIP() << "this file system holds no sparse file of 5 GB: " << error.message();
  {
    const std::vector<float> floats = {1.5f, -2.0f, 8.0f};
    std::fstream file(file_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(data + large));
    file.write(reinterpret_cast<const char*>(floats.data()), 12);
  }
  const std::size_t before = resident_bytes();
  const SafetensorsFile read(file_);
  EXPECT_EQ(read.find("first")->bytes.size(), large);
  std::array<float, 3> got{};
  std::memcpy(got.data(), read.find("last")->bytes.data(), 12);
  EXPECT_EQ(got, (std::array<float, 3>{1.5f, -2.0f, 8.0f}));
  EXPECT_LT(resident_bytes(), before + 100'000'000);
}

class CheckpointTest : public SafetensorsTest {
 protected:
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  const std::vector<float> floats_ = {1, 2, 3, 4};
  const std::vector<NamedTensor> tensors_ = {{"c", DType::kF32, {4}, bytes_of(floats_)},
                                             {"a", DType::kF32, {2, 2}, bytes_of(floats_)},
                                             {"b", DType::kF32, {1, 4}, bytes_of(floats_)}};
};

TEST_F(CheckpointTest, WritesOneFileOrShardsWithAnIndexAndReadsThemBack) {
  const auto same = [&] {
    const Checkpoint checkpoint(folder_);
    EXPECT_THAT(checkpoint.names(), testing::ElementsAre("a", "b", "c"));
    for (const NamedTensor& tensor : tensors_) {
      const TensorView& view = checkpoint.get(tensor.name);
      EXPECT_EQ(view.shape, tensor.shape);
      EXPECT_EQ(std::memcmp(view.bytes.data(), tensor.bytes.data(), 16), 0);
    }
  };
  write_checkpoint(folder_, tensors_, 48);
  EXPECT_THAT(files(), testing::ElementsAre("model.safetensors"));
  same();
  write_checkpoint(folder_, tensors_, 47);
  EXPECT_THAT(files(), testing::ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                            "model.safetensors.index.json"));
  same();
  const base::Json index = base::read_json_file(folder_ / "model.safetensors.index.json");
  EXPECT_EQ(index["metadata"]["total_size"], 48);
  EXPECT_EQ(index["weight_map"]["c"], "model-00001-of-00002.safetensors");
  EXPECT_EQ(index["weight_map"]["b"], "model-00002-of-00002.safetensors");
  EXPECT_EQ(Checkpoint(folder_).file_of("b"), folder_ / "model-00002-of-00002.safetensors");
  // A tensor that is larger than the limit still gets a file, and older weights do not stay beside newer ones.
  write_checkpoint(folder_, tensors_, 1);
  EXPECT_EQ(files().size(), 4u);
  same();
  write_checkpoint(folder_, tensors_, 1000);
  EXPECT_THAT(files(), testing::ElementsAre("model.safetensors"));
  same();
}

TEST_F(CheckpointTest, RefusesATruncatedShardByName) {
  write_checkpoint(folder_, tensors_, 16);
  const fs::path shard = folder_ / "model-00002-of-00003.safetensors";
  fs::resize_file(shard, fs::file_size(shard) - 1);
  EXPECT_THAT(refusal([&] { const Checkpoint checkpoint(folder_); }),
              testing::AllOf(HasSubstr(shard.string()), HasSubstr("tensor 'a'"), HasSubstr("cut short?")));
  fs::remove(shard);
  EXPECT_THAT(refusal([&] { const Checkpoint checkpoint(folder_); }),
              testing::AllOf(HasSubstr("model.safetensors.index.json"),
                             HasSubstr("shard 'model-00002-of-00003.safetensors' is missing")));
}

}  // namespace
}  // namespace whet::engine
