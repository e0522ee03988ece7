// The CUDA kernels on a GPU, at the sizes of real models, held against host memory: every width and number of heads that
// they are compiled for, large vocabularies, and every GPU that there is. cuda_kernels_test.cpp runs their text without one.
#include "engine/torch/cuda/kernels.h"
#include "engine/torch/plain.h"
#include "tests/engine/torch/fixtures.h"

namespace whet::engine {
namespace {

/// Drawn and described rows against softmax in double. A token is right where the uniform number lies within its share of the
/// running sum, up to what float sums leave open.
void expect_draws(const at::Tensor& got, const at::Tensor& logits, const at::Tensor& uniforms,
                  const SamplingOptions& options) {
  const std::string where =
      fmt::format("{} tokens, temperature {}, greedy {}", logits.size(1), options.temperature, options.greedy);
  const at::Tensor ids = got.select(1, 0).to(at::kLong).unsqueeze(1);
  const at::Tensor logprobs = at::log_softmax(logits.to(at::kDouble) / options.temperature, 1),
                   probabilities = logprobs.exp();
  ASSERT_TRUE(ids.ge(0).logical_and(ids.lt(logits.size(1))).all().item<bool>()) << where;
  if (options.greedy) {
    EXPECT_TRUE(at::equal(ids.squeeze(1), logits.argmax(1))) << where;
  } else {
    const at::Tensor after = probabilities.cumsum(1).gather(1, ids).squeeze(1),
                     before = after - probabilities.gather(1, ids).squeeze(1);
    EXPECT_TRUE(at::logical_and(before <= uniforms + 1e-6, after >= uniforms - 1e-6).all().item<bool>()) << where;
  }
  const at::Tensor wanted = plain::sample_rows(logits, uniforms, options);
  expect_close(got.select(1, 1), logprobs.gather(1, ids).squeeze(1), 1e-5, where + ", log-prob");
  for (const std::int64_t k : {2, 3, 4})
    expect_close(got.select(1, k), wanted.select(1, k), 1e-5, fmt::format("{}, column {}", where, k));
}

template <class Sample>
void expect_sampling(at::Device device, const Sample& sample) {
  for (const std::int64_t vocabulary : {2, 31, 1024, 1025, 50257, 151936, 1 << 19}) {
    at::manual_seed(static_cast<std::uint64_t>(vocabulary));
    const at::Tensor logits = 3 * at::randn({5, vocabulary}, at::kFloat), uniforms = at::rand({5}, at::kDouble);
    for (const SamplingOptions& options :
         {SamplingOptions{.temperature = 0.7}, SamplingOptions{.temperature = 1.5}, SamplingOptions{.greedy = true}}) {
      expect_draws(sample(logits.to(device), uniforms.to(device), options).cpu(), logits, uniforms, options);
    }
  }
}

template <class Attend>
void expect_attention(at::Device device, kernels::HeadShape shape, std::int64_t window, const Attend& attend) {
  constexpr std::int64_t kRows = 33, kSlots = 40, kCapacity = 300, kPlaces = 6, kPrompt = 170;
  at::manual_seed(11);
  const auto cache = [&](std::int64_t count, std::int64_t length) {
    return at::randn({count, length, shape.key_width()});
  };
  const DeviceCache host = {cache(kSlots, kCapacity), cache(kSlots, kCapacity), cache(kPlaces, kPrompt),
                            cache(kPlaces, kPrompt)};
  const DeviceCache there = {host.keys.clone().to(device), host.values.clone().to(device), host.prompt_keys.to(device),
                             host.prompt_values.to(device)};
  const DecodeRows rows = {at::randperm(kSlots, at::kLong).narrow(0, 0, kRows).contiguous(),
                           at::randint(kPlaces, {kRows}, at::kLong),
                           at::randint(1, kPrompt + 1, {kRows}, at::kLong),
                           at::randint(kCapacity, {kRows}, at::kLong),
                           kPrompt,
                           kCapacity - 1};
  DecodeRows there_rows = rows;
  for (at::Tensor* each : {&there_rows.slots, &there_rows.places, &there_rows.prompt_lengths, &there_rows.lengths})
    *each = each->to(device);
  const at::Tensor prepared = at::randn({kRows, shape.qkv_width()});
  const at::Tensor got = attend(prepared.to(device), there, there_rows, shape, window).cpu();
  const std::string what = fmt::format("{} query heads, {} key heads of {}, window {}", shape.query_heads,
                                       shape.key_heads, shape.width, window);
  expect_close(got, plain::decode_attention(prepared, host, rows, shape, window), 1e-5, what);
  EXPECT_TRUE(same_bytes(there.keys.cpu(), host.keys) && same_bytes(there.values.cpu(), host.values)) << what;
}

template <class Attend>
void expect_attention(at::Device device, const Attend& attend) {
  for (const std::int64_t width : {20, 64, 96, 128, 256}) {
    for (const std::int64_t copies : {1, 2, 3, 8}) {
      for (const std::int64_t window : {0, 50}) expect_attention(device, {3 * copies, 3, width}, window, attend);
    }
  }
}

// So that a mistake in the comparison itself shows without a GPU.
TEST(GpuComparison, ThePlainOperationsPassIt) {
  expect_sampling(at::kCPU, plain::sample_rows);
  expect_attention(at::kCPU, {6, 3, 64}, 50, plain::decode_attention);
}

class GpuKernels : public testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a PyTorch without CUDA";
    if (cuda::kernel_architectures().empty())
      GTEST_SKIP() << "this build has no CUDA kernels of its own (its configuration says why)";
    for (int i = 0; i < at::detail::getCUDAHooks().deviceCount(); ++i)
      devices_.emplace_back(at::kCUDA, static_cast<c10::DeviceIndex>(i));
  }

  std::vector<at::Device> devices_;
};

TEST_F(GpuKernels, DrawAndDescribeAsHostMemoryDoes) {
  for (const at::Device device : devices_) {
    expect_sampling(device, [](const at::Tensor& logits, const at::Tensor& uniforms, const SamplingOptions& options) {
      EXPECT_TRUE(cuda::can_sample_rows(logits, options));
      return cuda::sample_rows(logits, uniforms, options);
    });
  }
}

TEST_F(GpuKernels, AttendAndStoreAsHostMemoryDoes) {
  for (const at::Device device : devices_) {
    expect_attention(device, [](const at::Tensor& prepared, const DeviceCache& cache, const DecodeRows& rows,
                                kernels::HeadShape shape, std::int64_t window) {
      EXPECT_TRUE(cuda::can_decode_attention(prepared, shape));
      return cuda::decode_attention(prepared, cache, rows, shape, window);
    });
  }
}

}  // namespace
}  // namespace whet::engine
