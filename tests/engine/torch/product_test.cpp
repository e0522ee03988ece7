// The matrix products against double, in odd shapes, and their promise: a row's numbers do not depend on its company.
#include "engine/torch/kernels_product.h"

#include "tests/engine/torch/fixtures.h"

namespace whet::engine::kernels {
namespace {

struct Shape {
  std::int64_t rows, columns, inner;
};

const std::vector<Shape> kShapes = {{1, 1, 1}, {1, 37, 26}, {3, 33, 5}, {8, 32, 64}, {13, 70, 35}, {65, 31, 48}, {200, 513, 7}, {700, 130, 129}, {2300, 64, 96}};

at::Tensor random_floats(at::IntArrayRef sizes) { return at::randn(sizes, at::kFloat); }

at::Tensor transposed(const at::Tensor& x, const at::Tensor& w, const at::Tensor& add = {}) {
  at::Tensor y = at::empty({x.size(0), w.size(0)}, at::kFloat);
  product_transposed(x.const_data_ptr<float>(), x.size(0), w.const_data_ptr<float>(), w.size(0), w.size(1),
                     {add.defined() ? add.const_data_ptr<float>() : nullptr, /*one_row=*/add.defined() && add.dim() == 1}, y.data_ptr<float>());
  return y;
}

at::Tensor plain(const at::Tensor& dy, const at::Tensor& w) {
  at::Tensor dx = at::empty({dy.size(0), w.size(1)}, at::kFloat);
  product_plain(dy.const_data_ptr<float>(), dy.size(0), w.const_data_ptr<float>(), w.size(0), w.size(1), dx.data_ptr<float>());
  return dx;
}

at::Tensor accumulated(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& start) {
  at::Tensor dw = start.clone();
  add_transposed_product(dy.const_data_ptr<float>(), x.const_data_ptr<float>(), dy.size(0), dy.size(1), x.size(1), dw.data_ptr<float>());
  return dw;
}

TEST(Product, EqualsDoublePrecisionInOddShapes) {
  at::manual_seed(61);
  for (const Shape& s : kShapes) {
    const std::string what = fmt::format("{} x {} x {}", s.rows, s.columns, s.inner);
    const at::Tensor x = random_floats({s.rows, s.inner}), w = random_floats({s.columns, s.inner}), dy = random_floats({s.rows, s.columns});
    const at::Tensor residual = random_floats({s.rows, s.columns}), start = random_floats({s.columns, s.inner});
    const at::Tensor dx = x.to(at::kDouble), dw = w.to(at::kDouble), ddy = dy.to(at::kDouble);
    expect_close(transposed(x, w), at::mm(dx, dw.t()), 2e-6, what);
    expect_close(transposed(x, w, residual), at::mm(dx, dw.t()) + residual, 2e-6, what + " with a residual");
    expect_close(transposed(x, w, residual[0]), at::mm(dx, dw.t()) + residual[0], 2e-6, what + " with a bias");
    expect_close(plain(dy, w), at::mm(ddy, dw), 2e-6, what + " backward");
    expect_close(accumulated(dy, x, start), at::mm(ddy.t(), dx) + start, 2e-6, what + " weight");
  }
}

TEST(Product, MayAddToItsOwnInput) {
  at::manual_seed(62);
  const at::Tensor x = random_floats({21, 35}), w = random_floats({40, 35}), residual = random_floats({21, 40});
  at::Tensor y = residual.clone();
  product_transposed(x.const_data_ptr<float>(), 21, w.const_data_ptr<float>(), 40, 35, {y.const_data_ptr<float>()}, y.data_ptr<float>());
  EXPECT_TRUE(same_bytes(y, transposed(x, w, residual)));
}

TEST(Product, GivesARowTheSameBytesWhateverStandsBesideIt) {
  at::manual_seed(63);
  for (const Shape& s : kShapes) {
    const at::Tensor x = random_floats({s.rows, s.inner}), w = random_floats({s.columns, s.inner}), dy = random_floats({s.rows, s.columns});
    const at::Tensor y = transposed(x, w), dx = plain(dy, w);
    for (const std::int64_t row : {std::int64_t{0}, s.rows / 2, s.rows - 1}) {
      EXPECT_TRUE(same_bytes(transposed(x.narrow(0, row, 1), w), y.narrow(0, row, 1)));
      EXPECT_TRUE(same_bytes(plain(dy.narrow(0, row, 1), w), dx.narrow(0, row, 1)));
    }
    const std::int64_t some = (s.rows + 2) / 3;
    EXPECT_TRUE(same_bytes(transposed(x.narrow(0, s.rows - some, some), w), y.narrow(0, s.rows - some, some)));
  }
}

TEST(Product, ReadsWeightsInBFloat16AsTheFloatsThatTheyAre) {
  at::manual_seed(66);
  std::vector<Shape> shapes = kShapes;
  shapes.push_back({9, 40000, 200});  // more than 16 MiB
  for (const Shape& s : shapes) {
    const at::Tensor x = random_floats({s.rows, s.inner}), dy = random_floats({s.rows, s.columns});
    const at::Tensor half = random_floats({s.columns, s.inner}).to(at::kBFloat16), w = half.to(at::kFloat);
    const auto* bits = reinterpret_cast<const BFloat16*>(half.const_data_ptr<at::BFloat16>());
    at::Tensor y = at::empty({s.rows, s.columns}, at::kFloat), dx = at::empty({s.rows, s.inner}, at::kFloat);
    product_transposed(x.const_data_ptr<float>(), s.rows, bits, s.columns, s.inner, {}, y.data_ptr<float>());
    product_plain(dy.const_data_ptr<float>(), s.rows, bits, s.columns, s.inner, dx.data_ptr<float>());
    EXPECT_TRUE(same_bytes(y, transposed(x, w))) << s.rows << " x " << s.columns << " x " << s.inner;
    EXPECT_TRUE(same_bytes(dx, plain(dy, w))) << s.rows << " x " << s.columns << " x " << s.inner;
    expect_close(y, at::mm(x.to(at::kDouble), half.to(at::kDouble).t()), 2e-6, "in plain operations");
  }
}

TEST(Product, GivesTheSameBytesForAnyNumberOfThreads) {
  at::manual_seed(64);
  const at::Tensor x = random_floats({2300, 96}), w = random_floats({200, 96}), dy = random_floats({2300, 200}), zero = at::zeros({200, 96}, at::kFloat);
  const auto run = [&](int threads) {
    const ThreadCount scope(threads);
    return std::vector<at::Tensor>{transposed(x, w), plain(dy, w), accumulated(dy, x, zero)};
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 5}) {
    const auto other = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(same_bytes(one[i], other[i])) << "product " << i << ", " << threads << " threads";
  }
}

TEST(Product, CutsALargeHeadIntoPieces) {
  at::manual_seed(65);
  const std::int64_t vocabulary = 40000, inner = 200;  // more than 16 MiB
  const at::Tensor x = random_floats({9, inner}), w = random_floats({vocabulary, inner}), dy = random_floats({9, vocabulary});
  expect_close(transposed(x, w), at::mm(x.to(at::kDouble), w.to(at::kDouble).t()), 2e-6, "logits");
  const double allowed = 2 * relative_difference(at::mm(dy, w), at::mm(dy.to(at::kDouble), w.to(at::kDouble))) + 2e-6;
  expect_close(plain(dy, w), at::mm(dy.to(at::kDouble), w.to(at::kDouble)), allowed, "backward");
}

}  // namespace
}  // namespace whet::engine::kernels
