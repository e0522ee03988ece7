// Each autograd function in double: its value against the plain reference, its gradient against the reference's autograd
// and against finite differences.
#include "engine/torch/functions.h"

#include "tests/engine/torch/fixtures.h"
#include "tests/engine/torch/gradients.h"
#include "tests/engine/torch/reference.h"

namespace whet::engine {
namespace {

TEST(LinearFunction, IsTheProductWithItsGradient) {
  at::manual_seed(9);
  expect_same_function([](const Values& in) { return linear_map(in[0], in[1]); },
                       [](const Values& in) { return at::matmul(in[0], in[1].t()); },
                       {random_values({5, 13}), random_values({7, 13})});
  expect_same_function([](const Values& in) { return add_linear_map(in[2], in[0], in[1]); },
                       [](const Values& in) { return in[2] + at::matmul(in[0], in[1].t()); },
                       {random_values({5, 13}), random_values({7, 13}), random_values({5, 7})});
  expect_same_function([](const Values& in) { return linear_map(in[0], in[1], in[2]); },
                       [](const Values& in) { return at::matmul(in[0], in[1].t()) + in[2]; },
                       {random_values({5, 13}), random_values({7, 13}), random_values({7})});
  expect_same_function([](const Values& in) { return add_linear_map(in[2], in[0], in[1], in[3]); },
                       [](const Values& in) { return in[2] + at::matmul(in[0], in[1].t()) + in[3]; },
                       {random_values({5, 13}), random_values({7, 13}), random_values({5, 7}), random_values({7})});
}

TEST(LinearFunction, ComputesTheSameInFloatByItsOwnProducts) {
  at::manual_seed(10);
  for (const std::int64_t rows : {70, 3000}) {  // the bias' gradient of 3,000 rows is summed in several tasks
    const Values inputs = {random_values({rows, 45}), random_values({37, 45}), random_values({rows, 37}),
                           random_values({37})};
    const at::Tensor direction = random_values({rows, 37});
    for (const bool residual : {false, true}) {
      const auto run = [&](const Values& in) {
        return residual ? add_linear_map(in[2], in[0], in[1], in[3]) : linear_map(in[0], in[1], in[3]);
      };
      const Values exact = leaves(inputs);
      const at::Tensor wanted = run(exact);
      (wanted * direction).sum().backward();
      Values ours;
      for (const at::Tensor& input : inputs) ours.push_back(input.to(at::kFloat).requires_grad_(true));
      const at::Tensor got = run(ours);
      (got * direction.to(at::kFloat)).sum().backward();
      expect_close(got, wanted, 1e-6, "value");
      for (const std::size_t i : {0, 1, 2, 3}) {
        if (i == 2 && !residual) continue;
        expect_close(ours[i].grad(), exact[i].grad(), 2e-6, fmt::format("gradient of input {}", i));
      }
    }
  }
}

TEST(RmsNormFunction, IsTheReferenceWithItsGradient) {
  for (const auto& [rows, width] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 2}, {3, 12}, {7, 20}, {5, 37}}) {
    at::manual_seed(rows * 100 + width);
    expect_same_function([](const Values& in) { return rms_norm(in[0], in[1], 1e-5); },
                         [](const Values& in) { return reference::rms_norm(in[0], in[1], 1e-5); },
                         {random_values({rows, width}), random_values({width})});
  }
}

TEST(RmsNormFunction, SumsItsWeightsGradientOverManyBlocksOfRows) {
  at::manual_seed(5);
  const std::int64_t rows = 20000;  // several tasks
  const Values inputs = {random_values({rows, 20}), random_values({20})};
  const Values ours = leaves(inputs), theirs = leaves(inputs);
  const at::Tensor direction = random_values({rows, 20});
  (rms_norm(ours[0], ours[1], 1e-6) * direction).sum().backward();
  (reference::rms_norm(theirs[0], theirs[1], 1e-6) * direction).sum().backward();
  expect_close(ours[0].grad(), theirs[0].grad(), 1e-12, "rows");
  expect_close(ours[1].grad(), theirs[1].grad(), 1e-12, "weight");
}

TEST(SwiGluFunction, IsTheReferenceWithItsGradient) {
  for (const auto& [rows, width] : std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 1}, {4, 35}, {9, 16}}) {
    at::manual_seed(rows * 100 + width);
    expect_same_function([](const Values& in) { return swiglu(in[0]); },
                         [width](const Values& in) {
                           return reference::swiglu(in[0].narrow(1, 0, width), in[0].narrow(1, width, width));
                         },
                         {3 * random_values({rows, 2 * width})});
  }
}

TEST(SwiGluFunction, StaysFiniteForLargeInputs) {
  const at::Tensor input = at::tensor(std::vector<double>{1000, -1000, 80, -80, 2, 3, 5, 7}, at::kDouble);
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    const at::Tensor row = input.to(dtype).view({1, 8}).requires_grad_(true);
    const at::Tensor h = swiglu(row);
    h.sum().backward();
    EXPECT_TRUE(at::isfinite(h).all().item<bool>());
    EXPECT_TRUE(at::isfinite(row.grad()).all().item<bool>());
    EXPECT_FLOAT_EQ(h[0][0].item<float>(), 2000);
    EXPECT_FLOAT_EQ(h[0][1].item<float>(), 0);
  }
}

struct Shape {
  std::int64_t query_heads, key_heads, width;
};
class HeadsTest : public testing::TestWithParam<Shape> {
 protected:
  kernels::HeadShape shape() const { return {GetParam().query_heads, GetParam().key_heads, GetParam().width}; }
};

/// Rows [begin, begin + length) of packed heads as [heads, length, W].
at::Tensor take_heads(const at::Tensor& packed, std::int64_t begin, std::int64_t length, std::int64_t first_head,
                      std::int64_t heads, std::int64_t width) {
  return packed.narrow(0, begin, length)
      .narrow(1, first_head * width, heads * width)
      .reshape({length, heads, width})
      .transpose(0, 1);
}

TEST_P(HeadsTest, PrepareHeadsIsTheReferenceWithItsGradient) {
  const kernels::HeadShape s = shape();
  at::manual_seed(11);
  PackedBatch batch;
  batch.positions = {0, 1, 2, 5, 3, 40, 1};
  batch.ids.resize(batch.positions.size());
  const RotaryTable table = reference::exact_rotary_table(41, s.width, 10000.0);
  const auto rows = batch.rows();
  for (const HeadNorm norm : {HeadNorm::kNone, HeadNorm::kPerHead, HeadNorm::kWholeProjection}) {
    const auto plain = [&](const Values& in) {
      const at::Tensor positions = at::tensor(batch.positions);
      const at::Tensor cosine = table.cosine.index_select(0, positions), sine = table.sine.index_select(0, positions);
      const auto turned = [&](std::int64_t first_head, std::int64_t heads, const at::Tensor& weight) {
        at::Tensor x = in[0].narrow(1, first_head * s.width, heads * s.width);
        if (norm == HeadNorm::kWholeProjection) x = reference::rms_norm(x, weight, 1e-5);
        x = take_heads(x, 0, rows, 0, heads, s.width);
        if (norm == HeadNorm::kPerHead) x = reference::rms_norm(x, weight, 1e-5);
        return reference::rotate(x, cosine, sine).transpose(0, 1).reshape({rows, -1});
      };
      const at::Tensor none;
      const at::Tensor q = turned(0, s.query_heads, in.size() > 1 ? in[1] : none);
      const at::Tensor k = turned(s.query_heads, s.key_heads, in.size() > 1 ? in[2] : none);
      return at::cat({q, k, in[0].narrow(1, s.query_width() + s.key_width(), s.key_width())}, 1);
    };
    const auto ours = [&](const Values& in) {
      const at::Tensor none;
      return prepare_heads(in[0], in.size() > 1 ? in[1] : none, in.size() > 1 ? in[2] : none, batch, table, s, norm,
                           1e-5);
    };
    Values inputs = {random_values({rows, s.qkv_width()})};
    if (norm == HeadNorm::kPerHead) inputs.insert(inputs.end(), {random_values({s.width}), random_values({s.width})});
    if (norm == HeadNorm::kWholeProjection) {
      inputs.insert(inputs.end(), {random_values({s.query_width()}), random_values({s.key_width()})});
    }
    expect_same_function(ours, plain, inputs);
  }
}

/// Attention by segments as written in packing.h, with dense masked products.
at::Tensor plain_attention(const at::Tensor& prepared, const PackedBatch& batch, kernels::HeadShape s,
                           std::int64_t window = 0) {
  std::vector<at::Tensor> rows;
  for (const Segment& segment : batch.segments) {
    const auto keys = [&](std::int64_t first_head) {
      const at::Tensor own = take_heads(prepared, segment.begin, segment.length, first_head, s.key_heads, s.width);
      if (segment.prefix_length == 0) return own;
      return at::cat(
          {take_heads(prepared, segment.prefix_begin, segment.prefix_length, first_head, s.key_heads, s.width), own},
          1);
    };
    const at::Tensor q = take_heads(prepared, segment.begin, segment.length, 0, s.query_heads, s.width);
    const at::Tensor out = reference::attention(q, keys(s.query_heads), keys(s.query_heads + s.key_heads),
                                                segment.prefix_length + 1, window);
    rows.push_back(out.transpose(0, 1).reshape({segment.length, -1}));
  }
  return at::cat(rows);
}

TEST_P(HeadsTest, AttentionOverSharedPromptsIsTheReferenceWithItsGradient) {
  base::Random random{3};
  // Rows of responses are one fewer than their tokens: segments of 1, of 4 (a full block), of 6; prompts of 1, 7 and 18.
  const std::vector<SharedPromptBatch> groups = {random_group(random, 7, {2, 5, 1, 7, 2}, 37),
                                                 random_group(random, 1, {4}, 37),
                                                 random_group(random, 18, {2, 3}, 37)};
  const auto batches = pack(groups, 1 << 20, 37);
  ASSERT_EQ(batches.size(), 1u);
  at::manual_seed(12);
  for (const std::int64_t window : {0, 5}) {
    expect_same_function([&](const Values& in) { return attention(in[0], batches[0], shape(), window); },
                         [&](const Values& in) { return plain_attention(in[0], batches[0], shape(), window); },
                         {random_values({batches[0].rows(), shape().qkv_width()})});
  }
}

TEST_P(HeadsTest, AttentionOfManyLongResponsesMatchesInDoubleAndInFloat) {
  base::Random random{4};
  std::vector<SharedPromptBatch> groups;
  for (const std::int64_t prompt : {70, 3, 1}) {
    std::vector<std::int64_t> lengths;
    for (int i = 0; i < 12; ++i) lengths.push_back(random.between(1, 50));
    groups.push_back(random_group(random, prompt, lengths, 37));
  }
  const auto batches = pack(groups, 1 << 20, 37);
  at::manual_seed(13);
  const at::Tensor input = 2 * random_values({batches[0].rows(), shape().qkv_width()});
  const at::Tensor direction = random_values({batches[0].rows(), shape().query_width()});
  // A window of one token, some that most or a few sequences outgrow, and one that none does.
  for (const std::int64_t window : {0, 1, 7, 47, 200}) {
    const at::Tensor plain_input = input.clone().requires_grad_(true);
    const at::Tensor wanted = plain_attention(plain_input, batches[0], shape(), window);
    (wanted * direction).sum().backward();
    for (const auto& [dtype, tolerance] :
         std::vector<std::pair<at::ScalarType, double>>{{at::kDouble, 1e-12}, {at::kFloat, 5e-6}}) {
      const at::Tensor ours = input.to(dtype, false, /*copy=*/true).requires_grad_(true);
      const at::Tensor got = attention(ours, batches[0], shape(), window);
      expect_close(got, wanted, tolerance, fmt::format("value with window {}", window));
      (got * direction.to(dtype)).sum().backward();
      expect_close(ours.grad(), plain_input.grad(), tolerance, fmt::format("gradient with window {}", window));
    }
  }
}

TEST_P(HeadsTest, AttentionDoesNotRememberTheLastBatch) {
  base::Random random{5};
  const std::vector<SharedPromptBatch> large = {random_group(random, 60, {40, 33, 50}, 37)};
  const std::vector<SharedPromptBatch> small = {random_group(random, 5, {6, 2, 9}, 37)};
  const auto big = pack(large, 1 << 20, 37), little = pack(small, 1 << 20, 37);
  at::manual_seed(14);
  const at::Tensor input = random_values({little[0].rows(), shape().qkv_width()}).to(at::kFloat);
  const at::Tensor loud = 50 * random_values({big[0].rows(), shape().qkv_width()}).to(at::kFloat);
  const auto run = [&](const at::Tensor& values, const PackedBatch& batch) {
    const at::Tensor leaf = values.clone().requires_grad_(true);
    const at::Tensor out = attention(leaf, batch, shape());
    out.pow(2).sum().backward();
    return std::make_pair(out.detach(), leaf.grad());
  };
  const auto fresh = run(input, little[0]);
  run(loud, big[0]);
  const auto after = run(input, little[0]);
  EXPECT_TRUE(same_bytes(fresh.first, after.first));
  EXPECT_TRUE(same_bytes(fresh.second, after.second));
}

INSTANTIATE_TEST_SUITE_P(Shapes, HeadsTest,
                         testing::Values(Shape{4, 2, 12}, Shape{3, 1, 20}, Shape{4, 4, 16}, Shape{2, 2, 2},
                                         Shape{6, 2, 34}),
                         [](const auto& one) {
                           return fmt::format("Queries{}Keys{}Width{}", one.param.query_heads, one.param.key_heads,
                                              one.param.width);
                         });

TEST(RotaryTable, IsTheExactTableToFloatPrecision) {
  ModelConfig config;
  config.head_dim = 20;
  config.rope_theta = 1e6;
  const RotaryTable table = rotary_table(64, config, at::kDouble);
  const RotaryTable exact = reference::exact_rotary_table(64, 20, 1e6);
  expect_close(table.cosine, exact.cosine, 64 * 1.2e-7, "cosine");  // an angle of 63 has a rounding error of 4e-6
  expect_close(table.sine, exact.sine, 64 * 1.2e-7, "sine");
}

}  // namespace
}  // namespace whet::engine
