// The text of the CUDA kernels, run on the CPU by fibers, held against the plain operations that they stand for.
#include "tests/engine/torch/cuda_on_cpu.h"
// After what they need of CUDA:
#include "engine/torch/cuda/attention_kernel.h"
#include "engine/torch/cuda/sampling_kernel.h"

#include "engine/torch/plain.h"
#include "tests/engine/torch/fixtures.h"

namespace whet::engine::cuda {
namespace {

at::Tensor run_sampling(const at::Tensor& logits, const at::Tensor& uniforms, const SamplingOptions& options) {
  at::Tensor results = at::full({logits.size(0), kSampleWidth}, NAN, at::kDouble);
  const SampleArguments arguments = {logits.const_data_ptr<float>(),
                                     uniforms.const_data_ptr<double>(),
                                     results.data_ptr<double>(),
                                     logits.size(0),
                                     logits.size(1),
                                     options.temperature,
                                     options.greedy};
  for (unsigned row = 0; row < logits.size(0); ++row) {
    blockIdx.x = row;
    Block::run(kWarp * kWarps, [&] { sample_rows(arguments); });
  }
  return results;
}

void expect_same_draws(const at::Tensor& logits, const at::Tensor& uniforms, const SamplingOptions& options) {
  const at::Tensor got = run_sampling(logits, uniforms, options),
                   wanted = plain::sample_rows(logits, uniforms, options);
  const std::string where =
      fmt::format("{} tokens, temperature {}, greedy {}", logits.size(1), options.temperature, options.greedy);
  EXPECT_TRUE(at::equal(got.select(1, 0), wanted.select(1, 0))) << where;
  EXPECT_LE((got - wanted).narrow(1, 1, 4).abs().max().item<double>(), 1e-5) << where;
}

TEST(CudaSamplingKernel, DrawsAndDescribesAsThePlainOperations) {
  for (const std::int64_t vocabulary : {1, 2, 31, 1024, 1025, 9000}) {
    at::manual_seed(static_cast<std::uint64_t>(vocabulary));
    const at::Tensor logits = 4 * at::randn({4, vocabulary}, at::kFloat);
    const at::Tensor uniforms = at::rand({4}, at::kDouble);
    uniforms[0] = 0.0;
    for (const double temperature : {0.6, 1.7}) expect_same_draws(logits, uniforms, {.temperature = temperature});
    expect_same_draws(logits, uniforms, {.greedy = true});
  }
}

TEST(CudaSamplingKernel, TheLargestUniformDrawsATokenThatCanBeDrawn) {
  at::Tensor logits = at::randn({1, 3000}, at::kFloat);
  logits.narrow(1, 1500, 1500).fill_(-500);  // no weight in float
  const at::Tensor got = run_sampling(logits, at::full({1}, 1.0 - 0x1p-53, at::kDouble), {});
  EXPECT_LT(got[0][0].item<double>(), 1500);
  EXPECT_TRUE(std::isfinite(got[0][1].item<double>()));
}

TEST(CudaSamplingKernel, TakesTheSmallestOfEqualTokensAndSeesATieAsNoGap) {
  at::Tensor logits = at::zeros({2, 3000}, at::kFloat);
  logits[0][2100] = logits[0][700] = logits[0][2999] = 9;
  const at::Tensor got = run_sampling(logits, at::zeros({2}, at::kDouble), {.greedy = true});
  EXPECT_EQ(got[0][0].item<double>(), 700);
  EXPECT_EQ(got[1][0].item<double>(), 0);
  EXPECT_EQ(got[0][4].item<double>(), 0);
}

TEST(CudaSamplingKernel, ABrokenModelDoesNotLookCertain) {
  at::Tensor logits = at::randn({2, 2500}, at::kFloat);
  logits[0][1700] = NAN;
  logits[1].fill_(NAN);
  const at::Tensor got = run_sampling(logits, at::full({2}, 0.5, at::kDouble), {});
  for (std::int64_t row = 0; row < 2; ++row) {
    EXPECT_GE(got[row][0].item<double>(), 0);
    EXPECT_LT(got[row][0].item<double>(), 2500);
    for (const std::int64_t k : {1, 2, 3}) EXPECT_TRUE(std::isnan(got[row][k].item<double>())) << row << ' ' << k;
  }
}

template <int kQueries, int kEach>
void run_blocks(const DecodeArguments& a) {
  const auto groups = static_cast<unsigned>((a.query_heads / a.key_heads + kQueries - 1) / kQueries);
  for (unsigned row = 0; row < a.rows; ++row) {
    for (unsigned head = 0; head < static_cast<unsigned>(a.key_heads); ++head) {
      for (unsigned group = 0; group < groups; ++group) {
        blockIdx.x = row;
        blockIdx.y = head;
        blockIdx.z = group;
        Block::run(kWarp * kWarps, [&] { decode_attention<kQueries, kEach>(a); });
      }
    }
  }
}

template <int kQueries, int kEach>
void expect_same_attention(kernels::HeadShape shape, std::int64_t window) {
  constexpr std::int64_t kSlots = 5, kCapacity = 21, kPlaces = 3, kPrompt = 30;
  at::manual_seed(7);
  const auto cache = [&] {
    at::manual_seed(8);
    return DeviceCache{
        at::randn({kSlots, kCapacity, shape.key_width()}), at::randn({kSlots, kCapacity, shape.key_width()}),
        at::randn({kPlaces, kPrompt, shape.key_width()}), at::randn({kPlaces, kPrompt, shape.key_width()})};
  };
  const DeviceCache ours = cache(), theirs = cache();
  // Two sequences of one prompt, one at its first token, one at its last, and places that are out of order.
  const DecodeRows rows = {at::tensor({3, 0, 4, 1}, at::kLong),
                           at::tensor({2, 0, 2, 1}, at::kLong),
                           at::tensor({30, 1, 30, 12}, at::kLong),
                           at::tensor({0, 20, 7, 13}, at::kLong),
                           30,
                           20};
  const at::Tensor prepared = at::randn({4, shape.qkv_width()});
  const at::Tensor wanted = plain::decode_attention(prepared, theirs, rows, shape, window);
  const at::Tensor got = at::full({4, shape.query_width()}, NAN);
  run_blocks<kQueries, kEach>(
      {prepared.const_data_ptr<float>(), got.data_ptr<float>(), ours.keys.data_ptr<float>(),
       ours.values.data_ptr<float>(), ours.keys.stride(0), ours.prompt_keys.const_data_ptr<float>(),
       ours.prompt_values.const_data_ptr<float>(), ours.prompt_keys.stride(0),
       rows.slots.const_data_ptr<std::int64_t>(), rows.places.const_data_ptr<std::int64_t>(),
       rows.prompt_lengths.const_data_ptr<std::int64_t>(), rows.lengths.const_data_ptr<std::int64_t>(), 4,
       static_cast<int>(shape.query_heads), static_cast<int>(shape.key_heads), static_cast<int>(shape.width), window});
  const std::string what = fmt::format("{} query heads, {} key heads of {}, window {}", shape.query_heads,
                                       shape.key_heads, shape.width, window);
  expect_close(got, wanted, 2e-6, what);
  EXPECT_TRUE(same_bytes(ours.keys, theirs.keys) && same_bytes(ours.values, theirs.values)) << what;
}

TEST(CudaAttentionKernel, AttendsAndStoresAsThePlainOperations) {
  for (const std::int64_t window : {0, 5, 40}) {
    expect_same_attention<1, 1>({2, 2, 12}, window);
    expect_same_attention<2, 2>({4, 2, 40}, window);
    expect_same_attention<4, 4>({6, 1, 128}, window);  // six heads are a group of four and one of two
    expect_same_attention<4, 8>({3, 1, 130}, window);
  }
}

}  // namespace
}  // namespace whet::engine::cuda
