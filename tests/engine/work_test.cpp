// The work of a phase against figures worked out by hand for a model of two layers, and the shares made of it.
#include "engine/work.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/machine.h"
#include "engine/memory.h"

namespace whet::engine {
namespace {

/// d 4, f 8, q 2 x 2 = 4, k 1 x 2 = 2, so qkv 8. Matrices of a layer: 8*4 + 4*4 + 3*8*4 = 144; both layers 288.
ModelConfig tiny() {
  ModelConfig config;
  config.architecture = "Qwen3ForCausalLM";
  config.vocab_size = 10;
  config.hidden_size = 4;
  config.intermediate_size = 8;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 2;
  config.max_position_embeddings = 64;
  config.tie_word_embeddings = true;
  return config;
}

/// Numbers in all: matrices 288, norms of a layer 2*4 + 2*2 = 12, the last norm 4, the embedding 40: 356.
constexpr double kParameters = 356;
/// Between the operations of a layer, a row: 10*4 + 4*8 + 2*4 + 6*8 = 128. Embedding 8. Head: 3*4 + 10 = 22.
constexpr double kRow = 8 + 2 * 128, kHead = 22;

TEST(ModelWork, CountsAForwardPass) {
  ASSERT_EQ(parameter_count(tiny()), kParameters);
  const ModelWork work(tiny(), 10);
  const base::Work pass = work.forward({.rows = 5, .heads = 3, .keys = 7});
  // 5 rows x 2 x 288, 3 heads x 2 x 4 x 10, 7 keys x 4 x 4.
  EXPECT_EQ(pass.flops, 2880 + 240 + 112);
  EXPECT_EQ(pass.bytes, 4 * (kParameters + 5 * kRow + 3 * kHead));
}

TEST(ModelWork, CountsTwiceTheProductsOnTheWayBack) {
  const ModelWork work(tiny(), 10);
  const Pass pass{.rows = 5, .heads = 3, .keys = 7};
  EXPECT_EQ(work.backward(pass).flops, 2 * work.forward(pass).flops);
  // Weights read, their gradient read and written, activations and their gradients.
  EXPECT_EQ(work.backward(pass).bytes, 4 * (3 * kParameters + 2 * (5 * kRow + 3 * kHead)));
}

TEST(ModelWork, ReadsOnlyTheWordsInUseAndOfAnUntiedEmbeddingNone) {
  const auto bytes_of_weights = [](const ModelConfig& config, std::int64_t vocabulary, std::int64_t weight_bytes) {
    return ModelWork(config, vocabulary, {}, weight_bytes).forward({}).bytes;
  };
  EXPECT_EQ(bytes_of_weights(tiny(), 7, 4), 4 * (kParameters - 3 * 4));
  EXPECT_EQ(bytes_of_weights(tiny(), 10, 2), 2 * kParameters);
  ModelConfig untied = tiny();
  untied.tie_word_embeddings = false;
  EXPECT_EQ(bytes_of_weights(untied, 10, 4), 4 * kParameters);
  EXPECT_EQ(ModelWork(tiny(), 7).forward({.rows = 0, .heads = 1, .keys = 0}).flops, 2 * 4 * 7);
}

TEST(ModelWork, CountsTheKeysThatAreSeen) {
  const ModelWork work(tiny(), 10);
  EXPECT_EQ(work.keys(0, 1), 2 * 1);
  EXPECT_EQ(work.keys(0, 4), 2 * (1 + 2 + 3 + 4));
  EXPECT_EQ(work.keys(3, 2), 2 * (4 + 5));
  EXPECT_EQ(work.keys(3, 0), 0);
  ModelConfig windowed = tiny();
  windowed.layer_windows = {3, 0};
  const ModelWork narrow(windowed, 10);
  EXPECT_EQ(narrow.keys(0, 5), (1 + 2 + 3 + 3 + 3) + 15);
  EXPECT_EQ(narrow.keys(7, 2), (3 + 3) + (8 + 9));
  EXPECT_EQ(narrow.keys(2, 1), 3 + 3);
}

TEST(ModelWork, AddsTheCacheToAStepOfDecoding) {
  const ModelWork work(tiny(), 10);
  // Two sequences of one prompt of three tokens, at their first and second token: 4 and 5 keys a layer, of which the
  // second sequence reads only its own two from memory again.
  const Pass pass{.rows = 2, .heads = 2, .keys = 2 * (4 + 5)};
  const base::Work step = work.decode(pass, 2 * (4 + 2));
  EXPECT_EQ(step.flops, work.forward(pass).flops);
  // Keys and values are 2 x 2 numbers a layer; read for what is cached, written for the two new tokens.
  EXPECT_EQ(step.bytes - work.forward(pass).bytes, 4 * 4 * (12 + 2 * 2));
}

TEST(ModelWork, CountsSamplingAndTheOptimizer) {
  const ModelWork work(tiny(), 10);
  EXPECT_EQ(work.sampling(3).flops, 300);
  EXPECT_EQ(work.sampling(3).bytes, 120);
  EXPECT_EQ(work.optimizer(false).flops, 17 * kParameters);
  EXPECT_EQ(work.optimizer(false).bytes, 36 * kParameters);
  EXPECT_EQ(work.optimizer(true).bytes, 44 * kParameters);
  EXPECT_EQ(ModelWork(tiny(), 10, {}, 2).optimizer(false).bytes, (36 + 4 + 2) * kParameters);
}

TEST(ModelWork, SparesTheGradientsOfFrozenWeights) {
  // Rank 3 on q_proj alone: 3 x (4 + 4) a layer, 48 in all.
  const ModelWork work(tiny(), 10, {.rank = 3, .alpha = 6, .targets = {"q_proj"}});
  const Pass pass{.rows = 5, .heads = 3, .keys = 7};
  EXPECT_EQ(work.forward(pass).flops, 5 * 2 * (288 + 48) + 240 + 112);
  EXPECT_EQ(work.backward(pass).flops, 5 * 2 * (288 + 2 * 48) + 240 + 2 * 112);
  EXPECT_EQ(work.forward(pass).bytes, 4 * (kParameters + 48 + 5 * kRow + 3 * kHead));
  EXPECT_EQ(work.backward(pass).bytes, 4 * (kParameters + 48 + 2 * 48 + 2 * (5 * kRow + 3 * kHead)));
  EXPECT_EQ(work.optimizer(false).flops, 17 * 48);
  const ModelWork half(tiny(), 10, {.rank = 3, .alpha = 6, .targets = {"q_proj"}}, 2);
  EXPECT_EQ(half.optimizer(false).bytes, 36 * 48) << "adapters have no masters";
}

TEST(Products, AreTheOperationsOfAPass) {
  const auto all = products(tiny(), 10, 5);
  const double flops =
      std::accumulate(all.begin(), all.end(), 0.0, [](double sum, const Gemm& gemm) { return sum + gemm.flops(); });
  EXPECT_EQ(flops, ModelWork(tiny(), 10).forward({.rows = 5, .heads = 5, .keys = 0}).flops);
}

TEST(ShareOf, IsJudgedByTheCeilingThatBounds) {
  const Ceilings ceilings{.flops_per_second = 100, .bytes_per_second = 10};
  const auto share = [&](double seconds, double flops, double bytes) {
    return share_of({seconds, {flops, bytes}, 1}, ceilings);
  };
  const Share compute = share(4, 200, 10);  // at least 2 s of arithmetic, 1 s of memory
  EXPECT_DOUBLE_EQ(compute.share, 0.5);
  EXPECT_FALSE(compute.is_memory_bound);
  const Share memory = share(4, 100, 30);  // 1 s and 3 s
  EXPECT_DOUBLE_EQ(memory.share, 0.75);
  EXPECT_TRUE(memory.is_memory_bound);
  const Share cached = share(2, 100, 30);  // 3 s of memory in 2 s: a cache had it
  EXPECT_DOUBLE_EQ(cached.share, 0.5);
  EXPECT_FALSE(cached.is_memory_bound);
}

}  // namespace
}  // namespace whet::engine
