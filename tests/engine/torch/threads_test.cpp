// Results do not depend on the number of threads, to the byte: work is cut by its size alone, and sums are added in order.
#include "tests/engine/torch/fixtures.h"

namespace whet::engine {
namespace {

struct Outcome {
  std::vector<std::vector<Rollout>> rollouts;
  at::Tensor weights;
  double norm = 0;
};

/// Three steps of rollout and update from the same start.
Outcome train(const ModelConfig& config, int threads, std::size_t prompts, int samples) {
  const ThreadCount scope(threads);
  const auto decoder = std::make_shared<Decoder>(config, at::kFloat);
  decoder->initialize(51);
  TorchModel model(decoder, {});
  base::Random random{52};
  std::vector<Prompt> all;
  for (std::size_t i = 0; i < prompts; ++i)
    all.push_back({random_tokens(random, random.between(1, 20), config.vocab_size), i, samples});
  Outcome outcome;
  for (std::uint64_t step = 0; step < 3; ++step) {
    outcome.rollouts = model.rollout({all, {.max_new_tokens = 24}, step});
    model.accumulate_gradient(as_batches(all, outcome.rollouts), 1.0, 4096,
                              [](std::size_t first, std::size_t, std::span<const float>, std::span<float> gradient) {
                                for (std::size_t i = 0; i < gradient.size(); ++i)
                                  gradient[i] = std::sin(static_cast<float>(first + i)) / 1000;
                              });
    outcome.norm = model.optimizer_step({.learning_rate = 1e-3});
  }
  outcome.weights = decoder->weights().clone();
  return outcome;
}

std::size_t differing_responses(const Outcome& a, const Outcome& b) {
  std::size_t count = 0;
  for (std::size_t p = 0; p < a.rollouts.size(); ++p) {
    for (std::size_t s = 0; s < a.rollouts[p].size(); ++s) count += a.rollouts[p][s].tokens != b.rollouts[p][s].tokens;
  }
  return count;
}

TEST(Threads, TheSameNumberGivesTheSameBytes) {
  for (const int threads : {1, 2}) {
    const Outcome first = train(odd_config(), threads, 16, 8), second = train(odd_config(), threads, 16, 8);
    EXPECT_TRUE(same_bytes(first.weights, second.weights)) << threads << " threads";
    EXPECT_EQ(first.norm, second.norm);
    EXPECT_EQ(differing_responses(first, second), 0u);
  }
}

TEST(Threads, AnyNumberGivesTheSameBytes) {
  for (const ModelConfig& config : {odd_config(), odd_config(4, 4, 16, /*tied=*/true)}) {
    const Outcome one = train(config, 1, 24, 8);
    for (const int threads : {2, 3}) {
      const Outcome other = train(config, threads, 24, 8);
      fmt::print("one and {} threads: weights differ by {:.1e}, {} of 192 responses\n", threads,
                 relative_difference(other.weights, one.weights), differing_responses(one, other));
      EXPECT_TRUE(same_bytes(one.weights, other.weights)) << threads << " threads";
      EXPECT_EQ(differing_responses(one, other), 0u);
    }
  }
}

TEST(Threads, TheNormOfALargeGradientIsTheSameForAnyNumber) {
  ModelConfig config = odd_config();
  config.hidden_size = 104;
  config.intermediate_size = 700;  // half a million parameters: more than a library sums up on one thread
  const auto step = [&](int threads) {
    const ThreadCount scope(threads);
    const auto decoder = std::make_shared<Decoder>(config, at::kFloat);
    decoder->initialize(55);
    TorchModel model(decoder, {});
    base::Random random{56};
    const SharedPromptBatch group = random_group(random, 5, {24, 3, 11, 17}, config.vocab_size);
    model.accumulate_gradient(std::span(&group, 1), 1.0, 4096,
                              [](std::size_t, std::size_t, std::span<const float>, std::span<float> gradient) {
                                for (std::size_t i = 0; i < gradient.size(); ++i)
                                  gradient[i] = std::sin(static_cast<float>(i));
                              });
    const double norm = model.optimizer_step({.learning_rate = 1e-3, .epsilon = 1.0, .clip = 1e-3});
    return std::pair(norm, decoder->weights().clone());
  };
  const auto [norm, weights] = step(1);
  for (const int threads : {2, 3, 5}) {
    const auto [other_norm, other_weights] = step(threads);
    EXPECT_EQ(other_norm, norm) << threads << " threads";
    EXPECT_TRUE(same_bytes(other_weights, weights)) << threads << " threads";
  }
}

TEST(Threads, TheKernelsGiveTheSameBytesForAnyNumber) {
  base::Random random{53};
  std::vector<SharedPromptBatch> groups;
  for (int i = 0; i < 40; ++i)
    groups.push_back(random_group(random, random.between(1, 20), {24, 3, 11, 1, 17, 24}, 37));
  const auto batches = pack(groups, 1 << 20, 37);
  const PackedBatch& batch = batches[0];
  const kernels::HeadShape shape{4, 2, 12};
  at::manual_seed(54);
  const auto options = at::TensorOptions().dtype(at::kFloat);
  const at::Tensor qkv = at::randn({batch.rows(), shape.qkv_width()}, options),
                   x = at::randn({batch.rows(), 40}, options);
  const at::Tensor weight = at::rand({40}, options), query_weight = at::rand({12}, options),
                   key_weight = at::rand({12}, options);
  const RotaryTable table = rotary_table(64, odd_config(), at::kFloat);
  const auto run = [&](int threads) {
    const ThreadCount scope(threads);
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& t : {qkv, x, weight, query_weight, key_weight})
      leaves.push_back(t.clone().requires_grad_(true));
    const at::Tensor prepared =
        prepare_heads(leaves[0], leaves[3], leaves[4], batch, table, shape, HeadNorm::kPerHead, 1e-6);
    const at::Tensor attended = attention(prepared, batch, shape);
    const at::Tensor gated = swiglu(rms_norm(leaves[1], leaves[2], 1e-6));
    attended.backward(attended.detach());
    gated.backward(gated.detach());
    std::vector<at::Tensor> results = {attended.detach(), gated.detach()};
    for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
    return results;
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 4}) {
    const auto other = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i)
      EXPECT_TRUE(same_bytes(one[i], other[i])) << "result " << i << ", " << threads << " threads";
  }
}

}  // namespace
}  // namespace whet::engine
